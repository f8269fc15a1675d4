"""A request whose body is larger than anything that the platform takes is refused unread.

Django writes the files of a multipart form to the disk before any view, or even the token against
forgery, is looked at: without this, whoever can reach the sign-in page could fill the disk.

A body that comes in chunks says nowhere how long it is, and may have no end: it is refused as well.
Browsers send the length of what they send, and a proxy that hands on complete requests adds it.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse


class BodyLimitMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "HTTP_TRANSFER_ENCODING" in request.META:
            return HttpResponse("The request has to say its length.\n", "text/plain", 411)
        length = str(request.META.get("CONTENT_LENGTH") or "0")
        if length.isdecimal() and int(length) <= _most(request):
            return self.get_response(request)
        if not length.isdecimal():
            return HttpResponse("The request has no proper length.\n", "text/plain", 400)
        return HttpResponse(
            f"The request is larger than the {settings.REQUEST_MAX_BYTES // 1024**2} MB that this "
            "site takes at once. Larger files go through the upload page, piece by piece.\n",
            "text/plain",
            413,
        )


def _most(request: HttpRequest) -> int:
    """A piece of a resumable upload is read as it comes, by a view that asks who sends it."""
    if request.method == "PATCH" and request.content_type == "application/offset+octet-stream":
        return int(settings.UPLOAD_MAX_TOTAL_BYTES)
    return int(settings.REQUEST_MAX_BYTES)
