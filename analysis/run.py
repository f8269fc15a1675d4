"""Everything that an analysis plan asks for, from the scores and region measurements of a study."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.agreement import gwet_ac, krippendorff_alpha, percent_agreement
from analysis.descriptives import describe
from analysis.estimates import Estimate
from analysis.input_frames import check_regions, check_scores
from analysis.multiplicity import benjamini_hochberg
from analysis.paired import Method, Zeros, signed_rank_test
from analysis.plan import AnalysisPlan
from analysis.ratios import PlanWarning, derive_ratios

METRICS = ("SNR", "CNR", "score")
TEST_COLUMNS = [
    *("metric", "row", "reader", "a", "b", "n", "n_missing", "n_nonzero", "w_plus", "w_minus"),
    *("p", "q", "family", "m", "rank", "method", "zeros", "mean_difference", "median_difference"),
    *("hodges_lehmann", "hodges_lehmann_low", "hodges_lehmann_high"),
    *("rank_biserial", "rank_biserial_low", "rank_biserial_high"),
    *("wins", "ties", "losses", "significant"),
]
DESCRIPTIVE_COLUMNS = [
    *("metric", "row", "reader", "arm", "n", "n_missing", "mean", "sd", "median", "q1", "q3"),
    *("min", "max", "share_at_least_3"),
]
AGREEMENT_COLUMNS = [
    *("statistic", "criterion", "value", "low", "high", "level", "method", "n", "readers"),
]
SUMMARY_COLUMNS = ["volunteer", "arm", "criterion", "reader", "score", "readers"]


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
    warnings : tuple of PlanWarning
    """

    plan: AnalysisPlan
    derived: pd.DataFrame
    summaries: pd.DataFrame
    descriptives: pd.DataFrame
    tests: pd.DataFrame
    agreement: pd.DataFrame
    warnings: tuple[PlanWarning, ...]

    def warning_frame(self) -> pd.DataFrame:
        """The warnings as a table: metric, row, arm, comparison, text."""
        columns = ["metric", "row", "arm", "comparison", "text"]
        return pd.DataFrame([asdict(warning) for warning in self.warnings], columns=columns)


@dataclass(frozen=True)
class _Row:
    """One table row: the values of every volunteer (index) in every arm (columns)."""

    metric: str
    row: str
    reader: str
    values: pd.DataFrame


def run_plan(scores: pd.DataFrame, regions: pd.DataFrame, plan: AnalysisPlan) -> Results:
    """Compute everything that the plan asks for.

    Parameters
    ----------
    scores : pandas.DataFrame
        Columns volunteer, arm, reader, criterion, score (NaN for missing). May be empty.
    regions : pandas.DataFrame
        Columns volunteer, arm, tissue, mean, sd, n_pixels, area_mm2, image units and mm2; see
        `analysis.input_frames.check_regions` for optional ones. May be empty.
    plan : AnalysisPlan

    Returns
    -------
    Results
        A volunteer without a value in one of two arms is left out of that comparison and counted in
        `n_missing`. A comparison without one complete pair has a NaN p, is not counted in its
        family, and has a warning.

    Raises
    ------
    analysis.input_frames.InputError
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
    derived, warnings = derive_ratios(regions, plan)
    summaries, score_warnings = summarise_readers(scores, plan)
    warnings += score_warnings
    rows = [*_ratio_rows(derived, plan), *_score_rows(summaries, plan)]
    tests, test_warnings = _tests(rows, plan)
    agreement, agreement_warnings = _agreement(scores, plan)
    return Results(
        plan=plan,
        derived=derived,
        summaries=summaries,
        descriptives=_descriptives(rows, plan),
        tests=tests,
        agreement=agreement,
        warnings=(*warnings, *test_warnings, *agreement_warnings),
    )


def summarise_readers(
    scores: pd.DataFrame, plan: AnalysisPlan
) -> tuple[pd.DataFrame, list[PlanWarning]]:
    """One score a volunteer, arm and criterion over the readers, as the plan says.

    Parameters
    ----------
    scores : pandas.DataFrame
        Checked by `analysis.input_frames.check_scores`.
    plan : AnalysisPlan

    Returns
    -------
    pandas.DataFrame
        volunteer, arm, criterion, reader (empty when pooled), score, readers (who scored).
    list of PlanWarning
        Where a reader's score is missing.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),),
    ...                     criteria=("sharpness",))
    >>> scores = pd.DataFrame({"volunteer": "V1", "arm": "A", "reader": ["R1", "R2", "R3"],
    ...                        "criterion": "sharpness", "score": [3.0, 4.0, 5.0]})
    >>> summarise_readers(scores, plan)[0]["score"].tolist()
    [4.0]
    """
    if scores.empty:
        return pd.DataFrame({name: [] for name in SUMMARY_COLUMNS}), []
    keys = ["volunteer", "arm", "criterion"]
    n_readers = int(scores["reader"].nunique())
    cells = scores.groupby(keys, sort=False, observed=True)["score"]
    summaries = cells.count().rename("readers").reset_index()
    if plan.reader_summary == "each":
        each = scores[[*keys, "reader", "score"]].reset_index(drop=True)
        each["readers"] = each["score"].notna().astype(int)
        each["reader"] = each["reader"].astype(str)
        return each[SUMMARY_COLUMNS], _incomplete(summaries, n_readers, plan)
    pooled = cells.median() if plan.reader_summary == "median" else cells.mean()
    summaries["score"] = pooled.to_numpy(dtype=np.float64)
    summaries["reader"] = ""
    if plan.missing == "complete":
        summaries.loc[summaries["readers"] < n_readers, "score"] = np.nan
    return summaries[SUMMARY_COLUMNS], _incomplete(summaries, n_readers, plan)


def _incomplete(summaries: pd.DataFrame, n_readers: int, plan: AnalysisPlan) -> list[PlanWarning]:
    found = []
    rule = (
        "left out, as the plan says"
        if plan.missing == "complete"
        else "summarised over the readers who scored"
    )
    if plan.reader_summary == "each":
        rule = "missing for that reader alone"
    short = summaries[summaries["readers"] < n_readers]
    for (criterion, arm), group in short.groupby(["criterion", "arm"], sort=False):
        found.append(
            PlanWarning(
                "score",
                str(criterion),
                str(arm),
                "",
                f"{len(group)} volunteers lack the score of at least one of {n_readers} readers "
                f"({rule}); {int((group['readers'] == 0).sum())} have no score at all.",
            )
        )
    return found


def _ratio_rows(derived: pd.DataFrame, plan: AnalysisPlan) -> Iterator[_Row]:
    for metric in ("SNR", "CNR"):
        for tissue in plan.tissues:
            part = derived[(derived["metric"] == metric) & (derived["tissue"] == tissue)]
            if not part.empty:
                everyone = derived["volunteer"].unique()
                yield _Row(metric, tissue, "", _wide(part, "value", everyone, plan))


def _score_rows(summaries: pd.DataFrame, plan: AnalysisPlan) -> Iterator[_Row]:
    everyone = summaries["volunteer"].unique()
    readers = sorted(summaries["reader"].unique())
    for criterion in plan.criteria:
        for reader in readers:
            chosen = (summaries["criterion"] == criterion) & (summaries["reader"] == reader)
            yield _Row(
                "score", criterion, reader, _wide(summaries[chosen], "score", everyone, plan)
            )


def _wide(
    part: pd.DataFrame, column: str, everyone: npt.NDArray[Any], plan: AnalysisPlan
) -> pd.DataFrame:
    wide = part.pivot(index="volunteer", columns="arm", values=column)
    # Volunteers in one fixed order: results must not depend on the order of the input rows.
    order = sorted(everyone, key=str)
    return wide.reindex(index=order, columns=list(plan.arms)).astype(np.float64)


def _descriptives(rows: list[_Row], plan: AnalysisPlan) -> pd.DataFrame:
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


def _tests(rows: list[_Row], plan: AnalysisPlan) -> tuple[pd.DataFrame, list[PlanWarning]]:
    records: list[dict[str, Any]] = []
    warnings: list[PlanWarning] = []
    for row in rows:
        for a, b in plan.comparisons:
            record, text = _compare(row, a, b, plan)
            records.append(record)
            if text:
                warnings.append(PlanWarning(row.metric, row.row, "", f"{a} v {b}", text))
    tests = pd.DataFrame(records, columns=TEST_COLUMNS)
    if tests.empty:
        return tests, warnings
    tests = tests.astype({"m": "int64", "rank": "float64", "q": "float64"})
    for _, positions in tests.groupby("family", sort=False).indices.items():
        p = tests["p"].to_numpy(dtype=np.float64)[positions]
        known = pd.Series(p)
        tests.loc[tests.index[positions], "q"] = benjamini_hochberg(p)
        tests.loc[tests.index[positions], "m"] = int(known.notna().sum())
        # The highest rank among equal p values: the one that Benjamini-Hochberg divides by.
        tests.loc[tests.index[positions], "rank"] = known.rank(method="max").to_numpy()
    tests["significant"] = (tests["q"] <= plan.alpha).fillna(False).astype(bool)
    return tests, warnings


def _compare(row: _Row, a: str, b: str, plan: AnalysisPlan) -> tuple[dict[str, Any], str]:
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
    }
    complete = ~(np.isnan(first) | np.isnan(second))
    if not complete.any():
        nothing = dict.fromkeys(("n", "n_nonzero", "wins", "ties", "losses"), 0)
        record |= nothing | {"n_missing": len(first), "p": float("nan")}
        return record, "No volunteer has a value in both arms: no test was done."
    result = signed_rank_test(
        first, second, cast(Method, plan.method), cast(Zeros, plan.zeros), plan.decimals
    )
    for name in ("n", "n_missing", "n_nonzero", "w_plus", "w_minus", "p", "mean_difference"):
        record[name] = getattr(result, name)
    for name in ("median_difference", "wins", "ties", "losses"):
        record[name] = getattr(result, name)
    for name in ("hodges_lehmann", "rank_biserial"):
        record |= _estimate_columns(name, getattr(result, name))
    return record, " ".join(filter(None, (result.warning, _dropped(result.n_missing))))


def _dropped(n_missing: int) -> str:
    if not n_missing:
        return ""
    verb = "volunteer lacks" if n_missing == 1 else "volunteers lack"
    return f"{n_missing} {verb} a value in one of the two arms and were left out."


def _estimate_columns(name: str, estimate: Estimate) -> dict[str, float]:
    interval = estimate.interval
    return {
        name: estimate.value,
        f"{name}_low": interval.low if interval else float("nan"),
        f"{name}_high": interval.high if interval else float("nan"),
    }


def _family(row: _Row, a: str, b: str, plan: AnalysisPlan) -> str:
    """The name of the family that BH is taken over; tests of one name belong together."""
    stage = "qualitative" if row.metric == "score" else "quantitative"
    name = {
        "row": f"row: {row.metric}, {row.row}",
        "column": f"column: {row.metric}, {a} v {b}",
        "stage": f"stage: {stage}",
        "all": "all",
    }[plan.family]
    return f"{name}, {row.reader}" if row.reader and plan.family != "all" else name


def _agreement(scores: pd.DataFrame, plan: AnalysisPlan) -> tuple[pd.DataFrame, list[PlanWarning]]:
    records: list[tuple[Any, ...]] = []
    warnings: list[PlanWarning] = []
    for criterion in plan.criteria if not scores.empty else ():
        part = scores[scores["criterion"] == criterion]
        wide = part.pivot(index=["arm", "volunteer"], columns="reader", values="score")
        # Protocol order, so that neither the order of the rows nor the arms' names matter.
        wide = wide.sort_index().reindex(list(plan.arms), level="arm")
        ratings = wide.to_numpy(dtype=np.float64)
        volunteers = wide.index.get_level_values("volunteer").astype(str)
        for statistic in plan.agreement:
            try:
                found = _agreement_estimate(statistic, ratings, volunteers.to_numpy(), plan)
            except ValueError as error:
                warnings.append(PlanWarning("score", criterion, "", "", f"{statistic}: {error}"))
                continue
            bounds = found.interval
            records.append(
                (found.name, criterion, found.value)
                + (
                    (bounds.low, bounds.high, bounds.level, bounds.method)
                    if bounds
                    else (float("nan"), float("nan"), float("nan"), "no interval at this level")
                )
                + (found.n, ratings.shape[1])
            )
    return pd.DataFrame(records, columns=AGREEMENT_COLUMNS), warnings


def _agreement_estimate(
    statistic: str,
    ratings: npt.NDArray[np.float64],
    volunteers: npt.NDArray[Any],
    plan: AnalysisPlan,
) -> Estimate:
    if statistic == "percent_agreement":
        return percent_agreement(ratings, clusters=volunteers)
    if statistic == "krippendorff_alpha":
        return krippendorff_alpha(ratings, "ordinal", clusters=volunteers)
    scale = None
    if plan.score_range is not None:
        low, high = plan.score_range
        scale = [float(score) for score in np.arange(low, high + 1)]
    return gwet_ac(ratings, "quadratic", categories=scale, clusters=volunteers)
