"""The evidence beside a derived series, in storage: what a physicist looks at before believing it.

Under the prefix of the series lie `evidence/qc.json` and the maps, each a .npy file on the grid of
the images. The removed noise is not stored a second time: it is the source's volume less the
derived one, both stored. Whoever deletes the series deletes its prefix, and the evidence with it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from django.core.files.base import File
from django.core.files.storage import default_storage

from readerstudy.imaging.models import Series
from readerstudy.imaging.volumes import write_file

if TYPE_CHECKING:
    from denoise_engine.evidence import Evidence

FOLDER = "evidence"
QC = "qc.json"
UNCERTAINTY, FLAGGED, NOISE = "uncertainty", "flagged", "noise_map"
G_FACTOR = "g_factor"
INTERPOLATED = "interpolated"  # thick slices, with nothing made up in between
EXPECTED_ERROR = "expected_error"  # SD, in the unit of the images
# The DICOM objects of a warning map, beside the evidence.
WARNING_FOLDER = "warning"
WARNING_FILES = ("flagged.dcm", "expected_error.dcm")


def write_evidence(prefix: str, evidence: Evidence, qc: dict[str, Any]) -> None:
    """Store maps and QC record under the prefix of a series that nobody knows yet."""
    for name, values in (
        (UNCERTAINTY, np.asarray(evidence.uncertainty, dtype="<f4")),
        (NOISE, np.asarray(evidence.noise_map, dtype="<f4")),
        (FLAGGED, np.asarray(evidence.flagged, dtype=bool)),
    ):
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(values), allow_pickle=False)
        write_file(_name(prefix, name), buffer.getvalue())
    text = json.dumps(qc, indent=1, ensure_ascii=False, allow_nan=False)
    write_file(f"{prefix}/{FOLDER}/{QC}", text.encode())


def write_maps(prefix: str, **maps: np.ndarray) -> None:
    """Store maps [slices, rows, columns] by their names under the prefix of a series that nobody
    knows yet."""
    for name, values in maps.items():
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(values, dtype="<f4"), allow_pickle=False)
        write_file(_name(prefix, name), buffer.getvalue())


def write_flags(prefix: str, flagged: np.ndarray, expected_error: np.ndarray) -> None:
    """Store where images that a network made are not to be believed, and the error expected."""
    write_maps(prefix, **{EXPECTED_ERROR: expected_error})
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(flagged, dtype=bool), allow_pickle=False)
    write_file(_name(prefix, FLAGGED), buffer.getvalue())


def write_warning_objects(prefix: str, objects: Mapping[str, bytes]) -> None:
    """Store the DICOM objects of a warning map by their names, `WARNING_FILES`."""
    for name in WARNING_FILES:
        write_file(f"{prefix}/{WARNING_FOLDER}/{name}", objects[name])


def has_warning_objects(series: Series) -> bool:
    return default_storage.exists(f"{series.prefix}/{WARNING_FOLDER}/{WARNING_FILES[0]}")


def open_warning_object(series: Series, name: str) -> File:
    """Raises FileNotFoundError for a series without a warning map."""
    return default_storage.open(f"{series.prefix}/{WARNING_FOLDER}/{name}")


def map_figures(evidence: Evidence) -> dict[str, Any]:
    """What a page says of the maps without reading them: plain JSON values."""
    noise = np.asarray(evidence.noise_map)
    flagged = np.asarray(evidence.flagged)
    return {
        "noise_sd": {
            "lowest": float(noise.min()),
            "median": float(np.median(noise)),
            "highest": float(noise.max()),
        },
        "flagged_of_slices": [float(np.mean(plane)) for plane in flagged],
    }


def has_map(series: Series, name: str) -> bool:
    return default_storage.exists(_name(series.prefix, name))


def read_map(series: Series, name: str) -> np.ndarray:
    """[slices, rows, columns], read-only; memory-mapped where the storage is a local folder.

    Raises LookupError for a series that was made before evidence was gathered.
    """
    if not has_map(series, name):
        raise LookupError(f"{series} has no {name}.")
    stored = _name(series.prefix, name)
    try:
        return np.load(default_storage.path(stored), mmap_mode="r", allow_pickle=False)
    except NotImplementedError:
        with default_storage.open(stored) as handle:
            return np.load(io.BytesIO(handle.read()), allow_pickle=False)


def _name(prefix: str, name: str) -> str:
    return f"{prefix}/{FOLDER}/{name}.npy"
