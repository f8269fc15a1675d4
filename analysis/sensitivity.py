"""What stands beside the planned test: non-inferiority, and analyses under other assumptions."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from analysis.estimates import Estimate
from analysis.grading import non_inferiority, share_at_least, vgc
from analysis.ordinal import OrdinalFit, ordinal_gee, ordinal_regression
from analysis.paired import Method, Zeros
from analysis.plan import AnalysisPlan
from analysis.ranking import rank_arms
from analysis.ratios import PlanWarning
from analysis.table_rows import TableRow

NON_INFERIORITY_COLUMNS = [
    *("row", "reader", "a", "b", "margin", "difference", "low", "high", "level", "method", "n"),
    *("non_inferior", "reverse_non_inferior"),
]
# Below this many cases robust (sandwich) errors are too small.
FEWEST_CASES = 40
SHARE_COLUMNS = ["criterion", "arm", "value", "low", "high", "level", "method", "n", "volunteers"]
SENSITIVITY_COLUMNS = [
    *("analysis", "metric", "row", "reader", "a", "b", "statistic", "value", "low", "high"),
    *("level", "method", "p", "q", "n"),
]


def non_inferiority_frame(
    rows: Sequence[TableRow], plan: AnalysisPlan
) -> tuple[pd.DataFrame, list[PlanWarning]]:
    """Whether b is non-inferior to a by the plan's margin, in each comparison of each criterion.

    Parameters
    ----------
    rows : sequence of TableRow
        Those of scores are used: the margin is in score points.
    plan : AnalysisPlan

    Returns
    -------
    pandas.DataFrame
        row, reader, a, b, margin, difference (mean of b - a), low, high, level, method, n,
        non_inferior (b to a), reverse_non_inferior (a to b, by the same interval). Empty when the
        plan has no margin.
    list of PlanWarning

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),),
    ...                     criteria=("sharpness",), margin=0.5)
    >>> values = pd.DataFrame({"A": [3.0, 3, 4, 3, 3, 3, 3, 3], "B": [3.0, 4, 4, 3, 3, 3, 4, 3]})
    >>> found, _ = non_inferiority_frame([TableRow("score", "sharpness", "", values)], plan)
    >>> found[["difference", "non_inferior"]].values.tolist()
    [[0.25, True]]
    """
    records: list[dict[str, Any]] = []
    warnings: list[PlanWarning] = []
    for row in rows if plan.margin is not None else ():
        if row.metric != "score":
            continue
        for a, b in plan.comparisons:
            try:
                found = non_inferiority(
                    row.values[a], row.values[b], cast(float, plan.margin), level=1 - plan.alpha
                )
            except ValueError as error:
                warnings.append(_warning(row, f"{a} v {b}", f"non-inferiority: {error}"))
                continue
            bounds = found.difference.interval
            if bounds is not None and bounds.low == bounds.high:
                text = (
                    f"non-inferiority: all {found.difference.n} differences are equal, so the "
                    "interval has no width and understates the uncertainty."
                )
                warnings.append(_warning(row, f"{a} v {b}", text))
            record = _estimate(found.difference)
            record["difference"] = record.pop("value")
            place = {"row": row.row, "reader": row.reader, "a": a, "b": b}
            decision = {"margin": found.margin, "non_inferior": found.non_inferior}
            decision["reverse_non_inferior"] = found.reverse
            records.append(record | place | decision)
    return pd.DataFrame(records, columns=NON_INFERIORITY_COLUMNS), warnings


def share_frame(scores: pd.DataFrame, plan: AnalysisPlan) -> pd.DataFrame:
    """The share of scores of 3 or more (at least equivalent), in each arm of each criterion.

    Parameters
    ----------
    scores : pandas.DataFrame
        First readings of all readers, checked.
    plan : AnalysisPlan

    Returns
    -------
    pandas.DataFrame
        criterion, arm, value, low, high, level, method, n (scores), volunteers. The interval is
        taken over whole volunteers.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),),
    ...                     criteria=("sharpness",))
    >>> scores = pd.DataFrame({"volunteer": ["V1", "V1", "V2", "V2"], "arm": list("ABAB"),
    ...                        "criterion": "sharpness", "score": [3.0, 4.0, 2.0, 3.0]})
    >>> share_frame(scores, plan)[["arm", "value"]].values.tolist()
    [['A', 0.5], ['B', 1.0]]
    """
    records = []
    known = scores[scores["score"].notna()] if not scores.empty else scores
    # Sorted, so that the order of the rows does not change what the bootstrap draws.
    cases = pd.factorize(known["volunteer"].astype(str), sort=True)[0] if len(known) else []
    groups = known.assign(case=cases).groupby(["criterion", "arm"]).indices if len(known) else {}
    for criterion in plan.criteria:
        for arm in plan.arms:
            rows = groups.get((criterion, arm))
            if rows is None:
                continue
            part = known["score"].to_numpy(dtype=np.float64)[rows]
            own = np.asarray(cases)[rows]
            found = share_at_least(part, clusters=own, level=1 - plan.alpha)
            record = _estimate(found) | {"criterion": criterion, "arm": arm}
            records.append(record | {"volunteers": np.unique(own).size})
    return pd.DataFrame(records, columns=SHARE_COLUMNS)


def sensitivity_frame(
    rows: Sequence[TableRow], scores: pd.DataFrame, plan: AnalysisPlan
) -> tuple[pd.DataFrame, list[PlanWarning]]:
    """The sensitivity analyses of the plan.

    Parameters
    ----------
    rows : sequence of TableRow
    scores : pandas.DataFrame
        First readings, checked.
    plan : AnalysisPlan

    Returns
    -------
    pandas.DataFrame
        analysis, metric, row, reader, a, b, statistic, value, low, high, level, method, p, q, n.
        Odds ratios and areas are of b against a.
    list of PlanWarning
        An analysis that does not exist for these data, with the reason.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),),
    ...                     criteria=("sharpness",), sensitivity=("vgc",))
    >>> values = pd.DataFrame({"A": [3.0, 3, 4, 3], "B": [3.0, 4, 5, 3]})
    >>> found, _ = sensitivity_frame([TableRow("score", "sharpness", "", values)],
    ...                              pd.DataFrame(), plan)
    >>> found["value"].tolist()
    [0.65625]
    """
    records: list[dict[str, Any]] = []
    warnings: list[PlanWarning] = []
    for analysis in plan.sensitivity:
        if analysis in ("ordinal_regression", "ordinal_gee"):
            parts = _ordinal(analysis, scores, plan)
        elif analysis == "vgc":
            parts = _vgc(rows, plan)
        else:
            parts = _friedman(rows, plan)
        for record in parts[0]:
            records.append({"analysis": analysis} | record)
        warnings += parts[1]
    return pd.DataFrame(records, columns=SENSITIVITY_COLUMNS), warnings


_Parts = tuple[list[dict[str, Any]], list[PlanWarning]]


def _vgc(rows: Sequence[TableRow], plan: AnalysisPlan) -> _Parts:
    records: list[dict[str, Any]] = []
    warnings: list[PlanWarning] = []
    for row in rows:
        for a, b in plan.comparisons if row.metric == "score" else ():
            try:
                # Rounded as the test's differences are: means of readers tie but for rounding.
                first, second = (row.values[arm].round(plan.decimals) for arm in (a, b))
                found = vgc(first, second, paired=True, level=1 - plan.alpha)
            except ValueError as error:
                warnings.append(_warning(row, f"{a} v {b}", f"vgc: {error}"))
                continue
            records.append(_place(row) | {"a": a, "b": b} | _estimate(found))
    return records, warnings


def _ordinal(analysis: str, scores: pd.DataFrame, plan: AnalysisPlan) -> _Parts:
    """Every arm against the control, all readers' scores together with the reader as a factor."""
    records: list[dict[str, Any]] = []
    warnings: list[PlanWarning] = []
    for criterion in plan.criteria if not scores.empty else ():
        part = scores[scores["criterion"] == criterion]
        factors = part[["arm", "reader"] if part["reader"].nunique() > 1 else ["arm"]]
        base = {"arm": plan.control}
        place = {"metric": "score", "row": criterion, "reader": ""}
        try:
            fit: OrdinalFit
            if analysis == "ordinal_gee":
                cases = part["volunteer"].astype(str)
                fit = ordinal_gee(
                    part["score"], factors, cases, reference=base, level=1 - plan.alpha
                )
            else:
                fit = ordinal_regression(
                    part["score"], factors, reference=base, level=1 - plan.alpha
                )
        except ValueError as error:
            warnings.append(PlanWarning("score", criterion, "", "", f"{analysis}: {error}"))
            continue
        volunteers = int(part["volunteer"].nunique())
        if analysis == "ordinal_gee" and volunteers < FEWEST_CASES:
            text = (
                f"ordinal_gee: errors over {volunteers} volunteers are too small with fewer than "
                f"about {FEWEST_CASES}; read its intervals and p as rough."
            )
            warnings.append(PlanWarning("score", criterion, "", "", text))
        if analysis == "ordinal_regression":
            text = (
                "ordinal_regression: takes all scores as independent, though each volunteer was "
                "scored in every arm; ordinal regression by GEE does not."
            )
            warnings.append(PlanWarning("score", criterion, "", "", text))
        for arm in plan.arms:
            name = f"arm {arm} v {plan.control}"
            for found in fit.coefficients:
                if found.name == name:
                    pair = {"a": plan.control, "b": arm, "p": found.p}
                    records.append(place | _estimate(found.odds_ratio) | pair)
                    records[-1]["statistic"] = "odds ratio of a higher score"
    return records, warnings


def _friedman(rows: Sequence[TableRow], plan: AnalysisPlan) -> _Parts:
    records: list[dict[str, Any]] = []
    warnings: list[PlanWarning] = []
    for row in rows:
        try:
            found = rank_arms(
                row.values,
                plan.arms,
                method=cast(Method, plan.method),
                zeros=cast(Zeros, plan.zeros),
                decimals=plan.decimals,
                level=1 - plan.alpha,
            )
        except ValueError as error:
            warnings.append(_warning(row, "", f"friedman: {error}"))
            continue
        whole = _place(row) | _estimate(found.concordance) | {"a": "", "b": "", "p": found.p}
        whole["method"] = (
            f"Friedman chi-square {found.chi_square:.6g}, {found.freedom} degrees of freedom; "
            f"interval: {whole['method']}"
        )
        records.append(whole)
        for arm, mean_rank in zip(plan.arms, found.mean_ranks, strict=True):
            records.append(_place(row) | {"a": "", "b": arm} | _estimate(mean_rank))
        for pair in found.follow_up:
            shift = _estimate(pair.test.hodges_lehmann)
            tested = {"a": pair.a, "b": pair.b, "p": pair.test.p, "q": pair.q}
            records.append(_place(row) | shift | tested)
    return records, warnings


def _place(row: TableRow) -> dict[str, Any]:
    return {"metric": row.metric, "row": row.row, "reader": row.reader}


def _estimate(found: Estimate) -> dict[str, Any]:
    bounds = found.interval
    return {
        "statistic": found.name,
        "value": found.value,
        "low": bounds.low if bounds else np.nan,
        "high": bounds.high if bounds else np.nan,
        "level": bounds.level if bounds else np.nan,
        "method": bounds.method if bounds else "no interval at this level",
        "n": found.n,
    }


def _warning(row: TableRow, comparison: str, text: str) -> PlanWarning:
    return PlanWarning(row.metric, row.row, "", comparison, text)
