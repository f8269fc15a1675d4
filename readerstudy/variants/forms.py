"""What a coordinator types in for one more derived arm."""

from __future__ import annotations

from typing import Any, cast

from django import forms

from denoise_engine.coils import MOST_COILS
from readerstudy.studies.models import Arm, Study
from readerstudy.studies.wording import METHOD_NAMES

from .recipe import RecipeError, known_methods

STRENGTHS = [
    ("target_snr_gain", "SNR gain (a factor)"),
    ("blend", "Blend (a share)"),
    ("full", "Full"),
]
NOISES = [("level", "One level for all"), ("map", "A map over the image")]
GRIDS = [("auto", "As acquired"), ("off", "As the images are")]


class DerivedArmForm(forms.Form):
    """`unavailable` says why no arm can be added: the engine's list of methods is unreadable."""

    unavailable = ""

    name = forms.CharField(max_length=100, help_text="As tables name it, e.g. DLR-double-fast 2.0.")
    code = forms.CharField(max_length=30, help_text="Letters, digits, hyphen and underscore.")
    source = forms.ModelChoiceField(Arm.objects.none(), label="Made from", empty_label=None)
    method = forms.ChoiceField()
    strength = forms.ChoiceField(
        choices=STRENGTHS,
        help_text="By how much SNR in the body is raised, or the share of denoised image.",
    )
    value = forms.FloatField(
        required=False, initial=1.7, help_text="A gain of 1 or more, or a blend from 0 to 1."
    )
    noise = forms.ChoiceField(
        choices=NOISES, help_text="A map where noise varies: parallel imaging, surface coils."
    )
    native_grid = forms.ChoiceField(
        choices=GRIDS,
        label="Grid",
        help_text="Images that the scanner interpolated are best taken back first.",
    )
    bias_coils = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MOST_COILS,
        label="Bias correction: number of coils",
        help_text="Leave empty for none. 1 for Rician noise. It changes the local mean.",
    )
    compared_with = forms.ModelMultipleChoiceField(
        Arm.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Each adds a comparison to the analysis plan.",
    )

    def __init__(self, study: Study, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        arms = Arm.objects.filter(study=study)
        sources = cast(forms.ModelChoiceField, self.fields["source"])
        sources.queryset = arms.filter(kind=Arm.Kind.ACQUIRED)
        cast(forms.ModelChoiceField, self.fields["compared_with"]).queryset = arms
        methods = cast(forms.ChoiceField, self.fields["method"])
        try:
            known = known_methods()
        except RecipeError as error:  # without a method no choice is valid
            known, self.unavailable = (), str(error)
        methods.choices = [(name, METHOD_NAMES.get(name, name)) for name in known]

    def recipe(self) -> dict[str, Any]:
        """The recipe that was chosen; what stands at its default is left out."""
        said = self.cleaned_data
        strength: dict[str, Any] = {"kind": said["strength"]}
        if said["strength"] != "full":
            strength["value"] = said["value"]
        recipe: dict[str, Any] = {"method": said["method"], "strength": strength}
        if said["noise"] != "level":
            recipe["noise"] = said["noise"]
        if said["native_grid"] != "auto":
            recipe["native_grid"] = said["native_grid"]
        if said["bias_coils"]:
            recipe["bias_coils"] = said["bias_coils"]
        return recipe
