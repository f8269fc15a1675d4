"""Where what a network made is not to be believed, and what is known of its error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from denoise_engine.transfer.calibration import warning_map
from denoise_engine.transfer.inside import inside_of_head


@dataclass(frozen=True)
class Figures:
    """`flagged` is None where no network told of its error; `qc` and `maps` are JSON values."""

    flagged: np.ndarray | None
    qc: dict[str, Any]
    maps: dict[str, Any]


def figures_of(
    volume: np.ndarray,
    interpolated: np.ndarray,
    expected_error: np.ndarray | None,
    *,
    truth: np.ndarray | None,
    spacing: tuple[float, float, float],
    share: float,
) -> Figures:
    """Flag the least sure `share` of the inside of the head, and judge what can be judged.

    Arrays are [slices, rows, columns] on one grid; `truth` is what was scanned there, where it was
    (the thick slices were simulated from it).
    """
    inside = inside_of_head(volume, spacing)
    qc: dict[str, Any] = {"structure_passed": None, "inside_voxels": int(inside.sum())}
    maps: dict[str, Any] = {}
    flagged = None
    if expected_error is not None:
        flagged = warning_map(np.asarray(expected_error), inside, share)
        values = expected_error[inside]
        scale = float(np.median(np.abs(volume[inside]))) if inside.any() else 1.0
        qc |= {
            "flagged_share": float(flagged.sum()) / max(int(inside.sum()), 1),
            "expected_error_median": _share(np.median(values), scale) if values.size else None,
            "expected_error_p95": _share(np.quantile(values, 0.95), scale) if values.size else None,
        }
        maps["flagged_of_slices"] = [float(np.mean(plane)) for plane in flagged]
        maps["expected_error"] = {
            "median": float(np.median(values)) if values.size else 0.0,
            "highest": float(np.quantile(values, 0.995)) if values.size else 0.0,
        }
    if truth is not None and inside.any():
        qc |= _against(truth, volume, interpolated, flagged, inside)
    return Figures(flagged, qc, maps)


def _share(value: Any, scale: float) -> float:
    return float(value) / max(scale, 1e-12)


def _against(
    truth: np.ndarray,
    volume: np.ndarray,
    interpolated: np.ndarray,
    flagged: np.ndarray | None,
    inside: np.ndarray,
) -> dict[str, Any]:
    """Root mean square errors as shares of the median signal, against what was really scanned."""
    scale = float(np.median(truth[inside])) or 1.0

    def rms(image: np.ndarray, where: np.ndarray) -> float:
        return float(np.sqrt(np.mean(np.square(image[where] - truth[where])))) / scale

    found = {"error": rms(volume, inside), "error_of_interpolation": rms(interpolated, inside)}
    if flagged is not None and flagged.any():
        found["error_flagged"] = rms(volume, flagged)
        found["error_elsewhere"] = rms(volume, inside & ~flagged)
    return found
