"""What a real browser says of a page whose address lets whoever reads it into an account."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from playwright.sync_api import Browser, Request

from readerstudy.accounts.services import do_invite_user
from tests.factories import make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_nothing_that_such_a_page_asks_for_says_its_address(
    front_end: None, chromium: Browser, live_server: Any
) -> None:
    """Not the header is looked at, but what comes of it: a page can overrule its header."""
    _, link = do_invite_user(None, "invited@example.org")
    invitation = link.removeprefix(settings.SITE_URL.rstrip("/"))
    person = make_user()
    key = default_token_generator.make_token(person)
    reset = f"/accounts/password/reset/key/{user_pk_to_url_str(person)}-{key}/"
    secrets = (invitation.rstrip("/").rpartition("/")[2], key)
    for path in (invitation, reset):
        context = chromium.new_context(base_url=live_server.url)  # its cache is empty
        page = context.new_page()
        asked: list[Request] = []
        page.on("request", lambda one, to=asked: to.append(one))
        page.goto(path)
        said = {one.url.rpartition("/")[2]: one.all_headers().get("referer", "") for one in asked}
        context.close()
        assert said["app.css"] == f"{live_server.url}/"
        assert not [one for one in said.values() for secret in secrets if secret in one]
