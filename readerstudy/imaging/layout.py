"""Where an uploaded file goes: which volunteer, which arm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from readerstudy.studies.models import Arm, Study

from .errors import ImagingError
from .services import check_volunteer_code


@dataclass(frozen=True)
class Cell:
    """One place of the grid volunteer × arm."""

    volunteer: str
    arm: Arm

    @property
    def said(self) -> str:
        return f"{self.arm.name} of {self.volunteer}"


class Layout:
    """Reads a place out of ``…/<volunteer>/<arm code>/…``; what was chosen on the page wins."""

    def __init__(self, study: Study) -> None:
        self._arms: Mapping[str, Arm] = {_plain(arm.code): arm for arm in study.arms.all()}
        self._codes = ", ".join(arm.code for arm in study.arms.all() if not arm.is_derived)
        # V01 and v01 are one volunteer, under the code that is there already or comes first.
        self._volunteers: dict[str, str] = {
            code.casefold(): code for code in study.volunteers.values_list("code", flat=True)
        }

    def cell(self, name: str, volunteer: str, arm: Arm | None) -> Cell:
        """The cell of a file. Raises ImagingError with what is missing."""
        folders = name.replace("\\", "/").split("/")[:-1]
        if arm is None:
            at = next((i for i, f in enumerate(folders) if _plain(f) in self._arms), None)
            if at is None:
                raise ImagingError(
                    "It cannot be told which arm this belongs to. Choose an arm, or use folders "
                    f"named volunteer/arm, with one of these arm codes: {self._codes}."
                )
            arm = self._arms[_plain(folders[at])]
            folders = folders[max(at - 1, 0) : at]
        if arm.is_derived:
            raise ImagingError(
                f"{arm.name} is a derived arm: the platform makes its images from "
                f"{arm.source.name if arm.source else 'another arm'}."
            )
        if not volunteer:
            if not folders:
                raise ImagingError(
                    "It cannot be told which volunteer this belongs to. Choose a volunteer, or "
                    "use folders named volunteer/arm."
                )
            known = (folder for folder in folders if folder.casefold() in self._volunteers)
            volunteer = next(known, folders[0])
        check_volunteer_code(volunteer)
        return Cell(self._volunteers.setdefault(volunteer.casefold(), volunteer), arm)


def _plain(code: str) -> str:
    return code.casefold().replace("-", "_")
