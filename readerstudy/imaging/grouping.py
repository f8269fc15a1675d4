"""Which slices of a batch make one series, and which of them can go where they were sent.

A series whose place is not known, that shares its place with another, or that may show text waits
in the inbox; what is wrong in itself is refused by name.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import ImagingError
from .geometry import DUPLICATE_MM, SlicePlane, same_orientation
from .layout import Cell, Place
from .models import Upload
from .parsing.images import ParsedSlice
from .services import stored_slice
from .storing import StoredSlice

NAMED = 4  # files in one sentence


@dataclass(eq=False)
class SourceFile:
    """One file of a batch and what became of it."""

    upload: Upload
    name: str
    path: str
    member: int | None = None  # its index, where it lies in an archive
    place: Place = field(default_factory=Place)
    date_shift: int | None = None
    reason: str = ""
    stored: str = ""  # under which name, once it is
    is_raw: bool = False  # k-space: nothing that is an image yet

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0]

    @property
    def where(self) -> tuple[str, int]:
        return self.place.volunteer, self.place.arm.pk if self.place.arm else 0


@dataclass
class SliceFile:
    """A de-identified slice in the scratch folder."""

    source: SourceFile
    parsed: ParsedSlice
    path: Path

    @property
    def plane(self) -> SlicePlane:
        return stored_slice(self.parsed, b"", _last(self.source.name)).plane

    def load(self) -> StoredSlice:
        return stored_slice(self.parsed, self.path, _last(self.source.name))


@dataclass
class Damage:
    """A file that could not be used; without group and position it may be any slice sent along."""

    source: SourceFile
    group: str | None
    position: list[float] | None


@dataclass(frozen=True)
class FileNews:
    """What the reader says of one file beside its slices."""

    report: dict[str, int]
    volunteer: str = ""
    arm: str = ""
    person: str = ""
    suspicions: tuple[str, ...] = ()


@dataclass
class Candidate:
    """What could become one series."""

    place: Place
    group: str
    slices: list[SliceFile] = field(default_factory=list)
    report: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)  # why it cannot go where it was sent
    suspicions: list[str] = field(default_factory=list)
    volunteer_hint: str = ""
    arm_hint: str = ""
    person: str = ""

    @property
    def cell(self) -> Cell | None:
        """Where it goes at once; None where a person has to say."""
        return None if self.notes or self.suspicions else self.place.cell

    @property
    def sources(self) -> list[SourceFile]:
        return list(dict.fromkeys(item.source for item in self.slices))

    @property
    def date_shift(self) -> int | None:
        return self.slices[0].source.date_shift

    @property
    def parameters(self) -> dict[str, Any]:
        return self.slices[0].parsed.parameters

    @property
    def images_key(self) -> str:
        """The same for the same images, whoever sends them, under whatever names.

        Of the new UIDs and of what tells the series of one header apart; UIDs are hashed with the
        platform's key before, so that nothing of the hospital's can be told from it.
        """
        told = [
            f"{item.parsed.group} {item.parsed.sop_uid} {item.parsed.position}"
            for item in self.slices
        ]
        return hashlib.sha256("\n".join(sorted(told)).encode("utf-8", "replace")).hexdigest()

    def take(self, item: SliceFile, news: FileNews) -> None:
        first_of_file = not self.slices or self.slices[-1].source is not item.source
        self.slices.append(item)
        if first_of_file:
            self.report.update(news.report)
            self.volunteer_hint = self.volunteer_hint or news.volunteer
            self.arm_hint = self.arm_hint or news.arm
            self.person = self.person or news.person
            self.suspicions += [s for s in news.suspicions if s not in self.suspicions]

    def refuse(self, reason: str) -> None:
        for source in self.sources:
            if not source.reason:
                source.reason = reason


class Batch:
    """Collects slices by place and series."""

    def __init__(self) -> None:
        self._candidates: list[Candidate] = []
        self._seen: dict[tuple[str, int, str], SourceFile] = {}
        self._damages: list[Damage] = []

    def add(
        self, source: SourceFile, parsed: list[tuple[ParsedSlice, Path]], news: FileNews
    ) -> None:
        """Take the slices of one file, unless it repeats an image that is here already."""
        twin = self._seen.setdefault((*source.where, parsed[0][0].sop_uid), source)
        if twin is not source:
            source.reason = f"This is the same image as {twin.name}."
            return
        for item, path in parsed:
            self._candidate(source, item).take(SliceFile(source, item, path), news)

    def _candidate(self, source: SourceFile, item: ParsedSlice) -> Candidate:
        """The series a slice belongs to: same place, same group, same orientation."""
        for candidate in reversed(self._candidates):
            if (
                candidate.group == item.group
                and candidate.place == source.place
                and same_orientation(candidate.slices[0].parsed.orientation, item.orientation)
            ):
                return candidate
        candidate = Candidate(source.place, item.group)
        self._candidates.append(candidate)
        return candidate

    def add_damage(
        self, source: SourceFile, group: str | None, position: list[float] | None
    ) -> None:
        self._damages.append(Damage(source, group, position))

    def candidates(self) -> Iterator[Candidate]:
        """Complete series, controls first; what is incomplete is refused by name."""
        self._note_rivals()
        self._note_several_people()
        for candidate in sorted(self._candidates, key=_controls_first):
            try:
                self._check_complete(candidate)
            except ImagingError as error:
                candidate.refuse(str(error))
                continue
            yield candidate

    def _note_rivals(self) -> None:
        """Two series for one cell: which of them is meant, only a person can say."""
        cells: dict[tuple[str, int], list[Candidate]] = defaultdict(list)
        for candidate in self._candidates:
            if candidate.cell is not None:  # one that is suspected waits anyway
                cells[candidate.sources[0].where].append(candidate)
        for rivals in cells.values():
            if len(rivals) > 1 and rivals[0].place.cell is not None:
                note = (
                    f"{len(rivals)} series were sent for {rivals[0].place.cell.said}"
                    f"{_difference(rivals)}. An arm takes one of each volunteer: choose."
                )
                for candidate in rivals:
                    candidate.notes.append(note)

    def _note_several_people(self) -> None:
        people: dict[str, set[str]] = defaultdict(set)
        for candidate in self._candidates:
            if candidate.place.volunteer and candidate.person:
                people[candidate.place.volunteer].add(candidate.person)
        for candidate in self._candidates:
            if len(people[candidate.place.volunteer]) > 1:
                candidate.notes.append(
                    f"The headers of what was sent for {candidate.place.volunteer} name "
                    f"{len(people[candidate.place.volunteer])} different people."
                )

    def _check_complete(self, candidate: Candidate) -> None:
        """A damaged file whose place no other file fills leaves its series incomplete.

        At an end of the stack no gap would show; so where its place is not known, the whole cell
        is in doubt. Without a cell, whoever looks at the series is told.
        """
        where = candidate.sources[0].where
        folders = {source.folder for source in candidate.sources}
        hindering: list[str] = []
        for damage in self._damages:
            if damage.source.where != where:
                continue
            if damage.group is not None and damage.position is not None:
                if damage.group != candidate.group:
                    continue
                if any(
                    math.dist(item.parsed.position, damage.position) < DUPLICATE_MM
                    for item in candidate.slices
                ):
                    continue
            elif candidate.place.cell is None:
                if damage.source.folder in folders:
                    note = "A damaged file that was sent along may be a slice of this series."
                    candidate.notes += [note] if note not in candidate.notes else []
                continue
            hindering.append(damage.source.name)
        if hindering:
            raise ImagingError(
                f"The series is incomplete: {_listed(hindering)} damaged or cannot be used. Send "
                "the whole series again, or leave out what is not part of it."
            )


def _listed(names: list[str]) -> str:
    """`a is`, `a and b are`, `a, b and 4 others are`; each by what tells it from the others."""
    if len(names) == 1:
        return f"{names[0]} is"
    if len(names) > NAMED:
        return f"{', '.join(names[: NAMED - 1])} and {len(names) - NAMED + 1} others are"
    return f"{', '.join(names[:-1])} and {names[-1]} are"


def _controls_first(candidate: Candidate) -> bool:
    return not (candidate.place.arm is not None and candidate.place.arm.is_control)


def _difference(rivals: list[Candidate]) -> str:
    """In what they differ, where the headers say so."""
    for keyword, name, unit in (
        ("EchoTime", "echo times", " ms"),
        ("DiffusionBValue", "b-values", " s/mm²"),
    ):
        found = (rival.parameters.get(keyword) for rival in rivals)
        values = {float(value) for value in found if isinstance(value, (int, float))}
        if len(values) > 1:
            listed = ", ".join(f"{value:g}" for value in sorted(values))
            return f" ({name} {listed}{unit})"
    first = rivals[0].slices[0].parsed.orientation
    if any(not same_orientation(first, r.slices[0].parsed.orientation) for r in rivals[1:]):
        return " (different orientations)"
    return ""


def _last(name: str) -> str:
    return name.rsplit("/", 1)[-1]
