"""What happens at the door goes to the audit trail, without anything that was typed."""

from __future__ import annotations

from typing import Any

from allauth.account import signals as account_signals
from allauth.mfa import signals as mfa_signals
from allauth.mfa.models import Authenticator
from axes.signals import user_locked_out
from django.contrib.auth.signals import user_logged_out, user_login_failed
from django.dispatch import receiver

from readerstudy.audit.services import record

from .hooks import revoke_keys
from .lockout import key_of
from .models import User


def _person(email: Any) -> User | None:
    return User.objects.filter(email=str(email or "").strip().lower()).first()


@receiver(account_signals.user_logged_in, dispatch_uid="accounts.signed_in")
def signed_in(user: User, **_: Any) -> None:
    record("accounts.signed_in", user, subject=user)


@receiver(user_logged_out, dispatch_uid="accounts.signed_out")
def signed_out(user: User | None, **_: Any) -> None:
    if user is not None:
        record("accounts.signed_out", user, subject=user)


@receiver(user_login_failed, dispatch_uid="accounts.sign_in_failed")
def sign_in_failed(credentials: dict[str, Any], **_: Any) -> None:
    # An unknown address is typed text, perhaps a password: only a known person is named.
    typed = credentials.get("email") or credentials.get("username")
    record("accounts.sign_in_failed", None, subject=_person(typed))


@receiver(user_locked_out, dispatch_uid="accounts.locked_out")
def locked_out(request: Any, username: str, **_: Any) -> None:
    person = _person(request.POST.get("login") or getattr(request.user, "email", ""))
    if person is not None and key_of(person.email) != username:
        person = None
    record("accounts.locked_out", None, subject=person)


@receiver(account_signals.password_changed, dispatch_uid="accounts.password_changed")
@receiver(account_signals.password_set, dispatch_uid="accounts.password_set")
def password_changed(user: User, **_: Any) -> None:
    record("accounts.password_changed", user, subject=user)
    revoke_keys(user, user, "the password was changed")


@receiver(account_signals.password_reset, dispatch_uid="accounts.password_reset")
def password_reset(user: User, **_: Any) -> None:
    record("accounts.password_reset", user, subject=user)
    revoke_keys(user, user, "the password was set anew")


def _named(authenticator: Authenticator) -> str:
    """Recovery codes come with the first factor and go with the last: not another of the kind."""
    is_codes = authenticator.type == Authenticator.Type.RECOVERY_CODES
    return "recovery_codes" if is_codes else "second_factor"


@receiver(mfa_signals.authenticator_added, dispatch_uid="accounts.second_factor_added")
def second_factor_added(user: User, authenticator: Authenticator, **_: Any) -> None:
    action = f"accounts.{_named(authenticator)}_added"
    record(action, user, subject=user, new={"type": authenticator.type})


@receiver(mfa_signals.authenticator_removed, dispatch_uid="accounts.second_factor_removed")
def second_factor_removed(user: User, authenticator: Authenticator, **_: Any) -> None:
    action = f"accounts.{_named(authenticator)}_removed"
    record(action, user, subject=user, old={"type": authenticator.type})


@receiver(mfa_signals.authenticator_reset, dispatch_uid="accounts.second_factor_reset")
def second_factor_reset(user: User, authenticator: Authenticator, **_: Any) -> None:
    record("accounts.second_factor_reset", user, subject=user, new={"type": authenticator.type})


@receiver(mfa_signals.authentication_failed, dispatch_uid="accounts.second_factor_failed")
def second_factor_failed(user: User, **_: Any) -> None:
    record("accounts.second_factor_failed", None, subject=user)
