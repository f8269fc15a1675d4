"""Tables that people bring from a spreadsheet: CSV text in, rows and faults out.

Every fault of a file is found before anything is written, and each says where it stands and what to
do. Nothing is guessed: a cell is what it says, or it is a fault.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError

from .models import CODE

MOST_ROWS = 300_000
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_SEPARATORS = ",;\t"


@dataclass(frozen=True)
class TableFile:
    """A file as it was given: its name, for messages, and its bytes.

    `origins` are the lines of the person's own file that the lines here were made from, where they
    were: messages name those.
    """

    name: str
    content: bytes
    origins: Sequence[int] = ()


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong; `line` is None where the whole file is meant."""

    file: str
    line: int | None
    column: str
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}, line {self.line}"
        return f"{place}{f', column “{self.column}”' if self.column else ''}: {self.message}"


class TableError(Exception):
    """A table cannot be taken in; every fault is listed, for people."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = list(faults)


@dataclass(frozen=True)
class TableRow:
    """One line, by the names that we use for the columns; cells are stripped."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """`decimal_comma`: the file separates with semicolons, so that 1,5 may stand for 1.5.

    `headings` are pairs of our column and the heading of the file that was taken for it.
    """

    name: str
    rows: Sequence[TableRow]
    decimal_comma: bool
    ignored_columns: Sequence[str]
    headings: Sequence[tuple[str, str]] = ()


def read_table(
    file: TableFile, columns: Mapping[str, Sequence[str]], faults: list[Fault]
) -> Table | None:
    """Read a CSV file: UTF-8 with or without a mark, separated by comma, semicolon or tab.

    `columns` names what is needed, each with the headings it may go by. Faults are appended; the
    answer is None when there is nothing to check further.
    """
    text = _text(file, faults)
    if text is None:
        return None
    lines, separator, first_line = _split(text)
    if not lines.strip():
        faults.append(Fault(file.name, None, "", "The file is empty."))
        return None
    reader = csv.reader(io.StringIO(lines, newline=""), delimiter=separator, strict=True)
    header: list[str] | None = None
    places: dict[str, int] = {}
    rows: list[TableRow] = []
    line = first_line
    try:
        for cells in reader:
            here, line = line, first_line + reader.line_num
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if header is None:
                header = cells
                found = _places(file.name, here, header, columns, faults)
                if found is None:
                    return None
                places = found
            elif len(cells) > len(header) and any(cells[len(header) :]):
                faults.append(
                    Fault(
                        file.name,
                        here,
                        "",
                        f"The line has {len(cells)} cells, the heading {len(header)}. "
                        "Put text that holds the separator in quotation marks.",
                    )
                )
            else:
                filled = cells + [""] * (len(header) - len(cells))
                shown = file.origins[here - 1] if file.origins else here
                rows.append(TableRow(shown, {name: filled[at] for name, at in places.items()}))
            if len(rows) > MOST_ROWS:
                faults.append(
                    Fault(file.name, None, "", f"The file has more than {MOST_ROWS} rows.")
                )
                return None
    except csv.Error as error:
        faults.append(
            Fault(file.name, line, "", f"The line cannot be read as CSV ({error}). Save it anew.")
        )
        return None
    if not rows and not faults:
        faults.append(Fault(file.name, None, "", "The file has a heading but no rows."))
    used = set(places.values())
    ignored = [cell for at, cell in enumerate(header or []) if at not in used and cell]
    taken = [(column, (header or [])[at]) for column, at in places.items()]
    return Table(file.name, rows, separator == ";", ignored, taken)


def _text(file: TableFile, faults: list[Fault]) -> str | None:
    if file.content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        message = "This is a spreadsheet file. Save the sheet as “CSV UTF-8” and give that file."
    elif b"\x00" in file.content:
        message = "This is not a text file. Save the sheet as “CSV UTF-8” and give that file."
    else:
        try:
            return file.content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = file.content.count(b"\n", 0, error.start) + 1
            faults.append(
                Fault(file.name, line, "", "The text is not UTF-8. Save it as “CSV UTF-8”.")
            )
            return None
    faults.append(Fault(file.name, None, "", message))
    return None


def _split(text: str) -> tuple[str, str, int]:
    """The lines, their separator and the number of the first: Excel may write “sep=;” on top."""
    first, _, rest = text.partition("\n")
    told = re.fullmatch(r'"?sep=([,;\t])"?', first.strip(" \r"))
    if told:
        return rest, told[1], 2
    heading = next((line for line in text.splitlines() if line.strip()), "")
    return text, max(_SEPARATORS, key=heading.count), 1


def _places(
    name: str,
    line: int,
    header: Sequence[str],
    columns: Mapping[str, Sequence[str]],
    faults: list[Fault],
) -> dict[str, int] | None:
    headings = [plain(cell) for cell in header]
    places: dict[str, int] = {}
    before = len(faults)
    for column, names in columns.items():
        found = [at for at, heading in enumerate(headings) if heading in names]
        if len(found) == 1:
            places[column] = found[0]
        elif found:
            faults.append(
                Fault(name, line, column, "More than one column is headed so: keep one of them.")
            )
        else:
            faults.append(
                Fault(
                    name,
                    line,
                    column,
                    f"The column is missing. Head it “{column}”; the file has: "
                    f"{', '.join(cell for cell in header if cell)}.",
                )
            )
    return places if len(faults) == before else None


def is_code(cell: str) -> bool:
    try:
        CODE(cell)
    except ValidationError:
        return False
    return True


@dataclass(frozen=True)
class RowCheck:
    """Checks the cells of one row; what is wrong is appended to `faults`."""

    table: Table
    row: TableRow
    faults: list[Fault]

    def fault(self, column: str, message: str) -> None:
        self.faults.append(Fault(self.table.name, self.row.line, column, message))

    def code(self, column: str, most: int) -> str:
        """A code of ours: of a volunteer, of a reader."""
        cell = self.row.cells[column]
        if not cell:
            self.fault(column, "The cell is empty: give the code.")
        elif len(cell) > most or not is_code(cell):
            self.fault(
                column,
                f"“{cell[:60]}” is no code: use up to {most} letters, digits, hyphens and "
                "underscores.",
            )
        return cell

    def known(self, column: str, known: Mapping[str, str], what: str) -> str:
        """The code of an arm, a criterion or a tissue, by any spelling of its code or name."""
        cell = self.row.cells[column]
        code = known.get(plain(cell), "")
        if not cell:
            self.fault(column, "The cell is empty: name one.")
        elif not code:
            choice = ", ".join(dict.fromkeys(known.values()))
            self.fault(column, f"“{cell[:60]}” is no {what} of the study. Use one of: {choice}.")
        return code

    def number(self, column: str) -> float | None:
        cell = self.row.cells[column]
        value = parse_number(cell, self.table.decimal_comma)
        if value is None:
            message = f"“{cell[:60]}” is no number." if cell else "The cell is empty."
            self.fault(column, f"{message} Write it with a decimal point, for example 517.9.")
        return value

    def whole(self, column: str, lowest: int, highest: int | None, advice: str) -> int | None:
        cell = self.row.cells[column]
        value = parse_whole(cell, self.table.decimal_comma)
        if not cell:
            self.fault(column, f"The cell is empty. {advice}")
        elif value is None:
            self.fault(column, f"“{cell[:60]}” is no whole number. {advice}")
        elif value < lowest or (highest is not None and value > highest):
            self.fault(column, f"{value} is out of range. {advice}")
        return value


def duplicate(
    table: Table, row: TableRow, key: tuple[str, ...], seen: dict[tuple[str, ...], int]
) -> Fault | None:
    """Remember the row under its key; a fault when the key stood in the file before."""
    first = seen.setdefault(key, row.line)
    if first == row.line:
        return None
    return Fault(
        table.name,
        row.line,
        "",
        f"{', '.join(key)} already stands in line {first}: keep one of them.",
    )


def table_notes(table: Table, lines: Sequence[object], fields: Sequence[str]) -> list[str]:
    """What is worth knowing and no fault: columns not used, cells that are not there."""
    notes: list[str] = []
    if table.ignored_columns:
        notes.append(f"Columns that were not used: {', '.join(table.ignored_columns)}.")
    full = 1
    for field in fields:
        full *= len({getattr(line, field) for line in lines})
    if lines and len(lines) < full:
        notes.append(
            f"{table.name}: {full - len(lines)} of {full} rows of a complete table "
            f"({' × '.join(fields)}) are not there. The results say what each number rests on."
        )
    return notes


def plain(text: str) -> str:
    """A heading or a name without case, spaces, hyphens and brackets: “Area (mm²)” → area_mm2."""
    folded = text.strip().casefold().replace("²", "2")
    return re.sub(r"[^0-9a-zµ-ÿ]+", "_", folded).strip("_")


def parse_number(cell: str, decimal_comma: bool = False) -> float | None:
    """The finite number that a cell holds, else None."""
    if decimal_comma and cell.count(",") == 1 and "." not in cell:
        cell = cell.replace(",", ".")
    if not _NUMBER.fullmatch(cell):
        return None
    value = float(cell)
    return value if abs(value) != float("inf") else None


def parse_whole(cell: str, decimal_comma: bool = False) -> int | None:
    """The whole number that a cell holds (3, 3.0), else None."""
    value = parse_number(cell, decimal_comma)
    return int(value) if value is not None and value == int(value) else None


def known_names(*pairs: tuple[str, str]) -> dict[str, str]:
    """From any spelling of a code or a name to the code: {"dlr_df": "DLR_DF", …}.

    A name that stands for two codes is left out, so that it is refused and not guessed.
    """
    spellings: dict[str, set[str]] = {}
    for code, name in pairs:
        for spelling in {plain(code), plain(name)}:
            spellings.setdefault(spelling, set()).add(code)
    for code, _ in pairs:
        spellings[plain(code)] = {code}
    return {spelling: next(iter(codes)) for spelling, codes in spellings.items() if len(codes) == 1}
