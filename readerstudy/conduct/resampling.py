"""Another grid's images on the control's grid, so that they can be looked at side by side.

For the eye and for measuring a shift alone: nothing that a reader sees or a region measures is
ever resampled here.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from readerstudy.imaging.geometry import Geometry


def on_grid_of(volume: np.ndarray, own: Geometry, grid: Geometry) -> np.ndarray:
    """float32 [grid.slices, grid.rows, grid.columns], linear; zero where there is no image."""
    return np.stack([slice_on_grid(volume, own, grid, index) for index in range(grid.slices)])


def slice_on_grid(volume: np.ndarray, own: Geometry, grid: Geometry, index: int) -> np.ndarray:
    """One slice of the grid, taken out of a volume that lies on `own`."""
    start = np.asarray(own.to_index(grid.to_patient(index, 0, 0)))
    down = np.asarray(own.to_index(grid.to_patient(index, 1, 0))) - start
    across = np.asarray(own.to_index(grid.to_patient(index, 0, 1))) - start
    rows, columns = np.mgrid[: grid.rows, : grid.columns]
    places = start[:, None, None] + down[:, None, None] * rows + across[:, None, None] * columns
    if own.slices == 1:  # one slice has no neighbour to interpolate with
        places[0] = np.where(np.abs(places[0]) <= 0.5, 0.0, -1.0)
    found = ndimage.map_coordinates(
        np.asarray(volume, dtype=np.float32), places, order=1, mode="constant", cval=0.0
    )
    return np.asarray(found, dtype=np.float32)
