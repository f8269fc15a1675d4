"""Checks of the tables that come in: every fault is named by table, row and column."""

import numpy as np
import pandas as pd

from analysis.plan import AnalysisPlan

SCORE_COLUMNS = ("volunteer", "arm", "reader", "criterion", "score")
REGION_COLUMNS = ("volunteer", "arm", "tissue", "mean", "sd", "n_pixels", "area_mm2")
# Optional column of scores: 1 for the first reading, more for hidden repeats.
OCCASION = "occasion"
# Optional columns of regions: what the warnings and the difference method need.
OPTIONAL_REGION_COLUMNS = ("n_zero", "n_at_limits", "sd_difference")


class InputError(ValueError):
    """A table cannot be analysed; the message says where and why."""


def check_scores(scores: pd.DataFrame, plan: AnalysisPlan) -> pd.DataFrame:
    """The scores with numbers as float64, or a clear error.

    Parameters
    ----------
    scores : pandas.DataFrame
        Columns volunteer, arm, reader, criterion, score; a missing score is NaN. Optionally
        occasion, a whole number from 1.
    plan : AnalysisPlan

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
    analysis.input_frames.InputError: scores, row 1, column arm: "C" is not in the plan (A, B).
    """
    frame = _with_columns(scores, SCORE_COLUMNS, "scores")
    _check_present(frame, ("volunteer", "arm", "reader", "criterion"), "scores")
    _check_codes(frame, "arm", plan.arms, "scores")
    _check_codes(frame, "criterion", plan.criteria, "scores")
    frame["score"] = _numbers(frame, "score", "scores")
    if plan.score_range is not None:
        low, high = plan.score_range
        outside = ((frame["score"] < low) | (frame["score"] > high)).to_numpy()
        if outside.any():
            row = int(np.argmax(outside))
            raise InputError(
                f"scores, row {row + 1}, column score: {frame['score'].iloc[row]:g} lies outside "
                f"the scale from {low:g} to {high:g}."
            )
    keys: tuple[str, ...] = ("volunteer", "arm", "reader", "criterion")
    if OCCASION in frame.columns:
        _check_present(frame, (OCCASION,), "scores")
        frame[OCCASION] = _numbers(frame, OCCASION, "scores")
        odd = (frame[OCCASION] < 1) | (frame[OCCASION] % 1 != 0)
        _check_rows(odd, OCCASION, "an occasion is a whole number from 1.", "scores")
        keys = (*keys, OCCASION)
    _check_unique(frame, keys, "scores")
    return frame


def check_regions(regions: pd.DataFrame, plan: AnalysisPlan) -> pd.DataFrame:
    """The region measurements with numbers as float64, or a clear error.

    Parameters
    ----------
    regions : pandas.DataFrame
        Columns volunteer, arm, tissue, mean, sd (image units, ddof 1), n_pixels, area_mm2; also
        n_zero and n_at_limits (pixels of the region that are zero or clipped) and sd_difference
        (SD of the difference of two acquisitions), where known.
    plan : AnalysisPlan

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
    analysis.input_frames.InputError: regions, row 1, column n_pixels: the region holds no pixels.
    """
    frame = _with_columns(regions, REGION_COLUMNS, "regions")
    _check_present(frame, ("volunteer", "arm", "tissue"), "regions")
    _check_codes(frame, "arm", plan.arms, "regions")
    known = (*plan.tissues, plan.air) if plan.air else plan.tissues
    _check_codes(frame, "tissue", known, "regions")
    optional = [name for name in OPTIONAL_REGION_COLUMNS if name in frame.columns]
    for name in ("mean", "sd", "n_pixels", "area_mm2", *optional):
        frame[name] = _numbers(frame, name, "regions")
    _check_rows(frame["n_pixels"] < 1, "n_pixels", "the region holds no pixels.")
    _check_rows(frame["sd"] < 0, "sd", "an SD cannot be negative.")
    if plan.noise_estimate == "difference" and "sd_difference" not in frame.columns:
        raise InputError(
            "The noise estimate is the difference of two acquisitions: regions needs a column "
            "sd_difference with the SD of the difference image in each tissue."
        )
    _check_unique(frame, ("volunteer", "arm", "tissue"), "regions")
    return frame


def _with_columns(given: pd.DataFrame, columns: tuple[str, ...], table: str) -> pd.DataFrame:
    if given.empty:
        return pd.DataFrame({name: pd.Series(dtype="object") for name in columns})
    lacking = [name for name in columns if name not in given.columns]
    if lacking:
        raise InputError(f"{table} lacks the column {', '.join(lacking)}.")
    return given.reset_index(drop=True).copy()


def _check_codes(frame: pd.DataFrame, column: str, known: tuple[str, ...], table: str) -> None:
    strange = (~frame[column].isin(known)).to_numpy(dtype=bool)
    if strange.any():
        row = int(np.argmax(strange))
        raise InputError(
            f'{table}, row {row + 1}, column {column}: "{frame[column].iloc[row]}" is not in the '
            f"plan ({', '.join(known)})."
        )


def _check_present(frame: pd.DataFrame, columns: tuple[str, ...], table: str) -> None:
    for column in columns:
        empty = frame[column].isna().to_numpy(dtype=bool)
        if empty.any():
            raise InputError(f"{table}, row {int(np.argmax(empty)) + 1}, column {column}: empty.")


def _numbers(frame: pd.DataFrame, column: str, table: str) -> pd.Series:
    numbers = pd.to_numeric(frame[column], errors="coerce").astype("float64")
    text = (numbers.isna() & frame[column].notna()).to_numpy(dtype=bool)
    wrong = text | np.isinf(numbers.to_numpy())
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f'{table}, row {row + 1}, column {column}: "{frame[column].iloc[row]}" is not a number.'
        )
    return numbers


def _check_rows(wrong: pd.Series, column: str, reason: str, table: str = "regions") -> None:
    flags = wrong.to_numpy(dtype=bool)
    if flags.any():
        raise InputError(f"{table}, row {int(np.argmax(flags)) + 1}, column {column}: {reason}")


def _check_unique(frame: pd.DataFrame, columns: tuple[str, ...], table: str) -> None:
    twice = frame.duplicated(list(columns)).to_numpy(dtype=bool)
    if twice.any():
        row = int(np.argmax(twice))
        entry = ", ".join(str(frame[name].iloc[row]) for name in columns)
        raise InputError(f"{table}, row {row + 1}: {entry} is there twice.")
