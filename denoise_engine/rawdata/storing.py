"""Raw data as they are kept: plain arrays and a text, so that nothing has to be parsed again."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from denoise_engine.errors import RawDataError
from denoise_engine.rawdata.placing import Placement
from denoise_engine.rawdata.scan import RawData

TEXT = "scan.json"
ARRAYS = ("kspace", "mask", "noise", "calibration")
VERSION = 1


def save_raw(raw: RawData, folder: Path) -> list[str]:
    """Write into a folder that is there; returns the names of the files."""
    names = [TEXT]
    for name in ARRAYS:
        values = getattr(raw, name)
        if values is not None:
            np.save(folder / f"{name}.npy", np.ascontiguousarray(values), allow_pickle=False)
            names.append(f"{name}.npy")
    said = {
        "version": VERSION,
        "placement": raw.placement.as_json(),
        "acquired": raw.acquired,
        "warnings": raw.warnings,
    }
    (folder / TEXT).write_text(json.dumps(said, allow_nan=False), encoding="utf-8")
    return names


def load_raw(folder: Path) -> RawData:
    """Read what `save_raw` wrote; the samples are mapped into memory, not read at once.

    Whoever writes to them writes to a copy: the files stay as they are.
    """
    try:
        said = json.loads((folder / TEXT).read_text(encoding="utf-8"))
        arrays: dict[str, Any] = {
            name: np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False)
            for name in ARRAYS
            if (folder / f"{name}.npy").exists()
        }
        return RawData(
            kspace=arrays["kspace"],
            mask=np.asarray(arrays["mask"]),
            placement=Placement.from_json(said["placement"]),
            noise=arrays.get("noise"),
            calibration=arrays.get("calibration"),
            acquired=dict(said["acquired"]),
            warnings=list(said["warnings"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise RawDataError("The stored raw data are damaged or gone: send them again.") from None
