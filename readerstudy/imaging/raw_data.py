"""Raw data (k-space) among what is sent: recognised here, read and kept by a higher floor.

Imaging stores images; what raw data are and what is reconstructed from them is known above. Whoever
knows registers an intake (see `hooks`).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from . import hooks
from .errors import ImagingError
from .grouping import SourceFile
from .services import check_is_of_site, find_volunteer
from .storing import check_cell_is_free

if TYPE_CHECKING:
    from readerstudy.accounts.models import User
    from readerstudy.jobs.context import JobContext
    from readerstudy.studies.models import Study

    from .models import Upload, Volunteer

START_BYTES = 256  # enough to recognise a file by
NO_PLACE = (
    "These are raw data: say of which volunteer and for which arm they are when they are sent, as "
    "nobody can tell by looking at them."
)
IN_ARCHIVE = "Raw data are sent as files of their own, not in an archive: take it out and send it."
ENDINGS = (".h5", ".hdf5", ".npz")


def refusal_in_archive(name: str) -> str:
    """Why a member of an archive is not read: by its name it holds raw data."""
    return IN_ARCHIVE if name.lower().endswith(ENDINGS) else ""


class RawDraft(Protocol):
    """Raw data that lie in storage and that nobody knows yet."""

    @property
    def prefix(self) -> str: ...


class RawIntake(Protocol):
    def recognises(self, start: bytes) -> bool:
        """Whether a file that begins so holds raw data."""

    def read(self, context: JobContext, study_id: uuid.UUID, path: Path) -> RawDraft:
        """Read an uploaded file, confined, and store what it holds. Raises ImagingError."""

    def publish(
        self,
        study: Study,
        draft: Any,
        volunteer: Volunteer,
        arm: Any,
        upload: Upload,
        actor: User | None,
    ) -> None:
        """Make the row, inside the transaction of the ingest. Raises ImagingError."""


def recognises(start: bytes) -> bool:
    return any(intake().recognises(start) for intake in hooks.raw_intakes())


def raw_prefix(study_id: uuid.UUID, token: uuid.UUID) -> str:
    """Outputs of one attempt of one job lie apart from those of any other attempt."""
    return f"raw/{study_id}/{token}"


@dataclass(frozen=True)
class ReadRaw:
    """Raw data of one file, read and stored under a prefix."""

    draft: RawDraft
    source: SourceFile


def read_one(context: JobContext, study: Study, source: SourceFile) -> ReadRaw:
    """Read the raw data of a file that has a place. Raises ImagingError."""
    cell = source.place.cell
    if cell is None:
        raise ImagingError(NO_PLACE)
    volunteer = find_volunteer(study, cell.volunteer)
    if volunteer is not None:
        check_is_of_site(volunteer, source.upload.site)
        check_cell_is_free(volunteer, cell.arm)
    return ReadRaw(hooks.raw_intakes()[0]().read(context, study.pk, Path(source.path)), source)


def publish_one(study: Study, read: ReadRaw, volunteer: Volunteer, actor: User | None) -> None:
    """Make the row. Inside a transaction that holds the study's row. Raises ImagingError."""
    cell = read.source.place.cell
    if cell is None:
        raise ImagingError(NO_PLACE)
    check_cell_is_free(volunteer, cell.arm)
    hooks.raw_intakes()[0]().publish(
        study, read.draft, volunteer, cell.arm, read.source.upload, actor
    )
