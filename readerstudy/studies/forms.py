"""What a coordinator types in: a new study, its settings, a new member."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from .models import Role, Study
from .services import SETTINGS
from .tables import is_code

NOTICE_HELP = "Shown on every page, readers' pages included, and written into every export."


class NewStudyForm(forms.Form):
    title = forms.CharField(
        max_length=200, help_text="Readers see it too: name no arm and no sequence."
    )
    slug = forms.SlugField(
        label="Address",
        max_length=50,
        help_text="Stands in the study's address: lower-case letters, digits and hyphens.",
    )
    notice = forms.CharField(
        max_length=300,
        required=False,
        help_text=NOTICE_HELP,
    )


class CodesField(forms.CharField):
    """Volunteers' codes, typed with commas or spaces between them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, max_length=600, empty_value="", **options)

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        codes = list(dict.fromkeys(re.split(r"[\s,;]+", super().clean(value).strip())))
        codes = [code for code in codes if code]
        wrong = [code for code in codes if len(code) > 30 or not is_code(code)]
        if wrong:
            raise ValidationError(
                f"“{wrong[0][:60]}” is no code: use letters, digits, hyphens and underscores."
            )
        return codes


class SettingsForm(forms.ModelForm):
    practice_volunteers = CodesField(
        label="Volunteers for practice alone",
        help_text="Their codes, with commas between them. They are read in practice and enter no "
        "analysis. Without any, practice shows the study's own volunteers.",
    )

    class Meta:
        model = Study
        fields = list(SETTINGS)
        labels = {
            "reading_mode": "What readers see and score",
            "side_policy": "Sides",
            "minimum_gap": "Items between two of one volunteer",
            "repeat_percent": "Hidden repeats (%)",
            "occasions": "Occasions",
            "washout_days": "Washout (days)",
            "practice_items": "Practice items",
            "pause_after_minutes": "Pause after (minutes of reading)",
            "pause_minutes": "Length of a pause (minutes)",
            "change_reason": "A changed score needs a reason",
            "may_go_back": "Readers may go back and change submitted scores",
            "reading_instructions": "Instructions to readers",
        }
        help_texts = {
            "title": "Readers see it too: name no arm and no sequence.",
            "notice": NOTICE_HELP,
            "credits": "Where the images come from, and under which licence.",
            "minimum_gap": "At least so many items of other volunteers in between.",
            "repeat_percent": "Items shown a second time to measure intra-reader agreement.",
            "reading_mode": "A forced choice is made for each comparison of the protocol.",
            "side_policy": "Fixed or balanced, of the control; a forced choice needs balanced.",
            "occasions": "How often each reader reads everything.",
            "washout_days": "Between the end of one occasion and the beginning of the next.",
            "practice_items": "Read before the first item, with the wording of each chosen point; "
            "never analysed.",
            "pause_after_minutes": "0: no pauses.",
            "reading_instructions": "Shown before reading. Name no arm.",
        }
        widgets = {
            "description": forms.Textarea(attrs={"rows": 3}),
            "credits": forms.Textarea(attrs={"rows": 3}),
            "reading_instructions": forms.Textarea(attrs={"rows": 4}),
        }


class InviteForm(forms.Form):
    email = forms.EmailField(label="E-mail")
    name = forms.CharField(max_length=150, required=False)
    role = forms.ChoiceField(choices=Role.choices, initial=Role.READER)
