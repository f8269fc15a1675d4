"""The tables of a publication, ready to be printed.

Table 1 (acquisition), 2 (SNR, CNR) and what stands beside it, 3 (scores), 4 (agreement),
5 (non-inferiority), 6 and 7 (forced choice), 8 (ranking).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.input_checks import InputError
from analysis.plan import AGREEMENT_STATISTICS, AnalysisPlan
from analysis.preference_tables import ability_table, choice_table, ranking_table, with_interval
from analysis.run import Results
from analysis.table_notes import (
    ABILITY_NOTE,
    RANKING_NOTE,
    agreement_note,
    beside_notes,
    beside_warnings,
    choice_note,
    margin_note,
    noise_name,
    ratio_notes,
    score_notes,
    unique,
    volunteers,
)
from analysis.tables import (
    DASH,
    comparison_label,
    fixed,
    format_mean_sd,
    label_of,
    table_2,
    table_3,
)

ACQUISITION_COLUMNS = ("parameter", "arm", "value")


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
    *,
    both_directions: bool = False,
) -> list[PublicationTable]:
    """Every table that the results allow.

    Parameters
    ----------
    results : Results
    labels : mapping of str to str, optional
        Names for codes of arms, tissues and criteria.
    acquisition : pandas.DataFrame, optional
        parameter, arm, value (texts): Table 1.
    both_directions : bool
        Non-inferiority of the second arm to the first and of the first to the second: for letters,
        whose order is not the plan's.

    Returns
    -------
    list of PublicationTable

    Raises
    ------
    InputError
        If `acquisition` names an unknown arm, or a parameter of an arm twice.

    Examples
    --------
    >>> from analysis.example import example_study
    >>> from analysis.run import run_plan
    >>> study = example_study()
    >>> results = run_plan(study.scores, pd.DataFrame(), study.plan)
    >>> [table.name for table in publication_tables(results)]
    ['table3', 'table3_medians', 'table3_shares', 'table4', 'table5']
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
        found.append(PublicationTable("table2", title, cells, bold, ratio_notes(results, labels)))
    if not results.beside.empty:
        cells = beside_table(results, labels)
        title = "Table 2, beside. Ratios under other noise estimates, and contrasts"
        notes = beside_notes(results, labels)
        found.append(PublicationTable("table2_beside", title, cells, frozenset(), notes))
    if "score" in metrics:
        cells = table_3(results, labels)
        bold = _significant(results, ("score",), cells)
        title = "Table 3. Scores of image quality"
        notes = score_notes(results, labels)
        found.append(PublicationTable("table3", title, cells, bold, notes))
        medians = table_3(results, labels, medians=True)
        title = "Table 3, medians. Scores of image quality"
        notes = ("Median [quartiles]" + notes[0].removeprefix("Mean ± SD"), *notes[1:])
        found.append(PublicationTable("table3_medians", title, medians, bold, notes))
    if not results.shares.empty:
        cells = _share_table(results, labels)
        title = "Table 3, shares. Scores of 3 or more (at least equivalent)"
        note = (
            f"Share of the scores of all readers over {volunteers(results.summaries)} "
            f"({100 * (1 - plan.alpha):g} % confidence interval over whole volunteers). Estimates: "
            "no test, so no family and no α."
        )
        found.append(PublicationTable("table3_shares", title, cells, frozenset(), (note,)))
    if not results.agreement.empty:
        note = agreement_note(results)
        absent = [w for w in results.warnings if w.text.startswith(AGREEMENT_STATISTICS)]
        title = "Table 4. Agreement"
        cells = _agreement_table(results, labels)
        notes = (note, *unique(absent, plan, labels))
        found.append(PublicationTable("table4", title, cells, frozenset(), notes))
    if not results.non_inferiority.empty:
        title = "Table 5. Non-inferiority"
        cells = _margin_table(results, labels, both_directions)
        flat = beside_warnings(results, "score", "non-inferiority", labels)
        notes = (margin_note(plan, both_directions), *flat)
        found.append(PublicationTable("table5", title, cells, frozenset(), notes))
    return found + _preferences(results, labels)


def _preferences(results: Results, labels: Mapping[str, str] | None) -> list[PublicationTable]:
    found: list[PublicationTable] = []
    if not results.choices.empty:
        cells, bold = choice_table(results, labels)
        said = beside_warnings(results, "choice", "forced choice", labels)
        notes = (choice_note(results.plan), *said)
        found.append(PublicationTable("table6", "Table 6. Forced choice", cells, bold, notes))
    if not results.abilities.empty:
        title = "Table 7. Forced choice: odds of being preferred"
        notes = (ABILITY_NOTE, *beside_warnings(results, "choice", "Bradley-Terry", labels))
        cells = ability_table(results, labels)
        found.append(PublicationTable("table7", title, cells, frozenset(), notes))
    if not results.rankings.empty:
        cells, bold = ranking_table(results, labels)
        notes = (RANKING_NOTE, *beside_warnings(results, "ranking", "ranking", labels))
        title = "Table 8. Ranking of all arms"
        found.append(PublicationTable("table8", title, cells, bold, notes))
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

    Returns
    -------
    pandas.DataFrame
        Parameter, one column an arm; a dash where nothing is known.

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


def beside_table(results: Results, labels: Mapping[str, str] | None = None) -> pd.DataFrame:
    """The planned ratios, other noise estimates and contrasts, and the gain of each comparison.

    Parameters
    ----------
    results : Results
    labels : mapping of str to str, optional

    Returns
    -------
    pandas.DataFrame
        Metric, Noise, Tissue, one column an arm (mean ± SD), one a comparison (gain).

    Examples
    --------
    >>> from analysis.example import example_study
    >>> from analysis.run import run_plan
    >>> study = example_study()
    >>> cells = beside_table(run_plan(study.scores, study.regions, study.plan))
    >>> cells["gain: FAST v DLR"].tolist()[::5]
    ['1.70', '1.11', '1.06', '1.04']
    """
    plan = results.plan
    metrics = results.descriptives["metric"].isin(["SNR", "CNR"])
    planned = results.descriptives[metrics].assign(noise_estimate=plan.noise_estimate)
    cells = pd.concat([planned, results.beside])
    keys = ["metric", "noise_estimate", "row"]
    factors = {
        (row["metric"], row["noise_estimate"], row["row"], row["a"], row["b"]): float(row["gain"])
        for row in results.gains.to_dict("records")
    }
    records = []
    for key, group in cells.groupby(keys, sort=False):
        metric, estimate, tissue = (str(part) for part in key)
        own = estimate and estimate == plan.noise_estimate
        noise = (noise_name(estimate) + (" (plan)" if own else "")) if estimate else DASH
        # Contrast ratios are small numbers; the others are not.
        decimals = 2 if metric == "contrast ratio" else 1
        means = [
            format_mean_sd(row["mean"], row["sd"], decimals) for row in group.to_dict("records")
        ]
        found = [
            factors.get((metric, estimate, tissue, *pair), np.nan) for pair in plan.comparisons
        ]
        gain = [DASH if np.isnan(factor) else fixed(factor, 2) for factor in found]
        name = metric[0].upper() + metric[1:]
        records.append([name, noise, label_of(tissue, labels), *means, *gain])
    columns = ["Metric", "Noise", "Tissue", *(label_of(arm, labels) for arm in plan.arms)]
    columns += [f"gain: {comparison_label(pair, labels)}" for pair in plan.comparisons]
    return pd.DataFrame(records, columns=columns)


def _share_table(results: Results, labels: Mapping[str, str] | None) -> pd.DataFrame:
    plan, found = results.plan, results.shares
    cells = {
        (row["criterion"], row["arm"]): with_interval(row["value"], row["low"], row["high"])
        for row in found.to_dict("records")
    }
    records = [
        [label_of(code, labels), *(cells.get((code, arm), DASH) for arm in plan.arms)]
        for code in dict.fromkeys(found["criterion"])
    ]
    columns = ["Criterion", *(label_of(arm, labels) for arm in plan.arms)]
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


def _agreement_table(results: Results, labels: Mapping[str, str] | None) -> pd.DataFrame:
    found = results.agreement
    criteria = [code for code in results.plan.criteria if code in set(found["criterion"])]
    cells = {
        (row.statistic, row.criterion): with_interval(row.value, row.low, row.high)
        for row in found.itertuples()
    }
    records = [
        [statistic, *(cells.get((statistic, code), "–") for code in criteria)]
        for statistic in dict.fromkeys(found["statistic"])
    ]
    names = [label_of(code, labels) for code in criteria]
    return pd.DataFrame(records, columns=["Statistic", *names])


def _margin_table(
    results: Results, labels: Mapping[str, str] | None, both_directions: bool
) -> pd.DataFrame:
    verdicts = {True: "non-inferior", False: "not shown"}
    records = []
    for row in results.non_inferiority.itertuples():
        interval = with_interval(float(row.difference), float(row.low), float(row.high))
        name = label_of(row.row, labels) + (f", {row.reader}" if row.reader else "")
        decided = [verdicts[bool(row.non_inferior)]]
        if both_directions:
            decided.append(verdicts[bool(row.reverse_non_inferior)])
        pair = comparison_label((row.a, row.b), labels)
        records.append([name, pair, str(row.n), interval, *decided])
    columns = ["Criterion", "Comparison", "n", "Mean difference (interval)"]
    columns += ["Second to first", "First to second"] if both_directions else ["Decision"]
    return pd.DataFrame(records, columns=columns)
