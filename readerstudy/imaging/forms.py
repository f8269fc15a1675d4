"""What a coordinator sets for all images of a study."""

from __future__ import annotations

import re
from typing import Any

from django import forms

from .models import ImagingRules


class TitlesField(forms.CharField):
    """AE titles, typed with commas or spaces between them."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        titles = re.split(r"[\s,;]+", str(super().clean(value)).strip())
        return list(dict.fromkeys(title for title in titles if title))


class RulesForm(forms.Form):
    dates = forms.ChoiceField(
        choices=ImagingRules.Dates.choices,
        widget=forms.RadioSelect,
        help_text="Of study and acquisition; times of day are always dropped. Holds for what is "
        "read from now on.",
    )
    volunteer_pattern = forms.CharField(
        label="Form of the volunteers' codes",
        max_length=100,
        required=False,
        strip=True,
        help_text="A regular expression. An identifier in a header that has this form as a whole "
        "is offered as the volunteer's code; no other is ever kept. Empty: known codes alone. "
        "Holds for what is sent from then on.",
    )
    receiver_title = forms.CharField(
        label="Title of this study (called AE title)",
        max_length=16,
        required=False,
        help_text="Scanners and archives send to this title. Empty: nothing is received over the "
        "network.",
    )
    senders = TitlesField(
        label="Who may send (calling AE titles)",
        max_length=400,
        required=False,
        help_text="With commas between them.",
    )
