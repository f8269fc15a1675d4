"""Which phase encodings are sampled: uniformly, or at random with variable density."""

import numpy as np
from numpy.typing import NDArray

from denoise_engine.errors import SimulationError


def uniform_mask(
    matrix: tuple[int, ...],
    reduction: tuple[int, ...],
    *,
    calibration: int = 0,
    offset: int = 0,
) -> NDArray[np.bool_]:
    """Sample every so many phase encodings, and perhaps a full centre.

    Parameters
    ----------
    matrix : tuple of int
        Phase encodings of the full scan along one or two directions.
    reduction : tuple of int
        Every how many of them are sampled, along each direction.
    calibration : int
        Phase encodings of the fully sampled centre along each direction; 0 for none.
    offset : int
        Shifts the samples, so that not all scans share the same ones.

    Returns
    -------
    ndarray of bool
        Shape ``matrix``, the zero frequency at ``n // 2``.
    """
    if len(matrix) != len(reduction) or min(reduction) < 1:
        raise SimulationError(
            "A reduction is a whole number of 1 or more for each direction of phase encoding."
        )
    if calibration > min(matrix):
        raise SimulationError(
            f"A centre of {calibration} phase encodings does not fit into {min(matrix)}."
        )
    mask = np.zeros(matrix, dtype=np.bool_)
    mask[
        tuple(slice((n // 2 + offset) % r, None, r) for n, r in zip(matrix, reduction, strict=True))
    ] = True
    if calibration:
        mask[centre(matrix, calibration)] = True
    return mask


def centre(matrix: tuple[int, ...], width: int) -> tuple[slice, ...]:
    """Return where the ``width`` phase encodings around the zero frequency are."""
    return tuple(slice(n // 2 - width // 2, n // 2 - width // 2 + width) for n in matrix)


def variable_density_mask(
    lines: int,
    *,
    fraction: float,
    rng: np.random.Generator,
    calibration: float = 0.08,
    power: float = 1.5,
) -> NDArray[np.bool_]:
    """Choose phase encodings at random, the centre fully, the outside ever more sparsely.

    Parameters
    ----------
    lines : int
        Number of phase encodings of the full scan.
    fraction : float
        Share that is sampled, 0 < fraction ≤ 1; met exactly but for rounding.
    rng : numpy.random.Generator
        Source of randomness.
    calibration : float
        Share of all lines in the fully sampled centre.
    power : float
        How fast the density falls: (1 − |k|)^power.

    Returns
    -------
    ndarray of bool
        (lines,), the zero frequency at ``lines // 2``.

    References
    ----------
    Lustig M, Donoho D, Pauly JM. Sparse MRI. Magn Reson Med 2007;58:1182-1195.
    """
    if not 0 < fraction <= 1:
        raise SimulationError(f"The sampled share must lie above 0 and up to 1, not {fraction}.")
    wanted = round(fraction * lines)
    distance = np.abs(np.arange(lines) - lines // 2) / (lines / 2)
    mask = distance <= calibration
    if mask.sum() > wanted:
        raise SimulationError(
            f"{wanted} of {lines} phase encodings are fewer than the fully sampled centre needs."
        )
    rest = np.flatnonzero(~mask)
    density = np.maximum(1 - distance[rest], 1e-3) ** power
    chosen = rng.choice(
        rest, size=wanted - int(mask.sum()), replace=False, p=density / density.sum()
    )
    mask[chosen] = True
    return np.asarray(mask, dtype=np.bool_)
