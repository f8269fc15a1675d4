"""Thick slices from thin ones, and back by interpolation: linear maps along the slice axis.

A thin grid of ``factor · n`` slices and a thick one of n share their borders: thick slice k covers
thin slices ``factor · k`` to ``factor · (k + 1) − 1``, its centre is theirs.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float32]

_FWHM_PER_SD = 2.3548200450309493


@lru_cache(maxsize=64)
def slice_profile(slices: int, factor: int, thickness: float = 1.0) -> Floats:
    """Return what each thick slice takes from the thin ones: (slices, factor · slices), rows sum 1.

    The profile of a slice-selective pulse is taken as a Gaussian whose full width at half maximum
    is the nominal thickness.

    Parameters
    ----------
    slices : int
        Thick slices.
    factor : int
        Thin slices to a thick one.
    thickness : float
        Nominal thickness as a share of the spacing; below 1 there is a gap between slices.

    References
    ----------
    Lin H, et al. Deep learning for low-field to high-field MR: image quality transfer with
    probabilistic decimation simulator. MLMIR 2019, LNCS 11905:58-70 (Gaussian profile, gap).
    """
    thin = np.arange(slices * factor) + 0.5
    centres = (np.arange(slices) + 0.5) * factor
    sd = max(thickness * factor / _FWHM_PER_SD, 1e-3)
    weights = np.exp(-0.5 * ((thin[None] - centres[:, None]) / sd) ** 2)
    # A pulse reaches hardly further; cut off, a slice depends on near neighbours alone.
    weights[np.abs(thin[None] - centres[:, None]) > 1.5 * factor] = 0
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


@lru_cache(maxsize=64)
def cubic_interpolation(slices: int, factor: int) -> Floats:
    """Return cubic spline interpolation to the thin grid as a matrix, (factor · slices, slices).

    Beyond the centre of the last slice the spline of the mirrored slices goes on.
    """
    if slices == 1:
        return np.ones((factor, 1), dtype=np.float32)
    positions = (np.arange(slices * factor) + 0.5) / factor - 0.5
    columns = [
        ndimage.map_coordinates(unit, [positions], order=3, mode="reflect")
        for unit in np.eye(slices)
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def along_slices(matrix: Floats, volume: Floats) -> Floats:
    """Apply a matrix (to, from) to a volume (from, rows, columns)."""
    flat = matrix @ volume.reshape(len(volume), -1)
    return np.ascontiguousarray(flat.reshape(len(matrix), *volume.shape[1:]), dtype=np.float32)


def interpolate(volume: Floats, factor: int) -> Floats:
    """Cubic spline interpolation of a volume (slices, rows, columns) through-plane."""
    if factor == 1:
        return volume
    return along_slices(cubic_interpolation(len(volume), factor), volume)
