"""The protocol's choices in the words that pages and documents use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .models import Arm, Plan

NOISE_ESTIMATES: Mapping[str, str] = {
    "air_sd": "SD of the background air",
    "rayleigh": "SD of the background air, Rayleigh correction (one channel)",
    "noncentral_chi": "SD of the background air, non-central χ correction (array coil)",
    "difference": "SD of the difference of two acquisitions, divided by √2",
    "tissue_sd": "SD within the tissue itself",
}
READER_SUMMARIES: Mapping[str, str] = {
    "median": "Median of the readers",
    "mean": "Mean of the readers",
    "each": "Each reader alone",
}
METHODS: Mapping[str, str] = {
    "exact": "Two-sided Wilcoxon signed-rank test, exact, conditional on ties",
    "asymptotic": "Two-sided Wilcoxon signed-rank test, normal approximation",
}
ZERO_RULES: Mapping[str, str] = {"drop": "Dropped", "pratt": "Kept in the ranking (Pratt)"}
FAMILIES: Mapping[str, str] = {
    "row": "The comparisons of one table row (Benjamini–Hochberg)",
    "column": "One comparison over the rows of its metric (Benjamini–Hochberg)",
    "stage": "All SNR and CNR tests; all score tests (Benjamini–Hochberg)",
    "all": "All tests of the study (Benjamini–Hochberg)",
}
METHOD_NAMES: Mapping[str, str] = {
    "ddlr": "dDLR",
    "ddlr-cs": "dDLR for compressed sensing",
    "nlm": "Non-local means",
    "wavelet": "Wavelet shrinkage",
    "sense": "SENSE",
    "cs": "Compressed sensing",
    "unrolled": "Unrolled network",
    "zero-filled": "Zero filling",
    "transfer": "Image quality transfer",
}
TRANSFER_MODELS: Mapping[str, str] = {
    "sr-unet": "SR-U-net",
    "anisotropic-unet": "Anisotropic U-net",
    "7t-like-gan": "7T-like, adversarial",
    "7t-like-plain": "7T-like, plain",
    "cubic": "cubic interpolation",
}
# As a report says of a reading with warning maps.
WARNING_MAPS: Mapping[str, str] = {
    "alike": "one map of all image sets together, the same over every image of a volunteer",
    "open": "each image's own, by which what made it could be told",
}
THICK_SLICES: Mapping[str, str] = {
    "acquired": "acquired thick slices",
    "simulated": "thick slices added up from thin ones (simulation)",
}


def plan_lines(plan: Plan) -> list[tuple[str, str]]:
    """The plan as label and text. A choice that has no wording yet shows its own name."""

    def say(words: Mapping[str, str], choice: str) -> str:
        return words.get(choice, choice)

    return [
        ("Noise estimate", say(NOISE_ESTIMATES, plan.noise_estimate)),
        ("Score of a case", say(READER_SUMMARIES, plan.reader_summary)),
        ("Test", say(METHODS, plan.method)),
        ("Zero differences", say(ZERO_RULES, plan.zeros)),
        ("Family of tests", say(FAMILIES, plan.family)),
        ("Significant", f"q ≤ {f'{plan.alpha:g}'.removeprefix('0')}"),
        ("Rounding", f"Differences to {plan.decimals} decimals before ranking"),
    ]


def recipe_in_words(arm: Arm) -> str:
    """How a derived arm is made, e.g. "dDLR of double-fast, SNR gain 1.7"."""
    if arm.source is None:
        return ""
    method = str(arm.recipe.get("method", ""))
    model = str(arm.recipe.get("model", ""))
    if method == "transfer":
        return _transfer_in_words(arm.recipe, arm.source.name)
    words = f"{METHOD_NAMES.get(method, method)} of {arm.source.name}"
    if model and model != method:
        words += f", model {model}"
    strength = _strength_in_words(arm.recipe.get("strength"))
    steps = [*_steps_in_words(arm.recipe), *_sampling_in_words(arm.recipe)]
    return ", ".join([words, *([strength] if strength else []), *steps])


def source_in_words(arm: Arm) -> str:
    """What a derived arm is made from, e.g. "double-fast" or "thin slices, added up to thick ones".

    Empty of an acquired arm.
    """
    if arm.source is None:
        return ""
    is_transfer = arm.recipe.get("method") == "transfer" and arm.recipe.get("factor") != 1
    if is_transfer and arm.recipe.get("thick") == "simulated":
        return f"{arm.source.name}, added up to thick ones"
    return str(arm.source.name)


def _transfer_in_words(recipe: Mapping[str, Any], source: str) -> str:
    """E.g. "Image quality transfer of thick-slice, SR-U-net, factor 4, acquired thick slices"; with
    factor 1 "…, 7T-like, adversarial: look of a higher field, not scanned at 7 T"."""
    model = str(recipe.get("model", ""))
    words = [f"{METHOD_NAMES['transfer']} of {source}", TRANSFER_MODELS.get(model, model)]
    if recipe.get("factor") == 1:
        return f"{', '.join(words)}: look of a higher field, not scanned at 7 T"
    thick = str(recipe.get("thick", "acquired"))
    words += [f"factor {recipe.get('factor')}", THICK_SLICES.get(thick, thick)]
    return ", ".join(words)


def _sampling_in_words(recipe: Mapping[str, Any]) -> list[str]:
    """What a recipe for raw data asks for: R = 4, λ = 5 and so on."""
    steps = []
    acceleration = recipe.get("acceleration")
    if isinstance(acceleration, (int, float)) and acceleration > 1:
        across = recipe.get("second", 1)
        factor = f"{acceleration:g}" + (f" × {across}" if across != 1 else "")
        steps.append(f"R = {factor}{' (random)' if recipe.get('sampling') == 'random' else ''}")
    for key, sign in (("bound", "λ"), ("penalty", "wavelet weight")):
        if recipe.get(key) is not None:
            steps.append(f"{sign} = {recipe[key]:g}")
    return steps


def _steps_in_words(recipe: Mapping[str, Any]) -> list[str]:
    """What a recipe asks for beside method and strength."""
    steps = []
    if recipe.get("noise") == "map":
        steps.append("noise as a map")
    coils = recipe.get("bias_coils")
    if coils:
        steps.append(f"bias corrected ({'Rician' if coils == 1 else f'{coils} coils'})")
    if recipe.get("native_grid") == "off":
        steps.append("not taken to the acquired grid")
    return steps


def _strength_in_words(strength: Any) -> str:
    if not isinstance(strength, dict):
        return ""
    kind, value = strength.get("kind"), strength.get("value")
    if kind == "target_snr_gain":
        return f"SNR gain {value}"
    if kind == "full":
        return "full strength"
    words = str(kind or "").replace("_", " ")
    return f"{words} {value}" if value is not None else words
