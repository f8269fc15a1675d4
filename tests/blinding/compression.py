"""Compression switched on: the fault that the classifier of answers must be able to see."""

from __future__ import annotations

import gzip
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


class CompressingMiddleware:
    """Compresses every answer to a browser that takes gzip. For control runs, never for a site."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if "gzip" in request.headers.get("Accept-Encoding", "") and not response.streaming:
            response.content = gzip.compress(response.content, 6, mtime=0)
            response.headers["Content-Encoding"] = "gzip"
            response.headers["Content-Length"] = str(len(response.content))
        return response
