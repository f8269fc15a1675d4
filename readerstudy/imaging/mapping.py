"""A whole tree of volunteers in one go: a mapping file (CSV), or a pattern of folder names."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate

from readerstudy.studies.models import Arm, Study

from .arm_names import arms_by_name, plain
from .errors import ImagingError
from .services import check_volunteer_code

COLUMNS = ("path", "volunteer", "arm")
MAX_ROWS = 5000
MAX_CHARACTERS = 500_000
MAX_PATTERN = 200
VOLUNTEER_PLACE, ARM_PLACE = "{volunteer}", "{arm}"


@dataclass(frozen=True)
class MappingRow:
    path: str
    volunteer: str
    arm: str  # the arm's code


def read_mapping(text: str, study: Study, name: str = "the mapping file") -> list[MappingRow]:
    """Rows of `path,volunteer,arm`; raises ImagingError with the line that is wrong.

    A path is a folder or file of what is sent, or a pattern with * and ?. `name`: what the file is
    called to whoever reads the error.
    """
    start = name[0].upper() + name[1:] if name == "the mapping file" else name
    if len(text) > MAX_CHARACTERS:
        raise ImagingError(f"{start} is too large: it names one folder a line.")
    text = text.removeprefix("\ufeff")
    delimiter = ";" if ";" in text.partition("\n")[0] else ","
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        table = [(lines.line_num, [cell.strip() for cell in line]) for line in lines]
    except csv.Error:
        raise ImagingError(
            f"{start} is no CSV table: save it as CSV from the spreadsheet."
        ) from None
    table = [(number, cells) for number, cells in table if any(cells)]
    if not table or sorted(c.casefold() for c in table[0][1] if c) != sorted(COLUMNS):
        raise ImagingError(
            f"The first line of {name} has to name its columns: path,volunteer,arm. "
            f"It {_found(table)}."
        )
    order = [table[0][1].index(c) for c in _as_written(table[0][1])]
    if len(table) - 1 > MAX_ROWS:
        raise ImagingError(f"{start} has more than {MAX_ROWS} lines.")
    arms = arms_by_name(study)
    rows: list[MappingRow] = []
    seen: dict[str, int] = {}
    for number, cells in table[1:]:
        where = f"Line {number} of {name}"
        if len(cells) <= max(order):
            raise ImagingError(f"{where} has fewer than three columns.")
        path, volunteer, arm_name = (cells[at] for at in order)
        path = path.replace("\\", "/").strip("/")
        if not path:
            raise ImagingError(f"{where} names no path.")
        if path in seen:
            raise ImagingError(f"{where} repeats the path of line {seen[path]}.")
        seen[path] = number
        arm = arms.get(plain(arm_name))
        if arm is None or arm.is_derived:
            codes = ", ".join(a.code for a in study.arms.all() if not a.is_derived)
            raise ImagingError(f"{where}: “{arm_name[:60]}” is no acquired arm. They are {codes}.")
        try:
            check_volunteer_code(volunteer)
        except ImagingError as error:
            raise ImagingError(f"{where}: {error}") from None
        rows.append(MappingRow(path, volunteer, arm.code))
    if not rows:
        raise ImagingError(f"{start} names no folder: it has its first line alone.")
    return rows


def _found(table: Sequence[tuple[int, list[str]]]) -> str:
    if not table:
        return "is empty"
    said = ",".join(table[0][1])
    return f"reads “{said[:60]}{'…' if len(said) > 60 else ''}”"


def _as_written(header: Sequence[str]) -> list[str]:
    """The header's own spelling of each column, in the order of COLUMNS."""
    return [next(c for c in header if c.casefold() == column) for column in COLUMNS]


class PathMapping:
    """Finds the row of a file: the longest path that the file lies under, or a pattern it fits."""

    def __init__(self, rows: Sequence[MappingRow]) -> None:
        self._paths = [row.path for row in rows]
        self._matched: set[str] = set()
        self._folders = {row.path: row for row in rows if not _is_glob(row.path)}
        self._globs = [
            (re.compile(translate(row.path)), re.compile(translate(f"{row.path}/*")), row)
            for row in rows
            if _is_glob(row.path)
        ]

    def row(self, name: str) -> MappingRow | None:
        found = self._row(name)
        if found is not None:
            self._matched.add(found.path)
        return found

    @property
    def unmatched(self) -> list[str]:
        """The paths of rows that no file so far lay under: misspelt, or not sent along."""
        return [path for path in self._paths if path not in self._matched]

    def _row(self, name: str) -> MappingRow | None:
        parts = name.replace("\\", "/").strip("/").split("/")
        # As it lies, or one folder in: browsers put the chosen folder's own name first.
        for start in range(min(2, len(parts))):
            for end in range(len(parts), start, -1):
                found = self._folders.get("/".join(parts[start:end]))
                if found is not None:
                    return found
        for start in range(min(2, len(parts))):
            path = "/".join(parts[start:])
            for whole, below, row in self._globs:
                if whole.match(path) or below.match(path):
                    return row
        return None


def _is_glob(path: str) -> bool:
    return any(mark in path for mark in "*?[")


def compile_pattern(pattern: str, arms: Mapping[str, Arm]) -> re.Pattern[str]:
    """`study/{volunteer}_*/{arm}*` as an expression over paths; raises ImagingError."""
    pattern = pattern.strip().replace("\\", "/").strip("/")
    if len(pattern) > MAX_PATTERN:
        raise ImagingError(f"A pattern has up to {MAX_PATTERN} characters.")
    for place in (VOLUNTEER_PLACE, ARM_PLACE):
        if pattern.count(place) > 1:
            raise ImagingError(f"The pattern holds {place} more than once.")
    if VOLUNTEER_PLACE not in pattern and ARM_PLACE not in pattern:
        raise ImagingError(f"The pattern holds neither {VOLUNTEER_PLACE} nor {ARM_PLACE}.")
    rest = pattern.replace(VOLUNTEER_PLACE, "").replace(ARM_PLACE, "")
    if "{" in rest or "}" in rest:
        raise ImagingError(
            "The pattern holds a brace that belongs to neither {volunteer} nor {arm}: "
            f"“{pattern}”. Write both words in full, each in its two braces."
        )
    if pattern.count("*") > 10:
        raise ImagingError("The pattern holds more than ten stars.")
    names = sorted(arms, key=len, reverse=True)
    # Code and name alike, with - for _ and in any case.
    choice = "|".join(re.escape(name).replace("_", "[-_]") for name in names)
    expression = ""
    for piece in re.split(r"(\{volunteer\}|\{arm\}|\*+)", pattern):
        if piece == VOLUNTEER_PLACE:
            expression += r"(?P<volunteer>[A-Za-z0-9][A-Za-z0-9_-]{0,29}?)"
        elif piece == ARM_PLACE:
            expression += f"(?P<arm>{choice})"
        elif piece.startswith("*"):
            expression += r"[^/]*"
        else:
            expression += re.escape(piece)
    return re.compile(rf"(?:^|.*/){expression}(?=/|$)", re.IGNORECASE)
