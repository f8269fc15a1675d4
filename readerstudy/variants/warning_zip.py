"""The DICOM objects of a warning map as one zip, for a viewer outside the platform."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
from typing import IO, cast

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.imaging.models import Series

from .evidence import WARNING_FILES, open_warning_object

# The earliest time that a zip can hold: the same objects give the same file.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_IN_MEMORY = 8 * 1024**2


def warning_zip(series: Series) -> IO[bytes]:
    """The zip, ready to be read; larger ones lie on the disk. Outside every transaction.

    What the storage lacks or fails to give is known before the first byte is sent. Raises
    FileNotFoundError for a series without a warning map, OSError for a storage that fails.
    """
    made = cast("IO[bytes]", tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115 - returned
    try:
        with zipfile.ZipFile(made, "w") as archive:
            for name in WARNING_FILES:
                entry = zipfile.ZipInfo(f"{warning_name(series)}/{name}", _ZIP_TIME)
                entry.external_attr = 0o644 << 16
                # As they are: a bit each, or noise, which deflate makes no smaller.
                with open_warning_object(series, name) as stored, archive.open(entry, "w") as kept:
                    shutil.copyfileobj(stored, kept)
    except BaseException:
        made.close()
        raise
    made.seek(0)
    return made


def warning_name(series: Series) -> str:
    """Of the file, without its ending. Says whose map it is, and of no arm: names lie about."""
    return f"{series.volunteer.study.slug}-{series.volunteer.code}-warning-map-{series.pk.hex[:8]}"


def record_warning_download(series: Series, actor: User, made: IO[bytes]) -> None:
    """Leave a trace of what left the platform."""
    sha256 = hashlib.file_digest(made, "sha256").hexdigest()  # type: ignore[arg-type]
    made.seek(0)
    record(
        "variants.warning_map.downloaded",
        actor,
        study_id=series.volunteer.study_id,
        subject=series,
        new={
            "volunteer": series.volunteer.code,
            "arm": series.arm.code,
            "file": f"{warning_name(series)}.zip",
            "sha256": sha256,
            "volume_sha256": series.volume_sha256,
        },
    )
