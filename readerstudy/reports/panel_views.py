"""Images behind the results, and image panels for a paper: after unblinding alone."""

from __future__ import annotations

import uuid
from typing import cast

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from readerstudy.accounts.models import User
from readerstudy.conduct.comparison import comparison_data, comparison_slice
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.selectors import control_series, geometry_of
from readerstudy.studies.models import Study

from .access import View, get_results_study, view_for
from .bundles.paper import IMAGE_FORMATS
from .pages.panels import (
    PanelForm,
    control_image,
    first_choice,
    imaged_volunteers,
    panels_image,
    placed_regions,
    regions_image,
    slices_with_regions,
)
from .report import Report
from .results_views import SHOWN, download, page_context, report_for_page

_TYPES = {"svg": "image/svg+xml", "png": "image/png", "pdf": "application/pdf"}
PIXELS_CACHE = "private, no-store"


def _unblinded(request: HttpRequest, slug: str) -> Study:
    """404 until arms are named for this person: beside its letter, an image would tell the arm."""
    user = cast(User, request.user)
    study = get_results_study(user, slug)
    if view_for(user, study) is not View.NAMED:
        raise Http404("Images stand beside results after unblinding.")
    return study


def _named(request: HttpRequest, slug: str) -> tuple[Study, Report]:
    _unblinded(request, slug)
    return report_for_page(request, slug)


# --- The viewer -----------------------------------------------------------------------------------


@require_safe
def images(request: HttpRequest, slug: str, volunteer_code: str) -> HttpResponse:
    """All arms of a volunteer, named, side by side, on the readers' own viewer."""
    study, report = _named(request, slug)
    codes = imaged_volunteers(study)
    if volunteer_code not in codes:
        raise Http404("No images of the control.")
    at = codes.index(volunteer_code)
    context = {
        "study": study,
        "report": report,
        "volunteer_code": volunteer_code,
        "before": codes[at - 1] if at else "",
        "after": codes[at + 1] if at + 1 < len(codes) else "",
        "data_url": reverse("results_images_data", args=[study.slug, volunteer_code]),
    }
    return render(request, "reports/images.html", context)


@require_safe
def images_data(request: HttpRequest, slug: str, volunteer_code: str) -> JsonResponse:
    study = _unblinded(request, slug)
    volunteer = get_object_or_404(
        Volunteer.objects.select_related("study"), study=study, code=volunteer_code
    )
    try:
        data = comparison_data(volunteer, "results_pixels")
    except LookupError:
        raise Http404("No images of the control.") from None
    return JsonResponse(data)


@require_safe
def pixels(request: HttpRequest, slug: str, series_id: uuid.UUID, index: int) -> HttpResponse:
    """One slice on the control's grid."""
    study = _unblinded(request, slug)
    series = get_object_or_404(
        Series.objects.select_related("volunteer__study", "arm"),
        pk=series_id,
        volunteer__study=study,
    )
    try:
        content = comparison_slice(series, index)
    except LookupError:  # a slice that is not there, or no control
        raise Http404 from None
    return HttpResponse(
        content,
        content_type="application/octet-stream",
        headers={"Cache-Control": PIXELS_CACHE},
    )


# --- Panels for a paper ---------------------------------------------------------------------------


@require_safe
def panels(request: HttpRequest, slug: str) -> HttpResponse:
    """Choose volunteer, slice, part and arms; the figure stands beside the form."""
    study, report = _named(request, slug)
    context = page_context(study, report, "panels")
    if not imaged_volunteers(study):
        context |= {"tables": [], "nothing": "The study has no images here, so none to show."}
        return render(request, "reports/lists.html", context)
    form = _form(request, study, report)
    chosen = None
    if form.is_valid():
        try:
            chosen = form.panels()
        except forms.ValidationError as error:
            form.add_error(None, error)
    context |= {"form": form, "query": _data(request, study, report).urlencode()}
    code = form.data.get("volunteer", "")
    volunteer = Volunteer.objects.filter(study=study, code=code).first()
    if volunteer is not None and (control := control_series(volunteer)) is not None:
        grid = geometry_of(control)
        context |= {
            "slices": grid.slices,
            "slice_width": grid.columns * grid.column_spacing,
            "slice_height": grid.rows * grid.row_spacing,
            "region_slices": slices_with_regions(volunteer),
        }
    if chosen is not None:
        context |= {
            "chosen": chosen,
            "regions": placed_regions(chosen, report),
        }
    return render(
        request, "reports/panels.html", context, status=200 if chosen is not None else 422
    )


def _form(request: HttpRequest, study: Study, report: Report) -> PanelForm:
    return PanelForm(_data(request, study, report), study, report)


def _data(request: HttpRequest, study: Study, report: Report) -> QueryDict:
    """What was chosen; at first the middle slice of the first volunteer."""
    data = request.GET.copy()
    if not data:
        for name, value in first_choice(study, report).items():
            data.setlist(name, value if isinstance(value, list) else [value])
    return data


@require_safe
def panels_file(request: HttpRequest, slug: str, name: str, image_format: str) -> HttpResponse:
    """The figure: a file, or a PNG without ?download in the page; and the control's slice alone."""
    study, report = _named(request, slug)
    form = _form(request, study, report)
    kind = next((known for known in IMAGE_FORMATS if known == image_format), None)
    if kind is None or not form.is_valid():
        raise Http404("There is no such image.")
    try:
        chosen = form.panels()
    except forms.ValidationError as error:
        raise Http404(" ".join(error.messages)) from None
    if name == "control" and kind == "png":
        return HttpResponse(
            control_image(chosen), content_type="image/png", headers={"Cache-Control": PIXELS_CACHE}
        )
    content = None
    if name == "panels":
        content = panels_image(chosen, report, kind)
    elif name == "regions":
        content = regions_image(chosen, report, kind)
    if content is None:
        raise Http404("There is no such image.")
    full_name = f"{name}_{chosen.volunteer.code}_slice{chosen.index + 1}.{kind}"
    if "download" in request.GET or kind not in SHOWN:
        return download(request, study, report, full_name, content, _TYPES[kind])
    return HttpResponse(content, content_type=_TYPES[kind])
