"""The tables of a publication: Table 1 (acquisition), 2 (SNR, CNR), 3 (scores), 4 (agreement)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.input_checks import InputError
from analysis.noise import noise_estimate
from analysis.plan import AGREEMENT_STATISTICS, SENSITIVITY_ANALYSES, AnalysisPlan
from analysis.ratios import PlanWarning
from analysis.run import Results
from analysis.tables import comparison_label, fixed, label_of, table_2, table_3

ACQUISITION_COLUMNS = ("parameter", "arm", "value")
_NOISE = {
    "air_sd": "SD of air",
    "rayleigh": "SD of air / 0.655 (Rayleigh)",
    "noncentral_chi": "SD of air, corrected for a sum of squares over {channels} channels",
    "difference": "SD of the difference of two acquisitions / √2",
    "tissue_sd": "SD in the same tissue",
}
_FAMILY = {
    "row": "each table row",
    "column": "each column",
    "stage": "all tests of this table",
    "all": "all tests of the study",
}


# Warnings that begin so belong to agreement and to the analyses beside the tests.
_BESIDE = (*AGREEMENT_STATISTICS, *SENSITIVITY_ANALYSES, "non-inferiority")


@dataclass(frozen=True)
class PublicationTable:
    """A table ready to be printed.

    Attributes
    ----------
    name : str
        Of its files: "table2".
    title : str
    cells : pandas.DataFrame
        Texts, as they are printed.
    bold : frozenset of (int, int)
        Rows and columns of the significant q values.
    notes : tuple of str
        What stands below.
    """

    name: str
    title: str
    cells: pd.DataFrame
    bold: frozenset[tuple[int, int]]
    notes: tuple[str, ...]


def publication_tables(
    results: Results,
    labels: Mapping[str, str] | None = None,
    acquisition: pd.DataFrame | None = None,
) -> list[PublicationTable]:
    """Every table that the results allow.

    Parameters
    ----------
    results : Results
    labels : mapping of str to str, optional
        Names for codes of arms, tissues and criteria.
    acquisition : pandas.DataFrame, optional
        parameter, arm, value (texts): Table 1.

    Returns
    -------
    list of PublicationTable

    Raises
    ------
    InputError
        If `acquisition` names an unknown arm, or a parameter of an arm twice.

    Examples
    --------
    >>> from analysis.run import run_plan
    >>> plan = AnalysisPlan(arms=("STD", "DLR"), control="STD", comparisons=(("STD", "DLR"),),
    ...                     criteria=("sharpness",), agreement=())
    >>> scores = pd.DataFrame(
    ...     [(f"V{v}", arm, "R1", "sharpness", 3 + (arm == "DLR")) for v in range(6)
    ...      for arm in plan.arms], columns=["volunteer", "arm", "reader", "criterion", "score"])
    >>> [table.name for table in publication_tables(run_plan(scores, pd.DataFrame(), plan))]
    ['table3', 'table3_medians']
    """
    plan = results.plan
    metrics = set(results.tests["metric"])
    found: list[PublicationTable] = []
    if acquisition is not None:
        cells = table_1(acquisition, plan, labels)
        title = "Table 1. Acquisition parameters"
        found.append(PublicationTable("table1", title, cells, frozenset(), ()))
    if metrics & {"SNR", "CNR"}:
        cells = table_2(results, labels)
        bold = _significant(results, ("SNR", "CNR"), cells)
        title = "Table 2. Signal-to-noise and contrast-to-noise ratios"
        found.append(PublicationTable("table2", title, cells, bold, _ratio_notes(results, labels)))
    if "score" in metrics:
        cells = table_3(results, labels)
        bold = _significant(results, ("score",), cells)
        title = "Table 3. Scores of image quality"
        notes = _score_notes(results, labels)
        found.append(PublicationTable("table3", title, cells, bold, notes))
        medians = table_3(results, labels, medians=True)
        title = "Table 3, medians. Scores of image quality"
        notes = ("Median [quartiles]." + notes[0].removeprefix("Mean ± SD."), *notes[1:])
        found.append(PublicationTable("table3_medians", title, medians, bold, notes))
    if not results.agreement.empty:
        note = "Estimate (95 % confidence interval). Intervals are made as agreement.csv says."
        absent = [w for w in results.warnings if w.text.startswith(AGREEMENT_STATISTICS)]
        title = "Table 4. Agreement"
        cells = _agreement_table(results, labels)
        notes = (note, *_unique(absent, plan, labels))
        found.append(PublicationTable("table4", title, cells, frozenset(), notes))
    if not results.non_inferiority.empty:
        title = "Table 5. Non-inferiority"
        cells = _margin_table(results, labels)
        found.append(PublicationTable("table5", title, cells, frozenset(), (_margin_note(plan),)))
    return found


def table_1(
    acquisition: pd.DataFrame, plan: AnalysisPlan, labels: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Table 1: acquisition parameters, one row a parameter, one column an arm.

    Parameters
    ----------
    acquisition : pandas.DataFrame
        parameter, arm, value: texts as they are to be printed ("TR (ms)", "STD", "3500").
    plan : AnalysisPlan
    labels : mapping of str to str, optional

    Raises
    ------
    InputError
        If a column is missing, an arm unknown, or a parameter of an arm there twice.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),))
    >>> rows = [("TR (ms)", "A", "3500"), ("TR (ms)", "B", "2100"), ("Fat suppression", "A", "no")]
    >>> table_1(pd.DataFrame(rows, columns=["parameter", "arm", "value"]), plan).values.tolist()
    [['TR (ms)', '3500', '2100'], ['Fat suppression', 'no', '–']]
    """
    lacking = [name for name in ACQUISITION_COLUMNS if name not in acquisition.columns]
    if lacking:
        raise InputError(f"acquisition lacks the column {', '.join(lacking)}.")
    seen: dict[str, dict[str, str]] = {}
    for row, given in enumerate(acquisition[list(ACQUISITION_COLUMNS)].to_dict("records"), start=1):
        if given["arm"] not in plan.arms:
            raise InputError(
                f'acquisition, row {row}, column arm: "{given["arm"]}" is not in the plan '
                f"({', '.join(plan.arms)})."
            )
        if pd.isna(given["parameter"]):
            raise InputError(f"acquisition, row {row}, column parameter: empty.")
        cells = seen.setdefault(str(given["parameter"]), {})
        if given["arm"] in cells:
            raise InputError(
                f"acquisition, row {row}: {given['parameter']}, {given['arm']} is there twice."
            )
        cells[str(given["arm"])] = "–" if pd.isna(given["value"]) else str(given["value"])
    columns = ["Parameter", *(label_of(arm, labels) for arm in plan.arms)]
    records = [[name, *(cells.get(arm, "–") for arm in plan.arms)] for name, cells in seen.items()]
    return pd.DataFrame(records, columns=columns)


def _significant(
    results: Results, metrics: tuple[str, ...], cells: pd.DataFrame
) -> frozenset[tuple[int, int]]:
    """Where the significant q values stand in Table 2 or 3: their last columns, pair by pair."""
    plan = results.plan
    tests = results.tests[results.tests["metric"].isin(metrics)]
    places = {key: row for row, key in enumerate(dict.fromkeys(_keys(tests)))}
    first = cells.shape[1] - len(plan.comparisons)
    return frozenset(
        (places[key], first + plan.comparisons.index((test.a, test.b)))
        for key, test in zip(_keys(tests), tests.itertuples(), strict=True)
        if test.significant
    )


def _keys(tests: pd.DataFrame) -> list[tuple[str, str, str]]:
    return list(zip(tests["metric"], tests["row"], tests["reader"], strict=True))


def _test_note(plan: AnalysisPlan) -> str:
    method = "exact" if plan.method == "exact" else "asymptotic"
    zeros = "zero differences dropped" if plan.zeros == "drop" else "zero differences after Pratt"
    alpha = f"{plan.alpha:g}".removeprefix("0")
    return (
        f"q: two-sided Wilcoxon signed-rank test ({method}, {zeros}), Benjamini–Hochberg over "
        f"{_FAMILY[plan.family]}. Bold: q ≤ {alpha}."
    )


def _ratio_notes(results: Results, labels: Mapping[str, str] | None) -> tuple[str, ...]:
    plan = results.plan
    estimate = noise_estimate(plan.noise_estimate)
    noise = _NOISE[estimate.kind].format(channels=estimate.channels)
    start = f"Mean ± SD. SNR = mean of the tissue / noise; noise: {noise} ({estimate.name}). "
    if plan.reference_tissue:
        reference = label_of(plan.reference_tissue, labels).lower()
        start += f"CNR = (mean of the tissue − mean of {reference}) / noise. "
    concerned = [w for w in results.warnings if w.metric in ("SNR", "CNR", "")]
    return start + _test_note(plan), *_unique(concerned, plan, labels)


def _score_notes(results: Results, labels: Mapping[str, str] | None) -> tuple[str, ...]:
    plan = results.plan
    summary = {
        "median": "One score a volunteer: the median of the readers",
        "mean": "One score a volunteer: the mean of the readers",
        "each": "Each reader alone",
    }[plan.reader_summary]
    scored = [w for w in results.warnings if w.metric == "score" and not w.text.startswith(_BESIDE)]
    warnings = [w for w in scored if "smallest p" in w.text]
    few: dict[str, list[str]] = {}
    for warning in warnings:
        pair = tuple(warning.comparison.split(" v ", 1))
        few.setdefault(label_of(warning.row, labels), []).append(
            comparison_label((pair[0], pair[-1]), labels)
        )
    notes = [f"Mean ± SD. {summary}. {_test_note(plan)}"]
    if few:
        listed = "; ".join(f"{row}: {', '.join(pairs)}" for row, pairs in few.items())
        notes.append(
            "Fewer than six volunteers differ, so that the exact test could not reach .05 whatever "
            f"the data: {listed}."
        )
    others = [warning for warning in scored if warning not in warnings]
    return *notes, *_unique(others, plan, labels)


def _unique(
    warnings: list[PlanWarning], plan: AnalysisPlan, labels: Mapping[str, str] | None
) -> list[str]:
    """Each text once, behind the places that it concerns."""
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


def _with_interval(value: float, low: float, high: float) -> str:
    if np.isnan(low):
        return f"{fixed(value, 2)} (no interval)"
    return f"{fixed(value, 2)} ({fixed(low, 2)} to {fixed(high, 2)})"


def _agreement_table(results: Results, labels: Mapping[str, str] | None) -> pd.DataFrame:
    found = results.agreement
    criteria = [code for code in results.plan.criteria if code in set(found["criterion"])]
    cells = {
        (row.statistic, row.criterion): _with_interval(row.value, row.low, row.high)
        for row in found.itertuples()
    }
    records = [
        [statistic, *(cells.get((statistic, code), "–") for code in criteria)]
        for statistic in dict.fromkeys(found["statistic"])
    ]
    names = [label_of(code, labels) for code in criteria]
    return pd.DataFrame(records, columns=["Statistic", *names])


def _margin_table(results: Results, labels: Mapping[str, str] | None) -> pd.DataFrame:
    records = []
    for row in results.non_inferiority.itertuples():
        interval = f"{fixed(row.difference, 2)} ({fixed(row.low, 2)} to {fixed(row.high, 2)})"
        name = label_of(row.row, labels) + (f", {row.reader}" if row.reader else "")
        verdict = "non-inferior" if row.non_inferior else "not shown"
        records.append([name, comparison_label((row.a, row.b), labels), interval, verdict])
    columns = ["Criterion", "Comparison", "Mean difference (interval)", "Decision"]
    return pd.DataFrame(records, columns=columns)


def _margin_note(plan: AnalysisPlan) -> str:
    return (
        f"Second minus first, in score points. Non-inferior: the whole {100 * (1 - plan.alpha):g} "
        f"% interval (bootstrap over volunteers, readers fixed) lies above −{plan.margin:g}. "
        "A difference that is merely not significant does not show this."
    )
