"""Random variable-density phase encoding."""

import numpy as np
from numpy.typing import NDArray

from denoise_engine.errors import SimulationError


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
