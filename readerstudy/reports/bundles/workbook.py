"""The data and the results as one spreadsheet workbook."""

from __future__ import annotations

import datetime
import io
import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import xlsxwriter

# A date in the file would make two exports of the same data differ.
_CREATED = datetime.datetime(1980, 1, 1)  # noqa: DTZ001 - XlsxWriter takes no time zone
_MOST_ROWS = 1_048_576
_WIDEST = 60


def workbook(sheets: Mapping[str, Callable[[], pd.DataFrame]], readme: str, title: str) -> bytes:
    """An .xlsx file: the readme first, then one sheet a table; text is never a formula."""
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(
        buffer,
        {
            "in_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "strings_to_numbers": False,
        },
    )
    book.set_properties({"title": title, "author": "", "comments": "", "created": _CREATED})
    head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
    first = book.add_worksheet("readme")
    first.set_column(0, 0, 110, book.add_format({"text_wrap": True, "valign": "top"}))
    _for_paper(first)
    for row, line in enumerate(readme.splitlines()):
        first.write_string(row, 0, line)
    for name, make in sheets.items():
        frame = make()
        sheet = book.add_worksheet(name[:31])
        if len(frame) >= _MOST_ROWS:
            sheet.write_string(0, 0, f"{len(frame)} rows: more than a sheet holds. See the CSV.")
            continue
        _write(sheet, frame, head)
        _for_paper(sheet)
        sheet.repeat_rows(0)
    book.close()
    return buffer.getvalue()


def _for_paper(sheet: Any) -> None:
    """As wide as a page, and as long as it is: no column is parted from its row in print."""
    sheet.set_paper(9)  # A4
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)


def _write(sheet: Any, frame: pd.DataFrame, head: Any) -> None:
    sheet.freeze_panes(1, 0)
    for column, name in enumerate(frame.columns):
        sheet.write_string(0, column, str(name), head)
        values = frame.iloc[:, column].tolist()
        for row, value in enumerate(values, start=1):
            if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
                continue
            if isinstance(value, bool) or (hasattr(value, "dtype") and value.dtype == bool):
                sheet.write_boolean(row, column, bool(value))
            elif isinstance(value, int | float) or hasattr(value, "dtype"):
                sheet.write_number(row, column, float(value))
            else:
                sheet.write_string(row, column, str(value))
        longest = max((len(str(value)) for value in values[:200]), default=0)
        sheet.set_column(column, column, min(max(longest, len(str(name))) + 2, _WIDEST))
    if len(frame):
        sheet.autofilter(0, 0, len(frame), len(frame.columns) - 1)
