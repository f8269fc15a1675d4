"""Tokens of the API are made with the password, told by mail, and end when access is ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse

from readerstudy.accounts.confirming import LOCKED_OUT, WRONG
from readerstudy.accounts.models import User
from readerstudy.accounts.services import do_administer_user
from readerstudy.audit.models import Event
from readerstudy.reports.api.tokens import do_create_token, do_revoke_token
from readerstudy.reports.export_models import ApiToken
from readerstudy.studies.models import Study
from tests.factories import (
    PASSWORD,
    make_administrator,
    make_statistician,
    make_study,
)

pytestmark = pytest.mark.django_db
FORM = {"name": "notebook", "days": "90", "password": PASSWORD}
NEW = "a walrus and seven kites"


@pytest.fixture
def study() -> Study:
    return make_study()


def opens(text: str) -> bool:
    headers = {"Authorization": f"Bearer {text}"}
    return Client().get("/api/v1/openapi.json", headers=headers).status_code == 200


def revoked() -> list[tuple[int | None, str]]:
    rows = Event.objects.filter(action="reports.token.revoked").order_by("sequence")
    return list(rows.values_list("actor", "why"))


def test_a_token_asks_for_the_password_and_its_person_is_told(
    study: Study, client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    user = make_statistician(study)
    client.force_login(user)
    address = reverse("results_token_new", args=[study.slug])
    for given, told in (
        ({"password": "not the password"}, WRONG),
        ({"password": ""}, "Type your password to make a token."),
        ({"name": " "}, "Say what the token is for"),
        ({"days": "3650"}, "A token lasts 30, 90, 365 days."),
        ({"name": "x" * 61}, "at most 60 characters"),
    ):
        answer = client.post(address, FORM | given)
        assert answer.status_code == 422
        assert told in answer.content.decode()
        assert PASSWORD not in answer.content.decode()
    assert not ApiToken.objects.exists()
    with django_capture_on_commit_callbacks(execute=True):
        client.defaults["HTTP_USER_AGENT"] = "Mozilla/5.0 (Windows NT 10.0) Firefox/140.0"
        page = client.post(address, FORM).content.decode()
    text = "rs_" + page.partition(">rs_")[2].partition("<")[0]
    assert opens(text)
    (message,) = mail.outbox
    assert message.to == [user.email]
    assert "a token “notebook” was made" in message.body
    assert f"the study “{study.title}”" in message.body
    assert "From: Firefox on Windows, 127.0.0.1" in message.body
    assert text not in message.body


def test_wrong_passwords_for_a_token_lock_out_like_those_at_the_door(
    study: Study, client: Client, settings: Any
) -> None:
    settings.AXES_FAILURE_LIMIT = 3
    client.force_login(make_statistician(study))
    address = reverse("results_token_new", args=[study.slug])
    for _ in range(3):
        answer = client.post(address, FORM | {"password": "not the password"})
    answer = client.post(address, FORM)
    assert LOCKED_OUT in answer.content.decode()
    assert not ApiToken.objects.exists()


def by_the_person(client: Client, _: User) -> None:
    page = client.get(reverse("account")).content.decode()
    assert "2 API tokens of yours open results to programs" in page
    page = client.post(reverse("account_sign_ins_end"), follow=True).content.decode()
    assert "You are signed in nowhere else. 2 API tokens are revoked." in page


def by_an_administrator(_: Client, user: User) -> None:
    client = Client()
    client.force_login(make_administrator())
    acted = {"action": "sign_out_everywhere", "_selected_action": [user.pk]}
    page = client.post(reverse("admin:accounts_user_changelist"), acted, follow=True)
    assert "2 API tokens revoked" in page.content.decode()


def by_a_new_password(client: Client, _: User) -> None:
    form = {"oldpassword": PASSWORD, "password1": NEW, "password2": NEW}
    assert client.post(reverse("account_change_password"), form).status_code == 302


def by_a_reset_link(_: Client, user: User) -> None:
    client = Client()
    client.post(reverse("account_reset_password"), {"email": user.email})
    link = next(word for word in mail.outbox[-1].body.split() if "/reset/key/" in word)
    page = client.get("/" + link.split("/", 3)[3], follow=True)
    form = {"password1": NEW, "password2": NEW}
    assert client.post(page.redirect_chain[-1][0], form).status_code == 302


def by_switching_the_account_off_and_on(_: Client, user: User) -> None:
    administrator = make_administrator()
    for is_active in (False, True):
        user.is_active = is_active
        do_administer_user(administrator, user)


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (by_switching_the_account_off_and_on, "the account was switched off"),
        (by_the_person, "signed out everywhere"),
        (by_an_administrator, "signed out everywhere"),
        (by_a_new_password, "the password was changed"),
        (by_a_reset_link, "the password was set anew"),
    ],
)
def test_what_ends_a_persons_access_ends_their_tokens_in_every_study(
    study: Study, client: Client, end: Callable[[Client, User], None], why: str
) -> None:
    user, colleague = make_statistician(study), make_statistician(study)
    other = make_study("other")
    other.memberships.create(user=user, role="statistician")
    mine = [do_create_token(one, user, "notebook", 365)[1] for one in (study, other)]
    theirs = do_create_token(study, colleague, "script", 30)[1]
    over, _ = do_create_token(study, user, "old", 30)
    do_revoke_token(study, user, over.pk)
    assert all(map(opens, [*mine, theirs]))
    before = len(revoked())
    client.force_login(user)
    end(client, user)
    assert list(map(opens, [*mine, theirs])) == [False, False, True]
    rows = revoked()[before:]
    assert [said for _, said in rows] == [why, why]
    administrator = User.objects.filter(is_superuser=True).first()
    by = administrator if administrator is not None else user
    assert {actor for actor, _ in rows} == {by.pk}


def test_signing_out_of_one_browser_leaves_tokens_standing(study: Study, client: Client) -> None:
    user = make_statistician(study)
    _, text = do_create_token(study, user, "notebook", 30)
    client.force_login(user)
    assert client.post(reverse("account_logout")).status_code == 302
    assert opens(text)


def test_administrators_see_whose_tokens_stand_and_revoke_them(
    study: Study, client: Client
) -> None:
    user = make_statistician(study)
    token, text = do_create_token(study, user, "notebook", 365)
    administrator = make_administrator()
    client.force_login(administrator)
    address = reverse("admin:reports_apitoken_changelist")
    row = reverse("admin:reports_apitoken_change", args=[token.pk])
    for page in (client.get(address), client.get(row)):
        assert page.status_code == 200
        assert "notebook" in page.content.decode()
        assert str(user) in page.content.decode()
        assert token.sha256 not in page.content.decode()
    for name, arguments in (("add", []), ("delete", [token.pk])):
        closed = reverse(f"admin:reports_apitoken_{name}", args=arguments)
        assert client.get(closed).status_code == 403
    acted = {"action": "revoke", "_selected_action": [token.pk]}
    for told in ("is revoked", "was revoked before"):
        assert told in client.post(address, acted, follow=True).content.decode()
    assert not opens(text)
    assert revoked() == [(administrator.pk, "")]
    client.force_login(user)
    assert client.post(address, acted).status_code in {302, 404}
