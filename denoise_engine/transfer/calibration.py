"""Expected error against observed: fitted on the validation head, measured on others.

A network's two variances, of its error whatever the weights (intrinsic) and over samples of the
weights (parameter), each get one factor, so that together they meet the squared error on average at
every level of what was predicted.

References
----------
Levi D, et al. Evaluating and calibrating uncertainty prediction in regression tasks. Sensors
2022;22:5540 (expected normalised calibration error).
Tanno R, et al. NeuroImage 2021;225:117366 (both variances, for image quality transfer).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_BINS = 20
# A spread over samples so far below the intrinsic variance is noise of its own, no measure.
_NEGLIGIBLE = 1e-3


@dataclass(frozen=True)
class Factors:
    """By how much each variance is multiplied."""

    intrinsic: float
    parameter: float


@dataclass(frozen=True)
class Reliability:
    """Expected against observed error, by bins of equal count from the surest to the least sure.

    ``expected`` and ``observed`` are root mean squares in the unit of the images; ``error`` is the
    expected normalised calibration error: the mean of |expected − observed| / expected.
    """

    expected: NDArray[np.float64]
    observed: NDArray[np.float64]
    error: float


@dataclass(frozen=True)
class Flagging:
    """What flagging a share of the voxels finds.

    Attributes
    ----------
    share : float
    flagged, rest : float
        Root mean square error of the flagged voxels, and of the others.
    by_gradient : float
        Of as many voxels with the strongest gradients instead.
    """

    share: float
    flagged: float
    rest: float
    by_gradient: float

    @property
    def over_rest(self) -> float:
        return self.flagged / self.rest

    @property
    def over_gradient(self) -> float:
        return self.flagged / self.by_gradient


def fit_factors(
    squared_error: NDArray[np.float64],
    intrinsic: NDArray[np.float64],
    parameter: NDArray[np.float64],
) -> Factors:
    """Fit the two factors to the relative error of bins of predicted variance.

    The variance over samples is never made smaller: where it tells nothing that the intrinsic one
    does not tell as well, it counts as it is, and the intrinsic one for the rest.

    Parameters
    ----------
    squared_error, intrinsic, parameter : ndarray
        One dimension, the same length: squared errors, and the two variances.
    """
    rows, wanted = [], []
    for by in (intrinsic, parameter):
        for part in _bins(by):
            observed = float(squared_error[part].mean())
            rows.append(np.array([intrinsic[part].mean(), parameter[part].mean()]) / observed)
            wanted.append(1.0)
    shares, ones = np.array(rows), np.array(wanted)
    found, _ = optimize.nnls(shares, ones)
    tells_nothing = float(parameter.mean()) < _NEGLIGIBLE * float(intrinsic.mean())
    if found[1] < 1 or tells_nothing:
        rest = ones - shares[:, 1]
        alone = float(shares[:, 0] @ rest) / float(shares[:, 0] @ shares[:, 0])
        return Factors(max(alone, 0.0), 1.0)
    return Factors(float(found[0]), float(found[1]))


def reliability(error: Floats, expected_sd: Floats, mask: Mask) -> Reliability:
    """Compare expected and observed errors inside a mask.

    Parameters
    ----------
    error, expected_sd : ndarray of float32
        Same shape and unit.
    mask : ndarray of bool
    """
    squared = np.square(error[mask].astype(np.float64))
    variance = np.square(expected_sd[mask].astype(np.float64))
    parts = _bins(variance)
    expected = np.array([np.sqrt(variance[part].mean()) for part in parts])
    observed = np.array([np.sqrt(squared[part].mean()) for part in parts])
    return Reliability(expected, observed, float(np.mean(np.abs(expected - observed) / expected)))


def flagging(
    error: Floats, expected_sd: Floats, image: Floats, mask: Mask, share: float = 0.1
) -> Flagging:
    """Flag the least sure voxels, and say whether the error is there.

    Parameters
    ----------
    error, expected_sd : ndarray of float32
        (slices, rows, columns).
    image : ndarray of float32
        What a reader sees; its gradients are the rival.
    mask : ndarray of bool
        Where: the brain.
    share : float
        Of the voxels of the mask.
    """
    gradient = ndimage.gaussian_gradient_magnitude(image, 1.0)
    squared = np.square(error[mask].astype(np.float64))

    def error_of_top(values: Floats) -> tuple[float, float]:
        count = max(1, round(share * values.size))
        top = np.argpartition(values, values.size - count)[-count:]
        chosen = np.zeros(values.size, dtype=np.bool_)
        chosen[top] = True
        return float(np.sqrt(squared[chosen].mean())), float(np.sqrt(squared[~chosen].mean()))

    flagged, rest = error_of_top(expected_sd[mask])
    return Flagging(share, flagged, rest, error_of_top(gradient[mask])[0])


def warning_map(expected_sd: Floats, mask: Mask, share: float = 0.1) -> Mask:
    """Return the flagged voxels: the least sure share of the mask."""
    values = expected_sd[mask]
    if values.size == 0:
        return np.zeros(mask.shape, dtype=np.bool_)
    threshold = np.quantile(values, 1 - share)
    return np.asarray(mask & (expected_sd > threshold), dtype=np.bool_)


def _bins(values: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    return [part for part in np.array_split(np.argsort(values), _BINS) if part.size]
