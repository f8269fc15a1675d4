"""The reading room's pages and what they fetch.

Whatever a reader may not see answers 404 and nothing else. No answer here can be revalidated (no
ETag, no Last-Modified), and the answers for one arm differ from those for another in their pixels
alone.
"""

from __future__ import annotations

import json
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from readerstudy.accounts.models import User

from . import selectors
from .errors import ReadingError, ScoreConflict, ScoresMissing
from .models import Item
from .selectors import Reach
from .services import do_open_item, do_record_score, do_submit_item

# Tokens are new for every presentation, so pixels never change under an address.
PIXELS_CACHE = "private, max-age=31536000, immutable"


def _user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise Http404
    return request.user


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """The reader's sessions."""
    sessions = selectors.reader_sessions(_user(request))
    return render(request, "reading/home.html", {"sessions": sessions})


@require_GET
def session(request: HttpRequest, token: str) -> HttpResponse:
    """To the item that is to be read now; or, when there is none, what the reader can still do."""
    own = selectors.get_session(_user(request), token)
    summary = selectors.session_summary(own)
    waiting = selectors.open_item(own)
    if waiting is not None and not summary.closed:
        return redirect("reading_item", waiting.token)
    earlier = own.items.order_by("position") if summary.may_go_back and not summary.closed else []
    return render(request, "reading/session.html", {"session": summary, "items": earlier})


@require_GET
def item(request: HttpRequest, token: str) -> HttpResponse:
    """The reading page of one item; a item that is not open leads back to the one that is."""
    own = selectors.get_item(_user(request), token)
    # The page fetches the next item ahead of time; that is not the reader's opening it.
    ahead = request.headers.get("Purpose") == "prefetch"
    reach = selectors.reach_of(own)
    if not selectors.may_see(own) or (reach == Reach.NEXT and not ahead):
        return redirect("reading_session", own.session.token)
    if reach == Reach.OPEN and not ahead:
        try:
            do_open_item(own, _user(request))
        except ReadingError:  # locked, or closed, since it was looked up
            return redirect("reading_session", own.session.token)
    context = {"item_url_data": reverse("reading_item_data", args=[own.token])}
    return render(request, "reading/item.html", context)


@require_GET
def item_data(request: HttpRequest, token: str) -> HttpResponse:
    own = selectors.get_item(_user(request), token)
    if not selectors.may_see(own):
        raise Http404
    content = selectors.item_content(own)
    can_return = own.session.study.may_go_back
    return JsonResponse(
        {
            "token": own.token,
            "position": content.position,
            "total": content.total,
            "submitted_count": content.submitted_count,
            "mode": "relative",
            "geometry": content.geometry,
            "window": content.window,
            "panes": [
                {"role": pane.role, "side": pane.side, "slices": _slices_url(pane.token)}
                for pane in content.panes
            ],
            "criteria": content.criteria,
            "previous": _item_url(selectors.neighbour(own, -1)) if can_return else None,
            "next": _item_url(selectors.neighbour(own, 1)),
            "home": reverse("reading_home"),
            "submitted": content.submitted,
            "score_url": reverse("reading_scores", args=[own.token]),
            "submit_url": reverse("reading_submit", args=[own.token]),
            "notice": content.notice,
        }
    )


def _slices_url(pane_token: str) -> str:
    return reverse("reading_pixels", args=[pane_token, 0]).removesuffix("0") + "{index}"


def _item_url(other: Item | None) -> str | None:
    return reverse("reading_item", args=[other.token]) if other is not None else None


@require_POST
def scores(request: HttpRequest, token: str) -> HttpResponse:
    """Record one score: {"criterion", "value", "revision"} → {"revision", "missing"}."""
    user = _user(request)
    own = selectors.get_item(user, token)
    content = _json(request)
    if content is None:
        return _refusal("The request is not a JSON object.", 400)
    criterion, revision = content.get("criterion"), content.get("revision")
    reason = content.get("reason", "")
    if not isinstance(criterion, str) or not isinstance(reason, str):
        return _refusal("The request names no criterion.", 400)
    if isinstance(revision, bool) or not isinstance(revision, int):
        return _refusal("The request says not which revision it changes.", 400)
    try:
        score = do_record_score(own, criterion, content.get("value"), revision, user, reason=reason)
    except ScoreConflict as conflict:
        stored = {"value": conflict.value, "revision": conflict.revision}
        return JsonResponse({"error": str(conflict), **stored}, status=409)
    except ReadingError as refused:
        return _refusal(str(refused), 422)
    return JsonResponse({"revision": score.revision, "missing": selectors.missing_criteria(own)})


@require_POST
def submit(request: HttpRequest, token: str) -> HttpResponse:
    """Close the item: {} → {"next", "home"}, or 422 with the criteria that are missing."""
    user = _user(request)
    own = selectors.get_item(user, token)
    try:
        waiting = do_submit_item(own, user)
    except ScoresMissing as missing:
        return JsonResponse({"error": str(missing), "missing": missing.codes}, status=422)
    except ReadingError as refused:
        return JsonResponse({"error": str(refused), "missing": []}, status=422)
    # After the last item, home is the page that says so.
    over = reverse("reading_session", args=[own.session.token])
    home_url = reverse("reading_home") if waiting is not None else over
    return JsonResponse({"next": _item_url(waiting), "home": home_url})


@require_GET
def pixels(request: HttpRequest, token: str, index: int) -> HttpResponseBase:
    """One slice of one pane: raw little-endian uint16, the same number of bytes for every arm."""
    content = selectors.pane_slice(_user(request), token, index)
    return HttpResponse(
        content,
        content_type="application/octet-stream",
        headers={"Cache-Control": PIXELS_CACHE, "Content-Length": str(len(content))},
    )


def _json(request: HttpRequest) -> dict[str, Any] | None:
    try:
        content = json.loads(request.body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _refusal(message: str, status: int) -> JsonResponse:
    return JsonResponse({"error": message}, status=status)
