"""Text that a spreadsheet must not run: a cell that would be a formula gets an apostrophe."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

# A spreadsheet takes a cell that starts so for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NUMBER = re.compile(r"[+-]?\d*\.?\d+([eE][+-]?\d+)?")


def safe_text(value: Any) -> Any:
    """The value; text that would be a formula with an apostrophe in front. Numbers stay."""
    if (
        isinstance(value, str)
        and value.startswith(_FORMULA_STARTS)
        and not _NUMBER.fullmatch(value)
    ):
        return f"'{value}"
    return value


def safe_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """A copy of the table in which no cell and no heading is a formula."""
    frame = frame.copy()
    for at, column in enumerate(frame.columns):
        if not pd.api.types.is_numeric_dtype(frame.dtypes.iloc[at]):
            frame[column] = [safe_text(value) for value in frame[column]]
    return frame.rename(columns=safe_text)
