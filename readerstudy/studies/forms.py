"""What a coordinator types in: a new member."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from .models import Role, Site

WHOLE_STUDY = "the whole study"


class InviteForm(forms.Form):
    """`sites`: of a study that several hospitals take part in."""

    email = forms.EmailField(label="E-mail")
    name = forms.CharField(max_length=150, required=False)
    role = forms.ChoiceField(choices=Role.choices, initial=Role.READER)

    def __init__(self, data: Any = None, *, sites: Sequence[Site] = (), **options: Any) -> None:
        super().__init__(data, **options)
        self.sites = {site.code: site for site in sites}
        if not sites:
            self.fields["role"] = forms.ChoiceField(
                choices=[
                    (role.value, role.label) for role in Role if role != Role.SITE_COORDINATOR
                ],
                initial=Role.READER,
            )
            return
        self.fields["site"] = forms.ChoiceField(
            required=False,
            choices=[("", f"– {WHOLE_STUDY}"), *((site.code, site.name) for site in sites)],
            help_text="Of a site coordinator, or of a reader who reads one site alone.",
        )

    @property
    def site(self) -> Site | None:
        """What was chosen, once the form is valid."""
        code = self.cleaned_data.get("site", "")
        return self.sites[code] if code else None


class SiteForm(forms.Form):
    code = forms.CharField(max_length=20, help_text="What tables and exports say, e.g. ZRH.")
    name = forms.CharField(max_length=100)
