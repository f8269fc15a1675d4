"""Everything that an analysis plan asks for, from the scores and region measurements of a study."""

from dataclasses import asdict, dataclass, field
from typing import Any, cast

import numpy as np
import pandas as pd

from analysis.beside import beside_values, gains, summarise_beside
from analysis.descriptives import describe
from analysis.estimates import Estimate
from analysis.input_checks import first_occasion
from analysis.input_frames import check_regions, check_scores
from analysis.multiplicity import benjamini_hochberg
from analysis.paired import Method, Zeros, signed_rank_test
from analysis.plan import AnalysisPlan
from analysis.preference_input import check_choices, check_rankings
from analysis.preferences import analyse_preferences
from analysis.ratios import PlanWarning, derive_ratios
from analysis.reader_agreement import reader_agreement
from analysis.sensitivity import non_inferiority_frame, sensitivity_frame, share_frame
from analysis.table_rows import TableRow, ratio_rows, score_rows, summarise_readers

METRICS = ("SNR", "CNR", "score")
TEST_COLUMNS = [
    *("metric", "row", "reader", "a", "b", "n", "n_missing", "n_nonzero", "w_plus", "w_minus"),
    *("p", "q", "family", "m", "rank", "method", "zeros", "mean_difference", "median_difference"),
    *("hodges_lehmann", "hodges_lehmann_low", "hodges_lehmann_high"),
    *("rank_biserial", "rank_biserial_low", "rank_biserial_high"),
    *("wins", "ties", "losses", "alpha", "significant"),
]
DESCRIPTIVE_COLUMNS = [
    *("metric", "row", "reader", "arm", "n", "n_missing", "mean", "sd", "median", "q1", "q3"),
    *("min", "max", "share_at_least_3"),
]


@dataclass(frozen=True)
class Results:
    """What `run_plan` found; every frame is tidy, one statistic set a row.

    Attributes
    ----------
    plan : AnalysisPlan
    derived : pandas.DataFrame
        volunteer, arm, tissue, metric, value, noise_estimate.
    summaries : pandas.DataFrame
        volunteer, arm, criterion, reader (empty when pooled), score, readers (who scored).
    descriptives : pandas.DataFrame
        metric, row, reader, arm, n, n_missing, mean, sd (ddof 1), median, q1, q3, min, max; for
        scores share_at_least_3.
    tests : pandas.DataFrame
        One comparison of one table row each; see `TEST_COLUMNS`. Effects are b minus a.
    agreement : pandas.DataFrame
        statistic, criterion, value, low, high, level, method, n, readers.
    non_inferiority : pandas.DataFrame
        One comparison of one criterion each; empty without a margin in the plan.
    sensitivity : pandas.DataFrame
        One estimate of one analysis each; see `analysis.sensitivity`.
    warnings : tuple of PlanWarning
    shares : pandas.DataFrame
        criterion, arm, value (share of all readers' scores of 3 or more), low, high, level, method,
        n, volunteers.
    beside_values, beside : pandas.DataFrame
        What stands beside the planned ratios, by volunteer and summarised; see `analysis.beside`.
    gains : pandas.DataFrame
        The factor of each comparison, under the planned estimate and under those beside it.
    choices, abilities, rankings : pandas.DataFrame
        Forced choices and rankings; see `analysis.preferences`.
    """

    plan: AnalysisPlan
    derived: pd.DataFrame
    summaries: pd.DataFrame
    descriptives: pd.DataFrame
    tests: pd.DataFrame
    agreement: pd.DataFrame
    non_inferiority: pd.DataFrame
    sensitivity: pd.DataFrame
    warnings: tuple[PlanWarning, ...]
    shares: pd.DataFrame = field(default_factory=pd.DataFrame)
    beside_values: pd.DataFrame = field(default_factory=pd.DataFrame)
    beside: pd.DataFrame = field(default_factory=pd.DataFrame)
    gains: pd.DataFrame = field(default_factory=pd.DataFrame)
    choices: pd.DataFrame = field(default_factory=pd.DataFrame)
    abilities: pd.DataFrame = field(default_factory=pd.DataFrame)
    rankings: pd.DataFrame = field(default_factory=pd.DataFrame)

    def warning_frame(self) -> pd.DataFrame:
        """The warnings as a table: metric, row, arm, comparison, text."""
        columns = ["metric", "row", "arm", "comparison", "text"]
        return pd.DataFrame([asdict(warning) for warning in self.warnings], columns=columns)


def run_plan(
    scores: pd.DataFrame,
    regions: pd.DataFrame,
    plan: AnalysisPlan,
    *,
    choices: pd.DataFrame | None = None,
    rankings: pd.DataFrame | None = None,
) -> Results:
    """Compute everything that the plan asks for.

    Parameters
    ----------
    scores : pandas.DataFrame
        Columns volunteer, arm, reader, criterion, score (NaN for missing); optionally occasion, 1
        for the first reading and more for hidden repeats, which count for repeatability alone. May
        be empty.
    regions : pandas.DataFrame
        Columns volunteer, arm, tissue, mean, sd, n_pixels, area_mm2, image units and mm2; see
        `analysis.input_frames.check_regions` for optional ones. May be empty.
    plan : AnalysisPlan
    choices : pandas.DataFrame, optional
        Columns volunteer, reader, criterion, first, second, chosen: forced choices between two
        arms; see `analysis.preference_input.check_choices`.
    rankings : pandas.DataFrame, optional
        Columns volunteer, reader, criterion, arm, rank (1 is best); see
        `analysis.preference_input.check_rankings`.

    Returns
    -------
    Results
        A volunteer without a value in one of two arms is left out of that comparison and counted in
        `n_missing`. A comparison without one complete pair has a NaN p, is not counted in its
        family, and has a warning.

    Raises
    ------
    analysis.input_checks.InputError
        If a table holds what the plan does not know; names table, row and column.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("STD", "DLR"), control="STD", comparisons=(("STD", "DLR"),),
    ...                     criteria=("sharpness",))
    >>> scores = pd.DataFrame(
    ...     [(f"V{v}", arm, "R1", "sharpness", 3 + (arm == "DLR")) for v in range(6)
    ...      for arm in plan.arms], columns=["volunteer", "arm", "reader", "criterion", "score"])
    >>> run_plan(scores, pd.DataFrame(), plan).tests[["n", "w_plus", "p", "q"]].values.tolist()
    [[6.0, 21.0, 0.03125, 0.03125]]
    """
    scores = check_scores(scores, plan)
    regions = check_regions(regions, plan)
    chosen = check_choices(pd.DataFrame() if choices is None else choices, plan)
    ranked = check_rankings(pd.DataFrame() if rankings is None else rankings, plan)
    derived, warnings = derive_ratios(regions, plan)
    once = first_occasion(scores)
    summaries, score_warnings = summarise_readers(once, plan)
    warnings += score_warnings
    rows = [*ratio_rows(derived, plan), *score_rows(summaries, plan)]
    tests, test_warnings = _tests(rows, plan)
    preferences = analyse_preferences(chosen, ranked, plan)
    tests, choice_tests = _adjusted(tests, preferences.choices, plan)
    values = beside_values(regions, plan)
    agreement, agreement_warnings = reader_agreement(scores, plan)
    non_inferiority, margin_warnings = non_inferiority_frame(rows, plan)
    sensitivity, sensitivity_warnings = sensitivity_frame(rows, once, plan)
    return Results(
        plan=plan,
        derived=derived,
        summaries=summaries,
        descriptives=_descriptives(rows, plan),
        tests=tests,
        agreement=agreement,
        non_inferiority=non_inferiority,
        sensitivity=sensitivity,
        warnings=(
            *warnings,
            *test_warnings,
            *agreement_warnings,
            *margin_warnings,
            *sensitivity_warnings,
            *preferences.warnings,
        ),
        shares=share_frame(once, plan),
        beside_values=values,
        beside=summarise_beside(values, plan),
        gains=gains(pd.concat([derived, values]) if len(values) else derived, plan),
        choices=choice_tests,
        abilities=preferences.abilities,
        rankings=preferences.rankings,
    )


def _descriptives(rows: list[TableRow], plan: AnalysisPlan) -> pd.DataFrame:
    records = []
    for row in rows:
        for arm in plan.arms:
            values = row.values[arm].to_numpy()
            cell = describe(values)
            at_least_3 = float("nan")
            if row.metric == "score" and cell.n:
                at_least_3 = float((values[~np.isnan(values)] >= 3).mean())
            place = (row.metric, row.row, row.reader, arm, cell.n, cell.n_missing)
            middle = (cell.mean, cell.sd, cell.median, cell.q1, cell.q3)
            records.append((*place, *middle, cell.minimum, cell.maximum, at_least_3))
    return pd.DataFrame(records, columns=DESCRIPTIVE_COLUMNS)


def _tests(rows: list[TableRow], plan: AnalysisPlan) -> tuple[pd.DataFrame, list[PlanWarning]]:
    records: list[dict[str, Any]] = []
    warnings: list[PlanWarning] = []
    for row in rows:
        for a, b in plan.comparisons:
            record, texts = _compare(row, a, b, plan)
            records.append(record)
            for text in filter(None, texts):
                warnings.append(PlanWarning(row.metric, row.row, "", f"{a} v {b}", text))
    return pd.DataFrame(records, columns=TEST_COLUMNS), warnings


def _adjusted(
    tests: pd.DataFrame, choices: pd.DataFrame, plan: AnalysisPlan
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both with q over the families that they share, its size, and the rank of p in it."""
    p = np.concatenate([frame["p"].to_numpy(dtype=np.float64) for frame in (tests, choices)])
    q, size, rank = np.full(p.size, np.nan), np.zeros(p.size, np.int64), np.full(p.size, np.nan)
    families = pd.Series([*tests["family"], *choices["family"]], dtype="object")
    for positions in families.groupby(families, sort=False).indices.values():
        known = pd.Series(p[positions])
        q[positions] = benjamini_hochberg(p[positions])
        size[positions] = int(known.notna().sum())
        # The highest rank among equal p values: the one that Benjamini-Hochberg divides by.
        rank[positions] = known.rank(method="max").to_numpy()
    adjusted = []
    for frame, part in ((tests, slice(0, len(tests))), (choices, slice(len(tests), None))):
        if not frame.empty:
            columns = {"q": q[part], "m": size[part], "rank": rank[part]}
            frame = frame.assign(**columns, significant=q[part] <= plan.alpha)
        adjusted.append(frame)
    return adjusted[0], adjusted[1]


def _compare(row: TableRow, a: str, b: str, plan: AnalysisPlan) -> tuple[dict[str, Any], list[str]]:
    first, second = row.values[a].to_numpy(), row.values[b].to_numpy()
    record: dict[str, Any] = {
        "metric": row.metric,
        "row": row.row,
        "reader": row.reader,
        "a": a,
        "b": b,
        "family": _family(row, a, b, plan),
        "m": 0,
        "method": plan.method,
        "zeros": plan.zeros,
        "alpha": plan.alpha,
    }
    complete = ~(np.isnan(first) | np.isnan(second))
    if not complete.any():
        nothing = dict.fromkeys(("n", "n_nonzero", "wins", "ties", "losses"), 0)
        record |= nothing | {"n_missing": len(first), "p": float("nan")}
        return record, ["No volunteer has a value in both arms: no test was done."]
    result = signed_rank_test(
        first, second, cast(Method, plan.method), cast(Zeros, plan.zeros), plan.decimals
    )
    for name in ("n", "n_missing", "n_nonzero", "w_plus", "w_minus", "p", "mean_difference"):
        record[name] = getattr(result, name)
    for name in ("median_difference", "wins", "ties", "losses"):
        record[name] = getattr(result, name)
    for name in ("hodges_lehmann", "rank_biserial"):
        record |= _estimate_columns(name, getattr(result, name))
    return record, [result.warning, _dropped(result.n_missing)]


def _dropped(n_missing: int) -> str:
    if not n_missing:
        return ""
    if n_missing == 1:
        return "1 volunteer lacks a value in one of the two arms and was left out."
    return f"{n_missing} volunteers lack a value in one of the two arms and were left out."


def _estimate_columns(name: str, estimate: Estimate) -> dict[str, float]:
    interval = estimate.interval
    return {
        name: estimate.value,
        f"{name}_low": interval.low if interval else float("nan"),
        f"{name}_high": interval.high if interval else float("nan"),
    }


def _family(row: TableRow, a: str, b: str, plan: AnalysisPlan) -> str:
    """The name of the family that BH is taken over; tests of one name belong together."""
    stage = "qualitative" if row.metric == "score" else "quantitative"
    name = {
        "row": f"row: {row.metric}, {row.row}",
        "column": f"column: {row.metric}, {a} v {b}",
        "stage": f"stage: {stage}",
        "all": "all",
    }[plan.family]
    return f"{name}, {row.reader}" if row.reader and plan.family != "all" else name
