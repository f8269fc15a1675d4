"""The analysis plan in the words of its form, of its signed versions and of their comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from readerstudy.studies.models import PlanVersion, Study
from readerstudy.studies.protocol import protocol_of

Choices = tuple[tuple[str, str], ...]

NOISE: Choices = (
    ("air_sd", "SD of the background air"),
    ("rayleigh", "SD of the background air, Rayleigh correction (one channel)"),
    ("noncentral_chi", "SD of the background air, non-central χ correction (array coil)"),
    ("difference", "SD of the difference of two acquisitions, divided by √2"),
    ("tissue_sd", "SD within the tissue itself"),
)
BESIDE: Choices = (
    ("difference", "Difference of two acquisitions"),
    ("tissue_sd", "SD within the tissue"),
    ("contrast_ratio", "Contrast ratio (tissue − reference) / reference"),
    ("contrast_difference", "Contrast difference, tissue − reference"),
    ("air_sd", "SD of the air"),
    ("rayleigh", "Air, Rayleigh correction"),
)
SUMMARIES: Choices = (
    ("median", "Median of the readers"),
    ("mean", "Mean of the readers"),
    ("each", "Each reader alone"),
)
METHODS: Choices = (
    ("exact", "Exact, conditional on ties"),
    ("asymptotic", "Normal approximation"),
)
ZEROS: Choices = (("drop", "Dropped"), ("pratt", "Kept in the ranking (Pratt)"))
FAMILIES: Choices = (
    ("row", "The comparisons of one table row"),
    ("column", "One comparison over the rows of its metric"),
    ("stage", "All SNR and CNR tests; apart, all score tests"),
    ("all", "All tests of the study"),
)
MISSING: Choices = (
    ("available", "Summarise over the readers who scored"),
    ("complete", "Only where every reader scored"),
)
AGREEMENT: Choices = (
    ("percent_agreement", "Percent agreement"),
    ("krippendorff_alpha", "Krippendorff’s alpha, ordinal"),
    ("gwet_ac", "Gwet’s AC2, quadratic weights"),
    ("cohen_kappa", "Cohen’s kappa, quadratic weights, each pair of readers"),
    ("fleiss_kappa", "Fleiss’ kappa"),
    ("kendall_w", "Kendall’s W"),
    ("icc", "Intraclass correlation, ICC(2,1)"),
    ("repeatability", "Each reader’s repeatability on hidden repeats"),
)
SENSITIVITY: Choices = (
    ("vgc", "Visual grading characteristics (area under the curve)"),
    ("ordinal_regression", "Ordinal regression"),
    ("ordinal_gee", "Ordinal regression over volunteers (GEE)"),
    ("friedman", "Friedman’s test over all arms"),
)
CHOICE_SUMMARIES: Choices = (
    ("majority", "Majority of the readers"),
    ("each", "Each reader alone"),
)
# Entry of the document: label, wording of its choices.
LABELS: Mapping[str, tuple[str, Choices]] = {
    "arms": ("Arms", ()),
    "control": ("Control", ()),
    "comparisons": ("Comparisons", ()),
    "criteria": ("Criteria", ()),
    "choice_criteria": ("Questions of the forced choice", ()),
    "ranking_criteria": ("Criteria of the ranking", ()),
    "tissues": ("Regions", ()),
    "air": ("Region of the noise", ()),
    "reference_tissue": ("Reference tissue of CNR", ()),
    "noise_estimate": ("Noise estimate", NOISE),
    "beside": ("Shown beside, without a test", BESIDE),
    "dlr_arms": ("Arms that are processed", ()),
    "score_range": ("Scale", ()),
    "reader_summary": ("Score of a case", SUMMARIES),
    "choice_summary": ("Choice of a case", CHOICE_SUMMARIES),
    "missing": ("Missing scores", MISSING),
    "method": ("Wilcoxon signed-rank test, two-sided", METHODS),
    "zeros": ("Differences of zero", ZEROS),
    "decimals": ("Decimals of a difference before ranking", ()),
    "family": ("Family of Benjamini–Hochberg", FAMILIES),
    "alpha": ("Significant at q up to", ()),
    "margin": ("Non-inferiority margin, score points", ()),
    "agreement": ("Agreement between readers", AGREEMENT),
    "sensitivity": ("Sensitivity analyses", SENSITIVITY),
}
# What a document leaves out stands at its default; see `AnalysisPlan`.
_DEFAULTS: Mapping[str, Any] = {
    "margin": None,
    "sensitivity": [],
    "beside": ["difference", "tissue_sd", "contrast_ratio", "contrast_difference"],
    "choice_criteria": [],
    "choice_summary": "majority",
    "ranking_criteria": [],
}
MEANINGS: Choices = (
    ("author", "I wrote this plan and answer for it."),
    ("approval", "I have reviewed this plan and approve it."),
)
_MOMENTS: Mapping[str, str] = {
    Study.State.DRAFT: "before the launch",
    Study.State.READING: "while the study was being read",
    Study.State.LOCKED: "after the lock, before unblinding",
    Study.State.UNBLINDED: "after unblinding: post hoc",
}


@dataclass(frozen=True)
class Line:
    name: str
    label: str
    text: str


@dataclass(frozen=True)
class Change:
    label: str
    before: str
    after: str


def moment_of(version: PlanVersion) -> str:
    """When in the study's life a version was signed."""
    return _MOMENTS.get(version.study_state, version.study_state)


def names_in(study: Study) -> dict[str, str]:
    """Arms, criteria and regions by code."""
    protocol = study.protocol or protocol_of(study)
    rows = [*protocol["arms"], *protocol["criteria"], *protocol["tissues"]]
    return {row["code"]: row["name"] for row in rows}


def lines_of(document: Mapping[str, Any], names: Mapping[str, str]) -> list[Line]:
    """Every entry of a plan, in words; those that this study has no use for are left out."""
    asks = bool(document.get("choice_criteria"))
    lines = []
    for name, (label, _) in LABELS.items():
        if name == "choice_summary" and not asks:
            continue
        text = _said(name, _value(document, name), names)
        if text:
            lines.append(Line(name, label, text))
    return lines


def changes_between(
    before: Mapping[str, Any], after: Mapping[str, Any], names: Mapping[str, str]
) -> list[Change]:
    """What differs between two plans, entry by entry."""
    return [
        Change(label, _said(name, old, names) or "–", _said(name, new, names) or "–")
        for name, (label, _) in LABELS.items()
        if (old := _value(before, name)) != (new := _value(after, name))
    ]


def _value(document: Mapping[str, Any], name: str) -> Any:
    return document.get(name, _DEFAULTS.get(name))


def _said(name: str, value: Any, names: Mapping[str, str]) -> str:
    words = dict(LABELS[name][1])
    if value is None or value == "" or value == []:
        return ""
    if name == "comparisons":
        pairs = [f"{names.get(a, a)} v {names.get(b, b)}" for a, b in value]
        return "; ".join(pairs)
    if name == "score_range":
        return f"{value[0]:g} to {value[1]:g}"
    if name == "noise_estimate" and str(value).startswith("noncentral_chi("):
        channels = str(value).removeprefix("noncentral_chi(").rstrip(")")
        return f"{words['noncentral_chi']}, {channels} channels"
    if isinstance(value, list):
        return "; ".join(words.get(code) or names.get(code, str(code)) for code in value)
    if isinstance(value, float):
        return f"{value:g}"
    return words.get(str(value)) or names.get(str(value), str(value))


def listed(names: Sequence[str]) -> str:
    return ", ".join(names)
