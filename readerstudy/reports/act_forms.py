"""Forms of the acts after the lock: opening the key, leaving somebody out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from readerstudy.accounts.confirming import SignedForm

from . import exclusions, services


class UnblindForm(SignedForm):
    """`plan_sha256` is the hash of the plan that the page shows."""

    plan_sha256 = forms.CharField(widget=forms.HiddenInput, max_length=64)
    reason = forms.CharField(
        max_length=services.REASON_LENGTH,
        label="Reason",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="For the trail, for example: masked tables reviewed, analysis final.",
        error_messages={"required": "Say why the key is opened now: the trail keeps the reason."},
    )
    confirmed = forms.BooleanField(
        label="Open the key: the arms are shown by name to everybody in the study but its readers. "
        "This cannot be taken back.",
        error_messages={"required": "Tick the box to open the key."},
    )
    field_order = ["plan_sha256", "reason", "confirmed", "password"]


class ExclusionForm(forms.Form):
    who = forms.ChoiceField(
        label="Who is left out", error_messages={"required": "Choose a volunteer or a reader."}
    )
    reason = forms.CharField(
        max_length=exclusions.REASON_LENGTH,
        label="Reason",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="It stands beside the results, without a person's name.",
        error_messages={"required": "Give the reason: it stands beside the results."},
    )

    def __init__(self, codes: Mapping[str, Sequence[str]], data: Any = None) -> None:
        super().__init__(data, label_suffix="")
        choices: list[tuple[str, Any]] = [("", "–")]
        for kind, label in (("volunteer", "Volunteers"), ("reader", "Readers")):
            choices.append((label, [(f"{kind}:{code}", code) for code in codes[kind]]))
        self.fields["who"].choices = choices  # type: ignore[attr-defined]

    def chosen(self) -> tuple[str, str]:
        kind, _, code = str(self.cleaned_data["who"]).partition(":")
        return kind, code


class TakeBackForm(forms.Form):
    reason = forms.CharField(
        max_length=exclusions.REASON_LENGTH,
        error_messages={"required": "Give the reason for taking it back."},
    )
