"""Reading tables from CSV files: every fault of the file is named by row and column."""

import csv
from collections import Counter
from pathlib import Path

import pandas as pd

from analysis.input_checks import InputError


def read_table(path: Path, table: str) -> pd.DataFrame:
    """Read a CSV file as texts, exactly as they stand; an empty field is missing.

    Parameters
    ----------
    path : pathlib.Path
        UTF-8, with a header; fields separated by commas.
    table : str
        What the table is called in messages ("scores").

    Returns
    -------
    pandas.DataFrame
        Texts and None; numbers are checked and converted where their meaning is known.

    Raises
    ------
    InputError
        If the file cannot be read, is not UTF-8, has no header or no row, names a column twice, or
        a row is empty or has more or fewer fields than the header. Rows are counted from the first
        below the header.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "scores.csv"
    ...     _ = path.write_text("volunteer,arm\\nV1,STD\\nV2\\n")
    ...     read_table(path, "scores")
    Traceback (most recent call last):
    ...
    analysis.input_checks.InputError: scores, row 2: 1 field where the header has 2 (volunteer,
    arm).
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = list(csv.reader(stream, strict=True))
    except OSError as error:
        raise InputError(f"{table}: {path} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{table}: {path} is not UTF-8 (byte {error.start + 1}); save it as CSV UTF-8."
        ) from None
    except csv.Error as error:
        raise InputError(f"{table}: {path} is no CSV file ({error}).") from None
    while lines and not lines[-1]:
        lines.pop()
    if not lines or not lines[0]:
        raise InputError(f"{table}: {path} is empty; a header is needed.")
    header = [name.strip() for name in lines[0]]
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and mark in header[0]:
            raise InputError(
                f"{table}: {path} separates its fields by {name}; save it with commas (and points "
                "in numbers)."
            )
    twice = [name for name, times in Counter(header).items() if times > 1]
    if twice:
        raise InputError(f"{table}: the header names the column {', '.join(twice)} twice.")
    if len(lines) == 1:
        raise InputError(f"{table}: {path} has a header but no row below it.")
    for row, line in enumerate(lines[1:], start=1):
        if not line:
            raise InputError(f"{table}, row {row}: an empty line; remove it.")
        if len(line) != len(header):
            fields = "1 field" if len(line) == 1 else f"{len(line)} fields"
            raise InputError(
                f"{table}, row {row}: {fields} where the header has {len(header)} "
                f"({', '.join(header)})."
            )
    frame = pd.DataFrame(lines[1:], columns=header, dtype="object")
    return frame.where(frame != "", None)
