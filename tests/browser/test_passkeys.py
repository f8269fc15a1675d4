"""A passkey in a real browser, with the browser's own virtual authenticator."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from readerstudy.accounts.models import User
from readerstudy.audit.models import Event
from tests.factories import PASSWORD, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
EMAIL = "passkey@example.org"


def authenticator(page: Page) -> None:
    """What a laptop's fingerprint reader is to the browser."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def test_a_passkey_is_added_signs_in_alone_and_serves_as_second_factor(
    front_end: None, chromium: Browser, live_server: Any
) -> None:
    user: User = make_user(EMAIL, name="Pia Passkey")
    # Passkeys belong to a name, never to a number; browsers trust this one without TLS.
    address = live_server.url.replace("127.0.0.1", "localhost")
    context = chromium.new_context(base_url=address)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
    authenticator(page)

    def sign_in_by_password() -> None:
        page.goto("/accounts/login/")
        page.get_by_label("Email").fill(EMAIL)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()

    sign_in_by_password()
    page.goto("/accounts/2fa/webauthn/add/")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    page.get_by_label("Name").fill("Laptop")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    page.goto("/accounts/2fa/")
    expect(page.get_by_text("1 passkey: Laptop.")).to_be_visible()

    def sign_out() -> None:
        page.goto("/accounts/logout/")
        page.locator("main").get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()

    sign_out()
    page.get_by_role("button", name="Sign in with a passkey").press("Enter")
    page.wait_for_url(f"{address}/")
    sign_out()
    sign_in_by_password()
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"{address}/")
    assert not [line for line in said if "Content Security Policy" in line]
    actions = list(Event.objects.filter(actor=user).values_list("action", flat=True))
    assert actions.count("accounts.signed_in") == 3
    assert "accounts.second_factor_added" in actions
    context.close()


def test_a_made_up_answer_of_an_authenticator_opens_nothing(client: Client, db: None) -> None:
    make_user(EMAIL)
    client.get("/accounts/2fa/webauthn/login/", headers={"Accept": "application/json"})
    for made_up in ("", "7", "{}", '{"id": "x", "response": {"userHandle": "MQ"}}'):
        answer = client.post("/accounts/2fa/webauthn/login/", {"credential": made_up})
        assert answer.status_code < 500
        assert "_auth_user_id" not in client.session
