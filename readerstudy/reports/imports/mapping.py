"""Which column of a file is which of ours, and which of its words stand for which of our codes."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from readerstudy.measurements.imports import COLUMNS as REGION_COLUMNS
from readerstudy.reading.imports import COLUMNS as SCORE_COLUMNS
from readerstudy.studies.models import Study
from readerstudy.studies.tables import Fault, TableError, TableFile, known_names, plain

KINDS: dict[str, Mapping[str, Sequence[str]]] = {
    "scores": SCORE_COLUMNS,
    "regions": REGION_COLUMNS,
}
LABELS = {
    "case": "Volunteer",
    "sequence": "Arm",
    "reader": "Reader",
    "criterion": "Criterion",
    "score": "Score",
    "roi": "Region",
    "mean": "Mean",
    "sd": "SD",
    "n_pixels": "Pixels",
    "area_mm2": "Area (mm²)",
}
# Columns whose cells name something of the study.
CODED = ("sequence", "criterion", "roi")
MOST_WORDS = 60
SHOWN_ROWS = 4


@dataclass(frozen=True)
class Sheet:
    """A table as it was given."""

    name: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    separator: str

    def place(self, heading: str) -> int | None:
        return self.headings.index(heading) if heading in self.headings else None


@dataclass(frozen=True)
class ColumnMapping:
    """`columns`: ours to theirs. `words`: (our column, their word) to our code."""

    columns: Mapping[str, str]
    words: Mapping[tuple[str, str], str] = field(default_factory=dict)


def read_sheet(file: TableFile) -> Sheet:
    """Headings and rows; raises `TableError` where there is no table with distinct headings."""
    try:
        text = file.content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _refused(
            file.name, "The text is not UTF-8. Save it as “CSV UTF-8” or XLSX."
        ) from None
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(",;\t", key=first.count)
    try:
        lines = [
            [cell.strip() for cell in row]
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise _refused(file.name, f"The file cannot be read as CSV ({error}).") from None
    if len(lines) < 2:
        raise _refused(file.name, "The file has no heading with rows below it.")
    headings = lines[0]
    named = [heading for heading in headings if heading]
    twice = sorted({heading for heading in named if named.count(heading) > 1})
    if twice:
        raise _refused(file.name, f"More than one column is headed “{twice[0]}”: rename one.")
    width = len(headings)
    rows = [(row + [""] * width)[:width] for row in lines[1:]]
    return Sheet(file.name, headings, rows, separator)


def _refused(name: str, message: str) -> TableError:
    return TableError([Fault(name, None, "", message)])


def guess(sheet: Sheet, kind: str) -> dict[str, str]:
    """Ours to theirs, by the headings that we know; those that fit nothing are left out."""
    found = {}
    for ours, names in KINDS[kind].items():
        fitting = [heading for heading in sheet.headings if plain(heading) in names]
        if len(fitting) == 1:
            found[ours] = fitting[0]
    return found


def known_codes(study: Study) -> dict[str, dict[str, str]]:
    """For each coded column: every spelling that we know, and its code."""
    return {
        "sequence": known_names(*study.arms.values_list("code", "name")),
        "criterion": known_names(*study.criteria.values_list("code", "name")),
        "roi": known_names(*study.tissues.values_list("code", "name")),
    }


def unknown_words(study: Study, sheet: Sheet, columns: Mapping[str, str]) -> dict[str, list[str]]:
    """What stands in the coded columns and names nothing of the study, as far as it is shown."""
    known = known_codes(study)
    found: dict[str, list[str]] = {}
    for ours in CODED:
        at = sheet.place(columns.get(ours, ""))
        if at is None:
            continue
        words = {row[at] for row in sheet.rows if row[at] and plain(row[at]) not in known[ours]}
        if words:
            found[ours] = sorted(words)[:MOST_WORDS]
    return found


def check_columns(sheet: Sheet, kind: str, columns: Mapping[str, str]) -> None:
    """Every column of ours has one of theirs, none serves twice. Raises `TableError`."""
    faults = []
    for ours in KINDS[kind]:
        theirs = columns.get(ours, "")
        if sheet.place(theirs) is None or not theirs:
            faults.append(
                Fault(sheet.name, None, LABELS[ours], "Say which column of the file holds it.")
            )
    used = [columns[ours] for ours in KINDS[kind] if columns.get(ours)]
    faults += [
        Fault(sheet.name, None, heading, "The column is chosen more than once.")
        for heading in sorted({heading for heading in used if used.count(heading) > 1})
    ]
    if faults:
        raise TableError(faults)


def apply(sheet: Sheet, kind: str, mapping: ColumnMapping) -> TableFile:
    """The table under our headings and codes; line numbers stay those of the file."""
    check_columns(sheet, kind, mapping.columns)
    places = {ours: sheet.headings.index(mapping.columns[ours]) for ours in KINDS[kind]}
    text = io.StringIO(newline="")
    # Semicolons stay, since with them a decimal comma is understood.
    separator = ";" if sheet.separator == ";" else ","
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    writer.writerow(list(places))
    for row in sheet.rows:
        writer.writerow(
            [mapping.words.get((ours, row[at]), row[at]) for ours, at in places.items()]
        )
    return TableFile(sheet.name, text.getvalue().encode("utf-8"))
