"""The inside of a head: where warning maps flag, and where a scan at hand is judged."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from denoise_engine.metrics import otsu_threshold

# Scalp and skull: their edges are the least sure of all, and nobody reads them.
BELOW_SURFACE_MM = 14.0


def inside_of_head(
    volume: NDArray[np.float32], spacing: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """Return what lies deeper below the surface of the head, in its slice, than scalp and skull.

    Parameters
    ----------
    volume : ndarray of float32
        (slices, rows, columns), magnitude, any unit.
    spacing : tuple of float
        Slice, row and column spacing, mm.

    Returns
    -------
    ndarray of bool
        The shape of the volume; nothing where no slice is wide enough.
    """
    threshold = 0.5 * otsu_threshold(np.asarray(volume, dtype=np.float32))
    inside = np.zeros(volume.shape, dtype=np.bool_)
    for index, plane in enumerate(volume):
        labels, count = ndimage.label(plane > threshold)
        if count == 0:
            continue
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        closed = ndimage.binary_closing(np.pad(labels == int(sizes.argmax()), 8), iterations=4)[
            8:-8, 8:-8
        ]
        head = np.pad(ndimage.binary_fill_holes(closed), 1)
        depth = ndimage.distance_transform_edt(head, sampling=spacing[1:])[1:-1, 1:-1]
        inside[index] = depth > BELOW_SURFACE_MM
    return inside
