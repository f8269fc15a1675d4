"""Locking asks to be confirmed; unlocking asks for a reason and the password."""

from __future__ import annotations

from django import forms

from readerstudy.accounts.confirming import SignedForm

from .locking import REASON_LENGTH


class LockForm(forms.Form):
    reason = forms.CharField(
        required=False,
        max_length=REASON_LENGTH,
        label="Reason",
        widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"max_length": f"{REASON_LENGTH} characters at most."},
    )
    confirmed = forms.BooleanField(
        label="Lock the study; no score and no region can change afterwards.",
        error_messages={"required": "Tick the box to lock the study."},
    )


class UnlockForm(SignedForm):
    reason = forms.CharField(
        max_length=REASON_LENGTH,
        label="Reason",
        widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"required": "Say why the lock is opened: the reason stays on record."},
    )
    field_order = ["reason", "password"]
