"""Forced choices and rankings under a plan: one frame each, as `run_plan` returns them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from analysis.estimates import Estimate
from analysis.forced_choice import bradley_terry, forced_choice
from analysis.paired import FEWEST_NONZERO_PAIRS, Method, Zeros, smallest_p
from analysis.plan import AnalysisPlan
from analysis.ranking import Ranking, rank_arms
from analysis.ratios import PlanWarning
from analysis.sensitivity import FEWEST_CASES

CHOICE_COLUMNS = [
    *("criterion", "reader", "a", "b", "n", "n_missing", "n_split", "chosen_a", "chosen_b"),
    *("share_b", "low", "high", "level", "p", "q", "family", "m", "rank", "method", "significant"),
]
ABILITY_COLUMNS = [
    *("criterion", "reader", "arm", "reference", "log_odds", "odds", "odds_low", "odds_high"),
    *("level", "p", "chi_square", "freedom", "p_all_equal", "method", "n"),
]
RANKING_COLUMNS = [
    *("criterion", "reader", "a", "b", "statistic", "value", "low", "high", "level", "method"),
    *("p", "q", "n", "n_missing"),
]


@dataclass(frozen=True)
class Preferences:
    """What was found in forced choices and rankings.

    Attributes
    ----------
    choices : pandas.DataFrame
        One planned comparison of one question each; q is not filled in yet.
    abilities : pandas.DataFrame
        Bradley-Terry: one arm of one question each.
    rankings : pandas.DataFrame
        Friedman's test, mean ranks, and every pair of arms, a criterion each.
    warnings : tuple of PlanWarning
    """

    choices: pd.DataFrame
    abilities: pd.DataFrame
    rankings: pd.DataFrame
    warnings: tuple[PlanWarning, ...]


def analyse_preferences(
    choices: pd.DataFrame, rankings: pd.DataFrame, plan: AnalysisPlan
) -> Preferences:
    """The exact binomial test of each planned comparison, Bradley-Terry, and Friedman's test.

    Parameters
    ----------
    choices : pandas.DataFrame
        Checked by `analysis.preference_input.check_choices`; may be empty.
    rankings : pandas.DataFrame
        Checked by `analysis.preference_input.check_rankings`; may be empty.
    plan : AnalysisPlan

    Returns
    -------
    Preferences

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),),
    ...                     choice_criteria=("preferred",))
    >>> rows = [(f"V{v}", r, "preferred", "A", "B", "B" if v else "A") for v in range(8)
    ...         for r in ("R1", "R2", "R3")]
    >>> choices = pd.DataFrame(rows, columns=["volunteer", "reader", "criterion", "first",
    ...                                       "second", "chosen"])
    >>> found = analyse_preferences(choices, pd.DataFrame(), plan)
    >>> found.choices[["chosen_a", "chosen_b", "p"]].values.tolist()
    [[1.0, 7.0, 0.0703125]]
    """
    warnings: list[PlanWarning] = []
    tests: list[dict[str, Any]] = []
    abilities: list[dict[str, Any]] = []
    for criterion, reader, part in _parts(choices, plan.choice_criteria, plan.choice_summary):
        tests += [
            _compare(part, criterion, reader, pair, plan, warnings) for pair in plan.comparisons
        ]
        abilities += _abilities(part, criterion, reader, plan, warnings)
    records: list[dict[str, Any]] = []
    for criterion, reader, part in _parts(rankings, plan.ranking_criteria, plan.reader_summary):
        records += _ranking(part, criterion, reader, plan, warnings)
    return Preferences(
        pd.DataFrame(tests, columns=CHOICE_COLUMNS),
        pd.DataFrame(abilities, columns=ABILITY_COLUMNS),
        pd.DataFrame(records, columns=RANKING_COLUMNS),
        tuple(warnings),
    )


def _parts(
    frame: pd.DataFrame, criteria: tuple[str, ...], summary: str
) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Criterion, reader (empty where the readers are summarised) and their rows."""
    for criterion in criteria if not frame.empty else ():
        part = frame[frame["criterion"] == criterion]
        if summary != "each":
            yield criterion, "", part
            continue
        for reader in sorted(frame["reader"].unique(), key=str):
            yield criterion, str(reader), part[part["reader"] == reader]


def _compare(
    part: pd.DataFrame,
    criterion: str,
    reader: str,
    pair: tuple[str, str],
    plan: AnalysisPlan,
    warnings: list[PlanWarning],
) -> dict[str, Any]:
    """One choice a volunteer: the majority of the readers who chose."""
    a, b = pair
    first, second = sorted(pair, key=plan.arms.index)
    shown = part[(part["first"] == first) & (part["second"] == second)]
    for_b = (shown["chosen"] == b).groupby(shown["volunteer"]).sum()
    for_a = (shown["chosen"] == a).groupby(shown["volunteer"]).sum()
    made = for_a + for_b > 0
    chosen_b, chosen_a = int((for_b > for_a).sum()), int((for_a > for_b).sum())
    split = int((made & (for_a == for_b)).sum())
    n = chosen_a + chosen_b
    record: dict[str, Any] = {
        "criterion": criterion,
        "reader": reader,
        "a": a,
        "b": b,
        "n": n,
        "n_missing": int(part["volunteer"].nunique() - made.sum()),
        "n_split": split,
        "chosen_a": chosen_a,
        "chosen_b": chosen_b,
        "p": float("nan"),
        "family": _family(criterion, reader, a, b, plan),
        "m": 0,
        "method": "exact binomial; interval: Clopper-Pearson",
    }
    texts = []
    if n:
        found = forced_choice(chosen_b, chosen_a, level=1 - plan.alpha)
        limits = _limits(found)
        record |= {"share_b": found.value, "p": found.p} | {k: limits[k] for k in _INTERVAL}
        if n < FEWEST_NONZERO_PAIRS:
            texts.append(
                f"Only {_volunteers(n)} with a choice: the smallest p that the exact test can give "
                f"is {smallest_p(n):.4g}, so it could not reach .05 whatever the data."
            )
    else:
        texts.append("No volunteer has a choice between the two arms: no test was done.")
    if split:
        texts.append(f"{_volunteers(split)} left out: the readers' choices were evenly split.")
    if record["n_missing"] and n:
        texts.append(f"{_volunteers(record['n_missing'])} left out: no reader chose.")
    if texts:
        text = "forced choice: " + " ".join(texts)
        warnings.append(PlanWarning("choice", criterion, "", f"{a} v {b}", text))
    return record


def _volunteers(count: int) -> str:
    return "1 volunteer" if count == 1 else f"{count} volunteers"


def _abilities(
    part: pd.DataFrame,
    criterion: str,
    reader: str,
    plan: AnalysisPlan,
    warnings: list[PlanWarning],
) -> list[dict[str, Any]]:
    """Every choice of every reader, with errors over whole volunteers."""
    made = part[part["chosen"].notna()]
    present = set(made["first"]) | set(made["second"])
    arms = [arm for arm in plan.arms if arm in present]
    if len(arms) < 3:
        # With two arms the binomial test says all.
        return []
    base = plan.control if plan.control in arms else arms[0]
    cases = made["volunteer"].astype(str)
    try:
        found = bradley_terry(
            made["first"].tolist(),
            made["second"].tolist(),
            made["chosen"].tolist(),
            reference=base,
            clusters=cases.to_numpy(),
            level=1 - plan.alpha,
        )
    except (ValueError, np.linalg.LinAlgError) as error:
        text = f"Bradley-Terry: {error}"
        warnings.append(PlanWarning("choice", criterion, "", "", text))
        return []
    if cases.nunique() < FEWEST_CASES:
        text = (
            f"Bradley-Terry: errors over {cases.nunique()} volunteers are too small with fewer "
            f"than about {FEWEST_CASES}; read its intervals and p as rough."
        )
        warnings.append(PlanWarning("choice", criterion, "", "", text))
    records = []
    by_name = {ability.name: ability for ability in found.abilities}
    for arm in arms:
        if arm == base:
            continue
        ability = by_name[f"{arm} v {base}"]
        odds = ability.odds_ratio
        records.append(
            {
                "criterion": criterion,
                "reader": reader,
                "arm": arm,
                "reference": base,
                "log_odds": ability.value,
                "odds": odds.value,
                "odds_low": odds.interval.low if odds.interval else np.nan,
                "odds_high": odds.interval.high if odds.interval else np.nan,
                "level": 1 - plan.alpha,
                "p": ability.p,
                "chi_square": found.chi_square,
                "freedom": found.freedom,
                "p_all_equal": found.p,
                "method": found.method,
                "n": found.n,
            }
        )
    return records


def _ranking(
    part: pd.DataFrame,
    criterion: str,
    reader: str,
    plan: AnalysisPlan,
    warnings: list[PlanWarning],
) -> list[dict[str, Any]]:
    cells = part.groupby(["volunteer", "arm"])["rank"]
    summary = cells.mean() if plan.reader_summary == "mean" else cells.median()
    wide = summary.unstack("arm").reindex(columns=list(plan.arms)).astype(np.float64)
    if plan.missing == "complete" and not reader:
        readers = int(part["reader"].nunique())
        wide = wide.where(cells.count().unstack("arm").reindex_like(wide) == readers)
    wide = wide.reindex(index=sorted(wide.index, key=str))
    try:
        found: Ranking = rank_arms(
            wide,
            plan.arms,
            method=cast(Method, plan.method),
            zeros=cast(Zeros, plan.zeros),
            decimals=plan.decimals,
            level=1 - plan.alpha,
        )
    except ValueError as error:
        warnings.append(PlanWarning("ranking", criterion, "", "", f"ranking: {error}"))
        return []
    if found.n_missing:
        text = f"ranking: {_volunteers(found.n_missing)} left out: not every arm has a rank."
        warnings.append(PlanWarning("ranking", criterion, "", "", text))
    place = {"criterion": criterion, "reader": reader, "a": "", "b": ""}
    counts = {"n": found.n, "n_missing": found.n_missing}
    whole = place | _limits(found.concordance) | counts | {"p": found.p}
    whole["method"] = (
        f"Friedman chi-square {found.chi_square:.6g}, {found.freedom} degrees of freedom; "
        f"interval: {whole['method']}"
    )
    records: list[dict[str, Any]] = [whole]
    for arm, mean_rank in zip(plan.arms, found.mean_ranks, strict=True):
        records.append(place | {"b": arm} | _limits(mean_rank) | counts)
    for pair in found.follow_up:
        tested = {"a": pair.a, "b": pair.b, "p": pair.test.p, "q": pair.q}
        counts = {"n": pair.test.n, "n_missing": pair.test.n_missing}
        shift = _limits(pair.test.hodges_lehmann)
        records.append(place | shift | tested | counts)
    return records


_INTERVAL = ("low", "high", "level")


def _limits(found: Estimate) -> dict[str, Any]:
    bounds = found.interval
    return {
        "statistic": found.name,
        "value": found.value,
        "low": bounds.low if bounds else np.nan,
        "high": bounds.high if bounds else np.nan,
        "level": bounds.level if bounds else np.nan,
        "method": bounds.method if bounds else "no interval at this level",
    }


def _family(criterion: str, reader: str, a: str, b: str, plan: AnalysisPlan) -> str:
    name = {
        "row": f"row: choice, {criterion}",
        "column": f"column: choice, {a} v {b}",
        "stage": "stage: choice",
        "all": "all",
    }[plan.family]
    return f"{name}, {reader}" if reader and plan.family != "all" else name
