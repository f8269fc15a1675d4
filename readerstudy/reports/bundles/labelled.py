"""The data for SPSS (.sav) and Stata (.dta), with labels for every variable and value.

Arms, criteria and regions become numbers with value labels, since both programs want numbers to
compare; volunteers and readers stay text.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyreadstat

from .dictionary import Variable

# Both formats store when they were written; a fixed time keeps two exports of the same data equal.
_SAV_DATE, _SAV_TIME = b"01 Jan 80", b"00:00:00"
_SAV_DATE_AT, _SAV_TIME_AT = 92, 101
_STATA_TIME = re.compile(rb"(?<=<timestamp>\x11)\d\d \w{3} \d{4} \d\d:\d\d(?=</timestamp>)")
_STATA_FIXED = b"01 Jan 1980 00:00"
_MOST_OF_A_LABEL = 80  # Stata's limit
_MOST_OF_A_VALUE = 120  # SPSS's limit


def _coded(
    frame: pd.DataFrame, found: Sequence[Variable]
) -> tuple[pd.DataFrame, dict[str, dict[float, str]], dict[str, str | None]]:
    """The table with numbers for codes; value labels and variable labels by column."""
    data = pd.DataFrame(index=frame.index)
    values: dict[str, dict[float, str]] = {}
    names: dict[str, str | None] = {}
    for variable in found:
        if variable.name not in frame.columns:
            continue
        name = variable_name(variable.name)
        column = frame[variable.name]
        unit = f" ({variable.unit})" if variable.unit else ""
        names[name] = f"{variable.label}{unit}"[:_MOST_OF_A_LABEL]
        if variable.kind != "text":
            data[name] = pd.to_numeric(column).astype("float64")
            labels = {float(code): text for code, text in variable.labels.items()}
        elif variable.labels:
            numbers = {code: float(at) for at, code in enumerate(variable.labels, start=1)}
            data[name] = [numbers.get(code, float("nan")) for code in column]
            labels = {
                numbers[code]: text if text == code else f"{text} ({code})"
                for code, text in variable.labels.items()
            }
        else:
            data[name] = column.astype("string").fillna("").astype(object)
            labels = {}
        if labels:
            values[name] = {at: text[:_MOST_OF_A_VALUE] for at, text in labels.items()}
    return data, values, names


def variable_name(code: str) -> str:
    """A name that SPSS and Stata take: letters, digits, underscores; a letter in front."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", code)[:32]
    return plain if plain[:1].isalpha() else f"v_{plain}"[:32]


def sav_file(frame: pd.DataFrame, found: Sequence[Variable], title: str) -> bytes:
    """An SPSS file."""
    data, values, names = _coded(frame, found)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.sav"
        pyreadstat.write_sav(
            data,
            path,
            file_label=_bytes_limit(title, 60),
            column_labels=names,
            variable_value_labels=values,
            variable_measure={
                name: "nominal" if name in values or data[name].dtype == object else "scale"
                for name in data.columns
            },
        )
        content = bytearray(path.read_bytes())
    content[_SAV_DATE_AT : _SAV_DATE_AT + len(_SAV_DATE)] = _SAV_DATE
    content[_SAV_TIME_AT : _SAV_TIME_AT + len(_SAV_TIME)] = _SAV_TIME
    return bytes(content)


def dta_file(frame: pd.DataFrame, found: Sequence[Variable], title: str) -> bytes:
    """A Stata file (format 118: Stata 14 and later)."""
    data, values, names = _coded(frame, found)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.dta"
        pyreadstat.write_dta(
            data,
            path,
            file_label=_bytes_limit(title, 80),
            column_labels=names,
            version=14,
            # Stata takes whole numbers alone as labelled values.
            variable_value_labels={
                name: {int(at): text for at, text in labels.items()}
                for name, labels in values.items()
            },
        )
        content = path.read_bytes()
    return _STATA_TIME.sub(_STATA_FIXED, content)


def _bytes_limit(text: str, most: int) -> str:
    return text.encode("utf-8")[:most].decode("utf-8", errors="ignore")
