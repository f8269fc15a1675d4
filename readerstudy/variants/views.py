"""Derived arms, and how each of their series came about: for coordinators, never for readers."""

from __future__ import annotations

import uuid
from typing import cast

from django.contrib import messages
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from readerstudy.accounts.models import User
from readerstudy.imaging.models import Series
from readerstudy.studies.access import get_study
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Arm, Role, Study

from .access import get_evidence_study, may_see_evidence
from .arms import do_add_derived_arm, do_remove_derived_arm
from .forms import DerivedArmForm
from .overview import arm_rows, raw_rows, series_rows
from .pictures import picture as draw
from .raw_services import do_delete_raw, find_raw
from .selectors import evidence_page, find_derived
from .warning_zip import record_warning_download, warning_name, warning_zip


@require_http_methods(["GET", "HEAD", "POST"])
def arms(request: HttpRequest, slug: str) -> HttpResponse:
    """The derived arms of a study, one more of them in a draft, and the record of every series."""
    study = get_study(request.user, slug, Role.COORDINATOR)
    form = DerivedArmForm(study, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            arm = do_add_derived_arm(
                study,
                cast(User, request.user),
                code=said["code"],
                name=said["name"],
                source=said["source"],
                recipe=form.recipe(),
                compared_with=list(said["compared_with"]),
            )
        except StudyError as error:
            if not study.is_draft:  # the form is not shown any more
                messages.error(request, str(error))
                return redirect("variants", study.slug)
            form.add_error(None, list(error.messages))
        else:
            messages.success(request, f"{arm.name} was added: the worker will make it.")
            return redirect("variants", study.slug)
    shows_evidence = may_see_evidence(request.user, study)
    return render(
        request,
        "variants/arms.html",
        {
            "study": study,
            "form": form,
            "arms": arm_rows(study),
            "raw": raw_rows(study),
            "series": series_rows(study) if shows_evidence else [],
            "shows_evidence": shows_evidence,
        },
    )


@require_POST
def arm_remove(request: HttpRequest, slug: str, arm_code: str) -> HttpResponse:
    study = get_study(request.user, slug, Role.COORDINATOR)
    arm = get_object_or_404(Arm.objects.select_related("study"), study=study, code=arm_code)
    try:
        do_remove_derived_arm(arm, cast(User, request.user))
    except StudyError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{arm.name} was removed.")
    return redirect("variants", study.slug)


@require_POST
def raw_remove(request: HttpRequest, slug: str, raw_id: uuid.UUID) -> HttpResponse:
    """Delete raw data and every series made from them."""
    study = get_study(request.user, slug, Role.COORDINATOR)
    raw = find_raw(study, raw_id)
    if raw is None:
        raise Http404("No such raw data.")
    try:
        do_delete_raw(raw, cast(User, request.user))
    except StudyError as error:
        messages.error(request, str(error))
    else:
        messages.success(
            request,
            f"The raw data of {raw.arm.name} of {raw.volunteer.code} were deleted, with every "
            "series made from them.",
        )
    return redirect("variants", study.slug)


@require_safe
def evidence(request: HttpRequest, slug: str, series_id: uuid.UUID) -> HttpResponse:
    """One slice of a derived series in five pictures, and the record of how it was made.

    `?slice=` counts from 1, as people do; without it the middle slice is shown.
    """
    study = get_evidence_study(request.user, slug)
    series, source = _found(study, series_id)
    page = evidence_page(series, source, _chosen(request.GET.get("slice"), series.slices))
    return render(request, "variants/evidence.html", {"study": study, "page": page})


@require_safe
def image(
    request: HttpRequest, slug: str, series_id: uuid.UUID, picture: str, index: int
) -> HttpResponse:
    study = get_evidence_study(request.user, slug)
    series, source = _found(study, series_id)
    try:
        content = draw(series, source, picture, index)
    except LookupError:
        raise Http404("No such picture.") from None
    return HttpResponse(content, content_type="image/png")


@require_safe
def warning(request: HttpRequest, slug: str, series_id: uuid.UUID) -> HttpResponseBase:
    """The warning map of a series as DICOM objects, in a zip."""
    study = get_evidence_study(request.user, slug)
    series, _source = _found(study, series_id)
    try:
        made = warning_zip(series)
    except FileNotFoundError:
        context = {"study": study, "series": series}
        return render(request, "variants/no_warning.html", context, status=404)
    if request.method == "GET":
        record_warning_download(series, cast(User, request.user), made)
    return FileResponse(
        made,
        as_attachment=True,
        filename=f"{warning_name(series)}.zip",
        content_type="application/zip",
    )


def _found(study: Study, series_id: uuid.UUID) -> tuple[Series, Series | None]:
    found = find_derived(study, series_id)
    if found is None:
        raise Http404("No such derived series.")
    return found


def _chosen(asked: str | None, slices: int) -> int:
    """The index of the slice that the address asks for; what is beyond the ends is the end."""
    if asked is None:
        return slices // 2
    try:
        return min(max(int(asked), 1), slices) - 1
    except ValueError:
        raise Http404("The slice is a number.") from None
