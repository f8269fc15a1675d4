"""How the results were made, in words, and what a reader of masked ones must know."""

from __future__ import annotations

import pandas as pd

from analysis import AnalysisPlan
from analysis.tables import fixed

SUMMARIES = {
    "median": "the median of the readers",
    "mean": "the mean of the readers",
    "each": "each reader alone",
}
FAMILIES = {
    "row": "the comparisons of each table row",
    "column": "the rows of each comparison, metric by metric",
    "stage": "all quantitative and, apart, all qualitative tests",
    "all": "all tests of the study",
}
ZEROS = {"drop": "zeros dropped", "pratt": "zeros after Pratt"}
NOISE = {
    "air_sd": "the SD of the background air (divisor n − 1)",
    "rayleigh": "the SD of the background air / 0.655 (Rayleigh, one channel)",
    "difference": "the SD of the difference of two acquisitions / √2",
    "tissue_sd": "the SD within the tissue itself",
}
MASKED = (
    "Letters stand for the arms, drawn at random for this study; their order tells nothing. In "
    "each comparison the earlier letter comes first, so the sign of a difference follows the "
    "letters. Warnings that concern single arms (how they were processed, what their air shows) "
    "are held back until unblinding. Non-inferiority is decided both ways round, since the order "
    "of the letters is not the plan's; ordinal regression takes the first letter as its "
    "reference, not the control. Letters hide names, not data: whoever knows the design may "
    "suspect an arm from its numbers, and the planned pairs can tell an arm for certain (one that "
    "stands in more pairs than any other, say): a result is not blinded by letters alone."
)


def alpha_text(alpha: float) -> str:
    return f"{alpha:g}".removeprefix("0")


def noise_text(estimate: str) -> str:
    if estimate in NOISE:
        return NOISE[estimate]
    return f"the SD of the background air, corrected by {estimate}"


BOLD = "Bold: q at or below α."


def method_text(plan: AnalysisPlan, tests: pd.DataFrame) -> str:
    """Test, family, alpha and numbers of pairs, as a legend says them."""
    exact = plan.method == "exact"
    zeros = ZEROS[plan.zeros]
    method = f"exact, conditional on ties, {zeros}" if exact else f"asymptotic, {zeros}"
    return (
        f"two-sided Wilcoxon signed-rank test ({method}; differences rounded to {plan.decimals} "
        f"decimals), Benjamini–Hochberg over {FAMILIES[plan.family]} (m = {_span(tests['m'])}), "
        f"α = {alpha_text(plan.alpha)}; {_span(tests['n'])} pairs a comparison."
    )


def _span(values: pd.Series) -> str:
    """ "10", or "8 to 10" where it varies."""
    if values.empty:
        return "0"
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low} to {high}"


def ratio_legend(plan: AnalysisPlan, n: int, reference: str) -> str:
    cnr = f", CNR = (mean of tissue − mean of {reference.lower()}) / noise" if reference else ""
    return (
        f"Mean ± SD (divisor n − 1) over {n} volunteers. SNR = mean of tissue / noise{cnr}; "
        f"noise: {noise_text(plan.noise_estimate)}."
    )


def score_legend(plan: AnalysisPlan, n: int, readers: int, *, relative: bool = True) -> str:
    scale = ""
    if plan.score_range:
        low, high = (fixed(limit, 0) for limit in plan.score_range)
        scale = f" Scale {low} to {high}{', relative to the control' if relative else ''}."
    of = f" ({readers} readers)" if plan.reader_summary != "each" else ""
    summary = SUMMARIES[plan.reader_summary]
    return f"Mean ± SD (divisor n − 1) over {n} volunteers of {summary}{of}.{scale}"


def plan_lines(plan: AnalysisPlan) -> list[tuple[str, str]]:
    """The plan for people, without naming an arm."""
    return [
        ("Scores", SUMMARIES[plan.reader_summary]),
        ("Noise", noise_text(plan.noise_estimate)),
        ("Test", f"Wilcoxon signed-rank, two-sided, {plan.method}, {ZEROS[plan.zeros]}"),
        ("Family", f"Benjamini–Hochberg over {FAMILIES[plan.family]}"),
        ("α", alpha_text(plan.alpha)),
    ]
