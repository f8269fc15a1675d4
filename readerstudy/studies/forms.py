"""What a coordinator types in: a new study, its settings, a new member."""

from __future__ import annotations

from django import forms

from .models import Role, Study
from .services import SETTINGS

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


class SettingsForm(forms.ModelForm):
    class Meta:
        model = Study
        fields = list(SETTINGS)
        labels = {
            "side_policy": "Side of the control",
            "minimum_gap": "Items between two of one volunteer",
            "repeat_percent": "Hidden repeats (%)",
            "may_go_back": "Readers may go back and change submitted scores",
            "reading_instructions": "Instructions to readers",
        }
        help_texts = {
            "title": "Readers see it too: name no arm and no sequence.",
            "notice": NOTICE_HELP,
            "credits": "Where the images come from, and under which licence.",
            "minimum_gap": "At least so many items of other volunteers in between.",
            "repeat_percent": "Items shown a second time to measure intra-reader agreement.",
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
