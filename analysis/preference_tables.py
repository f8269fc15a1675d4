"""Forced choices, abilities and rankings as a journal prints them: text cells."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from analysis.run import Results
from analysis.tables import DASH, comparison_label, fixed, format_q, label_of


def with_interval(value: float, low: float, high: float, decimals: int = 2) -> str:
    """ "0.75 (0.43 to 0.95)", and so said where there is no interval.

    Parameters
    ----------
    value, low, high : float
    decimals : int

    Returns
    -------
    str

    Examples
    --------
    >>> with_interval(0.75, 0.428, 0.9451), with_interval(1, float("nan"), float("nan"))
    ('0.75 (0.43 to 0.95)', '1.00 (no interval)')
    >>> with_interval(-0.3, -0.64, 0.02, 1)
    '−0.3 (−0.6 to 0.0)'
    """
    if np.isnan(value):
        return DASH
    # The sign as printers set it.
    texts = [fixed(number, decimals).replace("-", "−") for number in (value, low, high)]
    return (
        f"{texts[0]} (no interval)" if np.isnan(low) else f"{texts[0]} ({texts[1]} to {texts[2]})"
    )


def choice_table(
    results: Results, labels: Mapping[str, str] | None = None
) -> tuple[pd.DataFrame, frozenset[tuple[int, int]]]:
    """One row a comparison of a question, and where the significant q values stand.

    Parameters
    ----------
    results : Results
        With forced choices.
    labels : mapping of str to str, optional
        Names for codes of arms and questions.

    Returns
    -------
    pandas.DataFrame
        Question (and Reader), Comparison, Volunteers, Preferred first, Preferred second, Share for
        the second, p, q.
    frozenset of (int, int)

    Examples
    --------
    >>> from analysis.example import example_study
    >>> from analysis.run import run_plan
    >>> study = example_study()
    >>> results = run_plan(study.scores, study.regions, study.plan, choices=study.choices)
    >>> choice_table(results)[0].iloc[0, 1:6].tolist()
    ['FAST v DLR', '12', '1', '11', '0.92 (0.62 to 1.00)']
    """
    found = results.choices
    by_reader = bool((found["reader"] != "").any())
    records, bold = [], set()
    for number, row in enumerate(found.to_dict("records")):
        start = [label_of(row["criterion"], labels), *([row["reader"]] if by_reader else [])]
        pair = comparison_label((row["a"], row["b"]), labels)
        counts = [str(row[name]) for name in ("n", "chosen_a", "chosen_b")]
        share = with_interval(row["share_b"], row["low"], row["high"])
        tests = [format_q(row[name], results.plan.alpha) for name in ("p", "q")]
        records.append([*start, pair, *counts, share, *tests])
        if row["significant"]:
            bold.add((number, len(records[-1]) - 1))
    columns = ["Question", *(["Reader"] if by_reader else []), "Comparison", "Volunteers"]
    columns += ["For the first", "For the second", "Share for the second", "p", "q"]
    return pd.DataFrame(records, columns=columns), frozenset(bold)


def ability_table(results: Results, labels: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Bradley-Terry: the odds that an arm is preferred to the reference.

    Parameters
    ----------
    results : Results
        With choices among at least three arms.
    labels : mapping of str to str, optional

    Returns
    -------
    pandas.DataFrame
        Question (and Reader), Reference, one column an arm, p that all are equal.

    Examples
    --------
    >>> from analysis.example import example_study
    >>> from analysis.run import run_plan
    >>> study = example_study()
    >>> results = run_plan(study.scores, study.regions, study.plan, choices=study.choices)
    >>> ability_table(results).columns.tolist()
    ['Question', 'Reference', 'STD', 'FAST', 'DLR', 'p, all equal']
    """
    found = results.abilities
    by_reader = bool((found["reader"] != "").any())
    arms = [arm for arm in results.plan.arms if arm in {*found["arm"], *found["reference"]}]
    records = []
    for (criterion, reader), group in found.groupby(["criterion", "reader"], sort=False):
        cells = {
            row["arm"]: with_interval(row["odds"], row["odds_low"], row["odds_high"])
            for row in group.to_dict("records")
        }
        base = str(group["reference"].iloc[0])
        start = [label_of(str(criterion), labels), *([str(reader)] if by_reader else [])]
        odds = ["1 (reference)" if arm == base else cells.get(arm, DASH) for arm in arms]
        p = format_q(float(group["p_all_equal"].iloc[0]), results.plan.alpha)
        records.append([*start, label_of(base, labels), *odds, p])
    columns = ["Question", *(["Reader"] if by_reader else []), "Reference"]
    columns += [*(label_of(arm, labels) for arm in arms), "p, all equal"]
    return pd.DataFrame(records, columns=columns)


def ranking_table(
    results: Results, labels: Mapping[str, str] | None = None
) -> tuple[pd.DataFrame, frozenset[tuple[int, int]]]:
    """Mean ranks of the arms, Friedman's p, Kendall's W, and q of the planned comparisons.

    Parameters
    ----------
    results : Results
        With rankings.
    labels : mapping of str to str, optional

    Returns
    -------
    pandas.DataFrame
        Criterion (and Reader), one column an arm, Kendall's W, Friedman p, one column a comparison.
    frozenset of (int, int)
        Where the significant q values stand.

    Examples
    --------
    >>> from analysis.example import example_study
    >>> from analysis.run import run_plan
    >>> study = example_study()
    >>> results = run_plan(study.scores, study.regions, study.plan, rankings=study.rankings)
    >>> ranking_table(results)[0].columns.tolist()[:3]
    ['Criterion', 'STD', 'FAST']
    """
    plan, found = results.plan, results.rankings
    by_reader = bool((found["reader"] != "").any())
    records: list[list[str]] = []
    bold = set()
    for (criterion, reader), group in found.groupby(["criterion", "reader"], sort=False):
        rows = group.to_dict("records")
        ranks = {row["b"]: row for row in rows if not row["a"] and row["b"]}
        pairs = {frozenset((row["a"], row["b"])): row["q"] for row in rows if row["a"]}
        whole = next(row for row in rows if not row["b"])
        start = [label_of(str(criterion), labels), *([str(reader)] if by_reader else [])]
        means = [
            with_interval(ranks[arm]["value"], ranks[arm]["low"], ranks[arm]["high"], 1)
            for arm in plan.arms
        ]
        order = with_interval(whole["value"], whole["low"], whole["high"])
        q = [float(pairs[frozenset(pair)]) for pair in plan.comparisons]
        line = [*start, *means, order, format_q(whole["p"], plan.alpha)]
        for number, value in enumerate(q):
            if value <= plan.alpha:
                bold.add((len(records), len(line) + number))
        records.append([*line, *(format_q(value, plan.alpha) for value in q)])
    columns = ["Criterion", *(["Reader"] if by_reader else [])]
    columns += [*(label_of(arm, labels) for arm in plan.arms), "Kendall's W", "Friedman p"]
    columns += [f"q: {comparison_label(pair, labels)}" for pair in plan.comparisons]
    return pd.DataFrame(records, columns=columns), frozenset(bold)
