"""How stored values become what a screen shows: one convention a volunteer.

Every arm of a volunteer is sent as unsigned 16-bit integers,
``clip(round(value * display_factor * display_scale + offset), 0, 65535)``. The scale comes from the
control alone: its maximum is shown as 16,000, which leaves a fourfold headroom for arms whose noise
or edges reach higher. The offset too: 0 for magnitude images, and where the control holds negative
values (real-valued inversion recovery) what lifts them above black. Scanners scale every series by
themselves, so the factor of an arm matches its body median to the control's. Both are for display
only; measurements use the stored values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

CONTROL_MAXIMUM = 16_000.0
DISPLAY_MAXIMUM = 65_535
FACTOR_LIMITS = (1 / 64, 64.0)
WINDOW_PERCENTILES = (1.0, 99.5)
NEGATIVE_PERCENTILE = 0.5  # of a control: a few negative voxels, as of a filter, stay black
OTSU_BINS = 256
# Percentiles of the body, the background left out.
PRESETS = (
    ("wide", "Wide", (0.0, 100.0)),
    ("narrow", "Narrow", (5.0, 95.0)),
    ("dark", "Dark tissue", (0.0, 60.0)),
    ("bright", "Bright tissue", (40.0, 99.9)),
)
# Percentiles and medians of large volumes are taken over about this many evenly spaced voxels.
SAMPLED_VOXELS = 125_000


@dataclass(frozen=True)
class Display:
    """The convention of a volunteer; kept in `Volunteer.display`."""

    scale: float
    offset: float
    center: float
    width: float
    control_sha256: str

    def as_json(self) -> dict[str, Any]:
        return {
            "scale": self.scale,
            "offset": self.offset,
            "center": self.center,
            "width": self.width,
            "control_sha256": self.control_sha256,
        }


def display_of_control(volume: np.ndarray, sha256: str) -> Display:
    """Scale and first window of a volunteer, from the control's [slices, rows, columns]."""
    maximum = float(np.max(volume))
    scale = CONTROL_MAXIMUM / maximum if maximum > 0 else 1.0
    least, *window = np.percentile(_sample(volume), (NEGATIVE_PERCENTILE, *WINDOW_PERCENTILES))
    offset = float(round(max(-float(least) * scale, 0.0)))
    low, high = (float(v) * scale + offset for v in window)
    low = max(low, 0.0)
    width = max(high - low, 1.0)
    return Display(
        scale=scale,
        offset=offset,
        center=round(low + width / 2, 1),
        width=round(width, 1),
        control_sha256=sha256,
    )


Limits = dict[str, tuple[float, float]]  # {code of a preset: lowest and highest stored value}


def preset_limits(volume: np.ndarray) -> Limits:
    """What further windows reach over, in stored values, from the control's percentiles.

    MR has no units in which windows could be given once for all, as CT has.
    """
    body = volume[body_mask(volume)]
    sample = _sample(body if body.size else volume)
    limits = {}
    for code, _name, percentiles in PRESETS:
        low, high = (float(v) for v in np.percentile(sample, percentiles))
        limits[code] = (low, high)
    return limits


def presets_as_json(limits: Limits, scale: float, offset: float) -> list[dict[str, Any]]:
    """The windows in display units, as `Volunteer.display` keeps them."""
    presets = []
    for code, found in limits.items():
        low, high = (max(value * scale + offset, 0.0) for value in found)
        if code == "wide":
            low = 0.0
        width = max(high - low, 1.0)
        presets.append(
            {"code": code, "center": round(low + width / 2, 1), "width": round(width, 1)}
        )
    return presets


def named_presets(presets: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Kept windows, under the names that people choose them by."""
    names = {code: name for code, name, _percentiles in PRESETS}
    return [
        {**preset, "name": names[preset["code"]]} for preset in presets if preset["code"] in names
    ]


def body_mask(volume: np.ndarray) -> np.ndarray:
    """Voxels of the body: above Otsu's threshold (IEEE Trans SMC 9:62, 1979)."""
    return np.asarray(volume > _body_threshold(_sample(volume)))


def sampled_body(volume: np.ndarray) -> np.ndarray:
    """The body among the evenly spaced voxels that medians are taken over: one flag a voxel."""
    sample = _sample(volume)
    return np.asarray(sample > _body_threshold(sample))


def body_median(volume: np.ndarray, inside: np.ndarray) -> float:
    """Median over the `sampled_body` of a volume on the same grid."""
    sample = _sample(volume)
    return float(np.median(sample[inside] if inside.any() else sample))


def _body_threshold(sample: np.ndarray) -> float:
    """The histogram ends at the 99.5th percentile, so that a few bright voxels do not set it.

    Minus infinity where everything has one value: then everything is body.
    """
    low, high = (float(v) for v in np.percentile(sample, (0.0, 99.5)))
    if high <= low:
        return -np.inf
    counts, edges = np.histogram(sample, bins=OTSU_BINS, range=(low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts).astype(float)
    above = below[-1] - below
    sum_below = np.cumsum(counts * centres)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_below = sum_below / below
        mean_above = (sum_below[-1] - sum_below) / above
        between = below * above * (mean_below - mean_above) ** 2
    best = int(np.nanargmax(np.where(np.isfinite(between), between, -1.0)))
    return float(edges[best + 1])


def _sample(volume: np.ndarray) -> np.ndarray:
    """Evenly spaced voxels; the odd step does not run along with rows of even length."""
    step = volume.size // SAMPLED_VOXELS
    return np.asarray(volume).reshape(-1)[:: step | 1]


def match_factor(control_median: float, own_median: float) -> tuple[float, bool]:
    """The display factor of an arm, and whether it had to be limited."""
    if not (control_median > 0 and own_median > 0):
        return 1.0, True
    wanted = control_median / own_median
    low, high = FACTOR_LIMITS
    return min(max(wanted, low), high), not low <= wanted <= high


def to_display(values: np.ndarray, factor: float, scale: float, offset: float = 0.0) -> np.ndarray:
    """Values as little-endian uint16 in the display convention, same shape."""
    shown = np.rint(np.asarray(values, dtype=np.float64) * (factor * scale) + offset)
    return np.clip(shown, 0, DISPLAY_MAXIMUM).astype("<u2")
