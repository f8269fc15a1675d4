"""The measuring pages: coordinators and administrators; for everybody else they do not exist.

A coordinator who reads in the study is told why the pages stay closed until it is locked.
"""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from readerstudy.accounts.models import User
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.selectors import (
    control_series,
    display_geometry,
    display_slice,
    display_window,
    geometry_of,
)
from readerstudy.studies.access import get_study
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study, Tissue

from . import selectors
from .ellipses import Ellipse
from .errors import RegionConflict
from .figures import measured_figures, noise_estimate_of
from .models import FIRST_OBSERVER, OBSERVERS
from .placing import check_may_measure, placing_of, shows_figures
from .services import do_place_region
from .slice_rules import rules_of, suggested_slice
from .suggestions import templates_for

PIXELS_CACHE = "private, no-store"


def _study(request: HttpRequest, slug: str) -> Study:
    """The study for whoever may measure in it: 404 without the role, 403 for its readers."""
    study = get_study(request.user, slug, Role.COORDINATOR)
    check_may_measure(study, _user(request))
    return study


def _user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise Http404
    return request.user


def _volunteer(study: Study, code: str) -> Volunteer:
    volunteer: Volunteer = get_object_or_404(
        Volunteer.objects.select_related("study"), study=study, code=code
    )
    if control_series(volunteer) is None:
        raise Http404("No images of the control yet.")
    return volunteer


def _observer(request: HttpRequest) -> int:
    text = request.GET.get("observer", str(FIRST_OBSERVER))
    if text not in {str(observer) for observer in OBSERVERS}:
        raise Http404("There is a first and a second observer.")
    return int(text)


def _suffix(observer: int) -> str:
    return "" if observer == FIRST_OBSERVER else f"?observer={observer}"


@require_GET
def index(request: HttpRequest, slug: str) -> HttpResponse:
    """Volunteers × tissues: what is placed."""
    study = get_study(request.user, slug, Role.COORDINATOR)
    try:
        check_may_measure(study, _user(request))
    except PermissionDenied as refused:
        context: dict[str, Any] = {"study": study, "refusal": str(refused)}
        return render(request, "measurements/index.html", context, status=403)
    placed, total = selectors.regions_placed(study)
    rules = rules_of(study)
    context = {
        "study": study,
        "tissues": study.tissues.all(),
        "rules": [(tissue, rules[tissue.pk]) for tissue in study.tissues.all()],
        "rule_choices": Tissue.SliceRule.choices,
        "volunteers": selectors.volunteers_progress(study),
        "placed": placed,
        "total": total,
        "unmeasured": selectors.unmeasured(study) if placed else 0,
        "is_imported": selectors.has_imported(study),
    }
    return render(request, "measurements/index.html", context)


@require_GET
def volunteer(request: HttpRequest, slug: str, code: str) -> HttpResponse:
    study = _study(request, slug)
    own = _volunteer(study, code)
    observer = _observer(request)
    context = {
        "study": study,
        "volunteer": own,
        "observer": observer,
        "placing": placing_of(own, observer),
        "shows_figures": shows_figures(placing_of(own, observer), study, _user(request)),
        "templates": templates_for(own),
        "data_url": reverse("regions_data", args=[slug, own.code]) + _suffix(observer),
    }
    return render(request, "measurements/volunteer.html", context)


@require_GET
def data(request: HttpRequest, slug: str, code: str) -> HttpResponse:
    study = _study(request, slug)
    own = _volunteer(study, code)
    observer = _observer(request)
    placing = placing_of(own, observer)
    figures = shows_figures(placing, study, _user(request))
    control = control_series(own)
    grid = geometry_of(control) if control is not None else None
    rules = rules_of(study)
    arms = selectors.measured_arms(own)
    return JsonResponse(
        {
            "volunteer": own.code,
            "notice": study.notice,
            "geometry": display_geometry(own),
            "window": display_window(own),
            # Until the figures are open, the placer has the control alone before the eyes.
            "arms": [
                {
                    "code": arm.code,
                    "name": arm.name,
                    "is_control": arm.is_control,
                    "slices": _slices_url(slug, own.code, arm.code),
                }
                for arm in arms
                if figures or arm.is_control
            ],
            "tissues": [
                {
                    "code": tissue.code,
                    "name": tissue.name,
                    "colour": tissue.colour,
                    "area_mm2": tissue.area_mm2,
                    "rule": Tissue.SliceRule(rules[tissue.pk]).label,
                    "suggested_slice": suggested_slice(rules[tissue.pk], grid) if grid else None,
                }
                for tissue in study.tissues.all()
            ],
            "regions": _records(own, observer, figures),
            "save_url": reverse("regions_save", args=[slug, own.code]) + _suffix(observer),
            "suggest_url": reverse("regions_suggest", args=[slug, own.code]),
            "observer": observer,
            "shows_figures": figures,
            "frozen": placing.is_frozen,
            "unblinded": placing.unblinded,
            "locked": study.is_locked or placing.is_frozen,
            "volunteers": [
                {
                    "code": other.code,
                    "url": reverse("regions_volunteer", args=[slug, other.code])
                    + _suffix(observer),
                    "placed": other.placed,
                    "total": other.total,
                }
                for other in selectors.volunteers_progress(study)
                if other.has_control
            ],
        }
    )


def _records(own: Volunteer, observer: int, figures: bool) -> list[dict[str, Any]]:
    regions = selectors.latest_regions(own, observer)
    ratios = measured_figures(regions, noise_estimate_of(own.study)) if figures else None
    return [selectors.region_record(one, figures=figures, ratios=ratios) for one in regions]


def _slices_url(slug: str, volunteer_code: str, arm_code: str) -> str:
    first = reverse("regions_pixels", args=[slug, volunteer_code, arm_code, 0])
    return first.removesuffix("0") + "{index}"


@require_POST
def save(request: HttpRequest, slug: str, code: str) -> HttpResponse:
    """Place or move a region; answers with it and what it measures in every arm."""
    study = _study(request, slug)
    own = _volunteer(study, code)
    observer = _observer(request)
    try:
        content = json.loads(request.body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        return JsonResponse({"error": "The request is not a JSON object."}, status=400)
    tissue = study.tissues.filter(code=str(content.get("tissue"))).first()
    revision = content.get("revision")
    if tissue is None:
        return JsonResponse({"error": "There is no such tissue in this study."}, status=422)
    if isinstance(revision, bool) or not isinstance(revision, int):
        return JsonResponse({"error": "revision must be a whole number."}, status=422)
    try:
        ellipse = Ellipse.from_values(
            content.get("slice_index"),
            content.get("centre"),
            content.get("semi_axes_mm"),
            content.get("angle_deg", 0.0),
        )
        region = do_place_region(
            own, tissue, ellipse, _user(request), revision=revision, observer=observer
        )
    except RegionConflict as conflict:
        return JsonResponse({"error": str(conflict), "revision": conflict.revision}, status=409)
    except StudyError as refused:
        return JsonResponse({"error": str(refused)}, status=422)
    figures = shows_figures(placing_of(own, observer), study, _user(request))
    record = next(
        one for one in _records(own, observer, figures) if one["tissue"] == region.tissue.code
    )
    return JsonResponse(record)


@require_GET
def pixels(request: HttpRequest, slug: str, code: str, arm: str, index: int) -> HttpResponse:
    """One slice of one arm in the volunteer's display convention."""
    study = _study(request, slug)
    series = (
        Series.objects.filter(volunteer__study=study, volunteer__code=code, arm__code=arm)
        .select_related("volunteer", "arm")
        .first()
    )
    if series is None or index >= series.slices:
        raise Http404
    return HttpResponse(
        display_slice(series, index),
        content_type="application/octet-stream",
        headers={"Cache-Control": PIXELS_CACHE},
    )
