"""A table as a list of lines: the first cell says what the line is about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from analysis.publication import PublicationTable
from analysis.publication import table_1 as publication_table_1
from readerstudy.reports.report import Report

from .notes import Note

# Of the numbers of a figure, on a page.
MOST_ROWS = 200
# Columns of the publication's tables that hold words.
_WORDS = {"Metric", "Noise", "Tissue", "Comparison", "Question", "Reader", "Reference", "Decision"}
_WORDS |= {"Second to first", "First to second"}


@dataclass(frozen=True)
class ListCell:
    text: str
    strong: bool = False
    link: str = ""  # query of the page with what stands behind it
    exact: str = ""  # every digit
    notes: tuple[Note, ...] = ()
    href: str = ""  # of another page


@dataclass(frozen=True)
class Column:
    text: str
    is_number: bool = True
    letter: str = ""


@dataclass
class ListTable:
    name: str
    title: str
    columns: list[Column]
    rows: list[list[ListCell]]
    legend: list[str]
    footnotes: list[str] = field(default_factory=list)

    @property
    def lines(self) -> Iterable[tuple[bool, ListCell, list[tuple[Column, ListCell]]]]:
        """Whether the line is the first of its subject, the subject, and the other cells."""
        before = None
        for row in self.rows:
            head, rest = row[0], row[1:]
            own = list(zip(self.columns[1:], rest, strict=True))
            yield head.text != before, head, own
            before = head.text


def of_publication(table: PublicationTable) -> ListTable:
    """A table of the publication as it stands in the bundle."""
    cells = table.cells
    columns = [
        Column(str(name), at > 0 and str(name) not in _WORDS)
        for at, name in enumerate(cells.columns)
    ]
    rows = [
        [ListCell(str(text), (row, at) in table.bold) for at, text in enumerate(record)]
        for row, record in enumerate(cells.itertuples(index=False, name=None))
    ]
    return ListTable(table.name, table.title, columns, rows, list(table.notes))


def table_1(acquisition: pd.DataFrame | None, report: Report) -> ListTable | None:
    """Table 1; None before unblinding and without images."""
    if acquisition is None or acquisition.empty:
        return None
    cells = publication_table_1(acquisition, report.plan, report.arm_names)
    columns = [Column("Parameter", False)]
    columns += [Column(report.arm_names[a], letter=report.letters[a]) for a in report.plan.arms]
    rows = [[ListCell(str(text)) for text in row] for row in cells.itertuples(index=False)]
    legend = [
        f"From the DICOM headers of up to {len(report.volunteers)} volunteers (n); what was "
        "entered by hand says so. No test, no family, no α."
    ]
    return ListTable("table1", "Table 1. Acquisition parameters", columns, rows, legend)


def frame_list(title: str, frame: pd.DataFrame) -> ListTable:
    """The numbers of a figure, every digit on hover."""
    columns = [
        Column(str(name).replace("_", " "), bool(pd.api.types.is_numeric_dtype(frame[name])))
        for name in frame.columns
    ]
    shown = frame.head(MOST_ROWS)
    rows = [[_number_cell(value) for value in row] for row in shown.itertuples(index=False)]
    legend = []
    if len(frame) > MOST_ROWS:
        legend = [f"The first {MOST_ROWS} of {len(frame)} rows; the CSV of what is shown has all."]
    return ListTable("numbers", title, columns, rows, legend)


def _number_cell(value: Any) -> ListCell:
    if isinstance(value, float):
        if pd.isna(value):
            return ListCell("–")
        return ListCell(f"{value:.4g}".replace("-", "−"), exact=repr(value))
    return ListCell(str(value))
