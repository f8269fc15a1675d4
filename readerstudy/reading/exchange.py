"""What the reading page gets and sends in JSON.

Every act of the reader carries an id; sent again, it is answered again and not done twice
(`receipts`). Whatever a reader may not see answers 404 and nothing else.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from readerstudy.accounts.models import User

from . import selectors, warning_maps
from .answers import answer_of, shown_value, wording_of
from .errors import Malformed
from .json_views import Answer, answers_json, body_of, id_of, revision_of, text_of
from .models import Item, Pause, Session
from .receipts import answer_once, as_text
from .recording import (
    check_fault_rate,
    do_begin_pause_if_due,
    do_check_display,
    do_end_pause,
    do_record_visit,
    running_pause,
)
from .services import (
    do_comment,
    do_mark,
    do_open_item,
    do_record_score,
    do_submit_item,
    needs_reason,
)

logger = logging.getLogger(__name__)

FAULT_KINDS = frozenset({"script", "promise", "pixels", "webgl", "storage", "network"})
FAULT_NAME = re.compile(r"[A-Za-z]{0,40}")
FAULT_PLACE = re.compile(r"[A-Za-z0-9_./:-]{0,120}")
MOST_PANES = 50

Json = dict[str, Any]


def _user(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise Http404
    return request.user


def _own(request: HttpRequest, token: str) -> tuple[User, Item, Json]:
    user = _user(request)
    return user, selectors.get_item(user, token), body_of(request)


def _once(item: Item, act: str, content: Json, do: Callable[[], Json]) -> Answer:
    return answer_once(item.session, id_of(content), f"{act} {item.pk}", content, do)


# --- An item --------------------------------------------------------------------------------------


@require_GET
@answers_json
def item_data(request: HttpRequest, token: str) -> Answer:
    """Everything that the page needs to show an item and to score it."""
    user = _user(request)
    own = selectors.get_item(user, token)
    if not selectors.may_see(own):
        raise Http404
    content = selectors.item_content(own)
    session = own.session
    previous = selectors.neighbour(own, -1) if session.study.may_go_back else None
    following = selectors.neighbour(own, 1)
    return {
        "token": own.token,
        "mode": content.mode,
        "practice": content.is_practice,
        "position": content.position,
        "total": content.total,
        "submitted_count": content.submitted_count,
        "submitted": content.submitted,
        "geometry": content.geometry,
        "window": content.window,
        "presets": content.presets,
        "panes": [
            {
                "number": pane.number,
                "role": pane.role,
                "label": pane.label,
                "side": pane.side,
                "slices": _slices_url(pane.token),
                **warning_maps.address(session.study, pane.token),
            }
            for pane in content.panes
        ],
        **warning_maps.meaning(session.study),
        "criteria": content.criteria,
        "comment": content.comment,
        "marks": content.marks,
        "change_needs_reason": needs_reason(own),
        "may_go_back": session.study.may_go_back,
        **_addresses(own, session),
        "previous": _page(previous),
        "previous_data": _data(previous),
        "next": _page(following),
        "next_data": _data(following),
        "ahead": [
            {"page": _page(other), "data": _data(other)} for other in selectors.items_ahead(own)
        ],
        "display_check": selectors.display_check_wanted(session),
        "pause": _pause(running_pause(session)),
        "instructions": content.instructions,
        "notice": content.notice,
        "reader": str(user),
        "server_time": as_text(timezone.now()),
    }


def _addresses(item: Item, session: Session) -> Json:
    acts = ("open", "score", "comment", "marks", "visit", "submit")
    names = {act: f"reading_{'scores' if act == 'score' else act}" for act in acts}
    return {
        **{f"{act}_url": reverse(name, args=[item.token]) for act, name in names.items()},
        "display_url": reverse("reading_display", args=[session.token]),
        "pause_url": reverse("reading_pause", args=[session.token]),
        "signin_url": reverse("reading_signin"),
        "fault_url": reverse("reading_faults"),
        "session_page": reverse("reading_session", args=[session.token]),
        "home": reverse("reading_home"),
    }


def _slices_url(pane_token: str) -> str:
    return reverse("reading_pixels", args=[pane_token, 0]).removesuffix("0") + "{index}"


def _page(other: Item | None) -> str | None:
    return reverse("reading_item", args=[other.token]) if other is not None else None


def _data(other: Item | None) -> str | None:
    return reverse("reading_item_data", args=[other.token]) if other is not None else None


def _pause(pause: Pause | None) -> Json | None:
    if pause is None:
        return None
    minutes = round((pause.until - pause.began_at).total_seconds() / 60)
    noun = "minute" if minutes == 1 else "minutes"
    return {
        "began_at": as_text(pause.began_at),
        "until": as_text(pause.until),
        "minutes": minutes,
        "text": f"Rest your eyes for {minutes} {noun}. Everything that you scored is saved.",
    }


@require_POST
@answers_json
def open_(request: HttpRequest, token: str) -> Answer:
    """The item is on the screen now: {"id"}."""
    user, own, content = _own(request, token)

    def do() -> Json:
        opened = do_open_item(own, user)
        return {
            "position": selectors.item_number(opened),
            "opened_at": as_text(opened.opened_at) if opened.opened_at else None,
        }

    return _once(own, "open", content, do)


@require_POST
@answers_json
def scores(request: HttpRequest, token: str) -> Answer:
    """One answer: {"id", "criterion", "revision", "value" or "cannot_assess", "reason"?}."""
    user, own, content = _own(request, token)
    criterion, revision = text_of(content, "criterion"), revision_of(content)
    reason, cannot_assess = text_of(content, "reason", ""), text_of(content, "cannot_assess", "")

    def do() -> Json:
        # Asked before the answer is stored: afterwards everybody who scores waits for this act.
        missing = [code for code in selectors.missing_criteria(own) if code != criterion]
        score = do_record_score(
            own, criterion, content.get("value"), revision, user, reason, cannot_assess
        )
        mode, answer = own.session.study.reading_mode, answer_of(score)
        is_practice = own.purpose == Item.Purpose.PRACTICE
        return {
            "criterion": criterion,
            "revision": score.revision,
            "value": shown_value(mode, answer),
            "cannot_assess": answer.cannot_assess,
            "missing": missing,
            "feedback": wording_of(mode, score.criterion, answer) if is_practice else None,
        }

    return _once(own, "score", content, do)


@require_POST
@answers_json
def comment(request: HttpRequest, token: str) -> Answer:
    """The item's comment: {"id", "revision", "text", "reason"?}."""
    user, own, content = _own(request, token)
    text, revision = text_of(content, "text"), revision_of(content)
    reason = text_of(content, "reason", "")

    def do() -> Json:
        stored = do_comment(own, text, revision, user, reason)
        return {
            "revision": stored.revision if stored else 0,
            "text": stored.text if stored else "",
        }

    return _once(own, "comment", content, do)


@require_POST
@answers_json
def marks(request: HttpRequest, token: str) -> Answer:
    """All arrows of the item: {"id", "revision", "marks", "reason"?}."""
    user, own, content = _own(request, token)
    revision, reason = revision_of(content), text_of(content, "reason", "")

    def do() -> Json:
        stored = do_mark(own, content.get("marks"), revision, user, reason)
        return {
            "revision": stored.revision if stored else 0,
            "marks": stored.marks if stored else [],
        }

    return _once(own, "marks", content, do)


@require_POST
@answers_json
def visit(request: HttpRequest, token: str) -> Answer:
    """How the item was looked at: see `record_content`."""
    user, own, content = _own(request, token)

    def do() -> Json:
        do_record_visit(own, content, user)
        return {}

    return _once(own, "visit", content, do)


@require_POST
@answers_json
def submit(request: HttpRequest, token: str) -> Answer:
    """Close the item: {"id", "shown": [pane numbers]} → what comes next, and a pause if due."""
    user, own, content = _own(request, token)
    shown = content.get("shown", [])
    if not isinstance(shown, list) or len(shown) > MOST_PANES:
        raise Malformed("The request says not which images were shown.")
    numbers = {number for number in shown if isinstance(number, int)}

    def do() -> Json:
        waiting = do_submit_item(own, user, numbers)
        pause = do_begin_pause_if_due(own.session, user) if waiting is not None else None
        # After the last item, home is the page that says so.
        over = reverse("reading_session", args=[own.session.token])
        return {
            "next": _page(waiting),
            "next_data": _data(waiting),
            "home": reverse("reading_home") if waiting is not None else over,
            "done": waiting is None,
            "pause": _pause(pause),
        }

    return _once(own, "submit", content, do)


# --- A session ------------------------------------------------------------------------------------


@require_POST
@answers_json
def display(request: HttpRequest, token: str) -> Answer:
    """What the session is read on, and what of the contrast pattern was seen there."""
    user = _user(request)
    session = selectors.get_session(user, token)
    content = body_of(request)

    def do() -> Json:
        check, advice = do_check_display(session, content, user)
        return {"result": check.result, "advice": advice}

    return answer_once(session, id_of(content), "display", content, do)


@require_POST
@answers_json
def pause(request: HttpRequest, token: str) -> Answer:
    """The reader goes on after a pause: {"id"}."""
    user = _user(request)
    session = selectors.get_session(user, token)
    content = body_of(request)

    def do() -> Json:
        ended = do_end_pause(session, user)
        at = ended.ended_at if ended and ended.ended_at else timezone.now()
        return {"ended_at": as_text(at)}

    return answer_once(session, id_of(content), "pause", content, do)


# --- The page itself ------------------------------------------------------------------------------


@require_POST
@answers_json
def faults(request: HttpRequest) -> Answer:
    """A fault of the page: {"item", "kind", "name", "where"}; a message could quote data."""
    user = _user(request)
    check_fault_rate(user)
    content = body_of(request)
    kind, name, where = (text_of(content, field) for field in ("kind", "name", "where"))
    if kind not in FAULT_KINDS or not FAULT_NAME.fullmatch(name):
        raise Malformed("The fault's “kind” or “name” is not right.")
    if not FAULT_PLACE.fullmatch(where):
        raise Malformed("The fault's “where” is not right.")
    token = content.get("item")
    item = selectors.get_item(user, token) if isinstance(token, str) else None
    logger.warning(
        "A reading page reports a fault: %s %s at %s, session %s, item %s.",
        kind,
        name or "-",
        # A place may hold a token, which opens an item: only files of ours are named.
        where if where.startswith("/static/") else "-",
        item.session_id if item else "-",
        item.position if item else "-",
    )
    return {"noted": True}
