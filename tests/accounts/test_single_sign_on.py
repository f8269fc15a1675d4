"""The hospital's own sign-on opens accounts that exist, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from django.urls import reverse

from readerstudy.accounts.models import User
from readerstudy.audit.models import Event
from tests.accounts.identity_provider import CLIENT, SECRET, Provider, provider
from tests.accounts.test_sign_in import EMAIL, PASSWORD, sign_in, signed_in

pytestmark = pytest.mark.django_db
LOGIN = "/accounts/oidc/hospital/login/"


@pytest.fixture
def hospital(settings: Any) -> Iterator[Provider]:
    with provider() as server:
        app = {
            "provider_id": "hospital",
            "name": "St Example",
            "client_id": CLIENT,
            "secret": SECRET,
            "settings": {"server_url": server.address},
        }
        settings.SOCIALACCOUNT_PROVIDERS = {
            "openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app]}
        }
        server.person = {"sub": "a1", "email": EMAIL, "email_verified": True, "name": "X"}
        yield server


@pytest.fixture
def reader() -> User:
    return User.objects.create_user(EMAIL, PASSWORD, name="Dr Reader")


def come_in(client: Client, hospital: Provider) -> Any:
    answer = client.get(LOGIN)
    assert answer.status_code == 302, answer.content.decode()
    assert answer.url.startswith(hospital.address)
    return client.get(hospital.authorise(answer.url))


def test_a_person_comes_in_by_the_hospitals_sign_on_and_keeps_their_password(
    client: Client, reader: User, hospital: Provider
) -> None:
    assert "Sign in with St Example" in client.get(reverse("account_login")).content.decode()
    assert come_in(client, hospital).url == reverse("home")
    assert client.session["_auth_user_id"] == str(reader.pk)
    reader.refresh_from_db()
    assert (reader.name, reader.check_password(PASSWORD)) == ("Dr Reader", True)  # it signs acts
    said = list(Event.objects.values_list("action", flat=True))
    assert {"accounts.single_sign_on.connected", "accounts.single_sign_on.used"} <= set(said)
    # From now on the provider's own identifier counts, whatever becomes of the address.
    hospital.person = {"sub": "a1", "email": "married@example.org", "email_verified": True}
    other = Client()
    come_in(other, hospital)
    assert other.session["_auth_user_id"] == str(reader.pk)


@pytest.mark.parametrize(
    "person",
    [
        {"sub": "b2", "email": "stranger@example.org", "email_verified": True},
        {"sub": "b2", "email": EMAIL, "email_verified": False},
        {"sub": "b2", "email": EMAIL},
        {"sub": "b2"},
    ],
)
def test_whoever_is_not_invited_or_not_verified_stays_outside(
    client: Client, reader: User, hospital: Provider, person: dict[str, Any]
) -> None:
    hospital.person = person
    answer = come_in(client, hospital)
    assert "invitation" in answer.content.decode()
    assert not signed_in(client)
    assert User.objects.count() == 1


def test_an_address_that_passed_to_another_person_does_not_open_the_first_ones_account(
    client: Client, reader: User, hospital: Provider
) -> None:
    come_in(client, hospital)
    hospital.person = {"sub": "c3", "email": EMAIL, "email_verified": True}
    other = Client()
    answer = come_in(other, hospital)
    assert answer.status_code == 403
    assert "another person" in answer.content.decode()
    assert not signed_in(other)
    assert Event.objects.filter(action="accounts.single_sign_on.refused").exists()


def test_an_account_that_is_switched_off_stays_closed(
    client: Client, reader: User, hospital: Provider
) -> None:
    User.objects.update(is_active=False)
    assert come_in(client, hospital).url == reverse("account_inactive")
    assert not signed_in(client)


def test_an_answer_that_was_not_asked_for_or_was_used_is_refused(
    client: Client, reader: User, hospital: Provider
) -> None:
    back = hospital.authorise(client.get(LOGIN).url)
    stranger = Client()
    assert "did not answer" in stranger.get(back).content.decode()  # another browser's
    assert not signed_in(stranger)
    assert client.get(back).status_code == 302
    client.post(reverse("account_logout"))
    assert "did not answer" in client.get(back).content.decode()  # replayed
    assert not signed_in(client)


def test_a_provider_that_is_away_is_told_in_words_and_the_password_still_opens(
    client: Client, reader: User, hospital: Provider
) -> None:
    hospital.shutdown()
    hospital.server_close()
    answer = client.get(LOGIN)
    assert answer.status_code == 502
    assert "sign in with your password" in answer.content.decode()
    assert sign_in(client).status_code == 302


def test_a_provider_that_asks_for_two_factors_itself_spares_a_second_one_here(
    client: Client, hospital: Provider, settings: Any
) -> None:
    settings.SECOND_FACTOR_FOR = ["administrators"]
    User.objects.create_superuser(EMAIL, PASSWORD, name="Head")
    come_in(client, hospital)
    assert client.get("/").status_code == 302
    settings.OIDC_SECOND_FACTOR = True
    assert client.get("/").status_code == 200
    by_password = Client()
    sign_in(by_password)
    assert by_password.get("/").url == reverse("mfa_index")
    assert EmailAddress.objects.get().verified


def test_without_configuration_there_is_no_such_door(client: Client) -> None:
    assert client.get(LOGIN).status_code == 404
    assert client.get(LOGIN + "callback/").status_code == 404
    assert "oidc" not in client.get(reverse("account_login")).content.decode()
