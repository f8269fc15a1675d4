"""What the checks of every input table share: a fault is named by table, row and column.

Rows are counted from 1, below the header.
"""

import numpy as np
import pandas as pd

# Optional column: 1 for the first reading, more for hidden repeats.
OCCASION = "occasion"


class InputError(ValueError):
    """A table cannot be analysed; the message says where and why."""


def with_columns(given: pd.DataFrame, columns: tuple[str, ...], table: str) -> pd.DataFrame:
    """A copy of the table with rows numbered from 0; an empty table gets its columns.

    Raises
    ------
    InputError
        If a column is missing.

    Examples
    --------
    >>> with_columns(pd.DataFrame({"arm": ["A"]}), ("arm", "score"), "scores")
    Traceback (most recent call last):
    ...
    analysis.input_checks.InputError: scores lacks the column score (it has: arm).
    """
    if given.empty:
        return pd.DataFrame({name: pd.Series(dtype="object") for name in columns})
    lacking = [name for name in columns if name not in given.columns]
    if lacking:
        found = ", ".join(str(name) for name in given.columns)
        raise InputError(f"{table} lacks the column {', '.join(lacking)} (it has: {found}).")
    return given.reset_index(drop=True).copy()


def check_codes(frame: pd.DataFrame, column: str, known: tuple[str, ...], table: str) -> None:
    """Refuse a code that the plan does not know.

    Examples
    --------
    >>> check_codes(pd.DataFrame({"arm": ["A", "X"]}), "arm", ("A", "B"), "scores")
    Traceback (most recent call last):
    ...
    analysis.input_checks.InputError: scores, row 2, column arm: "X" is not in the plan (A, B).
    """
    strange = (~frame[column].isin(known)).to_numpy(dtype=bool)
    if strange.any():
        row = int(np.argmax(strange))
        raise InputError(
            f'{table}, row {row + 1}, column {column}: "{frame[column].iloc[row]}" is not in the '
            f"plan ({', '.join(known) or 'it names none'})."
        )


def check_present(frame: pd.DataFrame, columns: tuple[str, ...], table: str) -> None:
    """Refuse an empty code, and one with a space at its edge: it would be another volunteer.

    Examples
    --------
    >>> check_present(pd.DataFrame({"volunteer": ["V1", "V1 "]}), ("volunteer",), "scores")
    Traceback (most recent call last):
    ...
    analysis.input_checks.InputError: scores, row 2, column volunteer: "V1 " begins or ends with a
    space.
    """
    for column in columns:
        check_rows(frame[column].isna(), column, "empty.", table)
        texts = frame[column].drop_duplicates().astype(str)
        odd = set(texts[(texts != texts.str.strip()) | (texts == "")])
        if odd:
            given = frame[column].astype(str)
            row = int(np.argmax(given.isin(odd).to_numpy()))
            raise InputError(
                f'{table}, row {row + 1}, column {column}: "{given.iloc[row]}" begins or ends with '
                "a space."
                if given.iloc[row]
                else f"{table}, row {row + 1}, column {column}: empty."
            )


def numbers(frame: pd.DataFrame, column: str, table: str) -> pd.Series:
    """A column as float64, NaN for missing; text and infinity are refused.

    Examples
    --------
    >>> numbers(pd.DataFrame({"score": ["3", None, "good"]}), "score", "scores")
    Traceback (most recent call last):
    ...
    analysis.input_checks.InputError: scores, row 3, column score: "good" is not a number.
    """
    found = pd.to_numeric(frame[column], errors="coerce").astype("float64")
    text = (found.isna() & frame[column].notna()).to_numpy(dtype=bool)
    wrong = text | np.isinf(found.to_numpy())
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f'{table}, row {row + 1}, column {column}: "{frame[column].iloc[row]}" is not a number.'
        )
    return found


def check_rows(wrong: pd.Series, column: str, reason: str, table: str) -> None:
    """Refuse the first row that is marked as wrong.

    Examples
    --------
    >>> check_rows(pd.Series([False, True]), "sd", "an SD cannot be negative.", "regions")
    Traceback (most recent call last):
    ...
    analysis.input_checks.InputError: regions, row 2, column sd: an SD cannot be negative.
    """
    flags = wrong.to_numpy(dtype=bool)
    if flags.any():
        raise InputError(f"{table}, row {int(np.argmax(flags)) + 1}, column {column}: {reason}")


def check_unique(frame: pd.DataFrame, columns: tuple[str, ...], table: str) -> None:
    """Refuse a row whose codes another row has already.

    Examples
    --------
    >>> frame = pd.DataFrame({"volunteer": ["V1", "V2", "V1"], "arm": ["A", "A", "A"]})
    >>> check_unique(frame, ("volunteer", "arm"), "regions")
    Traceback (most recent call last):
    ...
    analysis.input_checks.InputError: regions, row 3: V1, A is there twice (volunteer, arm as in
    row 1).
    """
    twice = frame.duplicated(list(columns)).to_numpy(dtype=bool)
    if twice.any():
        row = int(np.argmax(twice))
        key = frame.loc[row, list(columns)]
        first = int(np.argmax((frame[list(columns)] == key).all(axis=1).to_numpy()))
        entry = ", ".join(_shown(value) for value in key)
        raise InputError(
            f"{table}, row {row + 1}: {entry} is there twice ({', '.join(columns)} as in row "
            f"{first + 1})."
        )


def check_occasions(frame: pd.DataFrame, keys: tuple[str, ...], table: str) -> pd.DataFrame:
    """The table with its optional occasions as whole numbers, every reading there once.

    Examples
    --------
    >>> frame = pd.DataFrame({"volunteer": ["V1", "V1"], "occasion": [1, 1.5]})
    >>> check_occasions(frame, ("volunteer",), "scores")
    Traceback (most recent call last):
    ...
    analysis.input_checks.InputError: scores, row 2, column occasion: an occasion is a whole number
    from 1.
    """
    if OCCASION in frame.columns:
        check_present(frame, (OCCASION,), table)
        frame[OCCASION] = numbers(frame, OCCASION, table)
        odd = (frame[OCCASION] < 1) | (frame[OCCASION] % 1 != 0)
        check_rows(odd, OCCASION, "an occasion is a whole number from 1.", table)
        keys = (*keys, OCCASION)
    check_unique(frame, keys, table)
    return frame


def first_occasion(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first reading, under their old index; hidden repeats never enter a table.

    Examples
    --------
    >>> first_occasion(pd.DataFrame({"score": [3, 4], "occasion": [1, 2]}))["score"].tolist()
    [3]
    """
    if OCCASION not in frame.columns:
        return frame
    return frame[frame[OCCASION] == 1].drop(columns=OCCASION)


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
