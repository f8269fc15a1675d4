"""A slow or hanging object store slows images and nothing else.

Every request that asks the store holds a thread of its web process meanwhile. So that a store that
hangs cannot hold them all, a process lets a few requests at once into it, fewer than it has threads
(S3_AT_ONCE). While the store answers, the others wait their turn; while it hangs they are told at
once to come again, and saves, which need no store, find a thread free. Workers are not bound by
this: a job may wait.

Nothing here knows what is asked for, so every arm of a volunteer is let in or sent away alike.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from readerstudy.imaging.store_away import StoreAway, StoreTimeout

log = logging.getLogger("readerstudy.storage")

# A slice comes in some ten milliseconds. Who is inside for longer than this is held by a store that
# hangs; and nobody waits longer for a place, since a save may want the thread.
HANGS_AFTER_SECONDS = 0.5
# What is large takes its time from a sound store too. One request at a time waits for its end.
LARGE_SECONDS = 2.0
RETRY_AFTER_SECONDS = 2
TOLD = "The images are slow to come just now."
# Tells the viewer this answer from the 503 of a proxy that finds no web process.
MARK = "X-Images-Slow"


_until: ContextVar[float | None] = ContextVar("asked_until", default=None)


@contextmanager
def briefly(seconds: float) -> Iterator[None]:
    """For the health check: what is asked inside takes nobody's place and begins in this time."""
    token = _until.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _until.reset(token)


def asked_until() -> float | None:
    """The end of the time of `briefly`, on the monotonic clock; None outside of it."""
    return _until.get()


@dataclass(eq=False)
class _Entry:
    is_large: bool
    since: float  # it waits, and then it is inside


class Places:
    """How many requests of this process ask the store at once.

    Large files leave one place to slices, unless there is only one, and their length says nothing
    of whether the store hangs.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._large = max(1, number - 1)
        self._changed = threading.Condition()
        self._inside: list[_Entry] = []
        self._waiting: list[_Entry] = []  # in the order they came
        self._last_hung = False

    @contextmanager
    def one(self, *, is_large: bool = False) -> Iterator[None]:
        """Hold a place; StoreTimeout where none is to be had soon."""
        entry = _Entry(is_large, time.monotonic())
        with self._changed:
            self._wait(entry)
            entry.since = time.monotonic()
            self._inside.append(entry)
        try:
            yield
        finally:
            with self._changed:
                self._inside.remove(entry)
                if not is_large:
                    self._last_hung = time.monotonic() - entry.since > HANGS_AFTER_SECONDS
                self._changed.notify_all()

    @property
    def is_hung(self) -> bool:
        """Whether somebody is inside for longer than a store that answers would keep them."""
        with self._changed:
            return self._hangs_at() <= time.monotonic()

    def _hangs_at(self) -> float:
        slices = (entry.since for entry in self._inside if not entry.is_large)
        return min(slices, default=float("inf")) + HANGS_AFTER_SECONDS

    def _wait(self, entry: _Entry) -> None:
        is_second = entry.is_large and any(other.is_large for other in self._waiting)
        patience = LARGE_SECONDS if entry.is_large else HANGS_AFTER_SECONDS
        self._waiting.append(entry)
        try:
            while self._next() is not entry:
                left = min(entry.since + patience, self._hangs_at()) - time.monotonic()
                # After one that hung nobody waits until another was quick: else a store that hangs
                # would hold every thread anew for each that is given up.
                if self._last_hung or is_second or left <= 0:
                    raise StoreTimeout("The object store is slow: all places are taken.")
                self._changed.wait(left)
        finally:
            self._waiting.remove(entry)
            self._changed.notify_all()  # the next may have been waiting for this one

    def _next(self) -> _Entry | None:
        """Who goes in now: the first to have come, of those for whom there is a place."""
        if len(self._inside) >= self.number:
            return None
        has_large = sum(entry.is_large for entry in self._inside) >= self._large
        return next((one for one in self._waiting if not (one.is_large and has_large)), None)


class SlowStoreMiddleware:
    """Says in place of an error page that images are slow, and when to ask again."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, StoreAway):
            return None
        log.warning("images are not to be had: %s", exception)
        match = request.resolver_match
        response: HttpResponse
        if match is not None and getattr(match.func, "answers_json", False):
            response = JsonResponse({"error": TOLD, "code": "images_slow"}, status=503)
        else:
            response = render(request, "503.html", status=503)
        response.headers[MARK] = "1"
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response
