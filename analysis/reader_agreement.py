"""Agreement between the readers of a study, and of each reader with her own repeats."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.agreement import gwet_ac, krippendorff_alpha, percent_agreement
from analysis.estimates import Estimate
from analysis.input_checks import first_occasion
from analysis.kappa import cohen_kappa, fleiss_kappa
from analysis.plan import AnalysisPlan
from analysis.ratios import PlanWarning
from analysis.reliability import icc, kendall_w, repeatability

AGREEMENT_COLUMNS = [
    *("statistic", "criterion", "value", "low", "high", "level", "method", "n", "readers"),
]
Array = npt.NDArray[np.float64]


def reader_agreement(
    scores: pd.DataFrame, plan: AnalysisPlan
) -> tuple[pd.DataFrame, list[PlanWarning]]:
    """The agreement statistics of the plan, a criterion each.

    Parameters
    ----------
    scores : pandas.DataFrame
        Checked by `analysis.input_frames.check_scores`; with a column occasion for hidden repeats.
    plan : AnalysisPlan

    Returns
    -------
    pandas.DataFrame
        statistic, criterion, value, low, high, level, method, n, readers.
    list of PlanWarning
        A statistic that does not exist for these scores, with the reason.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),),
    ...                     criteria=("sharpness",), agreement=("percent_agreement",))
    >>> scores = pd.DataFrame(
    ...     [(v, arm, reader, "sharpness", 3.0) for v in "VW" for arm in "AB" for reader in "PQ"],
    ...     columns=["volunteer", "arm", "reader", "criterion", "score"])
    >>> reader_agreement(scores, plan)[0][["statistic", "value", "n"]].values.tolist()
    [['percent agreement', 1.0, 4]]
    """
    records: list[tuple[Any, ...]] = []
    warnings: list[PlanWarning] = []
    for criterion in plan.criteria if not scores.empty else ():
        chosen = scores[scores["criterion"] == criterion]
        once = first_occasion(chosen)
        wide = once.pivot(index=["arm", "volunteer"], columns="reader", values="score")
        # Protocol order, so that neither the order of the rows nor the arms' names matter.
        wide = wide.sort_index().reindex(list(plan.arms), level="arm")
        for statistic in plan.agreement:
            for name, compute in _estimates(statistic, wide, chosen, plan):
                try:
                    found = compute()
                except ValueError as error:
                    text = f"{statistic}{name}: {error}"
                    warnings.append(PlanWarning("score", criterion, "", "", text))
                    continue
                records.append(_record(found, name, criterion, wide.shape[1]))
    return pd.DataFrame(records, columns=AGREEMENT_COLUMNS), warnings


def _record(found: Estimate, name: str, criterion: str, readers: int) -> tuple[Any, ...]:
    bounds = found.interval
    limits: tuple[Any, ...] = (float("nan"),) * 3 + ("no interval at this level",)
    if bounds is not None:
        limits = (bounds.low, bounds.high, bounds.level, bounds.method)
    return (f"{found.name}{name}", criterion, found.value, *limits, found.n, readers)


def _estimates(
    statistic: str, wide: pd.DataFrame, chosen: pd.DataFrame, plan: AnalysisPlan
) -> Iterator[tuple[str, Any]]:
    """What is added to the statistic's name, and the call that computes it."""
    ratings: Array = wide.to_numpy(dtype=np.float64)
    cases = wide.index.get_level_values("volunteer").astype(str).to_numpy()
    scale = _scale(plan)
    if statistic == "percent_agreement":
        yield "", lambda: percent_agreement(ratings, clusters=cases)
    elif statistic == "krippendorff_alpha":
        yield "", lambda: krippendorff_alpha(ratings, "ordinal", clusters=cases)
    elif statistic == "gwet_ac":
        yield "", lambda: gwet_ac(ratings, "quadratic", categories=scale, clusters=cases)
    elif statistic == "fleiss_kappa":
        yield "", lambda: fleiss_kappa(ratings, clusters=cases)
    elif statistic == "kendall_w":
        yield "", lambda: kendall_w(ratings, clusters=cases)
    elif statistic == "icc":
        yield "", lambda: icc(ratings, "ICC(2,1)", clusters=cases)
    elif statistic == "cohen_kappa":
        if wide.shape[1] < 2:
            yield "", lambda: percent_agreement(ratings)
        for a, b in combinations(wide.columns, 2):
            yield f", {a} and {b}", _kappa(wide[a].to_numpy(), wide[b].to_numpy(), scale, cases)
    elif statistic == "repeatability":
        yield from _repeats(chosen, scale)


def _kappa(a: Array, b: Array, scale: list[float] | None, cases: npt.NDArray[Any]) -> Any:
    return lambda: cohen_kappa(a, b, "quadratic", categories=scale, clusters=cases)


def _repeats(chosen: pd.DataFrame, scale: list[float] | None) -> Iterator[tuple[str, Any]]:
    """Each reader's hidden repeats: scatter of all readings, kappa of the first two."""
    if "occasion" not in chosen.columns or (chosen["occasion"] == 1).all():
        yield "", _no_repeats
        return
    for reader, own in chosen.groupby("reader", sort=True):
        again = own.pivot(index=["arm", "volunteer"], columns="occasion", values="score")
        again = again.sort_index(axis=1)
        readings: Array = again.to_numpy(dtype=np.float64)
        if readings.shape[1] < 2:
            yield f", repeats of {reader}", _no_repeats
            continue
        yield f", repeats of {reader}", _coefficient(readings)
        cases = again.index.get_level_values("volunteer").astype(str).to_numpy()
        yield f", repeats of {reader}", _kappa(readings[:, 0], readings[:, 1], scale, cases)


def _coefficient(readings: Array) -> Any:
    return lambda: repeatability(readings).coefficient


def _no_repeats() -> Estimate:
    raise ValueError("The scores hold no second reading: repeatability cannot be estimated.")


def _scale(plan: AnalysisPlan) -> list[float] | None:
    if plan.score_range is None:
        return None
    low, high = plan.score_range
    return [float(score) for score in np.arange(low, high + 1)]
