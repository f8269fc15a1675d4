"""The upload page and what it asks for; the bytes themselves come through `tus`."""

from __future__ import annotations

import json
import uuid
from typing import cast

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from readerstudy.accounts.models import User
from readerstudy.studies.access import get_reach, get_study
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role
from readerstudy.studies.selectors import sites_of

from . import rules, selectors, services, tus, uploads
from .errors import ImagingError
from .forms import RulesForm
from .inbox_selectors import inbox_count
from .models import Series
from .upload_history import sent_together


@require_safe
def upload_page(request: HttpRequest, slug: str) -> HttpResponse:
    reach = get_reach(request.user, slug)
    study = reach.study
    arms = selectors.acquired_arms(study)
    sites = [reach.site] if reach.site is not None else sites_of(study)
    return render(
        request,
        "imaging/uploads.html",
        {
            "study": study,
            "tus_url": reverse("upload_tus", args=[study.slug]),
            "status_url": reverse("upload_status", args=[study.slug]),
            "finish_url": reverse("upload_finish", args=[study.slug]),
            "places_url": reverse("upload_places", args=[study.slug]),
            "max_files": settings.UPLOAD_MAX_FILES,
            "max_bytes": settings.UPLOAD_MAX_TOTAL_BYTES,
            "waiting": inbox_count(reach),
            "site": reach.site,
            "sites": json.dumps([{"code": site.code, "name": site.name} for site in sites]),
            "volunteers": json.dumps(selectors.volunteer_codes(reach)),
            "arms": json.dumps([{"code": arm.code, "name": arm.name} for arm in arms]),
            "arm_codes": [arm.code for arm in arms],
            "uploads": sent_together(reach),
            "series": selectors.series_of(reach),
        },
    )


@require_safe
def upload_status(request: HttpRequest, slug: str) -> JsonResponse:
    reach = get_reach(request.user, slug)
    try:
        batch = uuid.UUID(request.GET["batch"]) if "batch" in request.GET else None
    except ValueError:
        return JsonResponse({"error": "The address names no batch."}, status=400)
    return JsonResponse({"uploads": sent_together(reach, batch)})


@require_POST
def upload_places(request: HttpRequest, slug: str) -> JsonResponse:
    """Where files that are about to be sent go: what was chosen, or a mapping file or a pattern.

    What is wrong with it is said here, before a byte is on its way.
    """
    reach = get_reach(request.user, slug)
    study, actor = reach.study, cast(User, request.user)
    names = ("volunteer", "arm", "site", "mapping", "mapping_name", "pattern")
    try:
        body = json.loads(request.body)
        batch = uuid.UUID(str(body["batch"]))
        given = {name: body.get(name, "") for name in names}
        if not all(isinstance(value, str) for value in given.values()):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError):
        return JsonResponse({"error": "The request does not name a batch."}, status=400)
    chosen = {name: value if name == "mapping" else value.strip() for name, value in given.items()}
    lines = 0
    try:
        uploads.check_place(
            study,
            actor,
            volunteer=chosen["volunteer"],
            arm=tus.named_arm(study, chosen["arm"]),
            site=reach.site or tus.named_site(study, chosen["site"]),
        )
        if chosen["mapping"] or chosen["pattern"]:
            lines = uploads.do_set_batch_rules(
                study,
                actor,
                batch,
                mapping=chosen["mapping"],
                mapping_name=chosen["mapping_name"],
                pattern=chosen["pattern"],
            )
    except (ImagingError, StudyError) as error:
        return JsonResponse({"error": str(error)}, status=422)
    return JsonResponse({"lines": lines})


@require_http_methods(["GET", "HEAD", "POST"])
def rules_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Dates, the form of codes, and who may send over the network."""
    study = get_study(request.user, slug, Role.COORDINATOR)
    stored = rules.rules_of(study)
    form = RulesForm(
        request.POST if request.method == "POST" else None,
        initial={name: getattr(stored, name) for name in rules.FIELDS},
    )
    if request.method == "POST" and form.is_valid():
        try:
            rules.do_change_rules(study, cast(User, request.user), form.cleaned_data)
        except (ImagingError, StudyError) as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "The rules were saved.")
            return redirect("uploads_rules", study.slug)
    return render(
        request,
        "imaging/rules.html",
        {"study": study, "form": form},
        status=400 if form.is_bound else 200,
    )


@require_POST
def upload_finish(request: HttpRequest, slug: str) -> JsonResponse:
    """All files of a batch have arrived: have them read."""
    study = get_reach(request.user, slug).study
    try:
        body = json.loads(request.body)
        batch = uuid.UUID(str(body["batch"]))
    except (ValueError, KeyError, TypeError):
        return JsonResponse({"error": "The request does not name a batch."}, status=400)
    try:
        job = uploads.do_finish_batch(study, batch, cast(User, request.user))
    except (ImagingError, StudyError) as error:
        return JsonResponse({"error": str(error)}, status=409)
    return JsonResponse(
        {"job": str(job.pk), "status_url": reverse("job_status", args=[job.pk])}, status=202
    )


@require_POST
def series_delete(request: HttpRequest, slug: str, series_id: uuid.UUID) -> HttpResponse:
    reach = get_reach(request.user, slug)
    study = reach.study
    series = get_object_or_404(
        Series.objects.select_related("volunteer__study", "arm"),
        pk=series_id,
        volunteer__study=study,
        **reach.within("volunteer__site"),
    )
    said = f"{series.arm.name} of {series.volunteer.code}"
    try:
        services.do_delete_series(series, cast(User, request.user))
    except (ImagingError, StudyError) as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{said} was deleted.")
    return redirect("uploads", study.slug)
