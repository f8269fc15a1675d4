"""Make the demo's source images from the openly licensed data sets they come from.

    python readerstudy/demo/data/prepare.py ANATOMY_FOLDER

ANATOMY_FOLDER holds `lumbar-spider-t2space/pNNN_{image,label}.nii.gz` and
`lumbar-t2-3t-1mm.nii.gz`. Writes `lumbar/V01.npz` … (volume [slices, rows, columns], spacing in mm)
and `lumbar/regions.json`: an ellipse of 30 mm² a tissue, found in the expert labels and the image
by the rules below and then looked at.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter1d
from scipy.signal import fftconvolve

OUT = Path(__file__).parent / "lumbar"
AREA_MM2 = 30.0
ROUND = (math.sqrt(AREA_MM2 / math.pi),) * 2
FLAT = (5.0, AREA_MM2 / math.pi / 5.0)  # a disc: long from front to back
UPRIGHT = (AREA_MM2 / math.pi / 5.0, 5.0)  # cord, CSF, a thin layer of fat: long from head to feet

# SPIDER patient → first slice; every third slice is taken, as a 2-D protocol with a gap would.
SPIDER = {"005": 1, "018": 3, "055": 1, "078": 1, "110": 3, "127": 3}
SLICES, STEP = 6, 3
ROWS, FIRST_COLUMN = 576, 128  # the front of the belly lies under a saturation band: left out
SPIDER_SPACING = (0.9 * STEP, 0.47, 0.47)  # nominal

DISC, VERTEBRA, CANAL = 1, 2, 3

# Mean body signal over noise SD in the standard arm: volunteers differ, as people and coils do.
SNR_OF_STANDARD = {
    **{"V01": 11.0, "V02": 9.0, "V03": 12.0, "V04": 10.0},
    **{"V05": 12.0, "V06": 11.0, "V07": 7.0},
}


@dataclass(frozen=True)
class Candidate:
    slice: int
    row: int
    column: int
    semi_axes_mm: tuple[float, float]
    angle_deg: float
    badness: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "slice": self.slice,
            "row": self.row,
            "column": self.column,
            "semi_axes_mm": [round(value, 4) for value in self.semi_axes_mm],
            "angle_deg": self.angle_deg,
        }


def ellipse_kernel(
    semi_axes_mm: tuple[float, float], angle_deg: float, spacing: tuple[float, float]
) -> NDArray[np.float64]:
    reach = math.ceil(max(semi_axes_mm) / min(spacing)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(float)
    y, x = y * spacing[0], x * spacing[1]
    angle = math.radians(angle_deg)
    along = x * math.cos(angle) + y * math.sin(angle)
    across = -x * math.sin(angle) + y * math.cos(angle)
    return ((along / semi_axes_mm[0]) ** 2 + (across / semi_axes_mm[1]) ** 2 <= 1).astype(float)


def best(
    image: NDArray[np.float64],
    masks: dict[int, NDArray[np.bool_]],
    shapes: list[tuple[tuple[float, float], float]],
    spacing: tuple[float, float],
) -> Candidate | None:
    """The ellipse that lies wholly in its mask and has the least coefficient of variation."""
    found: Candidate | None = None
    for index, mask in masks.items():
        for semi_axes, angle in shapes:
            kernel = ellipse_kernel(semi_axes, angle, spacing)
            count = kernel.sum()
            inside = fftconvolve(mask.astype(float), kernel, mode="same") / count
            mean = fftconvolve(image[index], kernel, mode="same") / count
            square = fftconvolve(image[index] ** 2, kernel, mode="same") / count
            badness = np.sqrt(np.maximum(square - mean**2, 0)) / (mean + 1.0)
            badness[inside < 0.999] = np.inf
            margin = kernel.shape[0]
            badness[:margin] = badness[-margin:] = np.inf
            row, column = np.unravel_index(np.argmin(badness), badness.shape)
            value = float(badness[row, column])
            if np.isfinite(value) and (found is None or value < found.badness):
                found = Candidate(index, int(row), int(column), semi_axes, angle, value)
    return found


def find_regions(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], spacing: tuple[float, float]
) -> dict[str, dict[str, Any]]:
    volume = image.astype(float)
    smooth = gaussian_filter(volume, (0, 2, 2))  # single noisy pixels break no mask
    slices, rows, columns = volume.shape
    middle = [slices // 2 - 1, slices // 2]
    column_index = np.arange(columns)[None, :]
    row_index = np.arange(rows)[:, None]
    csf_level = float(np.percentile(volume[middle][labels[middle] == CANAL], 90))
    tilted = [(UPRIGHT, angle) for angle in (-20.0, -10.0, 0.0, 10.0, 20.0)]
    flat = [(FLAT, angle) for angle in (-20.0, -10.0, 0.0, 10.0, 20.0)]
    behind, edge = {}, {}
    for index in range(slices):
        canal = labels[index] == CANAL
        # The canal's back wall, row by row; rows without canal take the median.
        last = np.where(canal.any(1), columns - 1 - canal[:, ::-1].argmax(1), -1)
        last = np.where(last < 0, int(np.median(last[last >= 0])), last)
        behind[index] = column_index > uniform_filter1d(last.astype(float), 25)[:, None]
        bright = uniform_filter1d(volume[index], 5, axis=0) > 0.15 * csf_level
        skin = columns - 1 - bright[:, ::-1].argmax(1)
        edge[index] = uniform_filter1d(skin.astype(float), 9)[:, None]
    tissue = {
        "fat": best(
            volume,
            {
                k: behind[k]
                & (labels[k] == 0)
                & (smooth[k] > 0.45 * csf_level)
                & (row_index > 40)
                & (column_index > edge[k] - 130)
                for k in middle
            },
            [(ROUND, 0.0), *tilted],
            spacing,
        ),
        "csf": best(
            volume,
            {k: (labels[k] == CANAL) & (smooth[k] > 0.75 * csf_level) for k in middle},
            tilted,
            spacing,
        ),
        "vertebra": best(
            volume,
            {k: (labels[k] == VERTEBRA) & ~behind[k] & (row_index > 60) for k in middle},
            [(ROUND, 0.0)],
            spacing,
        ),
        "disc": best(
            volume, {k: (labels[k] == DISC) & (row_index > 60) for k in middle}, flat, spacing
        ),
        "cord": best(
            volume,
            {
                k: (labels[k] == CANAL)
                & (row_index < 320)
                & (smooth[k] > 0.15 * csf_level)
                & (smooth[k] < 0.75 * csf_level)
                for k in range(1, slices - 1)
            },
            tilted,
            spacing,
        ),
        "muscle": best(
            volume,
            {
                k: behind[k]
                & (labels[k] == 0)
                & (column_index < edge[k] - 12)
                & (row_index > 40)
                & (row_index < 480)
                & (smooth[k] > 0.03 * csf_level)
                & (smooth[k] < 0.17 * csf_level)
                for k in (0, slices - 1)
            },
            [(ROUND, 0.0), *tilted],
            spacing,
        ),
        "air": best(
            volume,
            {
                k: (column_index > edge[k] + 4) & (row_index > 40) & (row_index < 450)
                for k in middle
            },
            [(ROUND, 0.0), *tilted],
            spacing,
        ),
    }
    missing = [name for name, candidate in tissue.items() if candidate is None]
    if missing:
        raise SystemExit(f"No place was found for: {', '.join(missing)}.")
    return {name: candidate.as_dict() for name, candidate in tissue.items() if candidate}


def spider(folder: Path, patient: str, first: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """[slices, rows, columns], head up, front to the left, and the labels alike."""
    parts = []
    for kind in ("image", "label"):
        stored = nibabel.load(folder / "lumbar-spider-t2space" / f"p{patient}_{kind}.nii.gz")
        data = np.asarray(stored.dataobj).transpose(0, 2, 1)
        parts.append(data[first : first + STEP * SLICES : STEP, :ROWS, FIRST_COLUMN:])
    return parts[0].astype(np.uint8), parts[1].astype(np.uint8)


def save(code: str, volume: NDArray[Any], spacing_mm: tuple[float, float, float]) -> None:
    """With what the simulation needs to be the same everywhere: the SNR and the seed."""
    np.savez_compressed(
        OUT / f"{code}.npz",
        volume=volume,
        spacing_mm=spacing_mm,
        snr=SNR_OF_STANDARD[code],
        seed=int(code[1:]),
    )


def main() -> None:
    folder = Path(sys.argv[1])
    OUT.mkdir(exist_ok=True)
    regions: dict[str, Any] = {}
    for number, (patient, first) in enumerate(SPIDER.items(), start=1):
        image, labels = spider(folder, patient, first)
        code = f"V{number:02d}"
        save(code, image, SPIDER_SPACING)
        regions[code] = find_regions(image, labels, SPIDER_SPACING[1:])
        regions[code].update(BY_EYE.get(code, {}))
    stored = nibabel.load(folder / "lumbar-t2-3t-1mm.nii.gz")
    # RAS: turned so that rows run from head to feet and columns from front to back. Three slices of
    # 1 mm are added up to one of 3 mm, as thick as such a protocol scans; it also quietens the
    # source, whose own noise (SNR about 7) would otherwise be part of what is compared with.
    thin = np.asarray(stored.dataobj)[9:33, ::-1, ::-1].transpose(0, 2, 1).astype(np.uint16)
    thick = thin.reshape(8, 3, *thin.shape[1:]).sum(axis=1, dtype=np.uint16)
    save("V07", thick, (3.0, 1.0, 1.0))
    regions["V07"] = V07_REGIONS
    (OUT / "regions.json").write_text(json.dumps(regions, indent=1) + "\n")


def _at(
    index: int, row: int, column: int, axes: tuple[float, float] = UPRIGHT, angle: float = 0.0
) -> dict[str, Any]:
    return Candidate(index, row, column, axes, angle, 0.0).as_dict()


# Looked at, found to lie at the edge of its tissue, and placed by eye.
BY_EYE = {"V01": {"muscle": _at(5, 262, 263)}}

# No expert labels exist for this volunteer: placed by eye.
V07_REGIONS = {
    "fat": _at(4, 88, 212, UPRIGHT, 5.0),
    "csf": _at(4, 132, 168, UPRIGHT, 12.0),
    "vertebra": _at(4, 112, 152, ROUND),
    "disc": _at(4, 130, 148, FLAT),
    "cord": _at(4, 60, 185, UPRIGHT, 6.0),
    "muscle": _at(0, 60, 205, UPRIGHT),
    "air": _at(4, 30, 238, ROUND),
}

if __name__ == "__main__":
    main()
