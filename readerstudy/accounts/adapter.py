"""How sign-in differs from allauth's defaults."""

from __future__ import annotations

from typing import Any, cast

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest

from .lockout import client_address
from .models import User
from .notices import CHANGES, OTHER, tell_changed
from .sign_ins import origin_of


class InvitationOnlyAdapter(DefaultAccountAdapter):
    """Nobody signs up by themselves: accounts come from invitations."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        # One sentence for an unknown address and a wrong password alike.
        "email_password_mismatch": "The e-mail address or the password is not right.",
        "too_many_login_attempts": "Too many failed attempts. Wait a few minutes, then try again.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Wrong passwords are counted by django-axes alone: one lockout, one page, one record."""

    def send_notification_mail(
        self,
        template_prefix: str,
        user: AbstractBaseUser,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        tell_changed(cast(User, user), CHANGES.get(template_prefix, OTHER), origin_of(self.request))

    def reauthenticate(self, user: AbstractBaseUser, password: str) -> bool:
        """Check the password of the person who is signed in, counting towards the lockout."""
        found: Any = self.authenticate(
            context.request, email=user.get_username(), password=password
        )
        return found is not None and found.pk == user.pk


class SecondFactorAdapter(DefaultMFAAdapter):
    def generate_authenticator_name(self, user: AbstractBaseUser, type: Any) -> str:
        number = Authenticator.objects.filter(user_id=user.pk, type=type).count()
        return f"Passkey {number + 1}" if number else "Passkey"

    def build_totp_svg(self, url: str) -> str:
        """The QR code as an element of the page: the security policy allows no data: image."""
        svg = super().build_totp_svg(url)
        return svg[svg.index("<svg") :].replace("<svg ", '<svg role="img" aria-label="QR code" ', 1)
