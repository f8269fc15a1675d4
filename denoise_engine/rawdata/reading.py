"""One door for every format of raw data."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from denoise_engine.errors import EngineError, RawDataError
from denoise_engine.rawdata.hdf5 import is_hdf5
from denoise_engine.rawdata.scan import Mask, RawData
from denoise_engine.rawdata.undersampling import LEAST_CENTRE

ZIP = b"PK\x03\x04"
DEFAULT_MEMORY = 2 * 1024**3
LEAST_SIDE = 32
NEAR = 4  # lines from the zero frequency within which an undersampled scan has one


def read_raw(
    path: str | os.PathLike[str],
    *,
    choose: Mapping[str, int] | None = None,
    memory_limit: int = DEFAULT_MEMORY,
) -> RawData:
    """Read the raw data of one image series: ISMRMRD (.h5) or a NumPy archive (.npz).

    Parameters
    ----------
    path : path
    choose : mapping, optional
        Which ``contrast`` (echo), ``phase``, ``repetition`` or ``set``, counted from 1, where an
        ISMRMRD file holds several.
    memory_limit : int
        Bytes that reading may take. Coils that do not fit are compressed (ISMRMRD), with a warning.

    Returns
    -------
    RawData

    Raises
    ------
    RawDataError
        What is wrong, in a sentence: not one of the formats, damaged, not Cartesian, a matrix that
        does not fit the samples, values that are no number, no calibration centre, too large.
    """
    from denoise_engine.rawdata.ismrmrd_file import read_ismrmrd
    from denoise_engine.rawdata.npz_file import read_npz

    file = Path(path)
    try:
        with file.open("rb") as handle:
            start = handle.read(8)
    except OSError as error:
        raise RawDataError(f"The raw data cannot be read: {error.strerror}.") from None
    try:
        if is_hdf5(start):
            raw = read_ismrmrd(file, choose=choose or {}, memory_limit=memory_limit)
        elif start.startswith(ZIP):
            raw = read_npz(file, memory_limit=memory_limit)
        else:
            raise RawDataError("These are no raw data: neither ISMRMRD (HDF5) nor a NumPy archive.")
    except EngineError:
        raise
    except MemoryError:
        raise RawDataError("The raw data need more memory than is allowed.") from None
    except Exception:  # noqa: BLE001 - of a damaged file the libraries raise whatever they like
        raise RawDataError("The raw-data file is damaged: it cannot be read.") from None
    _check(raw)
    return raw


def _check(raw: RawData) -> None:
    """What no reconstruction can do anything with."""
    rows, columns = raw.matrix
    if min(rows, columns if not raw.placement.is_3d else LEAST_SIDE) < LEAST_SIDE:
        raise RawDataError(
            f"The matrix is {rows} × {columns}: at least {LEAST_SIDE} points a side are needed."
        )
    if not raw.mask.any() or not np.any(raw.kspace):
        raise RawDataError("Nothing was sampled: every point of k-space is zero.")
    for plane in range(raw.planes if raw.mask.ndim == 3 else 1):
        mask = raw.mask_of(plane)
        middle = mask[rows // 2 - 1 : rows // 2 + 2, max(columns // 2 - 1, 0) : columns // 2 + 2]
        if not middle.all() and raw.calibration is None:
            raise RawDataError(_without_centre(mask))


def _without_centre(mask: Mask) -> str:
    """Whether lines were left out of the centre, as for a scan with separate calibration, or all.

    ``mask`` is (rows, columns).
    """
    rows, columns = mask.shape
    lines = min(_run(mask[:, columns // 2]), _run(mask[rows // 2]))
    near = mask[max(rows // 2 - NEAR, 0) : rows // 2 + NEAR + 1, columns // 2]
    if not lines and not near.any():
        return (
            "The centre of k-space was not sampled: its middle lines carry the contrast and "
            "tell the coils apart, and without them nothing can be reconstructed."
        )
    found = (
        f"{lines} neighbouring line{'s are' if lines > 1 else ' is'} sampled around the zero "
        "frequency"
        if lines
        else "the line of the zero frequency was not sampled"
    )
    return (
        f"The calibration centre is missing: {found}, and at least {LEAST_CENTRE} neighbouring "
        "lines there are needed to find the coil sensitivities. Send a scan with a fully sampled "
        "centre, or one with a calibration scan."
    )


def _run(line: Mask) -> int:
    """How many samples lie side by side around the middle."""
    middle = len(line) // 2
    if not line[middle]:
        return 0
    gaps = np.flatnonzero(~line)
    below, above = gaps[gaps < middle], gaps[gaps > middle]
    first = int(below[-1]) + 1 if len(below) else 0
    last = int(above[0]) if len(above) else len(line)
    return last - first
