"""Nobody signs up: an invitation's link opens one account, once, in time."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.core import mail
from django.db import transaction
from django.test import Client
from django.utils import timezone

from readerstudy.accounts.errors import AccountError
from readerstudy.accounts.models import Invitation, User
from readerstudy.accounts.services import do_accept_invitation, do_invite_user
from readerstudy.audit.models import Event

pytestmark = pytest.mark.django_db
EMAIL = "new.reader@example.org"
PASSWORD = "four green sheep 19"
FORM = {"name": "Dr New", "password": PASSWORD, "again": PASSWORD}


@pytest.fixture
def coordinator() -> User:
    return User.objects.create_user("coordinator@example.org", PASSWORD, name="Dr Coordinator")


def path_of(link: str, settings: Any) -> str:
    assert link.startswith(settings.SITE_URL)
    return link.removeprefix(settings.SITE_URL)


def test_an_invited_person_sets_name_and_password_and_is_signed_in(
    client: Client, coordinator: User, settings: Any
) -> None:
    user, link = do_invite_user(coordinator, " New.Reader@Example.org ", "")
    assert (user.email, user.is_active, user.has_usable_password()) == (EMAIL, False, False)
    path = path_of(link, settings)
    page = client.get(path)
    assert EMAIL in page.content.decode()
    assert "Dr Coordinator" in page.content.decode()
    assert client.post(path, FORM).status_code == 302
    user.refresh_from_db()
    assert (user.is_active, user.name) == (True, "Dr New")
    assert user.check_password(PASSWORD)
    assert client.session["_auth_user_id"] == str(user.pk)
    events = list(Event.objects.values_list("action", "actor_id"))
    assert events == [
        ("accounts.invitation.sent", coordinator.pk),
        ("accounts.invitation.accepted", user.pk),
        ("accounts.signed_in", user.pk),
    ]


def test_the_link_is_mailed_and_its_token_stored_nowhere(
    coordinator: User, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        _, link = do_invite_user(coordinator, EMAIL, "Dr New")
    (message,) = mail.outbox
    assert link in message.body
    assert message.to == [EMAIL]
    token = link.rstrip("/").rsplit("/", 1)[-1]
    assert token not in str(list(Invitation.objects.values()))
    assert token not in str(list(Event.objects.values()))


def test_a_link_works_once(client: Client, coordinator: User, settings: Any) -> None:
    path = path_of(do_invite_user(coordinator, EMAIL)[1], settings)
    client.post(path, FORM)
    stranger = Client()
    assert stranger.get(path).status_code == 404
    other = "another sheep 77 x"
    answer = stranger.post(path, {"name": "Thief", "password": other, "again": other})
    assert answer.status_code == 404
    assert User.objects.get(email=EMAIL).check_password(PASSWORD)


def test_a_link_is_over_after_seven_days(client: Client, coordinator: User, settings: Any) -> None:
    user, link = do_invite_user(coordinator, EMAIL)
    left = Invitation.objects.get(user=user).expires_at - timezone.now()
    assert datetime.timedelta(days=6, hours=23) < left <= datetime.timedelta(days=7)
    Invitation.objects.update(expires_at=timezone.now() - datetime.timedelta(seconds=1))
    answer = client.get(path_of(link, settings))
    assert answer.status_code == 404
    assert "no longer valid" in answer.content.decode()


def test_a_second_invitation_replaces_the_first(
    client: Client, coordinator: User, settings: Any
) -> None:
    user, first = do_invite_user(coordinator, EMAIL)
    again, second = do_invite_user(coordinator, EMAIL, "Dr New")
    assert again == user
    assert client.get(path_of(first, settings)).status_code == 404
    assert client.get(path_of(second, settings)).status_code == 200


def test_a_made_up_link_says_no_more_than_an_old_one(client: Client) -> None:
    answer = client.get("/accounts/invitation/" + "x" * 43 + "/")
    assert answer.status_code == 404
    assert "no longer valid" in answer.content.decode()


@pytest.mark.parametrize(
    ("email", "reason"),
    [("coordinator@example.org", "already has an account"), ("not an address", "not an e-mail")],
)
def test_who_cannot_be_invited_is_named_with_the_reason(
    coordinator: User, email: str, reason: str
) -> None:
    with pytest.raises(AccountError, match=reason):
        do_invite_user(coordinator, email)


def test_an_account_that_was_switched_off_is_not_opened_by_an_invitation(
    coordinator: User,
) -> None:
    User.objects.create_user("former@example.org", PASSWORD, is_active=False)
    with pytest.raises(AccountError, match="switched off"):
        do_invite_user(coordinator, "former@example.org")


def test_a_link_does_not_open_an_account_that_was_switched_off_after_it_was_used(
    coordinator: User,
) -> None:
    _, link = do_invite_user(coordinator, EMAIL)
    token = link.rstrip("/").rsplit("/", 1)[-1]
    do_accept_invitation(token, "Dr New", PASSWORD)
    User.objects.filter(email=EMAIL).update(is_active=False)
    with pytest.raises(AccountError):
        do_accept_invitation(token, "Dr New", "other sheep 4711 x")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"again": "something else 19"}, "again"),
        ({"password": "short", "again": "short"}, "password"),
        ({"name": ""}, "name"),
        (
            {
                "name": "Zachariah Longname",
                "password": "zachariahlongname",
                "again": "zachariahlongname",
            },
            "password",
        ),
    ],
)
def test_a_bad_form_opens_nothing(
    client: Client, coordinator: User, settings: Any, change: dict[str, str], field: str
) -> None:
    user, link = do_invite_user(coordinator, EMAIL)
    answer = client.post(path_of(link, settings), FORM | change)
    assert answer.status_code == 200
    assert field in answer.context["form"].errors
    user.refresh_from_db()
    assert not user.is_active


def test_whoever_is_signed_in_does_not_use_up_another_persons_link(
    client: Client, coordinator: User, settings: Any
) -> None:
    path = path_of(do_invite_user(coordinator, EMAIL)[1], settings)
    client.force_login(coordinator)
    assert "You are signed in as Dr Coordinator" in client.post(path, FORM).content.decode()
    assert not User.objects.get(email=EMAIL).is_active


def test_an_invitation_of_a_rolled_back_act_is_not_mailed(
    coordinator: User, django_capture_on_commit_callbacks: Any
) -> None:
    def invite_then_fail() -> None:
        with transaction.atomic():
            do_invite_user(coordinator, EMAIL)
            raise RuntimeError

    with django_capture_on_commit_callbacks(execute=True), pytest.raises(RuntimeError):
        invite_then_fail()
    assert mail.outbox == []
    assert not User.objects.filter(email=EMAIL).exists()
