"""Every address asks for a sign-in unless it stands on the short list here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

PUBLIC = {
    # For load balancers and supervisors; the figures answer to a token alone.
    "health",
    "ready",
    "metrics",
    "accounts/login/",
    "accounts/logout/",
    "accounts/inactive/",
    "accounts/password/reset/",
    "accounts/password/reset/done/",
    r"accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
    "accounts/password/reset/key/done/",
    "accounts/invitation/<str:token>/",
    # Behind the password, before the second factor; without a password it leads back to sign-in.
    "accounts/2fa/authenticate/",
    # The passkey in place of a password, and the hospital's sign-on (404 unless configured).
    "accounts/2fa/webauthn/login/",
    "accounts/oidc/<slug:provider_id>/login/",
    "accounts/oidc/<slug:provider_id>/login/callback/",
    "accounts/oidc/cancelled/",
    "accounts/oidc/error/",
    # The password over the reading page, whose session has ended.
    "reading/signin/",
    # Answers to a token alone: of a user and a study.
    "api/v1/openapi.json",
    "api/v1/studies/<slug:slug>/",
    "api/v1/studies/<slug:slug>/results/",
    "api/v1/studies/<slug:slug>/bundle.zip",
    "api/v1/studies/<slug:slug>/files/<path:name>",
    "api/<path:name>",
    # Leads to the sign-in page.
    "admin/login/",
}


def views(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        address = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from views(pattern.url_patterns, address)
        elif isinstance(pattern, URLPattern):
            yield address, pattern.callback


def test_no_address_is_public_but_the_doors() -> None:
    found = dict(views(get_resolver().url_patterns))
    public = {
        address for address, view in found.items() if not getattr(view, "login_required", True)
    }
    assert public == PUBLIC
    assert len(found) > len(PUBLIC) + 10


@pytest.mark.django_db
def test_a_stranger_is_sent_to_the_sign_in_page_whether_or_not_a_page_exists(client: Any) -> None:
    for path in ("/", "/accounts/", "/studies/any/", "/reading/", "/accounts/2fa/"):
        answer = client.get(path)
        assert (answer.status_code, answer.url) == (302, f"/accounts/login/?next={path}")
