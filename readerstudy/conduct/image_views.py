"""Looking at the images of a study before readers do, and deciding on each series."""

from __future__ import annotations

import uuid
from typing import cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from readerstudy.accounts.models import User
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.selectors import control_series
from readerstudy.studies.access import get_study
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study
from readerstudy.variants.access import may_see_evidence

from . import comparison, quality
from .readiness import readiness_grid

PIXELS_CACHE = "private, no-store"
# A series never changes under its id.
THUMBNAIL_CACHE = "private, max-age=86400, immutable"


def _study(request: HttpRequest, slug: str) -> Study:
    """404 without the role, 403 for whoever reads in it."""
    study = get_study(request.user, slug, Role.COORDINATOR)
    quality.check_may_look(study, cast(User, request.user))
    return study


def _series(study: Study, series_id: uuid.UUID) -> Series:
    found: Series = get_object_or_404(
        Series.objects.select_related("volunteer__study", "arm"),
        pk=series_id,
        volunteer__study=study,
    )
    return found


def _volunteer(study: Study, code: str) -> Volunteer:
    volunteer: Volunteer = get_object_or_404(
        Volunteer.objects.select_related("study"), study=study, code=code
    )
    if control_series(volunteer) is None:
        raise Http404("No images of the control yet.")
    return volunteer


@require_safe
def compare(request: HttpRequest, slug: str, volunteer_code: str) -> HttpResponse:
    """All arms of a volunteer, named, side by side; each is accepted or rejected here."""
    study = _study(request, slug)
    volunteer = _volunteer(study, volunteer_code)
    rows = [row for row in readiness_grid(study).rows if row.has_images]
    index = next(i for i, row in enumerate(rows) if row.volunteer.pk == volunteer.pk)
    return render(
        request,
        "conduct/compare.html",
        {
            "study": study,
            "volunteer": volunteer,
            "row": rows[index],
            "shows_evidence": may_see_evidence(cast(User, request.user), study),
            "before": rows[index - 1].volunteer if index else None,
            "after": rows[index + 1].volunteer if index + 1 < len(rows) else None,
            "data_url": reverse("readiness_compare_data", args=[study.slug, volunteer.code]),
        },
    )


@require_safe
def compare_data(request: HttpRequest, slug: str, volunteer_code: str) -> JsonResponse:
    study = _study(request, slug)
    volunteer = _volunteer(study, volunteer_code)
    return JsonResponse(comparison.comparison_data(volunteer, flags="readiness_flags"))


@require_safe
def pixels(request: HttpRequest, slug: str, series_id: uuid.UUID, index: int) -> HttpResponse:
    """One slice on the control's grid."""
    series = _series(_study(request, slug), series_id)
    try:
        content = comparison.comparison_slice(series, index)
    except LookupError:  # a slice that is not there, or no control
        raise Http404 from None
    return HttpResponse(
        content,
        content_type="application/octet-stream",
        headers={"Cache-Control": PIXELS_CACHE},
    )


@require_safe
def flags(request: HttpRequest, slug: str, series_id: uuid.UUID, index: int) -> HttpResponse:
    """Where the images are not to be relied on, on one slice."""
    series = _series(_study(request, slug), series_id)
    try:
        content = comparison.comparison_flags(series, index)
    except LookupError:
        raise Http404 from None
    return HttpResponse(
        content,
        content_type="application/octet-stream",
        headers={"Cache-Control": PIXELS_CACHE},
    )


@require_safe
def thumbnail(request: HttpRequest, slug: str, series_id: uuid.UUID) -> HttpResponse:
    series = _series(_study(request, slug), series_id)
    return HttpResponse(
        comparison.thumbnail(series),
        content_type="image/png",
        headers={"Cache-Control": THUMBNAIL_CACHE},
    )


@require_POST
def decide(request: HttpRequest, slug: str, series_id: uuid.UUID) -> HttpResponse:
    study = _study(request, slug)
    series = _series(study, series_id)
    accept = request.POST.get("decision") == "accept"
    try:
        quality.do_decide(
            series,
            cast(User, request.user),
            accept=accept,
            reason=request.POST.get("reason", ""),
        )
    except StudyError as error:
        messages.error(request, str(error))
    else:
        done = "accepted" if accept else "rejected"
        messages.success(request, f"{series.volunteer.code}, {series.arm.name}: {done}.")
    return redirect("readiness_compare", study.slug, series.volunteer.code)


@require_POST
def accept(request: HttpRequest, slug: str) -> HttpResponse:
    """Accept all that is ready and undecided: of the volunteer named, or of all."""
    study = _study(request, slug)
    code = request.POST.get("volunteer", "")
    try:
        count = quality.do_accept_ready(study, cast(User, request.user), code)
    except StudyError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{count} series accepted.")
    if code and request.POST.get("stay"):
        return redirect("readiness_compare", study.slug, code)
    return redirect("readiness", study.slug)
