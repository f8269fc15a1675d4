"""The analysis plan as a form: every choice that is not the design's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from analysis.noise import MOST_CHANNELS
from readerstudy.accounts.confirming import SignedForm
from readerstudy.studies.models import Study

from . import plan_wording as words
from .plan_services import MOST_BYTES, REASON_LENGTH

_RATIOS = ("noise_estimate", "channels", "beside")
# Which settings a mode of reading has no use for; they stay as they are.
_SCORES = ("reader_summary", "missing", "margin", "agreement", "sensitivity")
_UNUSED: Mapping[str, tuple[str, ...]] = {
    Study.ReadingMode.RELATIVE: ("choice_summary",),
    Study.ReadingMode.ABSOLUTE: ("choice_summary",),
    Study.ReadingMode.CHOICE: _SCORES,
    Study.ReadingMode.RANKING: ("choice_summary", "missing", "margin", "agreement", "sensitivity"),
}
GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Scores", ("reader_summary", "choice_summary", "missing")),
    ("Test", ("method", "zeros", "decimals", "family", "alpha")),
    ("Non-inferiority", ("margin",)),
    ("Agreement between readers", ("agreement",)),
    ("Sensitivity analyses", ("sensitivity",)),
    ("SNR and CNR", ("noise_estimate", "channels", "beside")),
)


class PlanForm(forms.Form):
    """`revision` is that of the plan which the page was made from."""

    revision = forms.IntegerField(widget=forms.HiddenInput, min_value=0)
    reader_summary = forms.ChoiceField(label="Score of a case", choices=words.SUMMARIES)
    choice_summary = forms.ChoiceField(label="Choice of a case", choices=words.CHOICE_SUMMARIES)
    missing = forms.ChoiceField(label="Missing scores", choices=words.MISSING)
    method = forms.ChoiceField(
        label="Wilcoxon signed-rank test, two-sided",
        choices=words.METHODS,
        help_text="Exact is right at every size; the approximation is for comparison with older "
        "software.",
    )
    zeros = forms.ChoiceField(label="Differences of zero", choices=words.ZEROS)
    decimals = forms.IntegerField(
        label="Decimals of a difference before ranking",
        min_value=0,
        max_value=12,
        help_text="Rounding errors of computed ratios must not break ties.",
    )
    family = forms.ChoiceField(
        label="Family of Benjamini–Hochberg",
        choices=words.FAMILIES,
        help_text="The tests over which q is taken.",
    )
    alpha = forms.FloatField(
        label="Significant at q up to",
        min_value=0.0001,
        max_value=0.5,
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    margin = forms.FloatField(
        label="Margin, score points",
        required=False,
        widget=forms.NumberInput(attrs={"step": "any"}),
        help_text="Empty: no test of non-inferiority. A difference that is not significant shows "
        "no equivalence; only a margin that was fixed beforehand can.",
    )
    agreement = forms.MultipleChoiceField(
        label="Statistics, each with an interval",
        choices=words.AGREEMENT,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    sensitivity = forms.MultipleChoiceField(
        label="Beside the planned test",
        choices=words.SENSITIVITY,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    noise_estimate = forms.ChoiceField(
        label="Noise estimate",
        choices=words.NOISE,
        help_text="A denoiser quietens the air and so raises every ratio that divides by its SD: "
        "plan an estimate beside it that does not.",
    )
    channels = forms.IntegerField(
        label="Channels of the array coil",
        required=False,
        min_value=1,
        max_value=MOST_CHANNELS,
        help_text="For the non-central χ correction alone.",
    )
    beside = forms.MultipleChoiceField(
        label="Shown beside, without a test",
        choices=words.BESIDE,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(
        self, study: Study, settings: Mapping[str, Any], revision: int, data: Any = None
    ) -> None:
        super().__init__(
            data, label_suffix="", initial={**_initial(settings), "revision": revision}
        )
        self.standing = dict(settings)
        for name in _UNUSED.get(study.reading_mode, ()):
            del self.fields[name]
        beside: Any = self.fields["beside"]
        known = dict(beside.choices)
        beside.choices = [
            *beside.choices,
            *((name, name) for name in settings["beside"] if name not in known),
        ]

    def clean(self) -> dict[str, Any] | None:
        said = self.cleaned_data
        lacks = said.get("channels") is None and "channels" not in self.errors
        if said.get("noise_estimate") == "noncentral_chi" and lacks:
            self.add_error("channels", "The non-central χ correction needs their number.")
        return self.cleaned_data

    def settings(self) -> dict[str, Any]:
        """What a valid form says; what the study has no use for stays as it was."""
        said = {n: v for n, v in self.cleaned_data.items() if n not in {"revision", "channels"}}
        if said["noise_estimate"] == "noncentral_chi":
            said["noise_estimate"] = f"noncentral_chi({self.cleaned_data['channels']})"
        return {**self.standing, **said}

    def add_faults(self, faults: Mapping[str, str]) -> None:
        """Those of `analysis`, each at its field."""
        for name, fault in faults.items():
            at = "channels" if name == "noise_estimate" and "noncentral" in fault else name
            self.add_error(at if at in self.fields else None, fault)

    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The fields under their headings, those that this study has."""
        found = [(title, [self[n] for n in names if n in self.fields]) for title, names in GROUPS]
        return [(title, fields) for title, fields in found if fields]


def _initial(settings: Mapping[str, Any]) -> dict[str, Any]:
    initial = dict(settings)
    found = re.fullmatch(r"noncentral_chi\((\d+)\)", str(settings["noise_estimate"]))
    if found:
        initial |= {"noise_estimate": "noncentral_chi", "channels": int(found[1])}
    return initial


class PlanFileForm(forms.Form):
    file = forms.FileField(
        label="Plan (JSON)",
        widget=forms.ClearableFileInput(attrs={"accept": ".json,application/json"}),
        error_messages={"required": "Choose a file first."},
    )

    def content(self) -> bytes:
        file: UploadedFile = self.cleaned_data["file"]
        return file.read(MOST_BYTES + 1)


class SignPlanForm(SignedForm):
    """`sha256` is the hash of the plan that the page shows."""

    sha256 = forms.CharField(widget=forms.HiddenInput, max_length=64)
    meaning = forms.ChoiceField(
        label="What your signature means", choices=words.MEANINGS, widget=forms.RadioSelect
    )
    reason = forms.CharField(
        label="Reason of the amendment",
        required=False,
        max_length=REASON_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    field_order = ["sha256", "meaning", "reason", "password"]

    def __init__(self, is_amendment: bool, sha256: str, data: Any = None) -> None:
        super().__init__(data, label_suffix="", initial={"sha256": sha256, "meaning": "author"})
        if not is_amendment:
            del self.fields["reason"]
        else:
            self.fields["reason"].required = True
            self.fields["reason"].error_messages["required"] = (
                "Give the reason: every reader of the results will see it."
            )
