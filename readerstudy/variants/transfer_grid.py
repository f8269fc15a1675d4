"""From the thin slices that a network made to the grid of the control.

Thick slices that were scanned lie on a grid of their own. The thin ones made of them fill the same
box; what readers see is sampled from them at the voxels of the control.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy import ndimage

from readerstudy.imaging.geometry import Geometry

# Of the control's voxels, so many may lie beyond the box of the thick slices.
MOST_UNCOVERED = 0.02
# Voxels: centres at the border of the box lie half a voxel beyond the last centre.
REACH = 0.75


def refined(grid: Geometry, factor: int) -> Geometry:
    """The grid of `factor` thin slices for each thick one, in the same box."""
    step = grid.slice_spacing / factor
    back = 0.5 * (step - grid.slice_spacing)
    x, y, z = (o + back * d for o, d in zip(grid.origin, grid.slice_direction, strict=True))
    return replace(grid, slices=grid.slices * factor, slice_spacing=step, origin=(x, y, z))


def coarsened(grid: Geometry, slices: int, factor: int) -> Geometry:
    """The grid of `slices` thick slices, each in the place of `factor` thin ones."""
    step = grid.slice_spacing * factor
    ahead = 0.5 * (step - grid.slice_spacing)
    x, y, z = (o + ahead * d for o, d in zip(grid.origin, grid.slice_direction, strict=True))
    return replace(grid, slices=slices, slice_spacing=step, origin=(x, y, z))


def uncovered(own: Geometry, grid: Geometry) -> float:
    """The share of the voxels of `grid` that lie outside of the box of `own`."""
    outside = 0
    for places in _places(own, grid):
        ends = np.array([own.slices, own.rows, own.columns])[:, None, None] - 1 + REACH
        outside += int(np.count_nonzero(np.any((places < -REACH) | (places > ends), axis=0)))
    return outside / (grid.slices * grid.rows * grid.columns)


def sampled(volume: np.ndarray, own: Geometry, grid: Geometry, *, order: int = 3) -> np.ndarray:
    """float32 on `grid`, of a volume that lies on `own`: cubic splines, or linear (order 1)."""
    values = np.asarray(volume, dtype=np.float32)
    spline = ndimage.spline_filter(values, order, output=np.float32) if order > 1 else values
    return np.stack(
        [
            ndimage.map_coordinates(
                spline, places, order=order, mode="nearest", prefilter=False, output=np.float32
            )
            for places in _places(own, grid)
        ]
    )


def _places(own: Geometry, grid: Geometry) -> Iterator[np.ndarray]:
    """For each slice of `grid` the places of its voxels on `own`: [3, rows, columns]."""
    start = np.asarray(own.to_index(grid.to_patient(0, 0, 0)))
    on = np.asarray(own.to_index(grid.to_patient(1, 0, 0))) - start
    down = np.asarray(own.to_index(grid.to_patient(0, 1, 0))) - start
    across = np.asarray(own.to_index(grid.to_patient(0, 0, 1))) - start
    rows, columns = np.mgrid[: grid.rows, : grid.columns]
    plane = down[:, None, None] * rows + across[:, None, None] * columns
    for index in range(grid.slices):
        yield plane + (start + on * index)[:, None, None]
