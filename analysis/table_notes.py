"""What stands below a publication table: how its numbers were made, and what is wrong with them."""

from collections.abc import Mapping

import pandas as pd

from analysis.noise import noise_estimate
from analysis.plan import AGREEMENT_STATISTICS, CONTRASTS, SENSITIVITY_ANALYSES, AnalysisPlan
from analysis.ratios import PlanWarning
from analysis.run import Results
from analysis.tables import comparison_label, label_of

_NOISE = {
    "air_sd": "SD of air",
    "rayleigh": "SD of air / 0.655 (Rayleigh)",
    "noncentral_chi": "SD of air, corrected for a sum of squares over {channels} channels",
    "difference": "SD of the difference of two acquisitions / √2",
    "tissue_sd": "SD in the same tissue",
}
# Where it is taken from: the SD of the air, of a difference …
_SHORT_NOISE = {
    "air_sd": "air",
    "rayleigh": "air, Rayleigh",
    "noncentral_chi": "air, {channels} channels",
    "difference": "two acquisitions",
    "tissue_sd": "same tissue",
}
_FAMILY = {
    "row": "each table row",
    "column": "each column",
    "stage": "all tests of this table",
    "all": "all tests of the study",
}
_CHOICE_FAMILY = {
    "row": "the comparisons of each question",
    "column": "the questions of each comparison",
    "stage": "all tests of this table",
    "all": "all tests of the study",
}
# Warnings that begin so belong to agreement and to the analyses beside the tests.
_BESIDE = (*AGREEMENT_STATISTICS, *SENSITIVITY_ANALYSES, "non-inferiority")


def method_note(plan: AnalysisPlan, tests: pd.DataFrame) -> str:
    """The test, its zero rule, its family with its size, and the pairs that it rests on.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),))
    >>> method_note(plan, pd.DataFrame({"m": [4, 4], "n": [10, 9]}))[-67:]
    'able row (m = 4), α = .05; 9 to 10 pairs a comparison. Bold: q ≤ α.'
    """
    method = "exact" if plan.method == "exact" else "asymptotic"
    zeros = "zero differences dropped" if plan.zeros == "drop" else "zero differences after Pratt"
    alpha = f"{plan.alpha:g}".removeprefix("0")
    return (
        f"q: two-sided Wilcoxon signed-rank test ({method}, {zeros}), Benjamini–Hochberg over "
        f"{_FAMILY[plan.family]} (m = {_span(tests['m'])}), α = {alpha}; {_span(tests['n'])} pairs "
        "a comparison. Bold: q ≤ α."
    )


def _span(counts: pd.Series) -> str:
    """ "10", or "8 to 10" where it varies."""
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"


def agreement_note(results: Results) -> str:
    """Over how many images and readers Table 4 is, and how its intervals are made.

    Examples
    --------
    >>> from analysis.example import example_study
    >>> from analysis.run import run_plan
    >>> study = example_study()
    >>> agreement_note(run_plan(study.scores, study.regions, study.plan))[-57:]
    'Estimates with intervals: no test, so no family and no α.'
    """
    found = results.agreement
    known = found[found["low"].notna()]
    # A case is a volunteer here.
    methods = known["method"].astype(str).str.replace(" cases", " volunteers")
    made = "; ".join(dict.fromkeys(methods))
    level = 100 * float(known["level"].iloc[0]) if len(known) else 95.0
    by = f" by {made}" if made else ""
    return (
        f"Estimate ({level:g} % confidence interval{by}) over n = {_span(found['n'])} images and "
        f"{_span(found['readers'])} readers. Estimates with intervals: no test, so no family and "
        "no α."
    )


def ratio_notes(results: Results, labels: Mapping[str, str] | None) -> tuple[str, ...]:
    """What Table 2 needs below: formulas, noise, test, and the warnings that concern it.

    Examples
    --------
    >>> from analysis.example import example_study
    >>> from analysis.run import run_plan
    >>> study = example_study()
    >>> results = run_plan(study.scores, study.regions, study.plan)
    >>> ratio_notes(results, None)[0][:25]
    'Mean ± SD of 12 volunteer'
    """
    plan = results.plan
    estimate = noise_estimate(plan.noise_estimate)
    noise = _NOISE[estimate.kind].format(channels=estimate.channels)
    start = f"Mean ± SD of {volunteers(results.derived)}. SNR = mean of the tissue / noise; noise: "
    start += f"{noise} ({estimate.name}). "
    if plan.reference_tissue:
        reference = label_of(plan.reference_tissue, labels).lower()
        start += f"CNR = (mean of the tissue − mean of {reference}) / noise. "
    concerned = [w for w in results.warnings if w.metric in ("SNR", "CNR", "")]
    tests = results.tests[results.tests["metric"].isin(["SNR", "CNR"])]
    return start + method_note(plan, tests), *unique(concerned, plan, labels)


def noise_name(estimate: str) -> str:
    """A noise estimate in a few words.

    Examples
    --------
    >>> noise_name("noncentral_chi(8)")
    'air, 8 channels'
    """
    found = noise_estimate(estimate)
    return _SHORT_NOISE[found.kind].format(channels=found.channels)


def beside_notes(results: Results, labels: Mapping[str, str] | None) -> tuple[str, ...]:
    """What the table of other estimates needs below: that nothing in it is tested, and why.

    Examples
    --------
    >>> from analysis.example import example_study
    >>> from analysis.run import run_plan
    >>> study = example_study()
    >>> results = run_plan(study.scores, study.regions, study.plan)
    >>> beside_notes(results, None)[0][28:57]
    'Descriptive: outside the plan'
    """
    plan = results.plan
    estimate = noise_estimate(plan.noise_estimate)
    reference = label_of(plan.reference_tissue, labels).lower() or "the reference tissue"
    notes = [
        f"Mean ± SD of {volunteers(results.derived)}. Descriptive: outside the plan's families, "
        "without tests. Gain: geometric mean over the volunteers of second / first. Contrast "
        f"ratio = (mean of the tissue − mean of {reference}) / mean of {reference}; contrast "
        f"difference = mean of the tissue − mean of {reference}, in image units, which compares "
        "only arms of one intensity scale."
    ]
    if estimate.from_air and plan.dlr_arms:
        notes.append(
            "A denoiser that only quiets the background raises the ratios over air and leaves the "
            "others as they are. SD in the same tissue also holds its texture, which smoothing "
            "removes."
        )
    shown = {*results.beside["noise_estimate"], plan.noise_estimate}
    lacking = [name for name in plan.beside if name not in CONTRASTS and name not in shown]
    if lacking:
        names = "; ".join(map(noise_name, lacking))
        notes.append(f"Not shown, because it was not measured: noise of {names}.")
    return tuple(notes)


def volunteers(frame: pd.DataFrame) -> str:
    """ "12 volunteers", as many as the frame holds.

    Examples
    --------
    >>> volunteers(pd.DataFrame({"volunteer": ["V1", "V1"]}))
    '1 volunteer'
    """
    count = int(frame["volunteer"].nunique())
    return "1 volunteer" if count == 1 else f"{count} volunteers"


def choice_note(plan: AnalysisPlan) -> str:
    """How the forced choices were summarised and tested.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),))
    >>> choice_note(plan)[:23]
    'One choice a volunteer:'
    """
    summary = "One choice a volunteer: the majority of the readers who chose"
    if plan.choice_summary == "each":
        summary = "Each reader alone"
    alpha = f"{plan.alpha:g}".removeprefix("0")
    return (
        f"{summary}. p: two-sided exact binomial test against one half; interval: Clopper–Pearson; "
        f"q: Benjamini–Hochberg over {_CHOICE_FAMILY[plan.family]}. Bold: q ≤ {alpha}."
    )


ABILITY_NOTE = (
    "Bradley–Terry model over every reader's choice: odds that an arm is preferred to the "
    "reference. Intervals and p are Wald's, with errors over whole volunteers."
)
RANKING_NOTE = (
    "Mean rank (interval); 1 is the best. Ranks of a volunteer are those of the readers' summary. "
    "Friedman's test over all arms; q: signed-rank tests of every pair of arms, Benjamini–Hochberg "
    "over all pairs of the row. Bold: significant q."
)


def beside_warnings(
    results: Results, metric: str, beginning: str, labels: Mapping[str, str] | None
) -> list[str]:
    """The warnings of one metric that begin with some words, each text once.

    Examples
    --------
    >>> from analysis.example import example_study
    >>> from analysis.run import run_plan
    >>> study = example_study()
    >>> results = run_plan(study.scores, study.regions, study.plan)
    >>> beside_warnings(results, "score", "Only 3", None)[0][:41]
    'artifact, FAST v DLR: Only 3 of 12 pairs '
    """
    found = [w for w in results.warnings if w.metric == metric and w.text.startswith(beginning)]
    return unique(found, results.plan, labels)


def score_notes(results: Results, labels: Mapping[str, str] | None) -> tuple[str, ...]:
    """What Table 3 needs below: summary, test, and the warnings that concern it.

    Examples
    --------
    >>> from analysis.example import example_study
    >>> from analysis.run import run_plan
    >>> study = example_study()
    >>> results = run_plan(study.scores, study.regions, study.plan)
    >>> score_notes(results, None)[0][28:55]
    'One score a volunteer: the '
    """
    plan = results.plan
    summary = {
        "median": "One score a volunteer: the median of the readers",
        "mean": "One score a volunteer: the mean of the readers",
        "each": "Each reader alone",
    }[plan.reader_summary]
    scored = [w for w in results.warnings if w.metric == "score" and not w.text.startswith(_BESIDE)]
    warnings = [w for w in scored if "smallest p" in w.text]
    pairs = {f"{a} v {b}": comparison_label((a, b), labels) for a, b in plan.comparisons}
    few: dict[str, list[str]] = {}
    for warning in warnings:
        few.setdefault(label_of(warning.row, labels), []).append(pairs[warning.comparison])
    tests = results.tests[results.tests["metric"] == "score"]
    notes = [
        f"Mean ± SD of {volunteers(results.summaries)}. {summary}. {method_note(plan, tests)}",
    ]
    if few:
        listed = "; ".join(f"{row}: {', '.join(pairs)}" for row, pairs in few.items())
        notes.append(
            "Fewer than six volunteers differ, so that the exact test could not reach .05 whatever "
            f"the data: {listed}."
        )
    others = [warning for warning in scored if warning not in warnings]
    return *notes, *unique(others, plan, labels)


def unique(
    warnings: list[PlanWarning], plan: AnalysisPlan, labels: Mapping[str, str] | None
) -> list[str]:
    """Each text once, behind the places that it concerns.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),))
    >>> twice = [PlanWarning("SNR", row, "", "A v B", "Noise.") for row in ("fat", "disc")]
    >>> unique(twice, plan, {"fat": "Fat"})
    ['Fat, A v B; disc, A v B: Noise.']
    """
    pairs = {f"{a} v {b}": comparison_label((a, b), labels) for a, b in plan.comparisons}
    places: dict[str, list[str]] = {}
    for warning in warnings:
        where = [label_of(place, labels) for place in (warning.row, warning.arm) if place]
        if warning.comparison:
            where.append(pairs.get(warning.comparison, warning.comparison))
        places.setdefault(warning.text, []).append(", ".join(where))
    return [
        f"{'; '.join(filter(None, where))}: {text}" if any(where) else text
        for text, where in places.items()
    ]


def margin_note(plan: AnalysisPlan, both_directions: bool = False) -> str:
    """How non-inferiority was decided; both ways round where the order of two arms means nothing.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),), margin=0.5)
    >>> "lies above −0.5" in margin_note(plan)
    True
    """
    lies = f"lies above −{plan.margin:g}"
    if both_directions:
        lies = (
            f"{lies} (second to first), or below {plan.margin:g} (first to second). The order of "
            "the letters is not the plan's, whose direction is known after unblinding"
        )
    alpha = f"{plan.alpha:g}".removeprefix("0")
    return (
        f"Second minus first, in score points; n: volunteers with a score in both. Non-inferior: "
        f"the whole {100 * (1 - plan.alpha):g} % interval (two-sided, α = {alpha}, expanded "
        f"percentile bootstrap over volunteers) {lies}. Readers are fixed: conclusions concern "
        "these readers. Each decision stands alone, without correction for their number (no "
        "family). A difference that is merely not significant does not show non-inferiority."
    )
