"""The inbox: what waits, its contact sheets, and the coordinator's decisions."""

from __future__ import annotations

import uuid
from typing import cast

from django.contrib import messages
from django.core.files.storage import default_storage
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from readerstudy.accounts.models import User
from readerstudy.studies.access import Reach, get_reach
from readerstudy.studies.errors import StudyError

from . import inbox, inbox_selectors, selectors
from .contact_sheet import MOST_SLICES
from .errors import ImagingError
from .inbox_storing import SHEET
from .models import InboxSeries
from .upload_history import said_of, upload_numbers


def _series(request: HttpRequest, slug: str, series_id: uuid.UUID) -> InboxSeries:
    reach = get_reach(request.user, slug)
    series = inbox.find_inbox_series(reach, series_id)
    if series is None:
        raise Http404("No such series.")
    series.study = reach.study
    return series


@require_http_methods(["GET", "HEAD", "POST"])
def inbox_page(request: HttpRequest, slug: str) -> HttpResponse:
    """What waits; a POST stores the ticked series in their places, or deletes them."""
    reach = get_reach(request.user, slug)
    study = reach.study
    typed: dict[str, str] = {}
    asks_for_off_grid = False
    if request.method == "POST":
        try:
            done = _delete(request, reach) if "delete" in request.POST else _store(request, reach)
        except (ImagingError, StudyError) as error:
            messages.error(request, str(error))
            typed = {key: str(value) for key, value in request.POST.items()}
            asks_for_off_grid = isinstance(error, inbox.OffTheGrid) or "off-grid" in typed
        else:
            messages.success(request, done)
            return redirect("uploads_inbox", study.slug)
    people = inbox_selectors.inbox_of(reach)
    return render(
        request,
        "imaging/inbox.html",
        {
            "study": study,
            "people": people,
            "rows": [_shown(person, typed) for person in people],
            "volunteers": selectors.volunteer_codes(reach),
            "arms": selectors.acquired_arms(study),
            "asks_for_off_grid": asks_for_off_grid,
            "why": typed.get("why", ""),
            "is_moving": any(
                item.series.state == InboxSeries.State.ASSIGNING
                for person in people
                for item in person.series
            ),
        },
        status=400 if typed else 200,
    )


def _shown(person: inbox_selectors.Person, typed: dict[str, str]) -> dict[str, object]:
    """What the form shows: the guesses, or what was typed before a refusal."""
    return {
        "person": person,
        "volunteer": typed.get(f"volunteer-{person.key}", person.volunteer_guess),
        "series": [
            {
                "item": item,
                "arm": typed.get(
                    f"arm-{item.series.pk}", item.arm_guess.code if item.arm_guess else ""
                ),
                "ticked": f"take-{item.series.pk}" in typed,
            }
            for item in person.series
        ],
    }


def _store(request: HttpRequest, reach: Reach) -> str:
    wanted = _assignments(request, reach)
    off_grid = "off-grid" in request.POST
    inbox.do_assign(reach.study, cast(User, request.user), wanted, takes_off_grid=off_grid)
    count = len(wanted)
    return f"{count} series {'are' if count > 1 else 'is'} being stored."


def _delete(request: HttpRequest, reach: Reach) -> str:
    ticked = [
        item.series
        for person in inbox_selectors.inbox_of(reach)
        for item in person.series
        if f"take-{item.series.pk}" in request.POST
    ]
    for series in ticked:
        series.study = reach.study
    inbox.do_discard_several(ticked, cast(User, request.user), request.POST.get("why", ""))
    count = len(ticked)
    return f"{count} series {'were' if count > 1 else 'was'} deleted."


def _assignments(request: HttpRequest, reach: Reach) -> list[inbox.Assignment]:
    """The ticked series; raises ImagingError where volunteer or arm was left open."""
    arms = {arm.code: arm for arm in selectors.acquired_arms(reach.study)}
    wanted = []
    for person in inbox_selectors.inbox_of(reach):
        volunteer = request.POST.get(f"volunteer-{person.key}", "").strip()
        for item in person.series:
            if f"take-{item.series.pk}" not in request.POST:
                continue
            arm = arms.get(request.POST.get(f"arm-{item.series.pk}", ""))
            if not volunteer:
                raise ImagingError(f"Type the volunteer's code of series {item.series.number}.")
            if arm is None:
                raise ImagingError(f"Choose the arm of series {item.series.number}.")
            wanted.append(inbox.Assignment(item.series, volunteer, arm))
    return wanted


@require_safe
def inbox_series(request: HttpRequest, slug: str, series_id: uuid.UUID) -> HttpResponse:
    """One series with its contact sheet."""
    series = _series(request, slug, series_id)
    return render(
        request,
        "imaging/inbox_series.html",
        {
            "study": series.study,
            "series": series,
            "description": inbox_selectors.describe(series),
            "sent": said_of(series.upload, upload_numbers(series.study)) if series.upload else "",
            "shown": min(series.slices, MOST_SLICES),
        },
    )


@require_safe
def inbox_sheet(request: HttpRequest, slug: str, series_id: uuid.UUID) -> HttpResponse:
    series = _series(request, slug, series_id)
    try:
        with default_storage.open(f"{series.prefix}/{SHEET}") as handle:
            content = handle.read()
    except FileNotFoundError:
        raise Http404("No such sheet.") from None
    response = HttpResponse(content, content_type="image/png")
    response["Cache-Control"] = "private, no-store"
    return response


@require_POST
def inbox_clear(request: HttpRequest, slug: str, series_id: uuid.UUID) -> HttpResponse:
    series = _series(request, slug, series_id)
    try:
        inbox.do_clear_text(series, cast(User, request.user))
    except (ImagingError, StudyError) as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"Series {series.number} can now be given a place.")
    return redirect("uploads_inbox", slug)


@require_POST
def inbox_discard(request: HttpRequest, slug: str, series_id: uuid.UUID) -> HttpResponse:
    series = _series(request, slug, series_id)
    try:
        inbox.do_discard(series, cast(User, request.user), request.POST.get("why", ""))
    except (ImagingError, StudyError) as error:
        messages.error(request, str(error))
        return redirect("uploads_inbox_series", slug, series.pk)
    messages.success(request, f"Series {series.number} was deleted.")
    return redirect("uploads_inbox", slug)
