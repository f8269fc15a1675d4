"""How a derived series came about, slice by slice: for coordinators, never for readers."""

from __future__ import annotations

import uuid

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from readerstudy.imaging.models import Series
from readerstudy.studies.models import Study

from .access import get_evidence_study
from .pictures import picture as draw
from .selectors import evidence_page, find_derived


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


def _found(study: Study, series_id: uuid.UUID) -> tuple[Series, Series]:
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
