"""The reading room's pages, and the pixels. What the pages send and get in JSON: `exchange`.

Whatever a reader may not see answers 404 and nothing else. No answer here can be revalidated (no
ETag, no Last-Modified), and the answers for one arm differ from those for another in their pixels
alone.
"""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from readerstudy.accounts.models import User

from . import selectors, warning_maps
from .errors import ReadingError
from .selectors import Reach
from .services import do_note_fetched, do_open_item

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
    earlier = []
    if summary.may_go_back and not summary.closed:
        earlier = selectors.numbered_items(own)
    return render(request, "reading/session.html", {"session": summary, "items": earlier})


@require_GET
def item(request: HttpRequest, token: str) -> HttpResponse:
    """The reading page of one item; an item that is not open leads back to the one that is."""
    own = selectors.get_item(_user(request), token)
    # The page fetches the next items ahead of time; that is not the reader's opening it.
    ahead = request.headers.get("Purpose") == "prefetch"
    reach = selectors.reach_of(own)
    if not selectors.may_see(own) or (reach == Reach.NEXT and not ahead):
        return redirect("reading_session", own.session.token)
    if reach == Reach.OPEN and not ahead:
        try:
            do_open_item(own, _user(request))
        except ReadingError:  # locked, or closed, since it was looked up
            return redirect("reading_session", own.session.token)
    context = {
        "item_url_data": reverse("reading_item_data", args=[own.token]),
        "signin_url": reverse("reading_signin"),
        "fault_url": reverse("reading_faults"),
    }
    return render(request, "reading/item.html", context)


@require_GET
def pixels(request: HttpRequest, token: str, index: int) -> HttpResponseBase:
    """One slice of one pane: raw little-endian uint16, the same number of bytes for every arm."""
    pane = selectors.get_pane(_user(request), token)
    content = selectors.pane_slice(pane, index)
    do_note_fetched(pane)
    return HttpResponse(
        content,
        content_type="application/octet-stream",
        headers={"Cache-Control": PIXELS_CACHE, "Content-Length": str(len(content))},
    )


pixels.answers_json = True  # type: ignore[attr-defined]


@require_GET
def flags(request: HttpRequest, token: str, index: int) -> HttpResponseBase:
    """The warning map over one slice of one pane, where the protocol shows any: a bit a pixel."""
    content = warning_maps.flags(_user(request), token, index)
    return HttpResponse(
        content,
        content_type="application/octet-stream",
        headers={"Cache-Control": PIXELS_CACHE, "Content-Length": str(len(content))},
    )


flags.answers_json = True  # type: ignore[attr-defined]
