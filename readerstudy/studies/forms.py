"""What a coordinator types in: a new member."""

from __future__ import annotations

from django import forms

from .models import Role


class InviteForm(forms.Form):
    email = forms.EmailField(label="E-mail")
    name = forms.CharField(max_length=150, required=False)
    role = forms.ChoiceField(choices=Role.choices, initial=Role.READER)
