"""A name for every request: in its answer, in each of its log lines, and on an error page's report.

It is random and of one length, so that it says nothing about what was asked for.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from contextvars import ContextVar

from django.conf import settings
from django.core.signals import request_finished
from django.http import HttpRequest, HttpResponse

HEADER = "X-Request-ID"
# What a proxy may hand down: nothing that could forge a log line.
_WELL_FORMED = re.compile(r"[A-Za-z0-9-]{16,64}")
current: ContextVar[str] = ContextVar("request_id", default="-")


def in_request() -> bool:
    """Whether this thread answers a request now; else it is a worker's or a command's."""
    return current.get() != "-"


class RequestIdMiddleware:
    """Takes the proxy's id where there is a trusted proxy, else makes one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        handed = request.headers.get(HEADER, "") if settings.BEHIND_PROXY else ""
        name = handed if _WELL_FORMED.fullmatch(handed) else secrets.token_hex(16)
        current.set(name)
        response = self.get_response(request)
        # What a browser keeps for good has no request to be told of; and images of all arms are to
        # be answered with the same headers, byte for byte.
        if "immutable" not in response.headers.get("Cache-Control", ""):
            response.headers[HEADER] = name
        return response


def _forget(**_: object) -> None:
    current.set("-")


# Not in the middleware: an error's log line is written after the last middleware has returned.
request_finished.connect(_forget)
