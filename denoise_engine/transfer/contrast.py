"""Whether a head is T1-weighted, from the image alone.

Cortex is a thin sheet along the fluid of the sulci, white matter lies behind it. Of a T1-weighted
head the brighter part of the brain therefore lies further from what is dark (fluid, skull, vessels)
than the darker part. Of a FLAIR, a PD-weighted or a T2-weighted one, whose cortex is brighter than
white matter, it is the other way round. Distances within a slice, and intensities against those of
the surroundings, make this independent of the thickness of slices and of coil sensitivities.

No publication is followed. On the images at hand (:data:`LEAST_DISTANCE`) all T1-weighted heads lay
on one side and all others on the other; there were few of the latter.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from denoise_engine.metrics import otsu_threshold

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Spacing = tuple[float, float, float]

# mm by which brighter tissue lies further from what is dark. T1-weighted heads, real and
# synthesised, and what the forward model makes of them: +1.8 to +6.3, but the one of 0.67 mm, of
# strong contrast, +0.2 to +0.9; 16 slices around the midline +0.6, one with strong coil
# sensitivities +1.0. FLAIR -1.2, PD -1.7 and -0.6, T2 -1.9 and -1.1. In between, the middle.
LEAST_DISTANCE = -0.15

_GRID = 2.0  # mm to which thin slices and small pixels are averaged
_BELOW_SURFACE = 14.0  # mm: scalp, skull and the fluid below are left out
_FIELD, _NEAR = 20.0, 10.0  # mm, SD: of what is taken for coil sensitivity, for surroundings
_TISSUE = (0.7, 1.45)  # of the median below the surface
_OUTER = 0.35  # share of the tissue that counts as bright, and as dark
_FEWEST = 500  # voxels


def distance_of_bright_tissue(image: Floats, spacing: Spacing) -> float | None:
    """Return how much further from what is dark the brighter tissue lies than the darker, in mm.

    Parameters
    ----------
    image : ndarray of float32
        (slices, rows, columns), magnitude, a whole head, any unit.
    spacing : tuple of float
        Slice, row and column spacing, mm.

    Returns
    -------
    float or None
        Above 0 where white matter is brighter than grey, as of T1; None if too little lies deep
        enough below a surface.
    """
    coarse, grid = _averaged(image, spacing)
    # Whatever the unit, small numbers below are small beside these; halving leaves all digits.
    coarse = np.ldexp(coarse, -int(np.frexp(coarse.max())[1]))
    deep = _below_surface(coarse, grid)
    if np.count_nonzero(deep) < _FEWEST:
        return None
    flat = coarse
    for _ in range(2):  # the first time, what is tissue is not known well
        tissue = _tissue(flat, deep)
        field = np.maximum(_mean_around(coarse, tissue, _FIELD, grid), 1e-6)
        flat = np.asarray(coarse / field, dtype=np.float32)
    tissue = _tissue(flat, deep)
    if np.count_nonzero(tissue) < _FEWEST:
        return None
    against = flat / np.maximum(_mean_around(flat, tissue, _NEAR, grid), 1e-6)
    low, high = np.quantile(against[tissue], (_OUTER, 1 - _OUTER))
    pixel = float(np.sqrt(grid[1] * grid[2]))
    distance = np.stack([ndimage.distance_transform_edt(part) * pixel for part in tissue])
    bright, dark = tissue & (against > high), tissue & (against < low)
    if not bright.any() or not dark.any():
        return None
    return float(distance[bright].mean() - distance[dark].mean())


def _averaged(image: Floats, spacing: Spacing) -> tuple[Floats, Spacing]:
    """Average to voxels of about 2 mm, or as large as they are."""
    times = [max(1, round(_GRID / step)) for step in spacing]
    k, i, j = (n // t for n, t in zip(image.shape, times, strict=True))
    cut = image[: k * times[0], : i * times[1], : j * times[2]]
    blocks = cut.reshape(k, times[0], i, times[1], j, times[2])
    grid = (spacing[0] * times[0], spacing[1] * times[1], spacing[2] * times[2])
    return blocks.mean(axis=(1, 3, 5), dtype=np.float32), grid


def _below_surface(image: Floats, grid: Spacing) -> Mask:
    """What lies far below the surface in its slice, in slices that cut the head widely."""
    threshold = 0.5 * otsu_threshold(image)
    pixel = float(np.sqrt(grid[1] * grid[2]))
    deep = np.zeros(image.shape, dtype=np.bool_)
    areas = np.zeros(len(image))
    for k, section in enumerate(image):
        outline = ndimage.binary_closing(np.pad(section > threshold, 6), iterations=2)[6:-6, 6:-6]
        labels, count = ndimage.label(outline)
        if count == 0:
            continue
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        head = ndimage.binary_fill_holes(labels == int(sizes.argmax()))
        areas[k] = np.count_nonzero(head)
        depth = ndimage.distance_transform_edt(np.pad(head, 1))[1:-1, 1:-1] * pixel
        deep[k] = depth > _BELOW_SURFACE
    deep[areas <= 0.5 * areas.max()] = False
    return deep


def _tissue(image: Floats, deep: Mask) -> Mask:
    low, high = (share * float(np.median(image[deep])) for share in _TISSUE)
    return np.asarray(deep & (image > low) & (image < high), dtype=np.bool_)


def _mean_around(image: Floats, mask: Mask, sd: float, grid: Spacing) -> Floats:
    """Mean of what lies in the mask around each voxel, weighted by a Gaussian of ``sd`` mm."""
    sigma = [sd / step for step in grid]
    inside = mask.astype(np.float32)
    total = ndimage.gaussian_filter(image * inside, sigma, truncate=2.5)
    weight = ndimage.gaussian_filter(inside, sigma, truncate=2.5)
    return np.asarray(total / np.maximum(weight, 1e-3), dtype=np.float32)
