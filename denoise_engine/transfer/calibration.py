"""Expected error against observed: fitted on the validation head, measured on others.

A network gives two variances: of its error whatever the weights (intrinsic), and over samples of
the weights (parameter). Each is calibrated on its own, by a rising line from what it says to the
squared error that was found there; so is their weighted sum. A line that rises leaves the ranking
of the voxels as it is.

References
----------
Levi D, et al. Evaluating and calibrating uncertainty prediction in regression tasks. Sensors
2022;22:5540 (expected normalised calibration error).
Kuleshov V, Fenner N, Ermon S. Accurate uncertainties for deep learning using calibrated regression.
ICML 2018 (a monotone map, fitted on data kept apart).
Tanno R, et al. NeuroImage 2021;225:117366 (both variances, for image quality transfer).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from denoise_engine.errors import ModelError

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Mask = NDArray[np.bool_]

_BINS = 20
_KNOTS = 24  # of a curve, before those are joined that do not rise
_LEAST = 1e-12


@dataclass(frozen=True)
class Factors:
    """By how much each variance is multiplied in their sum."""

    intrinsic: float
    parameter: float


@dataclass(frozen=True)
class Curve:
    """From a variance that was predicted to the one that was found: a rising line in logarithms.

    Beyond its ends the proportion stays what it is at the end.

    Attributes
    ----------
    predicted, observed : tuple of float
        Variances of intensities that are about 1; both rise.
    """

    predicted: tuple[float, ...]
    observed: tuple[float, ...]

    def expected(self, variance: NDArray[Any]) -> NDArray[Any]:
        """Return the variance to be expected: shape and dtype of what was given."""
        at = np.log(np.maximum(variance, _LEAST))
        x, y = np.log(self.predicted), np.log(self.observed)
        found = np.interp(at, x, y) + np.minimum(at - x[0], 0) + np.maximum(at - x[-1], 0)
        return np.asarray(np.exp(found), dtype=variance.dtype)


@dataclass(frozen=True)
class Curves:
    """Of scans of one through-plane factor: of each variance alone, and of their sum."""

    intrinsic: Curve
    parameter: Curve
    together: Curve


@dataclass(frozen=True)
class Calibration:
    """What a card says of both variances.

    Attributes
    ----------
    factors : Factors
        In the sum; of a card without curves, of each on its own as well.
    curves : mapping of int to Curves
        By through-plane factor; cards that were calibrated by factors alone have none.
    """

    factors: Factors
    curves: Mapping[int, Curves] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """The first 16 digits of the SHA-256 of its numbers: weights can be calibrated anew."""
        numbers = json.dumps(self.as_json(), sort_keys=True)
        return hashlib.sha256(numbers.encode("ascii")).hexdigest()[:16]

    def intrinsic(self, variance: Floats, factor: int) -> Floats:
        """Return the variance of the error that the intrinsic one says alone.

        Parameters
        ----------
        variance : ndarray of float32
            Any shape, as the network gives it, intensities about 1; so is the result.
        factor : int
            Through-plane, of the scan.

        Raises
        ------
        ModelError
            There are curves, but none for this factor.
        """
        curves = self._curves_of(factor)
        if curves is None:
            return variance * np.float32(self.factors.intrinsic)
        return curves.intrinsic.expected(variance)

    def parameter(self, variance: Floats, factor: int) -> Floats:
        """Return the variance that the spread over samples says alone; as :meth:`intrinsic`."""
        curves = self._curves_of(factor)
        if curves is None:
            return variance * np.float32(self.factors.parameter)
        return curves.parameter.expected(variance)

    def together(self, intrinsic: Floats, parameter: Floats, factor: int) -> Floats:
        """Return the variance that both say, of one shape; otherwise as :meth:`intrinsic`."""
        both = _sum(intrinsic, parameter, self.factors)
        curves = self._curves_of(factor)
        return both if curves is None else curves.together.expected(both)

    def _curves_of(self, factor: int) -> Curves | None:
        """None where a card has factors alone."""
        if self.curves and factor not in self.curves:
            known = " or ".join(str(one) for one in sorted(self.curves))
            raise ModelError(
                f"The warning maps were calibrated for factors of {known} along the slices, not "
                f"{factor}: calibrate the network anew."
            )
        return self.curves.get(factor)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values, as they stand in a card."""
        curves = {str(factor): asdict(curves) for factor, curves in self.curves.items()}
        return asdict(self.factors) | {"curves": curves}


def calibration_in(card: Mapping[str, Any]) -> Calibration:
    """Return the calibration that a card tells, of any version.

    Parameters
    ----------
    card : mapping
        Plain JSON values; ``calibration`` holds both factors and, of later cards, the curves.
    """
    told = card["calibration"]

    def curve(one: Mapping[str, Any]) -> Curve:
        return Curve(tuple(one["predicted"]), tuple(one["observed"]))

    curves = {
        int(factor): Curves(*(curve(one[name]) for name in ("intrinsic", "parameter", "together")))
        for factor, one in told.get("curves", {}).items()
    }
    return Calibration(Factors(told["intrinsic"], told["parameter"]), curves)


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
    absolute_over_rest : float
        Ratio of the mean absolute errors of flagged voxels and others.
    """

    share: float
    flagged: float
    rest: float
    by_gradient: float
    absolute_over_rest: float

    @property
    def over_rest(self) -> float:
        return self.flagged / self.rest

    @property
    def squared_over_rest(self) -> float:
        """Ratio of the mean squared errors."""
        return self.over_rest**2

    @property
    def over_gradient(self) -> float:
        return self.flagged / self.by_gradient


def fit_calibration(scans: Mapping[int, tuple[Doubles, Doubles, Doubles]]) -> Calibration:
    """Fit the factors to all scans together, and the curves to those of each factor.

    Parameters
    ----------
    scans : mapping of int to three ndarrays
        By through-plane factor: squared errors, intrinsic and parameter variances of voxels; one
        dimension, the same length, intensities about 1.
    """
    error, intrinsic, parameter = (
        np.concatenate(part) for part in zip(*scans.values(), strict=True)
    )
    factors = fit_factors(error, intrinsic, parameter)
    curves = {
        factor: Curves(
            fit_curve(squared, first),
            fit_curve(squared, second),
            fit_curve(squared, _sum(first, second, factors)),
        )
        for factor, (squared, first, second) in scans.items()
    }
    return Calibration(factors, curves)


def fit_factors(squared_error: Doubles, intrinsic: Doubles, parameter: Doubles) -> Factors:
    """Fit the two factors to the relative error of bins of predicted variance, neither below 0.

    Where the spread over samples tells nothing that the intrinsic variance does not tell as well,
    its factor is 0.

    Parameters
    ----------
    squared_error, intrinsic, parameter : ndarray
        One dimension, the same length: squared errors, and the two variances.
    """
    rows = []
    for by in (intrinsic, parameter):
        for part in _bins(by):
            observed = float(squared_error[part].mean())
            rows.append([float(intrinsic[part].mean()), float(parameter[part].mean())])
            rows[-1] = [value / max(observed, _LEAST) for value in rows[-1]]
    shares = np.array(rows)
    # The spread can be thousands of times smaller: each column in its own unit.
    unit = np.maximum(shares.mean(axis=0), _LEAST)
    found, _ = optimize.nnls(shares / unit, np.ones(len(shares)))
    return Factors(*(float(value) for value in found / unit))


def fit_curve(squared_error: Doubles, variance: Doubles) -> Curve:
    """Fit a rising line to the mean squared error of bins of equal count.

    Neighbouring bins whose errors do not rise are joined (isotonic regression), and the line goes
    through the means of what was joined: it has no level part, so no two voxels become equal.

    Parameters
    ----------
    squared_error, variance : ndarray
        One dimension, the same length.
    """
    joined: list[tuple[float, float, int]] = []
    for part in _bins(variance, _KNOTS):
        predicted, observed = float(variance[part].mean()), float(squared_error[part].mean())
        one = (max(predicted, _LEAST), max(observed, _LEAST), part.size)
        while joined and (one[1] <= joined[-1][1] or one[0] <= joined[-1][0]):
            before = joined.pop()
            count = before[2] + one[2]
            one = (
                (before[0] * before[2] + one[0] * one[2]) / count,
                (before[1] * before[2] + one[1] * one[2]) / count,
                count,
            )
        joined.append(one)
    return Curve(tuple(p for p, _, _ in joined), tuple(o for _, o, _ in joined))


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
    error_inside = np.abs(error[mask].astype(np.float64))
    chosen = top_share(expected_sd[mask], share)
    by_gradient = top_share(gradient[mask], share)
    return Flagging(
        share,
        _root_mean_square(error_inside[chosen]),
        _root_mean_square(error_inside[~chosen]),
        _root_mean_square(error_inside[by_gradient]),
        _proportion(error_inside, chosen),
    )


def over_rest(squared_error: Doubles, variance: NDArray[Any], share: float = 0.1) -> float:
    """Return the root mean square error of the least sure share over that of the others.

    Parameters
    ----------
    squared_error, variance : ndarray
        One dimension, the same length. Of ``variance`` the ranking alone counts.
    share : float
    """
    chosen = top_share(variance, share)
    return float(np.sqrt(squared_error[chosen].mean() / squared_error[~chosen].mean()))


def top_share(values: NDArray[Any], share: float) -> Mask:
    """Return where the largest values are: so great a share of them, one voxel at least."""
    count = max(1, round(share * values.size))
    chosen = np.zeros(values.size, dtype=np.bool_)
    chosen[np.argpartition(values, values.size - count)[-count:]] = True
    return chosen


def warning_map(expected_sd: Floats, mask: Mask, share: float = 0.1) -> Mask:
    """Return the flagged voxels: the least sure share of the mask."""
    values = expected_sd[mask]
    if values.size == 0:
        return np.zeros(mask.shape, dtype=np.bool_)
    threshold = np.quantile(values, 1 - share)
    return np.asarray(mask & (expected_sd > threshold), dtype=np.bool_)


def _root_mean_square(values: Doubles) -> float:
    return float(np.sqrt(np.square(values).mean()))


def _proportion(values: Doubles, chosen: Mask) -> float:
    return float(values[chosen].mean() / values[~chosen].mean())


def _bins(values: Doubles, count: int = _BINS) -> list[NDArray[np.intp]]:
    return [part for part in np.array_split(np.argsort(values), count) if part.size]


def _sum(intrinsic: NDArray[Any], parameter: NDArray[Any], factors: Factors) -> NDArray[Any]:
    both = factors.intrinsic * intrinsic + factors.parameter * parameter
    return np.asarray(both, dtype=intrinsic.dtype)
