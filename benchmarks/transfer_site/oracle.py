"""What flagging could find at best: oracles that see what no method sees.

Each is a ratio of root mean square errors, flagged voxels over the others, to stand beside what a
warning map reaches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from denoise_engine.transfer.calibration import over_rest

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

NEAR, WIDE = 1.3, 2.0  # mm
_LEVELS, _CELLS, _ROUNDS = 60, 400, 400


@dataclass(frozen=True)
class Oracle:
    """Ratios to the rest if one knew …

    Attributes
    ----------
    near, wide : float
        … the squared error itself, smoothed by a Gaussian (SD) of 1.3 and of 2 mm.
    mixture : float
        … every voxel's variance, if the errors were Gaussian.
    gradients : float
        … the head itself, and flagged its strongest gradients.
    """

    near: float
    wide: float
    mixture: float
    gradients: float


def oracle(
    error: Floats,
    truth: Floats,
    mask: NDArray[np.bool_],
    spacing: tuple[float, float, float],
    share: float,
) -> Oracle:
    """Flag a share of the mask by what only the answer tells.

    Parameters
    ----------
    error, truth : ndarray of float32
        (slices, rows, columns): of the image that was made, and the head.
    mask : ndarray of bool
    spacing : tuple of float
        In mm.
    share : float
    """
    squared = np.square(error.astype(np.float64))
    inside = squared[mask]

    def by_itself(smoothed: float) -> float:
        known = ndimage.gaussian_filter(squared, [smoothed / step for step in spacing])
        return over_rest(inside, known[mask], share)

    gradient = ndimage.gaussian_gradient_magnitude(truth, 1.0)
    return Oracle(
        by_itself(NEAR),
        by_itself(WIDE),
        mixture_ratio(error[mask], share),
        over_rest(inside, gradient[mask], share),
    )


def mixture_ratio(error: NDArray[np.floating], share: float) -> float:
    """Return the ratio if each error is Gaussian and its variance known exactly.

    The variances' distribution is the one that makes the errors likeliest (expectation and
    maximisation over a grid of variances, on the histogram of the errors' sizes).

    Parameters
    ----------
    error : ndarray
        Any shape and unit.
    share : float
        That is flagged: where the variance is largest.
    """
    sizes = np.abs(error.ravel().astype(np.float64))
    typical = np.sqrt(np.square(sizes).mean())
    # Finer where there is more: equal steps of the square root.
    edges = np.linspace(0, np.sqrt(sizes.max() / typical), _CELLS + 1) ** 2
    counts, _ = np.histogram(sizes / typical, edges)
    middles = (edges[:-1] + edges[1:]) / 2
    sds = np.geomspace(0.02, 8, _LEVELS)
    likelihood = np.exp(-0.5 * np.square(middles[:, None] / sds)) / sds
    weights = np.full(_LEVELS, 1 / _LEVELS)
    for _ in range(_ROUNDS):
        belongs = likelihood * weights
        belongs /= np.maximum(belongs.sum(axis=1, keepdims=True), 1e-300)
        weights = counts @ belongs / counts.sum()
    return _top_over_rest(weights, np.square(sds), share)


def _top_over_rest(weights: Doubles, variances: Doubles, share: float) -> float:
    """Root of the mean variance of the largest share over that of the rest."""
    before = np.concatenate([[0.0], np.cumsum(weights[::-1])[:-1]])
    flagged = np.clip(share - before, 0, weights[::-1])
    of_top = float(flagged @ variances[::-1]) / share
    of_rest = (float(weights @ variances) - share * of_top) / (1 - share)
    return float(np.sqrt(of_top / of_rest))
