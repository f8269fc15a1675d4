"""allauth's passkey forms, for answers that no authenticator would give: refused, not a fault.

What is posted as a credential is a stranger's JSON. The libraries below take its shape for granted.
"""

from __future__ import annotations

from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.webauthn import forms as webauthn

# What reading JSON of another shape, or bytes that are no CBOR, raises.
_MISSHAPEN = (KeyError, TypeError, ValueError, AttributeError, IndexError)


class _Checked:
    def clean_credential(self) -> Any:
        try:
            return super().clean_credential()  # type: ignore[misc]
        except _MISSHAPEN:
            raise get_adapter().validation_error("incorrect_code") from None


class LoginForm(_Checked, webauthn.LoginWebAuthnForm):
    pass


class AuthenticateForm(_Checked, webauthn.AuthenticateWebAuthnForm):
    pass


class ReauthenticateForm(_Checked, webauthn.ReauthenticateWebAuthnForm):
    pass


class AddForm(webauthn.AddWebAuthnForm):
    def clean(self) -> dict[str, Any]:
        try:
            return dict(super().clean())
        except _MISSHAPEN:
            raise get_adapter().validation_error("incorrect_code") from None
