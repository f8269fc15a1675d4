"""Parsed slices into series: one cell, one group, no doubles, nothing lost in between."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import ImagingError
from .geometry import DUPLICATE_MM, same_orientation
from .layout import Cell
from .models import Upload
from .parsing.images import ParsedSlice
from .services import stored_slice
from .storing import StoredSlice


@dataclass(eq=False)
class SourceFile:
    """One file of a batch and what became of it."""

    upload: Upload
    name: str
    path: str
    member: int | None = None  # its index, where it lies in an archive
    cell: Cell | None = None
    reason: str = ""
    stored: bool = False


@dataclass
class SliceFile:
    """A de-identified slice in the scratch folder."""

    source: SourceFile
    parsed: ParsedSlice
    path: Path

    def load(self) -> StoredSlice:
        return stored_slice(self.parsed, self.path.read_bytes(), _last(self.source.name))


@dataclass
class Damage:
    """A file that could not be used; without group and position it may be any slice of its cell."""

    source: SourceFile
    group: str | None
    position: list[float] | None


@dataclass
class Candidate:
    """What could become the series of a cell."""

    cell: Cell
    group: str
    slices: list[SliceFile] = field(default_factory=list)
    report: Counter[str] = field(default_factory=Counter)

    @property
    def sources(self) -> list[SourceFile]:
        return list(dict.fromkeys(item.source for item in self.slices))

    def refuse(self, reason: str) -> None:
        for source in self.sources:
            if not source.reason:
                source.reason = reason

    @property
    def parameters(self) -> dict[str, Any]:
        return self.slices[0].parsed.parameters


class Batch:
    """Collects slices by cell and series."""

    def __init__(self) -> None:
        self._candidates: list[Candidate] = []
        self._seen: dict[tuple[str, int, str], SourceFile] = {}
        self._damages: list[Damage] = []

    def add(
        self, source: SourceFile, parsed: list[tuple[ParsedSlice, Path]], report: dict[str, int]
    ) -> None:
        """Take the slices of one file, unless it repeats an image that is here already."""
        if source.cell is None:
            raise ValueError("A file without a cell is not parsed.")
        where = (source.cell.volunteer, source.cell.arm.pk)
        twin = self._seen.setdefault((*where, parsed[0][0].sop_uid), source)
        if twin is not source:
            source.reason = f"This is the same image as {twin.name}."
            return
        for index, (item, path) in enumerate(parsed):
            candidate = self._candidate(source.cell, item)
            candidate.slices.append(SliceFile(source, item, path))
            if index == 0:
                candidate.report.update(report)

    def _candidate(self, cell: Cell, item: ParsedSlice) -> Candidate:
        """The series a slice belongs to: same cell, same group, same orientation."""
        for candidate in reversed(self._candidates):
            if (
                candidate.group == item.group
                and candidate.cell == cell
                and same_orientation(candidate.slices[0].parsed.orientation, item.orientation)
            ):
                return candidate
        candidate = Candidate(cell, item.group)
        self._candidates.append(candidate)
        return candidate

    def add_damage(
        self, source: SourceFile, group: str | None, position: list[float] | None
    ) -> None:
        self._damages.append(Damage(source, group, position))

    def candidates(self) -> Iterator[Candidate]:
        """One candidate a cell, controls first; what is more than one is refused by name."""
        taken: dict[tuple[str, int], Candidate] = {}
        for candidate in self._candidates:
            where = (candidate.cell.volunteer, candidate.cell.arm.pk)
            first = taken.setdefault(where, candidate)
            if first is not candidate:
                candidate.refuse(_second(first, candidate))
                shared = set(first.sources) & set(candidate.sources)
                if shared:  # one enhanced file that holds several series
                    first.refuse(
                        "The file holds several image series (echoes, times or orientations) in "
                        "one: export the wanted one alone."
                    )
        for candidate in sorted(taken.values(), key=lambda c: not c.cell.arm.is_control):
            if any(source.reason for source in candidate.sources):
                continue
            try:
                self._check_complete(candidate)
            except ImagingError as error:
                candidate.refuse(str(error))
                continue
            yield candidate

    def _check_complete(self, candidate: Candidate) -> None:
        """A damaged file whose place no other file fills leaves its series incomplete.

        At an end of the stack no gap would show; so where its place is not known, the whole cell
        is in doubt.
        """
        where = (candidate.cell.volunteer, candidate.cell.arm.pk)
        for damage in self._damages:
            cell = damage.source.cell
            if cell is None or (cell.volunteer, cell.arm.pk) != where:
                continue
            if damage.group is not None and damage.position is not None:
                if damage.group != candidate.group:
                    continue
                if any(
                    math.dist(item.parsed.position, damage.position) < DUPLICATE_MM
                    for item in candidate.slices
                ):
                    continue
            raise ImagingError(
                f"The series is incomplete: {damage.source.name} is damaged or cannot be used. "
                "Send the whole series again, or leave that file out if it is not part of it."
            )


def _second(first: Candidate, second: Candidate) -> str:
    echo = [c.parameters.get("EchoTime") for c in (first, second)]
    difference = f" (echo time {echo[1]} ms instead of {echo[0]} ms)" if echo[0] != echo[1] else ""
    return (
        f"This is a second series for {second.cell.said}{difference}; the one of "
        f"{first.sources[0].name} was taken. An arm takes one series of each volunteer."
    )


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1]
