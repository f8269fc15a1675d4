"""What is typed on the pages of the desk: tables of fields, one row a volunteer, arm or reader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms

from readerstudy.studies.models import Arm, Site

from .models import EnteredParameter, Participant
from .people import ReaderLine, VolunteerLine
from .withdrawals import REASON_LENGTH

Fields = dict[str, Any]


class ParticipantsForm(forms.Form):
    """A row of fields for every volunteer: age_V01, sex_V01, …

    `sites`: to choose from, where the site of a volunteer may be changed here.
    """

    def __init__(
        self, lines: Sequence[VolunteerLine], data: Any = None, sites: Sequence[Site] = ()
    ) -> None:
        super().__init__(data, label_suffix="")
        self.lines = [line for line in lines if not line.is_withdrawn]
        self.offers_sites = bool(sites)
        for line in self.lines:
            code, participant = line.code, line.participant
            if sites:
                self.fields[f"site:{code}"] = forms.ChoiceField(
                    label=f"Site of {code}",
                    required=False,
                    choices=[("", "–"), *((site.code, site.name) for site in sites)],
                    initial=line.site.code if line.site else "",
                )
            self.fields[f"age_years:{code}"] = forms.IntegerField(
                label=f"Age of {code}",
                required=False,
                min_value=0,
                max_value=120,
                initial=participant.age_years,
            )
            self.fields[f"sex:{code}"] = forms.ChoiceField(
                label=f"Sex of {code}",
                required=False,
                choices=[("", "–"), *Participant.Sex.choices],
                initial=participant.sex,
            )
            self.fields[f"ethics_reference:{code}"] = forms.CharField(
                label=f"Ethics reference of {code}",
                required=False,
                max_length=100,
                initial=participant.ethics_reference,
            )
            self.fields[f"consented_on:{code}"] = forms.DateField(
                label=f"Date of consent of {code}",
                required=False,
                initial=participant.consented_on,
                widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
            )

    def rows(self) -> list[tuple[VolunteerLine, list[Any]]]:
        return [
            (line, [self[name] for name in self.fields if name.endswith(f":{line.code}")])
            for line in self.lines
        ]

    def entries(self) -> dict[str, Fields]:
        found: dict[str, Fields] = {}
        for name, value in self.cleaned_data.items():
            field, code = name.split(":", 1)
            found.setdefault(code, {})[field] = value
        return found


class ExperienceForm(forms.Form):
    """Years of experience, a field for every reader."""

    def __init__(self, lines: Sequence[ReaderLine], data: Any = None) -> None:
        super().__init__(data, label_suffix="")
        self.lines = list(lines)
        for line in self.lines:
            self.fields[f"years:{line.membership.pk}"] = forms.IntegerField(
                label=f"Years of experience of {line.membership.reader_code}",
                required=False,
                min_value=0,
                max_value=70,
                initial=line.years,
            )

    def rows(self) -> list[tuple[ReaderLine, Any]]:
        return [(line, self[f"years:{line.membership.pk}"]) for line in self.lines]

    def years(self) -> dict[int, int | None]:
        return {int(name.split(":")[1]): value for name, value in self.cleaned_data.items()}


class ParametersForm(forms.Form):
    """What the headers lack, a field for every acquired arm and parameter."""

    def __init__(
        self, arms: Sequence[Arm], entered: dict[tuple[int, str], float], data: Any = None
    ) -> None:
        super().__init__(data, label_suffix="")
        self.arms = [arm for arm in arms if not arm.is_derived]
        for arm in self.arms:
            for name, label in EnteredParameter.Name.choices:
                self.fields[f"{name}:{arm.code}"] = forms.FloatField(
                    label=f"{label} of {arm.name}",
                    required=False,
                    min_value=0.001,
                    max_value=100_000,
                    initial=entered.get((arm.pk, name)),
                )

    def rows(self) -> list[tuple[str, list[Any]]]:
        return [
            (label, [self[f"{name}:{arm.code}"] for arm in self.arms])
            for name, label in EnteredParameter.Name.choices
        ]

    def values(self) -> dict[tuple[str, str], float | None]:
        found: dict[tuple[str, str], float | None] = {}
        for field, value in self.cleaned_data.items():
            name, code = field.split(":", 1)
            found[code, name] = value
        return found


class WithdrawForm(forms.Form):
    reason = forms.CharField(
        max_length=REASON_LENGTH,
        label="Why, or at whose wish",
        help_text="Stands in the trail for good: write no name.",
    )
    confirmed = forms.BooleanField(
        label="Erase all images of this volunteer; this cannot be undone.",
        error_messages={"required": "Tick the box to erase the images."},
    )
