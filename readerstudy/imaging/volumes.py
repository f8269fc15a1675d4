"""Volumes in storage: written once as .npy, read back slice by slice.

Where the storage is a local folder the file is memory-mapped, so that one slice costs one slice.
Elsewhere the whole volume is fetched once and a few are kept in memory.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

if TYPE_CHECKING:
    from .models import Series

VOLUME = "volume.npy"
KEPT_VOLUMES = 6


def volume_bytes(volume: np.ndarray) -> bytes:
    """A [slices, rows, columns] volume as the bytes of a float32 .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(volume, dtype="<f4"), allow_pickle=False)
    return buffer.getvalue()


def write_volume(prefix: str, volume: np.ndarray) -> str:
    """Store `prefix`/volume.npy; returns the SHA-256 of the file."""
    content = volume_bytes(volume)
    write_file(f"{prefix}/{VOLUME}", content)
    return hashlib.sha256(content).hexdigest()


def write_file(name: str, content: bytes) -> None:
    """Store under exactly that name; whatever a former attempt left there is replaced."""
    if default_storage.exists(name):
        default_storage.delete(name)
    saved = default_storage.save(name, ContentFile(content))
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


def delete_each(prefixes: Iterable[str]) -> None:
    for prefix in prefixes:
        delete_files(prefix)
