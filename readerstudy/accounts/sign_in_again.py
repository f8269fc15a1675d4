"""Signing in again over a page whose session has ended, as the same person and nobody else.

The page knows whose it is; only the password is typed, and the code of a second factor where the
account has one. Wrong passwords count towards the same lockout as at the door.
"""

from __future__ import annotations

import enum

from allauth.account import signals
from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.utils import is_mfa_enabled
from django.http import HttpRequest

from .models import User

# Whoever asks with a token that nobody has gets the answer of a wrong password, as slowly.
NOBODY = "nobody@invalid"


class Outcome(enum.Enum):
    SIGNED_IN = "signed in"
    WRONG = "The password is not right."
    SECOND_FACTOR = "Type the code that your authenticator app shows."
    WRONG_CODE = "The code is not right, or was tried too often. Wait for the next one."
    LOCKED_OUT = "Too many failed attempts. Wait a quarter of an hour, then try again."
    OTHER_PERSON = (
        "Somebody else is signed in in this browser. Sign them out in another window first; "
        "nothing that you have scored is lost."
    )


def sign_in_again(request: HttpRequest, person: User | None, password: str, code: str) -> Outcome:
    """Sign `person` in; None stands for a page that nobody has."""
    if request.user.is_authenticated:
        return Outcome.SIGNED_IN if request.user == person else Outcome.OTHER_PERSON
    adapter = get_adapter(request)
    found = adapter.authenticate(
        request, email=person.email if person else NOBODY, password=password
    )
    if getattr(request, "axes_locked_out", False):
        request.axes_locked_out = False  # type: ignore[attr-defined]  # else axes answers, in HTML
        return Outcome.LOCKED_OUT
    if found is None or person is None or found.pk != person.pk or not person.is_active:
        return Outcome.WRONG
    if is_mfa_enabled(person):
        if not code:
            return Outcome.SECOND_FACTOR
        form = AuthenticateForm(data={"code": code}, user=person)
        if not form.is_valid():
            return Outcome.WRONG_CODE
        record_authentication(request, person, "password", email=person.email)
        form.save()
    else:
        record_authentication(request, person, "password", email=person.email)
    adapter.login(request, person)
    request.session.set_expiry(0)  # as at the door: the session ends with the browser
    signals.user_logged_in.send(sender=User, request=request, user=person)
    return Outcome.SIGNED_IN
