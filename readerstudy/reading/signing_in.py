"""The password over the page: a session that ended must not end the reading."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from readerstudy.accounts.models import User
from readerstudy.accounts.sign_in_again import Outcome, sign_in_again

from .json_views import Answer, answers_json, body_of, text_of
from .selectors import reader_of_item

STATUS = {
    Outcome.WRONG: (401, "wrong"),
    Outcome.SECOND_FACTOR: (401, "second_factor"),
    Outcome.WRONG_CODE: (401, "wrong_code"),
    Outcome.LOCKED_OUT: (429, "too_many"),
    Outcome.OTHER_PERSON: (403, "other_person"),
}
LOCKED_OUT_SECONDS = 900


@login_not_required
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
@answers_json
def signin(request: HttpRequest) -> Answer | HttpResponse:
    """GET: who is signed in, with a fresh CSRF token. POST: sign in as the page's own reader."""
    if request.method == "POST":
        return _sign_in(request)
    person = reader_of_item(request.GET.get("item", ""))
    signed_in = request.user.is_authenticated
    return {
        "signed_in": signed_in,
        "same_person": signed_in and request.user == person,
        "csrf_token": get_token(request),
    }


@sensitive_variables("content", "password", "code")
def _sign_in(request: HttpRequest) -> Answer | HttpResponse:
    content = body_of(request)
    password, code = text_of(content, "password"), text_of(content, "code", "")
    person: User | None = reader_of_item(text_of(content, "item"))
    outcome = sign_in_again(request, person, password, code.strip())
    if outcome == Outcome.SIGNED_IN:
        return {"signed_in": True, "csrf_token": get_token(request)}
    status, name = STATUS[outcome]
    response = JsonResponse({"error": outcome.value, "code": name}, status=status)
    if outcome == Outcome.LOCKED_OUT:
        response.headers["Retry-After"] = str(LOCKED_OUT_SECONDS)
    return response
