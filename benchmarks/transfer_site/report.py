"""What ``benchmarks/transfer.py`` found: printed as it goes, and entered into the cards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from denoise_engine.training.card import MEASURED_END, MEASURED_START

APART_START, APART_END = "<!-- lesions -->", "<!-- /lesions -->"
_TITLE = "## Measured on heads kept out of training"
_MARKS = "Marks"
_HEAD = ["| mark | found | |", "| --- | --- | --- |"]


@dataclass
class Section:
    """A part of the report and the networks whose cards it belongs into."""

    title: str
    networks: frozenset[str]
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Mark:
    """A figure that had to be reached."""

    network: str
    what: str
    found: str
    reached: bool

    @property
    def row(self) -> str:
        verdict = "passed" if self.reached else "MISSED"
        return f"| {self.network}: {self.what} | {self.found} | {verdict} |"


@dataclass
class Report:
    """Sections, marks and plain figures."""

    sections: list[Section] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def begin(self, title: str, networks: Iterable[str]) -> None:
        self.sections.append(Section(title, frozenset(networks)))
        print(f"\n### {title}\n", flush=True)

    def say(self, *lines: str) -> None:
        self.sections[-1].lines += lines
        print("\n".join(lines), flush=True)

    def mark(self, network: str, what: str, found: str, reached: bool) -> None:
        self.marks.append(Mark(network, what, found, reached))

    def print_marks(self) -> None:
        print("\n".join(["", *_HEAD, *(mark.row for mark in self.marks)]), flush=True)

    def write_into(self, card: Path, network: str) -> None:
        """Renew what was measured; what this run did not measure stays as it is."""
        text = card.read_text(encoding="utf-8")
        before, rest = text.split(MEASURED_START, 1)
        measured, after = rest.split(MEASURED_END, 1)
        sections = _sections_in(measured)
        rows = dict(_rows_in(sections.pop(_MARKS, [])))
        for section in self.sections:
            if network in section.networks:
                sections[section.title] = ["", *section.lines, ""]
        for mark in self.marks:
            if mark.network == network:
                rows[mark.what] = mark.row
        if rows:
            sections[_MARKS] = ["", *_HEAD, *rows.values(), ""]
        lines = [_TITLE, "", "By `python benchmarks/transfer.py`.", ""]
        for title, content in sections.items():
            lines += [f"### {title}", *content]
        body = "\n".join(lines).rstrip()
        card.write_text(
            f"{before}{MEASURED_START}\n{body}\n{MEASURED_END}{after}", encoding="utf-8"
        )

    def write_apart(self, card: Path, title: str, command: str) -> None:
        """Renew one section between marks of its own, in a card that other programs fill in.

        All else in the card stays byte for byte. Where the marks are missing, they go behind what
        was measured.
        """
        (section,) = (one for one in self.sections if one.title == title)
        block = "\n".join([f"## {title}", "", f"By `{command}`.", "", *section.lines])
        marked = f"{APART_START}\n{block}\n{APART_END}"
        text = card.read_text(encoding="utf-8")
        if APART_START in text:
            before, rest = text.split(APART_START, 1)
            after = rest.split(APART_END, 1)[1]
        else:
            before, after = text.split(MEASURED_END, 1)
            before, after = f"{before}{MEASURED_END}\n\n", after
        card.write_text(f"{before}{marked}{after}", encoding="utf-8")


def _sections_in(measured: str) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    for part in measured.split("\n### ")[1:]:
        title, _, content = part.partition("\n")
        sections[title] = content.split("\n")
    return sections


def _rows_in(lines: list[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        if line.startswith("| ") and ": " in line:
            yield line.split(" | ")[0].removeprefix("| ").split(": ", 1)[1], line
