"""Asking for the password again before an act that is signed.

Wrong passwords count towards the same lockout as at the door, so that a page left open is no way to
try them.
"""

from __future__ import annotations

from allauth.account.adapter import get_adapter
from django import forms
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from .models import User

WRONG = "The password is not right: nothing was done. Type the one that you sign in with."
LOCKED_OUT = (
    "Too many failed attempts: nothing was done. Wait a quarter of an hour, then try again."
)


@sensitive_variables("password")
def password_fault(request: HttpRequest, password: str) -> str:
    """Empty when the password is that of whoever is signed in; else what to say."""
    person = request.user
    if not isinstance(person, User) or not person.is_active:
        return WRONG
    found = get_adapter(request).authenticate(request, email=person.email, password=password)
    if getattr(request, "axes_locked_out", False):
        request.axes_locked_out = False  # type: ignore[attr-defined]  # the page says it itself
        return LOCKED_OUT
    return "" if found is not None and found.pk == person.pk else WRONG


class PasswordField(forms.CharField):
    """The password of whoever signs; never shown again."""

    def __init__(self) -> None:
        super().__init__(
            label="Your password",
            strip=False,
            max_length=500,
            widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
            error_messages={"required": "Type your password to sign."},
        )


class SignedForm(forms.Form):
    """A form that ends with the password. Call `is_signed` once it is valid."""

    password = PasswordField()

    @sensitive_variables()
    def is_signed(self, request: HttpRequest) -> bool:
        """Valid, and the password is right; else the fault stands at its field."""
        if not self.is_valid():
            return False
        fault = password_fault(request, self.cleaned_data["password"])
        if fault:
            self.add_error("password", fault)
        return not fault
