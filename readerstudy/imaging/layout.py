"""Where an uploaded file goes: which volunteer, which arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from readerstudy.studies.models import Arm, Study

from .arm_names import arms_by_name, plain
from .errors import ImagingError
from .mapping import MappingRow, PathMapping, compile_pattern
from .services import check_volunteer_code


@dataclass(frozen=True)
class Cell:
    """One place of the grid volunteer × arm."""

    volunteer: str
    arm: Arm

    @property
    def said(self) -> str:
        return f"{self.arm.name} of {self.volunteer}"


@dataclass(frozen=True)
class Place:
    """What is known of where a file goes; both known make a cell, else it waits in the inbox."""

    volunteer: str = ""
    arm: Arm | None = None

    @property
    def cell(self) -> Cell | None:
        return Cell(self.volunteer, self.arm) if self.volunteer and self.arm else None


class Layout:
    """Reads a place out of what was chosen, a mapping, a pattern or ``…/<volunteer>/<arm>/…``.

    In that order: what was chosen on the page wins, and a folder that names another arm than the
    chosen one is refused. Where a mapping or a pattern was given, the
    folders alone decide nothing.
    """

    def __init__(self, study: Study, mapping: Sequence[MappingRow] = (), pattern: str = "") -> None:
        self._arms = {plain(arm.code): arm for arm in study.arms.all()}
        self._mapping = PathMapping(mapping) if mapping else None
        self._pattern = compile_pattern(pattern, arms_by_name(study)) if pattern else None
        self._names = arms_by_name(study)
        # V01 and v01 are one volunteer, under the code that is there already or comes first.
        self._volunteers: dict[str, str] = {
            code.casefold(): code for code in study.volunteers.values_list("code", flat=True)
        }

    @property
    def unmatched(self) -> list[str]:
        """Paths of the mapping under which no file lay that was placed so far."""
        return self._mapping.unmatched if self._mapping is not None else []

    def place(self, name: str, volunteer: str, arm: Arm | None) -> Place:
        """The place of a file. Raises ImagingError where it is sent to a derived arm."""
        name = name.replace("\\", "/")
        found_volunteer, found_arm = self._found(name, arm)
        chosen, arm = arm, arm or found_arm
        if arm is not None and arm.is_derived:
            raise ImagingError(
                f"{arm.name} is a derived arm: the platform makes its images from "
                f"{arm.source.name if arm.source else 'another arm'}."
            )
        if chosen is not None:
            self._check_folders_agree(name, chosen)
        if not volunteer and self._may_be_new(found_volunteer):
            volunteer = found_volunteer
        if volunteer:
            try:
                check_volunteer_code(volunteer)
            except ImagingError:
                volunteer = ""  # a folder that is no code: the coordinator says who it is
        if volunteer:
            volunteer = self._volunteers.setdefault(volunteer.casefold(), volunteer)
        return Place(volunteer, arm)

    def _check_folders_agree(self, name: str, chosen: Arm) -> None:
        """One arm was chosen for all that was sent: a folder of another arm is no part of that."""
        folders = (f for f in name.split("/")[:-1] if f.casefold() not in self._volunteers)
        named = [folder for folder in folders if plain(folder) in self._names]
        if named and all(self._names[plain(folder)] != chosen for folder in named):
            raise ImagingError(
                f"The folder “{named[-1]}” names another arm than {chosen.name}, which was chosen: "
                "send it again without an arm, so that the folders decide, or under its own."
            )

    def _may_be_new(self, volunteer: str) -> bool:
        """A folder named like an arm is no volunteer, unless one of that code is there already."""
        return plain(volunteer) not in self._names or volunteer.casefold() in self._volunteers

    def _found(self, name: str, arm: Arm | None) -> tuple[str, Arm | None]:
        if self._mapping is not None:
            row = self._mapping.row(name)
            if row is None:
                return "", None
            return row.volunteer, self._arms.get(plain(row.arm))
        if self._pattern is not None:
            match = self._pattern.match(name)
            if match is None:
                return "", None
            groups = match.groupdict()
            return groups.get("volunteer") or "", self._names.get(plain(groups.get("arm") or ""))
        return self._folders(name, arm)

    def _folders(self, name: str, arm: Arm | None) -> tuple[str, Arm | None]:
        folders = name.split("/")[:-1]
        if arm is None:
            at = next((i for i, f in enumerate(folders) if plain(f) in self._arms), None)
            if at is None:
                known = (f for f in folders if f.casefold() in self._volunteers)
                return next(known, ""), None
            arm = self._arms[plain(folders[at])]
            folders = folders[max(at - 1, 0) : at]
        known = (folder for folder in folders if folder.casefold() in self._volunteers)
        others = (folder for folder in folders if plain(folder) not in self._names)
        return next(known, next(others, "")), arm
