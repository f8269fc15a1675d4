"""The password over the page: the same reader, the same lockout, the same second factor."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    hotp_value,
    yield_hotp_counters_from_time,
)
from axes.models import AccessFailureLog
from django.test import Client

from readerstudy.accounts.models import User
from readerstudy.audit.models import Event
from readerstudy.reading.models import Item, Session
from tests.factories import PASSWORD, make_user
from tests.reading.imaged_study import first_item, make_reading_study, reader_of, session_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def session() -> Session:
    return session_of(make_reading_study(volunteers=2))


@pytest.fixture
def item(session: Session) -> Item:
    return first_item(session)


@pytest.fixture
def reader(session: Session) -> User:
    return reader_of(session)


def ask(client: Client, item: Item | None, password: str = PASSWORD, **more: Any) -> Any:
    token = item.token if item else "a-token-that-nobody-has"
    content = {"item": token, "password": password, **more}
    return client.post("/reading/signin/", content, content_type="application/json")


def state(client: Client, item: Item) -> tuple[bool, bool]:
    answer = client.get(f"/reading/signin/?item={item.token}").json()
    assert answer["csrf_token"]
    return answer["signed_in"], answer["same_person"]


def score(client: Client, item: Item, **headers: str) -> Any:
    content = {
        "id": "0b9c1c58-6a1f-4a5e-8a4e-2f5d6f7a8b9c",
        "criterion": "overall",
        "value": 4,
        "revision": 0,
    }
    address = f"/reading/item/{item.token}/scores/"
    return client.post(address, content, content_type="application/json", headers=headers)


def test_a_page_that_is_signed_out_is_told_so_and_goes_on_after_the_password(
    item: Item, reader: User
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(reader)
    old_token = client.get(f"/reading/signin/?item={item.token}").json()["csrf_token"]
    client.cookies.pop("sessionid")  # it has run out
    pane = item.panes.first()
    assert pane is not None
    for path in (f"/reading/item/{item.token}/data/", f"/reading/pixels/{pane.token}/0"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (401, "signed_out")
    answer = score(client, item, **{"X-CSRFToken": old_token})
    assert (answer.status_code, answer.json()["code"]) == (401, "signed_out")
    assert state(client, item) == (False, False)

    content = {"item": item.token, "password": PASSWORD}
    signed_in = client.post(
        "/reading/signin/", content, content_type="application/json",
        headers={"X-CSRFToken": old_token},
    )  # fmt: skip
    assert signed_in.status_code == 200
    fresh = signed_in.json()["csrf_token"]
    assert state(client, item) == (True, True)
    assert not signed_in.cookies["sessionid"]["max-age"]  # it ends with the browser
    assert score(client, item, **{"X-CSRFToken": fresh}).status_code == 200
    assert Event.objects.filter(action="accounts.signed_in", actor=reader).count() == 1


def test_signing_in_needs_the_csrf_token(item: Item) -> None:
    assert ask(Client(enforce_csrf_checks=True), item).status_code == 403


def test_a_wrong_password_and_a_token_that_nobody_has_get_the_same_answer(item: Item) -> None:
    answers = [ask(Client(), item, "wrong"), ask(Client(), None), ask(Client(), None, "wrong")]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["code"] == "wrong"
    for content in ({"item": item.token}, {"password": PASSWORD}, {"item": 1, "password": "x"}):
        answer = Client().post("/reading/signin/", content, content_type="application/json")
        assert answer.status_code == 400


def test_nobody_else_takes_over_the_page(item: Item) -> None:
    other = make_user("other@example.org")
    client = Client()
    # Another person's password is not the reader's, and no address can be sent.
    other.set_password("another good password 7")
    other.save()
    assert ask(client, item, "another good password 7", login=other.email).status_code == 401
    client.force_login(other)
    answer = ask(client, item)
    assert (answer.status_code, answer.json()["code"]) == (403, "other_person")
    assert state(client, item) == (True, False)
    assert score(client, item).status_code == 404


def test_whoever_is_signed_in_already_needs_no_password(item: Item, reader: User) -> None:
    client = Client()
    client.force_login(reader)
    assert ask(client, item, "whatever").status_code == 200


def test_wrong_passwords_lock_the_reader_out_here_as_at_the_door(item: Item, reader: User) -> None:
    client = Client()
    statuses = [ask(client, item, "wrong").status_code for _ in range(8)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    answer = ask(client, item)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many")
    assert answer.headers["Retry-After"] == "900"
    door = client.post("/accounts/login/", {"login": reader.email, "password": PASSWORD})
    assert "_auth_user_id" not in client.session
    assert door.status_code != 302
    assert AccessFailureLog.objects.exists()


def test_an_account_that_was_switched_off_stays_out(item: Item, reader: User) -> None:
    User.objects.filter(pk=reader.pk).update(is_active=False)
    assert ask(Client(), item).json()["code"] == "wrong"


def test_the_second_factor_is_asked_for_here_too(item: Item, reader: User) -> None:
    secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    TOTP.activate(reader, secret)
    assert Authenticator.objects.filter(user=reader).exists()
    client = Client()
    assert ask(client, item, "wrong").json()["code"] == "wrong"
    answer = ask(client, item)
    assert (answer.status_code, answer.json()["code"]) == (401, "second_factor")
    answer = ask(client, item, code="000000")
    assert (answer.status_code, answer.json()["code"]) == (401, "wrong_code")
    assert state(client, item) == (False, False)
    code = format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))
    assert ask(client, item, code=str(code)).status_code == 200
    assert state(client, item) == (True, True)
