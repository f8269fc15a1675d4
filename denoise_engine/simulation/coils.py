"""Smooth receive coils and smooth image phase, drawn from a seed."""

import numpy as np
from numpy.typing import NDArray

Complex = NDArray[np.complex64]


def smooth_coils(rows: int, columns: int, *, count: int, rng: np.random.Generator) -> Complex:
    """Return coil sensitivities whose squared magnitudes add up to 1 in every pixel.

    Coils sit on a ring around the field of view; each falls off with distance as a Gaussian and
    has a linear phase. With unit sum of squares the matched combination of all coils has the
    noise of one channel everywhere.

    Parameters
    ----------
    rows, columns : int
        Matrix.
    count : int
        Number of coils.
    rng : numpy.random.Generator
        Jitters place, width and phase of each coil.

    Returns
    -------
    ndarray of complex64
        (coils, rows, columns).
    """
    y, x = _grid(rows, columns)
    coils = np.empty((count, rows, columns), dtype=np.complex128)
    for k in range(count):
        angle = 2 * np.pi * (k + rng.uniform(-0.2, 0.2)) / count
        centre_y, centre_x = 1.1 * np.sin(angle), 1.1 * np.cos(angle)
        width = rng.uniform(0.8, 1.1)
        fall_off = np.exp(-((y - centre_y) ** 2 + (x - centre_x) ** 2) / (2 * width**2))
        slope_y, slope_x, offset = rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0, 2 * np.pi)
        coils[k] = fall_off * np.exp(1j * (slope_y * y + slope_x * x + offset))
    coils /= np.sqrt(np.sum(np.abs(coils) ** 2, axis=0, keepdims=True))
    return coils.astype(np.complex64)


def smooth_phase(rows: int, columns: int, *, rng: np.random.Generator) -> Complex:
    """Return a unit-magnitude phase factor of second order, within about ±π over the field.

    Returns
    -------
    ndarray of complex64
        (rows, columns).
    """
    y, x = _grid(rows, columns)
    terms = (np.ones_like(x), y, x, x * y, y**2, x**2)
    phase = sum(rng.uniform(-0.8, 0.8) * term for term in terms)
    return np.exp(1j * np.asarray(phase)).astype(np.complex64)


def _grid(rows: int, columns: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    return y, x
