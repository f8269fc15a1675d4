"""The door: password, lockout, second factor, reset, and what the trail says of it."""

from __future__ import annotations

import datetime
import re
import time
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import (
    format_hotp_value,
    hotp_value,
    yield_hotp_counters_from_time,
)
from axes.models import AccessAttempt, AccessFailureLog
from django.core import mail
from django.test import Client
from django.urls import reverse

from readerstudy.accounts import services
from readerstudy.accounts.models import User
from readerstudy.audit.models import Event

pytestmark = pytest.mark.django_db
PASSWORD = "four green sheep 19"
EMAIL = "reader@example.org"


@pytest.fixture
def reader() -> User:
    return User.objects.create_user(EMAIL, PASSWORD, name="Dr Reader")


def sign_in(client: Client, password: str = PASSWORD, email: str = EMAIL, **extra: Any) -> Any:
    return client.post(reverse("account_login"), {"login": email, "password": password, **extra})


def signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def actions() -> list[str]:
    return list(Event.objects.values_list("action", flat=True))


def code_of(secret: str) -> str:
    return str(format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time())))))


def set_up_second_factor(client: Client) -> str:
    """Sets an authenticator app up over its page, for someone who has just signed in."""
    url = reverse("mfa_activate_totp")
    assert client.get(url).url.startswith(reverse("account_reauthenticate"))
    page = client.post(
        reverse("account_reauthenticate"), {"password": PASSWORD, "next": url}, follow=True
    )
    secret = re.search(r'id="totp-secret">([A-Z2-7]+)<', page.content.decode())
    assert secret, page.content.decode()
    answer = client.post(url, {"code": code_of(secret.group(1))})
    assert answer.status_code == 302, answer.content.decode()
    return secret.group(1)


def test_a_person_signs_in_and_out_and_the_trail_says_so(client: Client, reader: User) -> None:
    answer = sign_in(client)
    assert (answer.status_code, answer.url) == (302, reverse("home"))
    assert signed_in(client)
    assert "Clear-Site-Data" not in client.get(reverse("home")).headers
    answer = client.post(reverse("account_logout"))
    # The browser forgets the images, but not what a reader's page could not send yet.
    assert answer.headers["Clear-Site-Data"] == '"cache"'
    assert not signed_in(client)
    assert actions() == ["accounts.signed_in", "accounts.signed_out"]


def test_the_address_may_be_typed_in_capitals(client: Client, reader: User) -> None:
    sign_in(client, email=EMAIL.upper())
    assert signed_in(client)


def test_the_session_ends_with_the_browser(client: Client, reader: User) -> None:
    cookie = sign_in(client).cookies["sessionid"]
    assert not cookie["max-age"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_sign_in_leads_back_to_the_page_asked_for_and_never_to_another_site(
    client: Client, reader: User
) -> None:
    assert client.get("/accounts/").url == "/accounts/login/?next=/accounts/"
    assert sign_in(client, next="/accounts/").url == "/accounts/"
    client.post(reverse("account_logout"))
    assert sign_in(client, next="https://evil.example/").url == reverse("home")


def test_an_unknown_address_and_a_wrong_password_get_the_same_answer(
    client: Client, reader: User
) -> None:
    def errors(email: str) -> list[str]:
        return list(sign_in(client, "wrong", email).context["form"].non_field_errors())

    assert errors(EMAIL) == errors("nobody@example.org") != []


def test_a_failed_sign_in_is_recorded_without_what_was_typed(
    client: Client, reader: User, caplog: pytest.LogCaptureFixture
) -> None:
    typed = "my-password-in-the-wrong-field@example.org"
    sign_in(client, "another secret", typed)
    sign_in(client, "another secret")
    failed = Event.objects.filter(action="accounts.sign_in_failed")
    assert [event.subject_id for event in failed] == ["", str(reader.pk)]
    everything = str(list(Event.objects.values())) + str(list(AccessAttempt.objects.values()))
    everything += caplog.text
    assert "my-password" not in everything
    assert "another secret" not in everything
    assert EMAIL not in everything


def test_the_seventh_attempt_is_refused_even_with_the_right_password(
    client: Client, reader: User
) -> None:
    for _ in range(5):
        assert sign_in(client, "wrong").status_code == 200
    assert sign_in(client, "wrong").status_code == 429
    locked = sign_in(client)
    assert locked.status_code == 429
    assert not signed_in(client)
    page = locked.content.decode()
    assert "Wait 15 minutes" in page
    assert EMAIL not in page
    assert "accounts.locked_out" in actions()
    assert Event.objects.filter(action="accounts.locked_out").first().subject_id == str(reader.pk)


def test_the_lockout_meets_one_person_from_one_address_and_ends(
    client: Client, reader: User
) -> None:
    User.objects.create_user("other@example.org", PASSWORD)
    for _ in range(7):
        sign_in(client, "wrong")
    assert sign_in(Client(REMOTE_ADDR="10.0.0.9")).status_code == 302
    other = Client()
    assert sign_in(other, email="other@example.org").status_code == 302
    an_hour_ago = datetime.timedelta(hours=1)
    for attempt in AccessAttempt.objects.all():
        attempt.attempt_time -= an_hour_ago
        attempt.save()
    assert sign_in(client).status_code == 302


def lock_from_everywhere(limit: int = 50) -> None:
    for n in range(limit):
        assert sign_in(Client(REMOTE_ADDR=f"10.2.{n}.1"), "wrong").status_code == 200


def test_whoever_changes_address_after_every_guess_is_locked_out_too(reader: User) -> None:
    lock_from_everywhere()
    for n in range(10):
        assert sign_in(Client(REMOTE_ADDR=f"10.3.{n}.1"), "wrong").status_code == 429
    fresh = Client(REMOTE_ADDR="10.4.0.1")
    locked = sign_in(fresh)
    assert locked.status_code == 429
    assert "Sign-in is locked" in locked.content.decode()
    assert not signed_in(fresh)
    User.objects.create_user("other@example.org", PASSWORD)
    assert sign_in(fresh, email="other@example.org").status_code == 302
    stored = str(list(AccessFailureLog.objects.values()))
    assert EMAIL not in stored
    assert "wrong" not in stored


def test_the_wide_lock_ends_after_an_hour_and_by_an_administrator(
    reader: User, settings: Any
) -> None:
    settings.LOCKOUT_ACCOUNT_AFTER = 8
    lock_from_everywhere(8)
    assert sign_in(Client(REMOTE_ADDR="10.4.0.1")).status_code == 429
    assert services.do_lift_lockout(None, reader)
    assert sign_in(Client(REMOTE_ADDR="10.4.0.1")).status_code == 302
    lock_from_everywhere(8)
    assert sign_in(Client(REMOTE_ADDR="10.4.0.2")).status_code == 429
    for failure in AccessFailureLog.objects.all():
        failure.attempt_time -= datetime.timedelta(minutes=61)
        failure.save()
    assert sign_in(Client(REMOTE_ADDR="10.4.0.3")).status_code == 302
    assert not AccessFailureLog.objects.exists()


def test_one_locked_address_does_not_lock_the_others(reader: User, settings: Any) -> None:
    settings.LOCKOUT_ACCOUNT_AFTER = 8
    for _ in range(30):
        sign_in(Client(REMOTE_ADDR="10.2.0.1"), "wrong")
    assert sign_in(Client(REMOTE_ADDR="10.4.0.1")).status_code == 302


def test_a_right_password_starts_the_count_afresh(client: Client, reader: User) -> None:
    for _ in range(2):
        for _ in range(5):
            sign_in(client, "wrong")
        assert sign_in(client).status_code == 302
        client.post(reverse("account_logout"))


def test_behind_a_proxy_the_callers_own_word_on_its_address_is_not_believed(
    client: Client, reader: User, settings: Any
) -> None:
    settings.BEHIND_PROXY = True
    for n in range(6):
        client.post(
            reverse("account_login"),
            {"login": EMAIL, "password": "wrong"},
            headers={"X-Forwarded-For": f"10.1.1.{n}, 192.0.2.7"},
        )
    assert AccessAttempt.objects.get().ip_address == "192.0.2.7"
    assert AccessAttempt.objects.get().failures_since_start == 6


def test_one_network_address_tries_so_often_a_minute_whatever_it_types(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)  # one minute all the while
    flood, neighbour = Client(REMOTE_ADDR="10.5.0.1"), Client(REMOTE_ADDR="10.5.0.2")
    tries = [
        sign_in(flood, "wrong", f"nobody{n}@example.org").status_code
        for n in range(settings.SIGN_INS_A_MINUTE + 1)
    ]
    assert tries == [200] * settings.SIGN_INS_A_MINUTE + [429]
    assert "accounts.locked_out" not in actions()  # each account was guessed at but once
    assert sign_in(neighbour, "wrong", "nobody@example.org").status_code == 200
    now += 61
    assert sign_in(flood, "wrong", "nobody@example.org").status_code == 200


def test_nobody_can_sign_up(client: Client) -> None:
    assert client.get("/accounts/signup/").status_code in {302, 404}
    client.post("/accounts/signup/", {"email": "x@example.org", "password1": PASSWORD})
    assert not User.objects.exists()


def test_an_account_that_is_switched_off_is_out_at_once(client: Client, reader: User) -> None:
    sign_in(client)
    reader.is_active = False
    reader.save()
    assert client.get(reverse("account")).status_code == 302
    assert sign_in(client).url == reverse("account_inactive")
    assert client.get(reverse("account")).status_code == 302


def test_a_second_factor_is_asked_for_and_a_recovery_code_replaces_it_once(
    client: Client,
    reader: User,
    django_capture_on_commit_callbacks: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sign_in(client)
    with django_capture_on_commit_callbacks(execute=True):
        secret = set_up_second_factor(client)
    told = next(message for message in mail.outbox if "authenticator app" in message.body)
    assert (told.to, PASSWORD in told.body, secret in told.body) == ([EMAIL], False, False)
    codes = Authenticator.objects.get(user=reader, type="recovery_codes").wrap().get_unused_codes()
    assert codes[0] in client.get(reverse("mfa_view_recovery_codes")).content.decode()
    client.post(reverse("account_logout"))

    assert sign_in(client).url == reverse("mfa_authenticate")
    assert not signed_in(client)
    assert client.get(reverse("account")).status_code == 302
    client.post(reverse("mfa_authenticate"), {"code": "000000"})
    assert not signed_in(client)
    client.post(reverse("mfa_authenticate"), {"code": codes[0]})
    assert signed_in(client)
    client.post(reverse("account_logout"))

    sign_in(client)
    client.post(reverse("mfa_authenticate"), {"code": codes[0]})
    assert not signed_in(client)  # each code once
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)  # one code all the while
    code = code_of(secret)
    client.post(reverse("mfa_authenticate"), {"code": code})
    assert signed_in(client)
    client.post(reverse("account_logout"))
    for browser in (client, Client()):  # overheard, and sent again within its half minute
        sign_in(browser)
        page = browser.post(reverse("mfa_authenticate"), {"code": code})
        assert not signed_in(browser)
        assert "Incorrect code" in page.content.decode()
    monkeypatch.undo()
    said = actions()
    for action in ("second_factor_added", "second_factor_failed"):
        assert f"accounts.{action}" in said
    assert said.count("accounts.second_factor_added") == 1
    assert said.count("accounts.recovery_codes_added") == 1  # they came with it
    assert secret not in str(list(Event.objects.values()))


def test_guessing_codes_of_the_second_factor_ends_after_ten(client: Client, reader: User) -> None:
    sign_in(client)
    secret = set_up_second_factor(client)
    client.post(reverse("account_logout"))
    sign_in(client)
    for _ in range(10):
        client.post(reverse("mfa_authenticate"), {"code": "000000"})
    client.post(reverse("mfa_authenticate"), {"code": code_of(secret)})
    assert not signed_in(client)


def test_the_qr_code_is_part_of_the_page_because_the_policy_allows_no_data_image(
    client: Client, reader: User
) -> None:
    sign_in(client)
    url = reverse("mfa_activate_totp")
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD, "next": url})
    page = client.get(url)
    text = page.content.decode()
    assert "<svg" in text
    assert "data:" not in text
    assert " style=" not in text
    assert "<script>" not in text
    assert "data:" not in page.headers["Content-Security-Policy"]


def test_switching_the_second_factor_off_is_recorded(client: Client, reader: User) -> None:
    sign_in(client)
    set_up_second_factor(client)
    assert client.post(reverse("mfa_deactivate_totp")).status_code == 302
    assert client.get(reverse("mfa_index")).status_code == 200
    said = actions()
    assert said.count("accounts.second_factor_removed") == 1
    assert said.count("accounts.recovery_codes_removed") == 1
    assert not Authenticator.objects.exists()


def test_changing_the_password_ends_the_other_sessions_and_is_recorded(
    client: Client, reader: User
) -> None:
    elsewhere = Client()
    sign_in(elsewhere)
    sign_in(client)
    new = "seven blue goats 84"
    form = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert client.post(reverse("account_change_password"), form).status_code == 302
    assert client.get(reverse("account")).status_code == 200
    assert elsewhere.get(reverse("account")).status_code == 302
    assert "accounts.password_changed" in actions()


@pytest.mark.parametrize("weak", ["short", "qwerty123456", "123456789012", "reader@example"])
def test_a_weak_password_is_refused_with_the_reason(
    client: Client, reader: User, weak: str
) -> None:
    sign_in(client)
    form = {"oldpassword": PASSWORD, "password1": weak, "password2": weak}
    answer = client.post(reverse("account_change_password"), form)
    assert answer.status_code == 200
    assert answer.context["form"].errors["password1"]


def test_a_forgotten_password_is_reset_by_mail_once(client: Client, reader: User) -> None:
    client.post(reverse("account_reset_password"), {"email": EMAIL})
    (message,) = mail.outbox
    assert message.to == [EMAIL]
    link = re.search(r"https?://[^/]+(/accounts/password/reset/key/\S+)", message.body)
    assert link, message.body
    page = client.get(link.group(1), follow=True)
    new = "seven blue goats 84"
    form = {"password1": new, "password2": new}
    assert client.post(page.redirect_chain[-1][0], form).status_code == 302
    assert not signed_in(client)  # a second factor is not gone round
    assert sign_in(client, new).status_code == 302
    assert "accounts.password_reset" in actions()
    again = Client().get(link.group(1), follow=True)
    assert "no longer valid" in again.content.decode()


def test_a_reset_for_an_unknown_or_invited_address_looks_the_same_and_opens_nothing(
    client: Client, reader: User
) -> None:
    services.do_invite_user(None, "invited@example.org")
    mail.outbox.clear()
    pages = []
    for email in (EMAIL, "nobody@example.org", "invited@example.org"):
        answer = client.post(reverse("account_reset_password"), {"email": email}, follow=True)
        pages.append(re.sub(r'value="[^"]+"|content="[^"]+"', "", answer.content.decode()))
    assert pages[0] == pages[1] == pages[2]
    assert sum("reset/key" in message.body for message in mail.outbox) == 1


def test_the_person_changes_their_own_name(client: Client, reader: User) -> None:
    sign_in(client)
    client.post(reverse("account"), {"name": "Dr New Name"})
    assert "Dr New Name" in client.get(reverse("account")).content.decode()
    event = Event.objects.get(action="accounts.name_changed")
    assert (event.old, event.new) == ({"name": "Dr Reader"}, {"name": "Dr New Name"})


@pytest.mark.parametrize(
    "name",
    [
        "account",
        "account_change_password",
        "account_reauthenticate",
        "account_logout",
        "mfa_index",
        "mfa_activate_totp",
    ],
)
def test_every_page_of_the_account_opens_for_a_person_just_signed_in(
    client: Client, reader: User, name: str
) -> None:
    sign_in(client)
    assert client.get(reverse(name), follow=True).status_code == 200
