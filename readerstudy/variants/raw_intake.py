"""Raw data that were uploaded: read in a confined process, kept, and given to the worker."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage, storages

from readerstudy.accounts.models import User
from readerstudy.imaging.errors import ImagingError
from readerstudy.imaging.models import Upload, Volunteer
from readerstudy.imaging.parsing.process import ConfinedReader
from readerstudy.imaging.raw_data import raw_prefix
from readerstudy.imaging.volumes import delete_files
from readerstudy.jobs.context import JobContext
from readerstudy.studies.models import Arm, Study

from .raw_child import MODULE
from .raw_services import do_keep_raw

HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK\x03\x04"
NAME_AT, NAME_LENGTH_AT = 30, 26  # of the first member, in the local header of a zip archive


@dataclass(frozen=True)
class RawDraft:
    """Raw data in storage, under a prefix that nobody knows yet."""

    prefix: str
    sha256: str
    description: dict[str, Any]
    files: tuple[str, ...]
    id: uuid.UUID = field(default_factory=uuid.uuid4)


class Intake:
    """What imaging calls for files that hold raw data."""

    def recognises(self, start: bytes) -> bool:
        """HDF5, or a zip archive whose first member is a NumPy array."""
        if start.startswith(HDF5):
            return True
        if not start.startswith(ZIP) or len(start) < NAME_AT:
            return False
        length = int.from_bytes(start[NAME_LENGTH_AT : NAME_LENGTH_AT + 2], "little")
        return start[NAME_AT : NAME_AT + length].endswith(b".npy")

    def read(self, context: JobContext, study_id: uuid.UUID, path: Path) -> RawDraft:
        # Within the folder of this attempt, which housekeeping knows.
        folder = Path(storages["uploads"].path(f"scratch-{context.token}")) / uuid.uuid4().hex
        folder.mkdir(parents=True)
        try:
            with ConfinedReader(
                "",
                memory_bytes=settings.RAW_MEMORY_BYTES,
                seconds=settings.RAW_SECONDS,
                module=MODULE,
            ) as reader:
                answer = reader.ask({"path": str(path), "out": str(folder)})
            if "refused" in answer:
                raise ImagingError(str(answer["refused"]))
            draft_id = uuid.uuid4()
            prefix = f"{raw_prefix(study_id, context.token)}/{draft_id}"
            try:
                for name in answer["files"]:
                    _store(f"{prefix}/{name}", folder / name)
            except BaseException:
                delete_files(prefix)
                raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return RawDraft(
            prefix=prefix,
            sha256=str(answer["sha256"]),
            description=dict(answer["description"]),
            files=tuple(answer["files"]),
            id=draft_id,
        )

    def publish(
        self,
        study: Study,
        draft: RawDraft,
        volunteer: Volunteer,
        arm: Arm,
        upload: Upload,
        actor: User | None,
    ) -> None:
        do_keep_raw(
            study,
            volunteer,
            arm,
            actor,
            raw_id=draft.id,
            prefix=draft.prefix,
            sha256=draft.sha256,
            description=draft.description,
            upload=upload,
        )


def _store(name: str, path: Path) -> None:
    """A file into storage, a piece at a time: raw data are larger than memory should hold."""
    with path.open("rb") as handle:
        saved = default_storage.save(name, File(handle))
    if saved != name:
        raise OSError(f"The storage kept {name} under another name: {saved}.")
