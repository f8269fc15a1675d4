"""What goes wrong is said plainly, without a trace, under the same security headers."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import include, path

from readerstudy.accounts.models import User
from readerstudy.studies.models import Study
from readerstudy.web.middleware import CONTENT_SECURITY_POLICY
from tests.factories import make_administrator, make_study

pytestmark = pytest.mark.django_db


def _raises(error: Exception) -> Any:
    def view(request: HttpRequest) -> HttpResponse:
        raise error

    return view


urlpatterns = [
    path("broken/", _raises(ValueError("PATIENT^NAME"))),
    path("forbidden/", _raises(PermissionDenied("This needs the role coordinator in the study."))),
    path("suspicious/", _raises(SuspiciousOperation("PATIENT^NAME"))),
    path("form/", lambda request: HttpResponse("sent")),
    path("", include("readerstudy.urls")),
]


@pytest.fixture
def person(settings: Any) -> Client:
    settings.ROOT_URLCONF = __name__
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    client.force_login(User.objects.create_user("reader@example.org"))
    return client


@pytest.mark.parametrize(
    ("address", "status", "heading"),
    [
        ("/broken/", 500, "Something went wrong here"),
        ("/forbidden/", 403, "Not allowed"),
        ("/suspicious/", 400, "The request could not be understood"),
        ("/nowhere/at/all/", 404, "No such page"),
    ],
)
def test_an_error_page_is_plain_and_shows_no_trace(
    person: Client, address: str, status: int, heading: str
) -> None:
    answer = person.get(address)
    page = answer.content.decode()
    assert answer.status_code == status
    assert f"<h1>{heading}</h1>" in page
    for trace in ("Traceback", "PATIENT", "ValueError", "django", "urlconf"):
        assert trace not in page
    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY


def test_a_refusal_says_which_role_it_needs(person: Client) -> None:
    assert "This needs the role coordinator" in person.get("/forbidden/").content.decode()


def test_a_form_without_its_token_is_refused_in_plain_words(person: Client) -> None:
    answer = person.post("/form/")
    assert answer.status_code == 403
    page = answer.content.decode()
    assert "nothing was saved" in page
    assert "CSRF" not in page


def test_every_page_carries_the_strict_policy_and_no_inline_code(client: Client) -> None:
    answer = client.get("/accounts/login/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Cache-Control"] != ""
    page = answer.content.decode()
    assert " style=" not in page
    assert " onclick=" not in page
    assert "<style" not in page


def test_an_id_that_is_none_is_no_page_of_the_administration(client: Client) -> None:
    client.force_login(make_administrator())
    kind = ContentType.objects.get_for_model(Study).pk
    for address in (f"{kind}/no-uuid", f"{kind}/{make_study().pk}", f"{kind}/a/b", "no-kind/1"):
        assert client.get(f"/admin/r/{address}/").status_code == 404


def test_a_browser_that_asks_for_the_sites_icon_by_itself_finds_it(client: Client) -> None:
    answer = client.get("/favicon.ico")
    assert answer.status_code == 200
    assert b"".join(answer).startswith(b"\x00\x00\x01\x00")  # type: ignore[arg-type]
    client.force_login(make_administrator())
    assert 'rel="icon"' in client.get("/admin/").content.decode()
