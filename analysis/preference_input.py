"""Checks of the tables of forced choices and of rankings: faults are named by row and column."""

import numpy as np
import pandas as pd

from analysis.input_checks import (
    InputError,
    check_codes,
    check_occasions,
    check_present,
    check_rows,
    first_occasion,
    numbers,
    with_columns,
)
from analysis.plan import AnalysisPlan

CHOICE_COLUMNS = ("volunteer", "reader", "criterion", "first", "second", "chosen")
RANKING_COLUMNS = ("volunteer", "reader", "criterion", "arm", "rank")


def check_choices(choices: pd.DataFrame, plan: AnalysisPlan) -> pd.DataFrame:
    """The forced choices, each pair in one fixed order, or a clear error.

    Parameters
    ----------
    choices : pandas.DataFrame
        Columns volunteer, reader, criterion, first, second (the two arms that were shown, in any
        order) and chosen (one of the two; missing where the reader made no choice). Optionally
        occasion, a whole number from 1: repeats are left out.
    plan : AnalysisPlan
        Its `choice_criteria` name the questions.

    Returns
    -------
    pandas.DataFrame
        First and second stand in the order of the plan's arms.

    Raises
    ------
    analysis.input_checks.InputError
        A column is missing; an arm or criterion is not in the plan; an arm is shown beside itself;
        neither of the two was chosen; a choice is there twice.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),),
    ...                     choice_criteria=("preferred",))
    >>> row = ("V1", "R1", "preferred", "A", "B", "C")
    >>> check_choices(pd.DataFrame([row], columns=list(CHOICE_COLUMNS)), plan)
    Traceback (most recent call last):
    ...
    analysis.input_checks.InputError: choices, row 1, column chosen: "C" is neither "A" nor "B".
    """
    frame = with_columns(choices, CHOICE_COLUMNS, "choices")
    if frame.empty:
        return frame
    check_present(frame, ("volunteer", "reader", "criterion", "first", "second"), "choices")
    check_codes(frame, "criterion", plan.choice_criteria, "choices")
    for column in ("first", "second"):
        check_codes(frame, column, plan.arms, "choices")
    same = frame["first"] == frame["second"]
    check_rows(same, "second", "an arm is shown beside itself.", "choices")
    strange = frame["chosen"].notna()
    strange &= (frame["chosen"] != frame["first"]) & (frame["chosen"] != frame["second"])
    if strange.any():
        row = int(np.argmax(strange.to_numpy()))
        given = frame.iloc[row]
        raise InputError(
            f'choices, row {row + 1}, column chosen: "{given["chosen"]}" is neither '
            f'"{given["first"]}" nor "{given["second"]}".'
        )
    place = {arm: number for number, arm in enumerate(plan.arms)}
    turned = (frame["first"].map(place) > frame["second"].map(place)).to_numpy(dtype=bool)
    first, second = frame["first"].copy(), frame["second"].copy()
    frame["first"], frame["second"] = first.mask(turned, second), second.mask(turned, first)
    keys = ("volunteer", "reader", "criterion", "first", "second")
    return first_occasion(check_occasions(frame, keys, "choices"))


def check_rankings(rankings: pd.DataFrame, plan: AnalysisPlan) -> pd.DataFrame:
    """The rankings with ranks as float64, or a clear error.

    Parameters
    ----------
    rankings : pandas.DataFrame
        Columns volunteer, reader, criterion, arm, rank; 1 is the best, equal ranks are ties, a
        missing rank is NaN. Optionally occasion.
    plan : AnalysisPlan
        Its `ranking_criteria` name what was ranked.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    analysis.input_checks.InputError
        A column is missing; an arm or criterion is not in the plan; a rank is text or lies outside
        1 to the number of arms; an arm is ranked twice by a reader in a volunteer.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B", "C"), control="A", comparisons=(("A", "B"),),
    ...                     ranking_criteria=("sharpness",))
    >>> row = ("V1", "R1", "sharpness", "B", 4)
    >>> check_rankings(pd.DataFrame([row], columns=list(RANKING_COLUMNS)), plan)
    Traceback (most recent call last):
    ...
    analysis.input_checks.InputError: rankings, row 1, column rank: a rank lies from 1 (best) to 3,
    the number of arms.
    """
    frame = with_columns(rankings, RANKING_COLUMNS, "rankings")
    if frame.empty:
        return frame
    check_present(frame, ("volunteer", "reader", "criterion", "arm"), "rankings")
    check_codes(frame, "arm", plan.arms, "rankings")
    check_codes(frame, "criterion", plan.ranking_criteria, "rankings")
    frame["rank"] = numbers(frame, "rank", "rankings")
    highest = len(plan.arms)
    outside = (frame["rank"] < 1) | (frame["rank"] > highest)
    reason = f"a rank lies from 1 (best) to {highest}, the number of arms."
    check_rows(outside, "rank", reason, "rankings")
    keys = ("volunteer", "reader", "criterion", "arm")
    return first_occasion(check_occasions(frame, keys, "rankings"))
