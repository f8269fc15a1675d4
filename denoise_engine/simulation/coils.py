"""Smooth receive coils, image phase and random fields, drawn from a seed."""

import numpy as np
from numpy.typing import NDArray

Complex = NDArray[np.complex64]


def smooth_coils(
    rows: int,
    columns: int,
    *,
    count: int,
    rng: np.random.Generator,
    widths: tuple[float, float] = (0.8, 1.1),
) -> Complex:
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
    widths : tuple of float
        Narrowest and widest fall-off, in halves of the field of view.

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
        width = rng.uniform(*widths)
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


def smooth_field(
    rows: int, columns: int, *, length: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return a random real field of SD 1 that varies over ``length`` pixels.

    Parameters
    ----------
    rows, columns : int
        Matrix.
    length : float
        SD of the Gaussians that the field is made of, in pixels.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of float32
        (rows, columns).
    """
    down, across = _bumps(rows, length), _bumps(columns, length)
    weights = rng.standard_normal((down.shape[1], across.shape[1]))
    field = down @ weights @ across.T
    return np.asarray(field / max(float(field.std()), 1e-12), dtype=np.float32)


def _bumps(pixels: int, length: float) -> NDArray[np.float64]:
    """Gaussians, one SD apart, that cover a line: (pixels, Gaussians)."""
    middles = np.arange(-2 * length, pixels + 2 * length, length)
    distance = (np.arange(pixels)[:, None] - middles) / length
    return np.asarray(np.exp(-0.5 * distance**2))


def _grid(rows: int, columns: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    return y, x
