"""The administration site has no door of its own, and what it does to accounts is recorded."""

from __future__ import annotations

import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from axes.models import AccessAttempt
from django.contrib import admin
from django.core.management import call_command
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse

from readerstudy.accounts.models import User
from readerstudy.audit.models import Event
from readerstudy.audit.services import verify_chain
from tests.accounts.test_sign_in import EMAIL, PASSWORD, code_of, set_up_second_factor, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def administrator(settings: Any) -> User:
    settings.ADMIN_SECOND_FACTOR = True
    return User.objects.create_superuser("head@example.org", PASSWORD, name="Head")


@pytest.fixture
def in_office(client: Client, administrator: User) -> Client:
    """A client whose administrator has signed in with both factors."""
    sign_in(client, email="head@example.org")
    set_up_second_factor(client)
    return client


def test_the_administration_site_sends_strangers_to_the_one_sign_in_page(client: Client) -> None:
    for path in ("/admin/", "/admin/login/", "/admin/accounts/user/"):
        answer = client.get(path)
        assert answer.status_code == 302
        assert answer.url.startswith(("/accounts/login/", "/admin/login/"))
    # The door of the admin site takes no password.
    User.objects.create_superuser("head@example.org", PASSWORD)
    client.post("/admin/login/", {"username": "head@example.org", "password": PASSWORD})
    assert "_auth_user_id" not in client.session


def test_the_first_administrator_is_in_the_trail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", "--noinput", email="First@Example.org", name="First")
    first = User.objects.get()
    assert (first.email, first.is_superuser, first.is_staff) == ("first@example.org", True, True)
    assert first.check_password(PASSWORD)
    event = Event.objects.get()
    assert (event.sequence, event.action, event.actor) == (
        1, "accounts.administrator_created", None,
    )  # fmt: skip
    assert (event.subject_type, event.subject_id) == ("accounts.user", str(first.pk))
    assert event.new == {"is_active": True, "is_staff": True, "is_superuser": True}
    assert verify_chain().is_sound


def test_an_administrator_whom_the_trail_does_not_take_is_not_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise DatabaseError("database or disk is full")

    monkeypatch.setattr("readerstudy.accounts.services.record", full)
    with pytest.raises(DatabaseError):
        User.objects.create_superuser("head@example.org", PASSWORD)
    assert not User.objects.exists()


def test_an_administrator_without_a_second_factor_is_sent_to_set_one_up(
    client: Client, administrator: User
) -> None:
    sign_in(client, email="head@example.org")
    answer = client.get("/admin/", follow=True)
    assert reverse("mfa_index") in [path for path, _ in answer.redirect_chain]
    set_up_second_factor(client)
    assert client.get("/admin/").status_code == 200


def test_whoever_is_no_administrator_finds_no_administration_site(client: Client) -> None:
    User.objects.create_user(EMAIL, PASSWORD)
    sign_in(client)
    assert client.get("/admin/", follow=True).status_code == 404
    assert client.get("/admin/accounts/user/", follow=True).status_code == 404


def test_an_administrator_invites_by_link(in_office: Client) -> None:
    answer = in_office.post(
        "/admin/accounts/user/add/", {"email": "New@Example.org", "name": "Dr New"}, follow=True
    )
    assert answer.status_code == 200
    link = re.search(r"(/accounts/invitation/[\w-]+/)", answer.content.decode())
    assert link
    assert Client().get(link.group(1)).status_code == 200
    assert Event.objects.filter(action="accounts.invitation.sent").count() == 1
    again = in_office.post("/admin/accounts/user/add/", {"email": "head@example.org", "name": "x"})
    assert "already has an account" in again.content.decode()


def test_what_an_administrator_changes_on_an_account_is_recorded_old_and_new(
    in_office: Client, administrator: User
) -> None:
    user = User.objects.create_user(EMAIL, PASSWORD, name="Dr Reader")
    EmailAddress.objects.create(user=user, email=EMAIL, verified=True, primary=True)
    url = f"/admin/accounts/user/{user.pk}/change/"
    form = {"email": "moved@example.org", "name": "Dr Reader", "is_active": "on"}
    assert in_office.post(url, form).status_code == 302
    event = Event.objects.get(action="accounts.user_changed")
    assert event.actor == administrator
    assert (event.old, event.new) == ({"email": EMAIL}, {"email": "moved@example.org"})
    former = Client()
    sign_in(former, email=EMAIL)
    assert "_auth_user_id" not in former.session  # the former address opens nothing


def test_an_administrator_lifts_a_lockout_and_removes_a_lost_second_factor(
    in_office: Client, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    user = User.objects.create_user(EMAIL, PASSWORD)
    reader = Client()
    sign_in(reader)
    secret = set_up_second_factor(reader)
    reader.post(reverse("account_logout"))
    for _ in range(7):
        sign_in(reader, "wrong")
    assert sign_in(reader).status_code == 429

    def act(action: str) -> None:
        in_office.post(
            "/admin/accounts/user/", {"action": action, "_selected_action": [str(user.pk)]}
        )

    act("lift_lockout")
    assert not AccessAttempt.objects.exists()
    assert sign_in(reader).url == reverse("mfa_authenticate")
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_PORT = 1  # nobody answers there: the factor is removed all the same
    with django_capture_on_commit_callbacks(execute=True) as mails:
        act("remove_second_factor")
    assert len(mails) == 1
    assert not Authenticator.objects.filter(user=user).exists()
    fresh = Client()
    assert sign_in(fresh).url == reverse("home")
    said = list(Event.objects.values_list("action", flat=True))
    assert {"accounts.lockout_lifted", "accounts.second_factor_removed"} <= set(said)
    assert code_of(secret)


def test_the_administration_site_names_the_way_out_as_the_rest_does(in_office: Client) -> None:
    page = in_office.get("/admin/").content.decode()
    assert "Sign out</button>" in page
    assert "Log out" not in page


def test_an_account_cannot_be_deleted_nor_secrets_seen_on_the_administration_site(
    in_office: Client, administrator: User
) -> None:
    url = f"/admin/accounts/user/{administrator.pk}/"
    assert in_office.post(url + "delete/", {"post": "yes"}).status_code == 403
    page = in_office.get(url + "change/").content.decode()
    assert "password" not in page.lower().replace("/accounts/password/change/", "").replace(
        "/admin/password_change/", ""
    ).replace("change password", "")
    registered = {model._meta.label for model in admin.site._registry}
    assert "mfa.Authenticator" not in registered
    assert "account.EmailAddress" not in registered
    assert "auth.Group" not in registered
