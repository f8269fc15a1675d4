"""What a coordinator types in for one more derived arm."""

from __future__ import annotations

from typing import Any, cast

from django import forms

from denoise_engine.coils import MOST_COILS
from denoise_engine.errors import EngineError
from denoise_engine.rawdata.undersampling import CENTRE
from readerstudy.studies.models import Arm, Study
from readerstudy.studies.wording import METHOD_NAMES, TRANSFER_MODELS

from .raw_recipe import BOUND_RANGE, raw_methods
from .recipe import RecipeError, known_methods
from .transfer_recipe import ACQUIRED, MOST_SAMPLES, SAMPLES, SIMULATED, transfer_choices
from .transfer_recipe import METHOD as TRANSFER

STRENGTHS = [
    ("target_snr_gain", "SNR gain (a factor)"),
    ("blend", "Blend (a share)"),
    ("full", "Full"),
]
NOISES = [("level", "One level for all"), ("map", "A map over the image")]
GRIDS = [("auto", "As acquired"), ("off", "As the images are")]
SAMPLINGS = [("regular", "Every n-th line"), ("random", "Random, denser in the centre")]
THICK_SLICES = [
    (ACQUIRED, "As they were scanned"),
    (SIMULATED, "Added up: a simulation"),
]
# The page's style tells them by these names.
OF_IMAGES, OF_RAW = "From images", "From raw data"
OF_THICK = "Another image quality"
# Of the networks for it.
THIN_FROM_THICK = "Thin slices from thick ones"
HIGHER_FIELD = "Look of a higher field, not scanned at 7 T"
NO_SLICES = (1,)
IMAGE_FIELDS = ("strength", "value", "noise", "native_grid", "bias_coils")
RAW_FIELDS = ("acceleration", "sampling", "centre", "bound")
TRANSFER_FIELDS = ("model", "factor", "thick", "samples")


class DerivedArmForm(forms.Form):
    """`unavailable` says why no arm can be added: the engine's list of methods is unreadable."""

    unavailable = ""

    name = forms.CharField(max_length=100, help_text="As tables name it, e.g. DLR-double-fast 2.0.")
    code = forms.CharField(max_length=30, help_text="Letters, digits, hyphen and underscore.")
    source = forms.ModelChoiceField(Arm.objects.none(), label="Made from", empty_label=None)
    method = forms.ChoiceField()
    strength = forms.ChoiceField(
        choices=STRENGTHS,
        required=False,
        help_text="By how much SNR in the body is raised, or the share of denoised image.",
    )
    value = forms.FloatField(
        required=False, initial=1.7, help_text="A gain of 1 or more, or a blend from 0 to 1."
    )
    noise = forms.ChoiceField(
        choices=NOISES,
        required=False,
        help_text="A map where noise varies: parallel imaging, surface coils.",
    )
    native_grid = forms.ChoiceField(
        choices=GRIDS,
        required=False,
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
    acceleration = forms.FloatField(
        required=False,
        min_value=1,
        max_value=16,
        label="Acceleration R",
        help_text="Lines of a full scan are left out. Leave empty for the scan as it was measured.",
    )
    sampling = forms.ChoiceField(
        choices=SAMPLINGS, required=False, help_text="Which lines are kept. R of random may be 1.8."
    )
    centre = forms.IntegerField(
        required=False,
        min_value=16,
        max_value=128,
        initial=24,
        label="Lines of the full centre",
        help_text="For the coils’ calibration.",
    )
    bound = forms.FloatField(
        required=False,
        min_value=BOUND_RANGE[0],
        max_value=BOUND_RANGE[1],
        label="λ of SENSE",
        help_text="Noise is never amplified by more. Empty: 5, or 50 for a full scan.",
    )
    model = forms.ChoiceField(
        required=False,
        label="Network",
        help_text="Each was trained on T1-weighted images of the head and on nothing else.",
    )
    factor = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=8,
        initial=4,
        help_text="Thin slices made of each thick one. Not asked of a network that makes none.",
    )
    thick = forms.ChoiceField(
        choices=THICK_SLICES,
        required=False,
        label="Thick slices",
        help_text="Scanned ones lie on a grid of their own; the result lies on the control’s. A "
        "simulation adds up the thin slices of the source. Not asked of a network that makes none.",
    )
    samples = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=MOST_SAMPLES,
        initial=SAMPLES,
        label="Runs for the warning map",
        help_text="Each takes as long as the images. 0: what the network says of itself alone. "
        "Where its card gives such runs no weight, 0 gives the same map.",
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
        raw = raw_methods() if known else ()
        methods.choices = [
            (label, [(name, METHOD_NAMES.get(name, name)) for name in names])
            for label, names in (
                (OF_IMAGES, [name for name in known if name not in raw and name != TRANSFER]),
                (OF_THICK, [name for name in known if name == TRANSFER]),
                (OF_RAW, list(raw)),
            )
            if names
        ]
        self._fill_models()

    def _fill_models(self) -> None:
        models = cast(forms.ChoiceField, self.fields["model"])
        try:
            known = transfer_choices()
        except EngineError as error:
            known, self.unavailable = {}, str(error)
        models.choices = [
            (
                label,
                [
                    (name, f"{TRANSFER_MODELS.get(name, name)}{_factors_in_words(factors)}")
                    for name, factors in known.items()
                    if (factors == NO_SLICES) is keeps
                ],
            )
            for label, keeps in ((THIN_FROM_THICK, False), (HIGHER_FIELD, True))
            if any((factors == NO_SLICES) is keeps for factors in known.values())
        ]
        self._keeping = {name for name, factors in known.items() if factors == NO_SLICES}

    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """Fields in the order of the page, under the class that says when they matter."""
        own = {*IMAGE_FIELDS, *RAW_FIELDS, *TRANSFER_FIELDS}
        names = [name for name in self.fields if name not in own]
        last = names.pop(names.index("compared_with"))
        return [
            ("for-all", [self[name] for name in names]),
            ("for-images", [self[name] for name in IMAGE_FIELDS]),
            ("for-transfer", [self[name] for name in TRANSFER_FIELDS]),
            ("for-raw", [self[name] for name in RAW_FIELDS]),
            ("for-all", [self[last]]),
        ]

    def recipe(self) -> dict[str, Any]:
        """The recipe that was chosen; what stands at its default is left out."""
        if self.cleaned_data["method"] in raw_methods():
            return self._raw_recipe()
        if self.cleaned_data["method"] == TRANSFER:
            return self._transfer_recipe()
        said = self.cleaned_data
        strength: dict[str, Any] = {"kind": said["strength"]}
        if said["strength"] != "full":
            strength["value"] = said["value"]
        recipe: dict[str, Any] = {"method": said["method"], "strength": strength}
        if said["noise"] not in ("", "level"):
            recipe["noise"] = said["noise"]
        if said["native_grid"] not in ("", "auto"):
            recipe["native_grid"] = said["native_grid"]
        if said["bias_coils"]:
            recipe["bias_coils"] = said["bias_coils"]
        return recipe

    def _transfer_recipe(self) -> dict[str, Any]:
        said = self.cleaned_data
        recipe: dict[str, Any] = {
            "method": TRANSFER,
            "model": said["model"],
            # A network that makes no slices is not asked how many.
            "factor": 1 if said["model"] in self._keeping else said["factor"],
        }
        if recipe["factor"] != 1:
            recipe["thick"] = said["thick"] or ACQUIRED
        if said["samples"] not in (None, SAMPLES):
            recipe["samples"] = said["samples"]
        return recipe

    def _raw_recipe(self) -> dict[str, Any]:
        said = self.cleaned_data
        recipe: dict[str, Any] = {"method": said["method"]}
        acceleration = said["acceleration"]
        if acceleration is not None and acceleration > 1:
            whole = float(acceleration).is_integer()
            recipe["acceleration"] = int(acceleration) if whole else acceleration
            if said["sampling"] == "random":
                recipe["sampling"] = "random"
            if said["centre"] not in (None, CENTRE):
                recipe["centre"] = said["centre"]
        if said["bound"] is not None and said["method"] == "sense":
            recipe["bound"] = said["bound"]
        return recipe


def _factors_in_words(factors: tuple[int, ...]) -> str:
    if factors == NO_SLICES:  # the group's label says so
        return ""
    if len(factors) > 2:
        return f" (factor {factors[0]} to {factors[-1]})"
    return f" (factor {' or '.join(str(factor) for factor in factors)})"
