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

KINDS = {
    "scores": "Scores, one line a score",
    "wide": "Scores, one column a criterion",
    "regions": "Region measurements",
}
# Of a wide table, the column of a criterion: this and the criterion's code.
SCORE_OF = "score_of_"
_WIDE = ("case", "sequence", "reader")
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
    lines: Sequence[int]  # of the file, one a row
    separator: str

    def place(self, heading: str) -> int | None:
        return self.headings.index(heading) if heading and heading in self.headings else None


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
    rows: list[list[str]] = []
    lines: list[int] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    end = 0
    try:
        for row in reader:
            line, end = end + 1, reader.line_num
            cells = [cell.strip() for cell in row]
            if any(cells):
                rows.append(cells)
                lines.append(line)
    except csv.Error as error:
        raise _refused(file.name, f"The file cannot be read as CSV ({error}).") from None
    if len(rows) < 2:
        raise _refused(file.name, "The file has no heading with rows below it.")
    headings = rows[0]
    named = [heading for heading in headings if heading]
    twice = sorted({heading for heading in named if named.count(heading) > 1})
    if twice:
        raise _refused(file.name, f"More than one column is headed “{twice[0]}”: rename one.")
    width = len(headings)
    filled = [(row + [""] * width)[:width] for row in rows[1:]]
    return Sheet(file.name, headings, filled, lines[1:], separator)


def _refused(name: str, message: str) -> TableError:
    return TableError([Fault(name, None, "", message)])


@dataclass(frozen=True)
class Wanted:
    """A column of ours: what it is called, and the headings that it may go by."""

    label: str
    names: Sequence[str]
    is_needed: bool = True


def wanted(study: Study, kind: str) -> dict[str, Wanted]:
    """The columns that a table of this kind has to have, by our names."""
    if kind == "regions":
        return {ours: Wanted(LABELS[ours], names) for ours, names in REGION_COLUMNS.items()}
    if kind == "scores":
        return {ours: Wanted(LABELS[ours], names) for ours, names in SCORE_COLUMNS.items()}
    found = {ours: Wanted(LABELS[ours], SCORE_COLUMNS[ours]) for ours in _WIDE}
    for code, name in study.criteria.values_list("code", "name"):
        found[f"{SCORE_OF}{code}"] = Wanted(name, (plain(code), plain(name)), is_needed=False)
    return found


def guess(study: Study, sheet: Sheet, kind: str) -> dict[str, str]:
    """Ours to theirs, by the headings that we know; those that fit nothing are left out."""
    found = {}
    for ours, column in wanted(study, kind).items():
        fitting = [heading for heading in sheet.headings if plain(heading) in column.names]
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


def check_columns(study: Study, sheet: Sheet, kind: str, columns: Mapping[str, str]) -> None:
    """Every column that is needed has one of theirs, none serves twice. Raises `TableError`."""
    ours_all = wanted(study, kind)
    chosen = {ours: theirs for ours in ours_all if (theirs := columns.get(ours, ""))}
    faults = [
        Fault(sheet.name, None, column.label, "Say which column of the file holds it.")
        for ours, column in ours_all.items()
        if sheet.place(chosen.get(ours, "")) is None and (column.is_needed or ours in chosen)
    ]
    if kind == "wide" and not any(ours.startswith(SCORE_OF) for ours in chosen):
        faults.append(Fault(sheet.name, None, "", "Choose the column of one criterion or more."))
    used = list(chosen.values())
    faults += [
        Fault(sheet.name, None, heading, "The column is chosen more than once.")
        for heading in sorted({heading for heading in used if used.count(heading) > 1})
    ]
    if faults:
        raise TableError(faults)


def apply(study: Study, sheet: Sheet, kind: str, mapping: ColumnMapping) -> TableFile:
    """The table under our headings and codes; messages name the lines of the file itself."""
    check_columns(study, sheet, kind, mapping.columns)
    places = {
        ours: sheet.headings.index(theirs)
        for ours in wanted(study, kind)
        if (theirs := mapping.columns.get(ours, ""))
    }
    text = io.StringIO(newline="")
    # Semicolons stay, since with them a decimal comma is understood.
    separator = ";" if sheet.separator == ";" else ","
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    writer.writerow(list(SCORE_COLUMNS) if kind == "wide" else list(places))
    origins = [1]
    for line, row in zip(sheet.lines, sheet.rows, strict=True):
        said = {ours: mapping.words.get((ours, row[at]), row[at]) for ours, at in places.items()}
        for cells in _long(said) if kind == "wide" else [list(said.values())]:
            writer.writerow(cells)
            origins.append(line)
    return TableFile(sheet.name, text.getvalue().encode("utf-8"), origins)


def _long(said: Mapping[str, str]) -> list[list[str]]:
    """A line of a wide table as one line a score, in the order of our columns; an empty cell is a
    missing score."""
    return [
        [*(said[ours] for ours in _WIDE), ours.removeprefix(SCORE_OF), score]
        for ours, score in said.items()
        if ours.startswith(SCORE_OF) and score
    ]
