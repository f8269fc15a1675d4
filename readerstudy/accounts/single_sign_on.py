"""Single sign-on by OpenID Connect (`OIDC_SERVER`): another door to an account that exists.

The hospital's provider says who stands there; who may in is decided here, by invitation, as for a
password. An account is known by the provider's own identifier once it was used, and before that by
an e-mail address that the provider says it has verified.
"""

from __future__ import annotations

import logging
from typing import Any

from allauth.account import signals as account_signals
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.socialaccount.signals import social_account_added
from django.dispatch import receiver
from django.http import HttpRequest
from django.shortcuts import render

from readerstudy.audit.services import record

from .models import User
from .services import confirm_address

log = logging.getLogger(__name__)


class InvitedOnlyAdapter(DefaultSocialAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """An address may pass to another person; the provider's identifier does not."""
        person, account = sociallogin.user, sociallogin.account
        if person is None or person.pk is None:
            return
        # The invitation went to the address of the account, whoever made it: else allauth would
        # take the address for unproven and void the password.
        confirm_address(person)
        others = SocialAccount.objects.filter(user_id=person.pk, provider=account.provider)
        if others.exclude(uid=account.uid).exists():
            record("accounts.single_sign_on.refused", None, subject=person)
            raise ImmediateHttpResponse(
                render(
                    request,
                    "accounts/single_sign_on_fault.html",
                    {"fault": "other_person"},
                    status=403,
                )
            )

    def on_authentication_error(self, request: HttpRequest, provider: Any, **found: Any) -> None:
        # The kind alone: an answer of the provider may name a person.
        log.warning("single sign-on failed: %s", type(found.get("exception")).__name__)
        raise ImmediateHttpResponse(
            render(request, "accounts/single_sign_on_fault.html", {"fault": "failed"}, status=502)
        )


@receiver(social_account_added, dispatch_uid="accounts.single_sign_on.connected")
def connected(sociallogin: SocialLogin, **_: Any) -> None:
    person = sociallogin.user
    record("accounts.single_sign_on.connected", person, subject=person)


@receiver(account_signals.user_logged_in, dispatch_uid="accounts.single_sign_on.used")
def used(user: User, sociallogin: SocialLogin | None = None, **_: Any) -> None:
    if sociallogin is not None:
        record("accounts.single_sign_on.used", user, subject=user)
