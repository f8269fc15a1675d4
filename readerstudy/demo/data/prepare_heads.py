"""Make the demo's heads from the openly licensed images that they come from.

    python readerstudy/demo/data/prepare_heads.py ANATOMY_FOLDER

ANATOMY_FOLDER holds `brain-t1-3t-0p67mm-forrest.nii.gz` and `brain-t1-3t-0p88mm.nii.gz`. Writes
`head/V01.npz` and `head/V02.npz`: 16 axial slices above the eyes, on cubes of 1.15 mm.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage

OUT = Path(__file__).parent / "head"
SOURCES = {"V01": "brain-t1-3t-0p67mm-forrest.nii.gz", "V02": "brain-t1-3t-0p88mm.nii.gz"}
SPACING = 1.15
SLICES = 16
BELOW_THE_VERTEX = 78.0  # mm, of the lowest slice: through the ventricles, above the eyes
BRIGHTEST = 2800  # of 4095: as a scanner writes 12 bits


def slab(path: Path) -> np.ndarray:
    """uint16 [slices from feet to head, rows from front to back, columns from right to left]."""
    stored = nibabel.as_closest_canonical(nibabel.load(path))
    volume = np.asarray(stored.dataobj).astype(np.float32).transpose(2, 1, 0)[:, ::-1]
    across, along, up = (float(size) for size in stored.header.get_zooms()[:3])
    own = (up, along, across)
    bright = volume > 0.15 * np.percentile(volume, 99.5)
    vertex = max(k for k, plane in enumerate(bright) if plane.sum() > 400)
    lowest = vertex * up - BELOW_THE_VERTEX
    # As much blur as larger voxels have, so that nothing is folded.
    blurred = ndimage.gaussian_filter(volume, [0.4 * max(0.0, SPACING / size - 1) for size in own])
    counts = [int(n * size / SPACING) for n, size in zip(volume.shape[1:], own[1:], strict=True)]
    places = np.meshgrid(
        (lowest + SPACING * np.arange(SLICES)) / up,
        SPACING * np.arange(counts[0]) / along,
        SPACING * np.arange(counts[1]) / across,
        indexing="ij",
    )
    cut = ndimage.map_coordinates(blurred, places, order=1, mode="nearest")
    head = (cut > 0.1 * np.percentile(cut, 99)).any(axis=0)
    rows, columns = np.flatnonzero(head.any(axis=1)), np.flatnonzero(head.any(axis=0))
    cut = cut[:, max(rows[0] - 5, 0) : rows[-1] + 6, max(columns[0] - 5, 0) : columns[-1] + 6]
    scaled = np.maximum(cut, 0) * (BRIGHTEST / np.percentile(cut, 99.9))
    return np.clip(np.rint(scaled), 0, 4095).astype(np.uint16)


def main() -> None:
    folder = Path(sys.argv[1])
    OUT.mkdir(exist_ok=True)
    for code, name in SOURCES.items():
        np.savez_compressed(
            OUT / f"{code}.npz", volume=slab(folder / name), spacing_mm=[SPACING] * 3
        )


if __name__ == "__main__":
    main()
