"""Checks of the tables that come in: every fault is named by table, row and column."""

import numpy as np
import pandas as pd

from analysis.input_checks import (
    InputError,
    check_codes,
    check_occasions,
    check_present,
    check_rows,
    check_unique,
    numbers,
    with_columns,
)
from analysis.plan import AnalysisPlan

__all__ = ["InputError", "check_regions", "check_scores"]

SCORE_COLUMNS = ("volunteer", "arm", "reader", "criterion", "score")
REGION_COLUMNS = ("volunteer", "arm", "tissue", "mean", "sd", "n_pixels", "area_mm2")
# Optional columns of regions: what the warnings and the difference method need.
OPTIONAL_REGION_COLUMNS = ("n_zero", "n_at_limits", "sd_difference")


def check_scores(scores: pd.DataFrame, plan: AnalysisPlan) -> pd.DataFrame:
    """The scores with numbers as float64, or a clear error.

    Parameters
    ----------
    scores : pandas.DataFrame
        Columns volunteer, arm, reader, criterion, score; a missing score is NaN. Optionally
        occasion, a whole number from 1.
    plan : AnalysisPlan

    Returns
    -------
    pandas.DataFrame
        A copy, rows numbered from 0.

    Raises
    ------
    InputError
        A column is missing; an arm or criterion is not in the plan; a score is text, infinite or
        outside `plan.score_range`; a volunteer, arm, reader and criterion is there twice.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),),
    ...                     criteria=("sharpness",))
    >>> frame = pd.DataFrame([("V1", "C", "R1", "sharpness", 3)], columns=list(SCORE_COLUMNS))
    >>> check_scores(frame, plan)
    Traceback (most recent call last):
    ...
    analysis.input_checks.InputError: scores, row 1, column arm: "C" is not in the plan (A, B).
    """
    frame = with_columns(scores, SCORE_COLUMNS, "scores")
    check_present(frame, ("volunteer", "arm", "reader", "criterion"), "scores")
    check_codes(frame, "arm", plan.arms, "scores")
    check_codes(frame, "criterion", plan.criteria, "scores")
    frame["score"] = numbers(frame, "score", "scores")
    if plan.score_range is not None:
        low, high = plan.score_range
        outside = ((frame["score"] < low) | (frame["score"] > high)).to_numpy()
        if outside.any():
            row = int(np.argmax(outside))
            raise InputError(
                f"scores, row {row + 1}, column score: {frame['score'].iloc[row]:g} lies outside "
                f"the scale from {low:g} to {high:g}."
            )
    return check_occasions(frame, ("volunteer", "arm", "reader", "criterion"), "scores")


def check_regions(regions: pd.DataFrame, plan: AnalysisPlan) -> pd.DataFrame:
    """The region measurements with numbers as float64, or a clear error.

    Parameters
    ----------
    regions : pandas.DataFrame
        Columns volunteer, arm, tissue, mean, sd (image units, ddof 1), n_pixels, area_mm2; also
        n_zero and n_at_limits (pixels of the region that are zero or clipped) and sd_difference
        (SD of the difference of two acquisitions), where known.
    plan : AnalysisPlan

    Returns
    -------
    pandas.DataFrame
        A copy, rows numbered from 0.

    Raises
    ------
    InputError
        As for `check_scores`; also a region without pixels, a negative SD, or no sd_difference
        column when the plan's noise estimate is "difference".

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),),
    ...                     tissues=("fat", "muscle"))
    >>> row = ("V1", "A", "fat", 100.0, 5.0, 0, 30.0)
    >>> check_regions(pd.DataFrame([row], columns=list(REGION_COLUMNS)), plan)
    Traceback (most recent call last):
    ...
    analysis.input_checks.InputError: regions, row 1, column n_pixels: the region holds no pixels.
    """
    frame = with_columns(regions, REGION_COLUMNS, "regions")
    check_present(frame, ("volunteer", "arm", "tissue"), "regions")
    check_codes(frame, "arm", plan.arms, "regions")
    known = (*plan.tissues, plan.air) if plan.air else plan.tissues
    check_codes(frame, "tissue", known, "regions")
    optional = [name for name in OPTIONAL_REGION_COLUMNS if name in frame.columns]
    for name in ("mean", "sd", "n_pixels", "area_mm2", *optional):
        frame[name] = numbers(frame, name, "regions")
    check_present(frame, ("n_pixels",), "regions")
    check_rows(frame["n_pixels"] < 1, "n_pixels", "the region holds no pixels.", "regions")
    whole = frame["n_pixels"] % 1 == 0
    check_rows(~whole, "n_pixels", "a number of pixels is a whole number.", "regions")
    for name in ("sd", *(name for name in optional if name == "sd_difference")):
        check_rows(frame[name] < 0, name, "an SD cannot be negative.", "regions")
    if plan.noise_estimate == "difference" and "sd_difference" not in frame.columns:
        raise InputError(
            "The noise estimate is the difference of two acquisitions: regions needs a column "
            "sd_difference with the SD of the difference image in each tissue."
        )
    check_unique(frame, ("volunteer", "arm", "tissue"), "regions")
    return frame
