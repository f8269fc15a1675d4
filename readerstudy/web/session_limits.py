"""Ends a sign-in at its limits, and leads people who owe a second factor to setting one up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.utils import timezone

from readerstudy.accounts.models import SignIn, User
from readerstudy.accounts.second_factor import owes_second_factor
from readerstudy.accounts.sign_ins import do_time_out, limit_reached, note_seen, sign_in_of

# What pages ask for by themselves: a page that was left open is nobody at the desk.
POLLED = {"readiness_panel", "upload_status", "job_status", "reading_signin"}
POLLED_BY_HTMX = {"results_exports", "uploads", "uploads_inbox"}  # else opened by a person
# Where somebody who owes a second factor may go: their own account, and out.
_OPEN_WITHOUT = ("account", "mfa_", "openid_connect_", "socialaccount_")
OWED = "Your role needs a second factor: set one up here, then go on."


class SessionLimitsMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], *_: Any
    ) -> HttpResponseBase | None:
        user = request.user
        if not isinstance(user, User):
            return None
        now = timezone.now()
        sign_in = sign_in_of(request, user)
        limit = limit_reached(sign_in, now)
        if limit:
            _sign_out(request, sign_in, limit, view)
            return None  # SignedInMiddleware comes next, and answers as to anybody signed out
        name = (request.resolver_match.url_name or "") if request.resolver_match else ""
        asks_itself = request.headers.get("HX-Request") == "true"
        is_polled = name in POLLED or (asks_itself and name in POLLED_BY_HTMX)
        noted = not is_polled and note_seen(sign_in, now)
        if noted or sign_in.owes_second_factor is not False:
            sign_in.owes_second_factor = owes_second_factor(request, user)
            SignIn.objects.filter(pk=sign_in.pk).update(
                owes_second_factor=sign_in.owes_second_factor
            )
        if sign_in.owes_second_factor and not name.startswith(_OPEN_WITHOUT):
            return _owing(request, view)
        return None


def _sign_out(request: HttpRequest, sign_in: SignIn, limit: str, view: Callable[..., Any]) -> None:
    do_time_out(sign_in, limit)
    request.session.flush()
    request.user = AnonymousUser()
    request.META["readerstudy.signed_out"] = True
    if getattr(view, "answers_json", False):
        return  # the page asks for the password over itself
    messages.info(
        request,
        f"You were signed out after {settings.SESSION_IDLE_SECONDS // 60} minutes without a click."
        if limit == "idle"
        else "You were signed out: a sign-in does not last longer. Sign in again to go on.",
    )


def _owing(request: HttpRequest, view: Callable[..., Any]) -> HttpResponseBase:
    if getattr(view, "answers_json", False):
        return JsonResponse({"error": OWED, "code": "second_factor_owed"}, status=403)
    messages.warning(request, OWED)
    return redirect("mfa_index")
