"""Where an uploaded file goes: which volunteer, which arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from readerstudy.studies.models import Arm, Study

from .errors import ImagingError
from .mapping import MappingRow, PathMapping, arms_by_name, compile_pattern, plain
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

    In that order: what was chosen on the page wins. Where a mapping or a pattern was given, the
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

    def place(self, name: str, volunteer: str, arm: Arm | None) -> Place:
        """The place of a file. Raises ImagingError where it is sent to a derived arm."""
        found_volunteer, found_arm = self._found(name.replace("\\", "/"), arm)
        arm = arm or found_arm
        if arm is not None and arm.is_derived:
            raise ImagingError(
                f"{arm.name} is a derived arm: the platform makes its images from "
                f"{arm.source.name if arm.source else 'another arm'}."
            )
        volunteer = volunteer or found_volunteer
        if volunteer:
            try:
                check_volunteer_code(volunteer)
            except ImagingError:
                volunteer = ""  # a folder that is no code: the coordinator says who it is
        if volunteer:
            volunteer = self._volunteers.setdefault(volunteer.casefold(), volunteer)
        return Place(volunteer, arm)

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
        return next(known, folders[0] if folders else ""), arm
