"""Volumes in storage: written once as .npy, read back slice by slice.

Where the storage is a local folder the file is memory-mapped; from an object store one slice is
fetched by its place in the file: a slice costs a slice, however many people read at once. Whoever
wants the volume from a store fetches it whole, and a few are kept in memory.
"""

from __future__ import annotations

import errno
import hashlib
import io
import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage
from django.db import transaction

if TYPE_CHECKING:
    from .models import Series

log = logging.getLogger("readerstudy.storage")

VOLUME = "volume.npy"
KEPT_VOLUMES = 6
HEAD_BYTES = 128  # of a .npy file as written here
COPIED = 1024**2  # bytes of a volume handed to the storage at a time


def volume_bytes(volume: np.ndarray) -> bytes:
    """A [slices, rows, columns] volume as the bytes of a float32 .npy file."""
    return b"".join(_npy_parts(volume))


def _npy_parts(volume: np.ndarray) -> tuple[bytes, memoryview]:
    """The head of a float32 .npy file and, uncopied, its values."""
    values = np.ascontiguousarray(volume, dtype="<f4")
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(values))
    if head.tell() != HEAD_BYTES:  # `read_slice` reckons with it
        raise ValueError(f"A volume would begin after {head.tell()} bytes, not {HEAD_BYTES}.")
    return head.getvalue(), values.data.cast("B")


def write_volume(prefix: str, volume: np.ndarray) -> str:
    """Store `prefix`/volume.npy; returns the SHA-256 of the file."""
    parts = _npy_parts(volume)
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    _save(f"{prefix}/{VOLUME}", File(io.BufferedReader(_Joined(parts), COPIED)))
    return digest.hexdigest()


class _Joined(io.RawIOBase):
    """Pieces of memory read as one file, without joining them first."""

    def __init__(self, parts: Sequence[bytes | memoryview]) -> None:
        self._parts = parts
        self._size = sum(len(part) for part in parts)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        start = self._at
        for part in self._parts:
            if start < len(part):
                piece = part[start : start + len(buffer)]
                buffer[: len(piece)] = piece
                self._at += len(piece)
                return len(piece)
            start -= len(part)
        return 0


def write_file(name: str, content: bytes) -> None:
    """Store under exactly that name; whatever a former attempt left there is replaced."""
    _save(name, ContentFile(content))


def move_file(name: str, path: Path) -> None:
    """The same for a file of this machine, which is moved where storage is on the same disk.

    Without the storage's own way of saving, which asks the disk five times a file.
    """
    try:
        kept = Path(default_storage.path(name))
        kept.parent.mkdir(parents=True, exist_ok=True)
        path.replace(kept)
        if settings.FILE_UPLOAD_PERMISSIONS is not None:
            kept.chmod(settings.FILE_UPLOAD_PERMISSIONS)
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EXDEV:
            raise
        with path.open("rb") as handle:
            _save(name, File(handle))
        path.unlink()


def _save(name: str, content: File) -> None:
    if default_storage.exists(name):
        default_storage.delete(name)
    saved = default_storage.save(name, content)
    if saved != name:
        raise OSError(f"The storage kept {name} under another name: {saved}.")


def read_volume(series: Series) -> np.ndarray:
    """float32 [slices, rows, columns], read-only."""
    name = f"{series.prefix}/{VOLUME}"
    try:
        path = default_storage.path(name)
    except NotImplementedError:
        return _fetched(name, series.volume_sha256)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def read_slice(series: Series, index: int) -> np.ndarray:
    """float32 [rows, columns] of one slice."""
    fetch_part = getattr(default_storage, "read_part", None)
    if fetch_part is None:
        return np.asarray(read_volume(series)[index])
    if not 0 <= index < series.slices:
        raise IndexError(f"Slice {index} of {series.slices}.")
    # Where a slice lies is computed, and the length of the whole file is checked by the same
    # request: whether a series was asked for before is not to be told by the time it takes.
    size = series.rows * series.columns * 4
    name, start = f"{series.prefix}/{VOLUME}", HEAD_BYTES + index * size
    content = fetch_part(name, start, size, whole=HEAD_BYTES + series.slices * size)
    return np.frombuffer(content, dtype="<f4").reshape(series.rows, series.columns)


@lru_cache(maxsize=KEPT_VOLUMES)
def _fetched(name: str, _sha256: str) -> np.ndarray:
    with default_storage.open(name) as handle:
        volume = np.load(io.BytesIO(handle.read()), allow_pickle=False)
    volume.flags.writeable = False
    return volume


def delete_files(prefix: str) -> None:
    """Delete everything stored under a prefix. Missing files are no error."""
    if not prefix.strip("/"):
        raise ValueError("An empty prefix would delete the whole storage.")
    if not default_storage.exists(prefix):
        return
    folders, files = default_storage.listdir(prefix)
    for name in files:
        default_storage.delete(f"{prefix}/{name}")
    for name in folders:
        delete_files(f"{prefix}/{name}")
    default_storage.delete(prefix)


def delete_after_commit(prefixes: Sequence[str]) -> None:
    """Delete what is stored under the prefixes once their rows are gone for good.

    What the storage refuses then is left to housekeeping, which deletes what no row names: the act
    is done, and whoever did it is told so.
    """
    transaction.on_commit(lambda: _delete_if_possible(prefixes), robust=True)


def _delete_if_possible(prefixes: Sequence[str]) -> None:
    for done, prefix in enumerate(prefixes):
        try:
            delete_files(prefix)
        except OSError as error:  # a storage that is away would be waited for once for each
            log.warning(
                "files of %d series or raw data are not deleted yet (%s): housekeeping will",
                len(prefixes) - done,
                type(error).__name__,
            )
            return
