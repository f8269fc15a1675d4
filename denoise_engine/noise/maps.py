"""Noise that varies over the image: g-factor of parallel imaging, fall-off of surface coils."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from denoise_engine.ddlr.dct import BLOCK
from denoise_engine.metrics import BoolArray, body_mask
from denoise_engine.noise.checks import checked_volume
from denoise_engine.noise.level import COLOURED, Confidence, NoiseEstimate, estimate_noise
from denoise_engine.noise.windows import (
    MEDIAN_OF_FOUR,
    MEDIAN_OF_NINE,
    SPREAD_OF_NINE,
    components_of,
    high_energy,
    level_of,
    low_energy,
    middle_energy,
    windows_within,
)

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

# Patches in which a level is read: a side of about a tenth of the image, overlapping by three
# quarters. Smaller ones are noisier, larger ones flatten a g-factor's hills.
_PATCH_SHARE, _SMALLEST_PATCH, _STEPS_IN_PATCH = 0.1, 20, 4
# Windows that a patch must offer, and the share of them, the flattest, that is read.
_ENOUGH, _FLATTEST = 40, 0.4
_STRIDE = 2
# A patch whose energies spread this much wider than those of noise, or whose middle frequencies
# stand out this much (log of the SD), counts as structure.
_WIDER, _BEND = 1.0, 0.25
# Share of readable patches around one below which it is dropped.
_SUPPORT = 0.5
# A patch further than this many robust SDs from its surroundings holds structure, not noise.
_OUTLIER = 2.5
# No physical cause changes the noise further from its median than this.
_FURTHEST = 4.0
# Share of the body's patches that must be readable for the map to be trusted fully.
_ENOUGH_BODY = 0.5


@dataclass(frozen=True)
class NoiseMap:
    """A map of the noise level and what speaks for and against it.

    Attributes
    ----------
    map : ndarray of float32
        (slices, rows, columns) SD of the noise in the unit of the image, smooth, > 0 everywhere;
        read inside the body and continued outside.
    level : float
        Its median inside the body.
    confidence : {"high", "fair", "low"}
        Low means: do not act on it.
    reasons : tuple of str
        Why the confidence is not high, for people.
    """

    map: Floats
    level: float
    confidence: Confidence
    reasons: tuple[str, ...]


def estimate_noise_map(volume: ArrayLike, step: float | None = None) -> NoiseMap:
    """Estimate a smooth map of the noise SD of a magnitude volume.

    In overlapping patches of the body the level is read as :func:`estimate_noise` reads it: from
    the median energy of the highest DCT components in the flattest windows, dark tissue left out.
    Patches that stand out from their surroundings hold structure and lose their weight; the
    logarithm of the rest is smoothed, over neighbouring slices as well, and continued into the
    air and into tissue that shows no readable patch.

    Parameters
    ----------
    volume : array_like
        (slices, rows, columns), magnitude, finite.
    step : float, optional
        As :func:`estimate_noise` takes it.

    Returns
    -------
    NoiseMap

    Raises
    ------
    UnusableVolumeError
        As :func:`estimate_noise`.

    Notes
    -----
    Variations finer than about an eighth of the field of view are flattened. Reading a g-factor
    from local noise follows Robson PM, et al. Magn Reson Med 2008;60:895-907, with the spread over
    neighbouring windows in the place of replicas.
    """
    image = checked_volume(volume)
    whole = estimate_noise(image, step)
    body = body_mask(image)
    rows = _centres(image.shape[1])
    columns = _centres(image.shape[2])
    shape = (len(image), len(rows), len(columns))
    levels, weights = np.full(shape, whole.sigma), np.zeros(shape)
    in_body = np.zeros(shape, dtype=np.bool_)
    for k, plane in enumerate(image):
        patches = _Patches(plane, body[k], whole)
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                in_body[k, i, j] = body[k, row, column]
                found, weights[k, i, j] = patches.read(row, column)
                if weights[k, i, j] > 0:
                    levels[k, i, j] = found
    weights = _without_lone(weights, in_body)
    smooth = _smooth_over_patches(np.log(levels / whole.sigma), weights)
    limited = np.clip(smooth, -np.log(_FURTHEST), np.log(_FURTHEST))
    noise = np.empty_like(image)
    to_rows = _interpolation(image.shape[1], rows)
    to_columns = _interpolation(image.shape[2], columns)
    for k, logarithm in enumerate(limited):
        noise[k] = whole.sigma * np.exp(to_rows @ logarithm @ to_columns.T)
    readable = float((weights > 0)[in_body].mean()) if in_body.any() else 0.0
    confidence, reasons = whole.confidence, whole.reasons
    if readable < _ENOUGH_BODY:
        reasons = (
            *reasons,
            f"Only {readable:.0%} of the body shows noise that can be read; the map is continued "
            "from there.",
        )
        confidence = "low" if confidence == "low" else "fair"
    return NoiseMap(noise, float(np.median(noise[body])), confidence, reasons)


class _Patches:
    """The windows of one slice, ready to be read patch by patch."""

    def __init__(self, plane: Floats, body: BoolArray, whole: NoiseEstimate) -> None:
        components = components_of(plane, _STRIDE)
        # Neighbouring windows share most of their pixels: every other one says nearly as much.
        self._inside = windows_within(body, _STRIDE)
        self._mean = components[0, 0] / BLOCK
        self._low = low_energy(components)
        self._high = high_energy(components)
        self._middle = middle_energy(components)
        self._coloured = whole.whiteness < COLOURED
        self._slope = whole.middle_sigma / whole.high_sigma
        self._half = _patch_side(min(plane.shape)) // (2 * _STRIDE)

    def read(self, row: int, column: int) -> tuple[float, float]:
        """Level and weight of the patch around a pixel; weight 0 where nothing can be read."""
        centre_row, centre_column = (at // _STRIDE - 1 for at in (row, column))
        patch = (
            slice(max(0, centre_row - self._half), centre_row + self._half + 1),
            slice(max(0, centre_column - self._half), centre_column + self._half + 1),
        )
        inside = self._inside[patch]
        count = int(np.count_nonzero(inside))
        if count < _ENOUGH:
            return np.nan, 0.0
        mean, low = self._mean[patch][inside], self._low[patch][inside]
        high, middle = self._high[patch][inside], self._middle[patch][inside]
        usable = mean > 0
        for _ in range(3):
            if np.count_nonzero(usable) < _ENOUGH:
                return np.nan, 0.0
            flat = usable & (low <= np.quantile(low[usable], _FLATTEST))
            found = level_of(high[flat], MEDIAN_OF_NINE)
            in_middle = level_of(middle[flat], MEDIAN_OF_FOUR)
            # Below a signal of three times the noise, magnitude noise is no longer Gaussian.
            brighter = mean > 3 * max(found, in_middle)
            if np.array_equal(brighter, usable):
                break
            usable = brighter
        if found <= 0:
            return np.nan, 0.0
        # Noise has the same spectrum everywhere and spreads its energy over windows as chi-square
        # does; structure bends the one and widens the other.
        bend = abs(np.log(in_middle / found / self._slope)) / _BEND
        spread = float(np.divide(*np.quantile(high[flat], (0.9, 0.1)))) / SPREAD_OF_NINE
        doubt = max(bend, max(spread - 1, 0) / _WIDER)
        weight = float(np.count_nonzero(usable)) * max(0.0, 1 - doubt**2)
        return max(found, in_middle) if self._coloured else found, weight


def _patch_side(size: int) -> int:
    return max(_SMALLEST_PATCH, round(_PATCH_SHARE * size))


def _centres(size: int) -> NDArray[np.int64]:
    """Where patches are centred along an axis of this many pixels."""
    step = max(1, _patch_side(size) // _STEPS_IN_PATCH)
    return np.arange(step // 2, size, step, dtype=np.int64)


def _without_lone(weights: Doubles, in_body: BoolArray) -> Doubles:
    """Drop patches most of whose neighbours in the body hold structure: chance let them pass."""
    neighbours = (1, _STEPS_IN_PATCH + 1, _STEPS_IN_PATCH + 1)
    readable = ndimage.uniform_filter((weights > 0).astype(float), neighbours, mode="constant")
    all_around = ndimage.uniform_filter(in_body.astype(float), neighbours, mode="constant")
    share = np.divide(readable, all_around, out=np.ones_like(readable), where=all_around > 0)
    return np.where(share >= _SUPPORT, weights * np.minimum(share, 1) ** 2, 0.0)


def _smooth_over_patches(values: Doubles, weights: Doubles) -> Doubles:
    """Smooth over (slices, rows, columns) of patches; where no weight is, continue from afar."""
    kept = weights
    for _ in range(3):
        smooth = _weighted_smoothing(values, kept)
        known = weights > 0
        if not known.any():
            break
        away = np.abs(values - smooth)
        spread = 1.4826 * float(np.median(away[known]))
        kept = np.where(away <= _OUTLIER * max(spread, 1e-6), weights, 0.0)
    return smooth


def _weighted_smoothing(values: Doubles, weights: Doubles) -> Doubles:
    total, norm = np.zeros_like(values), np.zeros_like(values)
    share = 1.0
    # Ever wider kernels, each of a thousandth of the weight, speak only where nearer ones are mute.
    for width in (1.0, 4.0, 10.0, 25.0, 60.0):
        spread = (1.0 if width < 2 else 2.0, width, width)
        total += share * ndimage.gaussian_filter(values * weights, spread, mode="constant")
        norm += share * ndimage.gaussian_filter(weights, spread, mode="constant")
        share *= 1e-3
    return np.divide(total, norm, out=np.zeros_like(values), where=norm > 0)


def _interpolation(size: int, centres: NDArray[np.int64]) -> Doubles:
    """(size, centres) weights that bring values at the centres to every pixel, linearly."""
    pixels = np.arange(size)
    return np.stack([np.interp(pixels, centres, unit) for unit in np.eye(len(centres))], axis=1)
