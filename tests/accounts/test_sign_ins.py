"""A sign-in ends at its limits, is listed, can be ended from elsewhere, and staff owe a factor."""

from __future__ import annotations

import datetime
import time
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from readerstudy.accounts import second_factor
from readerstudy.accounts.models import SignIn, User
from readerstudy.accounts.services import do_administer_user, do_remove_second_factor
from readerstudy.accounts.sign_ins import browser_named
from readerstudy.audit.models import Event
from tests.accounts.test_sign_in import (
    EMAIL,
    PASSWORD,
    code_of,
    set_up_second_factor,
    sign_in,
    signed_in,
)
from tests.factories import make_administrator, make_coordinator, make_study

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
ACCOUNT = "/accounts/"


@pytest.fixture
def reader() -> User:
    return User.objects.create_user(EMAIL, PASSWORD, name="Dr Reader")


def shift(**by: float) -> None:
    """As if so much time had gone by since everything about the sign-ins was written."""
    span = datetime.timedelta(**by)
    for row in SignIn.objects.all():
        row.started_at -= span
        row.seen_at -= span
        row.save()


def test_a_sign_in_ends_after_an_hour_without_a_click_and_says_so(
    client: Client, reader: User
) -> None:
    sign_in(client)
    client.get(ACCOUNT)
    for _ in range(3):  # each click starts the hour again
        shift(minutes=50)
        assert client.get(ACCOUNT).status_code == 200
    shift(minutes=61)
    answer = client.get(ACCOUNT, follow=True)
    assert answer.redirect_chain[0][0].startswith(reverse("account_login"))
    assert "after 60 minutes without a click" in answer.content.decode()
    assert not signed_in(client)
    assert not Session.objects.filter(session_data__contains="_auth").exists()
    event = Event.objects.get(action="accounts.sign_in.timed_out")
    assert (event.subject_id, event.new) == (str(reader.pk), {"limit": "idle"})


def test_what_a_page_asks_for_by_itself_does_not_keep_the_sign_in(client: Client) -> None:
    study = make_study()
    coordinator = make_coordinator(study)
    client.force_login(coordinator)
    desk = reverse("readiness_panel", args=[study.slug])
    assert client.get(desk).status_code == 200
    for _ in range(7):
        shift(minutes=10)
        answer = client.get(desk)
    assert answer.status_code == 302


def test_no_clicking_prolongs_a_sign_in_beyond_its_hours(client: Client, reader: User) -> None:
    sign_in(client)
    client.get(ACCOUNT)
    for _ in range(13):
        SignIn.objects.update(
            started_at=SignIn.objects.get().started_at - datetime.timedelta(minutes=50)
        )
        assert client.get(ACCOUNT).status_code == 200
    # A new key (a changed password) is no new sign-in.
    new = "seven blue goats 84"
    session = client.session
    session["signed_in_at"] = time.time() - 11 * 3600
    session.save()
    client.post(
        reverse("account_change_password"),
        {"oldpassword": PASSWORD, "password1": new, "password2": new},
    )
    assert client.get(ACCOUNT).status_code == 200
    shift(minutes=59)
    assert client.get(ACCOUNT).status_code == 200
    shift(minutes=2)
    assert client.get(ACCOUNT).status_code == 302
    assert Event.objects.get(action="accounts.sign_in.timed_out").new == {"limit": "absolute"}


def test_hosts_whose_clocks_differ_move_a_limit_by_as_much_and_end_no_sign_in_at_once(
    client: Client, reader: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = timezone.now

    def ask(host_is_off_by: int) -> int:
        """What a web host answers whose clock is so many minutes fast."""
        off = datetime.timedelta(minutes=host_is_off_by)
        monkeypatch.setattr(timezone, "now", lambda: right() + off)
        return int(client.get(ACCOUNT).status_code)

    sign_in(client)
    for minutes in (5, -5, 5, -5):  # a proxy sends each click to another one
        assert ask(minutes) == 200
    shift(minutes=64)  # last seen by the fast one
    assert ask(-5) == 200
    shift(minutes=49)  # now by the slow one
    assert ask(5) == 200
    assert ask(-5) == 200
    shift(minutes=71)
    assert ask(-5) == 302


def test_a_code_fits_the_clock_of_the_host_that_is_asked_alone(
    client: Client, reader: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(client)
    secret = set_up_second_factor(client)
    client.post(reverse("account_logout"))
    sign_in(client)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    code = code_of(secret)
    for off in (-30, 30):
        monkeypatch.setattr(time, "time", lambda off=off: now + off)
        client.post(reverse("mfa_authenticate"), {"code": code})
        assert not signed_in(client)
    monkeypatch.setattr(time, "time", lambda: now)
    client.post(reverse("mfa_authenticate"), {"code": code})
    assert signed_in(client)


def test_a_page_of_json_is_told_that_the_sign_in_is_over(client: Client, reader: User) -> None:
    sign_in(client)
    client.get(ACCOUNT)
    shift(hours=2)
    answer = client.get("/reading/item/guessed-token-of-22-ch/data/")
    assert (answer.status_code, answer.json()["code"]) == (401, "signed_out")
    assert "without a click" not in client.get(reverse("account_login")).content.decode()


def test_a_session_that_somebody_else_planted_is_not_taken_over_by_the_sign_in(
    client: Client, reader: User
) -> None:
    client.get(reverse("account_login"))
    session = client.session
    session["planted"] = True
    session.save()
    planted = session.session_key
    client.cookies["sessionid"] = planted
    sign_in(client)
    assert signed_in(client)
    assert client.session.session_key != planted
    assert not Session.objects.filter(session_key=planted).exists()


def test_sign_ins_are_listed_and_ended_one_by_one_or_all_but_this_one(reader: User) -> None:
    here, there, elsewhere = (Client(REMOTE_ADDR=f"10.0.0.{n}") for n in (1, 2, 3))
    for client in (here, there, elsewhere):
        client.defaults["HTTP_USER_AGENT"] = FIREFOX
        sign_in(client)
        client.get(ACCOUNT)
    page = here.get(ACCOUNT).content.decode()
    assert page.count("Firefox on Windows") >= 3
    assert "10.0.0.2" in page
    assert page.count("this one") == 1
    number = SignIn.objects.get(address="10.0.0.2").pk
    here.post(reverse("account_sign_in_end", args=[number]))
    assert there.get(ACCOUNT).status_code == 302
    assert elsewhere.get(ACCOUNT).status_code == 200
    here.post(reverse("account_sign_ins_end"))
    assert elsewhere.get(ACCOUNT).status_code == 302
    assert here.get(ACCOUNT).status_code == 200
    assert Event.objects.filter(action="accounts.sign_in.ended", actor=reader).count() == 2


def test_nobody_ends_the_sign_in_of_another_person(client: Client, reader: User) -> None:
    other = Client()
    User.objects.create_user("other@example.org", PASSWORD)
    sign_in(other, email="other@example.org")
    other.get(ACCOUNT)
    sign_in(client)
    client.post(
        reverse(
            "account_sign_in_end", args=[SignIn.objects.get(user__email__startswith="other").pk]
        )
    )
    assert other.get(ACCOUNT).status_code == 200


def test_an_account_that_is_switched_off_and_on_again_is_signed_in_nowhere(reader: User) -> None:
    administrator = make_administrator()
    bystander, here, elsewhere, untouched = (Client() for _ in range(4))
    for client in (here, elsewhere, untouched):
        sign_in(client)
    for client in (
        here,
        elsewhere,
    ):  # the third asks for nothing before the account is switched off
        assert client.get(ACCOUNT).status_code == 200
    bystander.force_login(administrator)
    for is_active in (False, True):
        reader.is_active = is_active
        do_administer_user(administrator, reader)
    for client in (here, elsewhere, untouched):
        assert client.get(ACCOUNT).status_code == 302
        assert not signed_in(client)
    assert bystander.get(ACCOUNT).status_code == 200
    assert not SignIn.objects.filter(user=reader).exists()
    event = Event.objects.get(action="accounts.sign_in.ended")
    assert (event.actor, event.subject_id) == (administrator, str(reader.pk))
    assert (event.old, event.why) == ({"browsers": 3}, "the account was switched off")
    sign_in(here)
    assert here.get(ACCOUNT).status_code == 200


def test_signing_out_everywhere_meets_a_browser_that_asked_for_nothing_yet(reader: User) -> None:
    here, untouched = Client(), Client()
    sign_in(here)
    sign_in(untouched)
    page = here.post(reverse("account_sign_ins_end"), follow=True).content.decode()
    assert "You are signed out in 1 other browser." in page
    assert untouched.get(ACCOUNT).status_code == 302
    assert here.get(ACCOUNT).status_code == 200


def test_a_removed_second_factor_is_owed_again_in_browsers_that_are_signed_in(
    client: Client, reader: User, settings: Any
) -> None:
    settings.SECOND_FACTOR_FOR = ["administrators"]
    reader.is_staff = True
    do_administer_user(None, reader)
    sign_in(client)
    set_up_second_factor(client)
    assert client.get("/").status_code == 200
    assert do_remove_second_factor(None, reader)
    shift(seconds=61)
    answer = client.get("/")
    assert (answer.status_code, answer.url) == (302, reverse("mfa_index"))
    reader.is_staff = False
    do_administer_user(None, reader)
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (FIREFOX, "Firefox on Windows"),
        ("Mozilla/5.0 (Macintosh) Version/18.5 Safari/605.1.15", "Safari on macOS"),
        ("Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Linux"),
        ("curl/8.0", "A program"),
        ("", "A program"),
    ],
)
def test_a_browser_is_named_as_a_person_would(agent: str, name: str) -> None:
    assert browser_named(agent) == name


def test_staff_set_up_a_second_factor_before_anything_else_and_readers_need_not(
    client: Client, settings: Any
) -> None:
    settings.SECOND_FACTOR_FOR = ["administrators", "coordinators", "statisticians"]
    study = make_study()
    coordinator = make_coordinator(study)
    coordinator.set_password(PASSWORD)
    coordinator.save()
    sign_in(client, email=coordinator.email)
    for address in ("/", f"/studies/{study.slug}/", f"/studies/{study.slug}/uploads/"):
        answer = client.get(address)
        assert (answer.status_code, answer.url) == (302, reverse("mfa_index"))
    data = client.post("/reading/item/guessed-token-of-22-ch/scores/", {}, "application/json")
    assert (data.status_code, data.json()["code"]) == (403, "second_factor_owed")
    assert "Your role needs a second factor" in client.get(reverse("mfa_index")).content.decode()
    set_up_second_factor(client)
    assert client.get("/").status_code == 200
    reader = Client()
    User.objects.create_user(EMAIL, PASSWORD)
    sign_in(reader)
    assert reader.get("/").status_code == 200


def test_whoever_becomes_a_coordinator_owes_the_factor_within_a_minute(
    client: Client, reader: User, settings: Any
) -> None:
    settings.SECOND_FACTOR_FOR = ["coordinators"]
    sign_in(client)
    assert client.get("/").status_code == 200
    second_factor_kinds = {"coordinators"}
    roles = second_factor.register(lambda user: second_factor_kinds)
    try:
        shift(seconds=61)
        assert client.get("/").status_code == 302
    finally:
        second_factor._roles.remove(roles)


def test_a_database_that_goes_away_while_a_session_is_stored_is_no_wrong_request(
    client: Client, reader: User
) -> None:
    sign_in(client)
    client.get(ACCOUNT)
    session = client.session
    del session["signed_in_at"]
    session.save()
    SignIn.objects.all().delete()  # the next request notes both anew

    def away(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith('UPDATE "django_session"'):
            raise OperationalError("server closed the connection unexpectedly")
        return execute(sql, *rest)

    client.raise_request_exception = False
    with connection.execute_wrapper(away):
        assert client.get(ACCOUNT).status_code == 500  # tried again; a 400 would be final
    assert client.get(ACCOUNT).status_code == 200
    Session.objects.all().delete()  # ended from elsewhere: as ever
    assert client.get(ACCOUNT).status_code == 302
