"""Smooth maps from one grid over a field of view to another."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float32]


def map_on_grid(values: Floats, shape: tuple[int, ...]) -> Floats:
    """Bring a smooth map from the grid of the images to that of the acquisition, or back.

    Between neighbours it is interpolated linearly: zero filling would ring. As with zero filling,
    the first pixels of both grids lie on each other.

    Parameters
    ----------
    values : ndarray of float32
        (slices, rows, columns).
    shape : tuple of int
        The same slices, other rows and columns.
    """
    if values.shape == shape:
        return values
    steps = np.array(values.shape[1:]) / np.array(shape[1:])
    out = np.empty(shape, dtype=np.float32)
    for k, plane in enumerate(values):
        ndimage.affine_transform(
            plane, steps, output=out[k], output_shape=shape[1:], order=1, mode="nearest"
        )
    return out
