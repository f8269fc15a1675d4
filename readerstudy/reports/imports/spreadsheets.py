"""The first sheet of an XLSX file as CSV text; hostile files and formulas are refused."""

from __future__ import annotations

import csv
import datetime
import io
import zipfile
from typing import Any

from openpyxl import load_workbook

from readerstudy.studies.tables import MOST_ROWS, Fault, TableError, TableFile

XLSX_START = b"PK\x03\x04"
_MOST_UNPACKED = 300 * 1024**2
_MOST_COLUMNS = 200
_MOST_FAULTS = 50


def as_csv(file: TableFile) -> TableFile:
    """The file itself if it is text; of a workbook, its first sheet. Raises `TableError`."""
    if not file.content.startswith(XLSX_START):
        return file
    _check_size(file)
    try:
        book = load_workbook(io.BytesIO(file.content), read_only=True, keep_links=False)
        sheet = book.worksheets[0]
        rows = [list(row) for row in sheet.iter_rows(max_row=MOST_ROWS + 2, max_col=_MOST_COLUMNS)]
    except Exception as error:
        raise _refused(file, "The workbook cannot be read: save it anew as XLSX or CSV.") from error
    faults: list[Fault] = []
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for line, cells in enumerate(rows, start=1):
        formulas = [cell for cell in cells if getattr(cell, "data_type", "") == "f"]
        faults += [
            Fault(
                file.name,
                line,
                str(cell.coordinate),
                "The cell holds a formula. Copy the column and paste its values, then save.",
            )
            for cell in formulas
        ]
        if len(faults) > _MOST_FAULTS:
            break
        texts = [_text(cell.value) for cell in cells]
        while len(texts) > 1 and not texts[-1]:  # a sheet is as wide as it may be
            texts.pop()
        writer.writerow(texts)
    if faults:
        raise TableError(faults)
    return TableFile(file.name, text.getvalue().encode("utf-8"))


def _check_size(file: TableFile) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile:
        raise _refused(file, "The file is damaged: save it anew as XLSX or CSV.") from None
    if unpacked > _MOST_UNPACKED:
        raise _refused(file, "The workbook is too large unpacked: save the sheet as CSV.")


def _refused(file: TableFile, message: str) -> TableError:
    return TableError([Fault(file.name, None, "", message)])


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value == int(value) else repr(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return " ".join(str(value).splitlines())  # a line of the text is a row of the sheet
