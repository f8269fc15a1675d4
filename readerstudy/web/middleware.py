"""Headers that every response carries, and what a page's own requests get when signed out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse, JsonResponse

from .logs import masked

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "font-src 'self'",
        "worker-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)
PERMISSIONS_POLICY = "camera=(), microphone=(), geolocation=(), payment=(), usb=()"


# Images are kept by the browser while they are read; whoever uses it next finds none of them. Never
# "storage": answers that could not be sent yet wait there.
FORGET = '"cache"'


@receiver(user_logged_out)
def note_signed_out(request: HttpRequest | None, **_: Any) -> None:
    if request is not None:
        request.META["readerstudy.signed_out"] = True


class SecurityHeadersMiddleware:
    """Adds a strict content security policy and a permissions policy; has browsers keep an address
    that opens an account to themselves; empties their cache when a person signs out."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        address = request.get_full_path()
        if masked(address) != address:
            # What a page under such an address loads and leads to is told the host alone, also if
            # it is a page of a fault: a proxy's log quotes the page that asked. Not "no-referrer",
            # with which a form comes from an origin that is none.
            response.headers["Referrer-Policy"] = "strict-origin"
        # Pages hold a study's data: nothing is kept by a shared cache unless a view says so.
        response.headers.setdefault("Cache-Control", "private, no-store")
        if request.META.get("readerstudy.signed_out"):
            response.headers["Clear-Site-Data"] = FORGET
        return response


class SignedInMiddleware(LoginRequiredMiddleware):
    """Sends people to the sign-in page; what a page fetches by itself is told in JSON.

    A view that carries `answers_json` is never redirected: a page takes the sign-in page's HTML for
    neither data nor pixels.
    """

    def handle_no_permission(  # type: ignore[override]
        self, request: HttpRequest, view_func: Callable[..., Any]
    ) -> HttpResponse:
        if getattr(view_func, "answers_json", False):
            return JsonResponse(
                {"error": "You are signed out: sign in again.", "code": "signed_out"}, status=401
            )
        return super().handle_no_permission(request, view_func)
