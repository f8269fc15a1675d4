"""The two acts that cannot be undone ask to be confirmed."""

from __future__ import annotations

from django import forms

from .services import REASON_LENGTH


class LaunchForm(forms.Form):
    confirmed = forms.BooleanField(
        label="Freeze the protocol and open the reading; this cannot be undone.",
        error_messages={"required": "Tick the box to launch the study."},
    )


class LockForm(forms.Form):
    reason = forms.CharField(
        required=False,
        max_length=REASON_LENGTH,
        label="Reason",
        help_text="Needed while items are open; written into the audit trail.",
    )
    confirmed = forms.BooleanField(
        label="Lock the study; no score and no region can change afterwards.",
        error_messages={"required": "Tick the box to lock the study."},
    )
