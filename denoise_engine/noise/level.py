"""The noise level of a magnitude image, from the image itself, and how far it can be trusted."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from denoise_engine.ddlr.dct import BLOCK
from denoise_engine.errors import UnusableVolumeError
from denoise_engine.metrics import BoolArray, body_mask
from denoise_engine.noise.checks import checked_volume
from denoise_engine.noise.windows import (
    MEDIAN_OF_FOUR,
    MEDIAN_OF_NINE,
    SPREAD_OF_NINE,
    components_of,
    high_energy,
    level_of,
    low_energy,
    windows_within,
)

Confidence = Literal["high", "fair", "low"]

# Below this ratio of highest to middle frequencies the noise counts as coloured, and as unreadable.
COLOURED, _EMPTY = 0.8, 0.3
# SD of Rayleigh-distributed air in units of the noise SD.
_RAYLEIGH_SD = 0.65514
_ENOUGH_WINDOWS = 400
_EVERY_WINDOW = 1024 * 1024
# Energy (of the brightest pixel's) below which a window does not vary at all.
_NO_VARIATION = 1e-12
# How far the spread of the energies and the slope of the spectrum may exceed those of white noise.
# On brain, knee and spine with added noise every error above a tenth came with more than this.
_STRUCTURE = 0.03
_CONSTANT = 0.05
# Air over body: 1.02 for one coil, 1.07 for many combined by root-sum-of-squares. Below that, fine
# structure in the body is read as noise: on brain, knee and spine with added noise, errors above a
# tenth that no other sign told of came with 0.95 and less, and 0.966 and more was read on phantoms.
_AIR_AGREES = 0.955, 1.25
# The same on the native grid of an image whose magnitude was taken after interpolation.
_AIR_INTERPOLATED = 0.55, 0.7
# Flat windows below which chance alone may put the level off by a tenth: neighbours overlap.
_FEW_WINDOWS = 1000
# Energy of fine structure in the highest frequencies over that in the middle ones, at least.
_FALL = 0.3
# Median signal in units of the noise below which too much of the noise is compressed.
_DROWNED = 2.5
# Storage in steps swallows noise that reads smaller than this share of one.
_STEP = 0.5


@dataclass(frozen=True)
class NoiseEstimate:
    """A noise level and what speaks for and against it.

    Attributes
    ----------
    sigma : float
        SD of the noise in the body, in the unit of the image.
    sigma_of_slices : tuple of float
        The same slice by slice; NaN where a slice shows too little body.
    method : str
        How it was found.
    confidence : {"high", "fair", "low"}
        Low means: do not act on it.
    reasons : tuple of str
        Why the confidence is not high, for people.
    air_sigma : float or None
        Noise level read from the air, if there is air with noise in it.
    whiteness : float
        SD in the highest frequencies over that in the middle ones; 1 for white noise.
    high_sigma, middle_sigma : float
        Level read from the highest and from the middle frequencies; the one acted on is among them.
    """

    sigma: float
    sigma_of_slices: tuple[float, ...]
    method: str
    confidence: Confidence
    reasons: tuple[str, ...]
    air_sigma: float | None
    whiteness: float
    high_sigma: float
    middle_sigma: float


def estimate_noise(volume: ArrayLike, step: float | None = None) -> NoiseEstimate:
    """Estimate the noise SD of a magnitude volume.

    In every 7×7 window inside the body the nine highest-frequency DCT components (both indices at
    least 4) are noise but for edges. Windows are chosen by their *low*-frequency energy, the
    flattest two fifths: white noise is independent between components, so the choice does not bias
    the noise left in them. The median of the energy gives the level, robust against what structure
    remains. Dark tissue, where magnitude noise is compressed, is left out.

    Where the highest frequencies hold less noise than the middle ones (compressed sensing, filters)
    the level is read from the middle ones, as too low a level costs far more than too high a one.

    Parameters
    ----------
    volume : array_like
        (slices, rows, columns), magnitude, finite.
    step : float, optional
        Distance of neighbouring stored values (:func:`step_of`), for a volume that was resampled or
        otherwise computed from the stored one; read from the volume itself if left out.

    Returns
    -------
    NoiseEstimate

    Raises
    ------
    UnusableVolumeError
        If the volume is not three-dimensional, not finite, too small, or without signal.

    Notes
    -----
    The confidence is lowered when the spectrum of the noise is not white (a scanner that
    interpolates leaves the highest frequencies empty, and every blind estimate then reads far too
    low); when the energies of the flat windows spread wider than a chi-square, or fall with
    frequency, which is the mark of fine structure and comes before an error of a tenth; when slices
    or the air disagree; when the signal drowns, is blanked, or is stored too coarsely. The idea of
    reading noise from the median of high-frequency coefficients is Donoho's (IEEE Trans Inf Theory
    1995;41:613-627). Reached on textured phantoms with Rician noise: 5 % at SNR 3 to 20, 8 % to 40.
    """
    image = checked_volume(volume)
    body = body_mask(image)
    # Large slices have windows to spare, and all of them at once would not fit in memory.
    stride = 1 if image[0].size <= _EVERY_WINDOW else 2
    readings: list[_SliceReading | None] = []
    air_levels: list[float] = []
    clipped = 0
    for plane, tissue in zip(image, body, strict=True):
        components = components_of(plane, stride)
        nothing = _NO_VARIATION * float(np.square(plane).max())
        readings.append(_read_slice(components, windows_within(tissue, stride), nothing))
        air = windows_within(~ndimage.binary_dilation(tissue, iterations=6), stride)
        if air.sum() >= _ENOUGH_WINDOWS:
            energy = high_energy(components)[air]
            if np.mean(energy <= nothing) > 0.1:
                clipped += 1
            else:
                air_levels.append(level_of(energy, MEDIAN_OF_NINE) / _RAYLEIGH_SD)
    read = [r for r in readings if r is not None]
    high_levels = np.array([np.nan if r is None else r.high for r in readings])
    middle_levels = np.array([np.nan if r is None else r.middle for r in readings])
    white = float(np.median([r.whiteness for r in read])) if read else 0.0
    coloured = white < COLOURED
    levels = np.fmax(high_levels, middle_levels) if coloured else high_levels
    known = levels[np.isfinite(levels)]
    if known.size == 0 or float(np.median(known)) <= 0:
        raise UnusableVolumeError(
            "No noise level could be read from this image: it shows too little tissue, or none "
            "of the fine variation that noise leaves. Give the noise level yourself."
        )
    share = 1.0 if coloured else _share_of_noise(read)
    levels, known = share * levels, share * known
    sigma = float(np.median(known))
    air_sigma = float(np.median(air_levels)) if air_levels else None
    confidence, reasons = _judge(sigma, known, read, air_sigma, clipped > len(image) / 2)
    if sigma < _STEP * (step_of(image) if step is None else step):
        reasons = (*reasons, "The noise is smaller than the steps in which the values are stored.")
        confidence = "low"
    return NoiseEstimate(
        sigma=sigma,
        sigma_of_slices=tuple(float(v) for v in levels),
        method=f"median of the {'middle' if coloured else 'high'}-frequency DCT energy in flat "
        "windows of the body",
        confidence=confidence,
        reasons=reasons,
        air_sigma=air_sigma,
        whiteness=white,
        high_sigma=float(np.nanmedian(high_levels)),
        middle_sigma=float(np.nanmedian(middle_levels)),
    )


@dataclass(frozen=True)
class _SliceReading:
    """What the flat windows of one slice say.

    ``spread`` is how much wider their energies are spread than those of noise; ``bend`` the level
    in the middle frequencies over that in the highest; ``signal`` the median mean of the windows;
    ``constant`` the share of the body's windows without any variation.
    """

    high: float
    middle: float
    whiteness: float
    spread: float
    signal: float
    windows: int
    constant: float

    @property
    def bend(self) -> float:
        return self.middle / self.high


def _read_slice(
    components: NDArray[np.float32], inside: BoolArray, nothing: float
) -> _SliceReading | None:
    """Read the flat windows of a slice; None where too little is usable."""
    if inside.sum() < _ENOUGH_WINDOWS:
        return None
    mean = components[0, 0][inside] / BLOCK
    low = low_energy(components)[inside]
    high = high_energy(components)[inside]
    # Saturated, blanked and filled-in regions would pass for the flattest tissue of all.
    varied = high > nothing
    constant = 1 - float(varied.mean())
    if varied.sum() < _ENOUGH_WINDOWS:
        return None
    bright = varied
    for _ in range(3):
        flat = bright & (low <= np.quantile(low[bright], 0.4))
        level = level_of(high[flat], MEDIAN_OF_NINE)
        # Below a signal of three times the noise, magnitude noise is no longer Gaussian.
        brighter = varied & (mean > 3 * level)
        if brighter.sum() < _ENOUGH_WINDOWS:
            break
        bright = brighter
    # Three bands at both ends of each axis: a scan may be interpolated along one axis only.
    rows_high = np.median(np.square(components[6, 2:5][:, inside][:, flat]))
    columns_high = np.median(np.square(components[2:5, 6][:, inside][:, flat]))
    in_middle = np.square(components[3:5, 3:5][:, :, inside][:, :, flat])
    middle = np.median(in_middle)
    if middle <= 0 or level <= 0:
        return None
    lower, upper = np.quantile(high[flat], (0.1, 0.9))
    return _SliceReading(
        high=level,
        middle=level_of(in_middle.mean(axis=(0, 1)), MEDIAN_OF_FOUR),
        whiteness=float(np.sqrt(min(rows_high, columns_high) / middle)),
        spread=float(np.sqrt(upper / lower / SPREAD_OF_NINE)),
        signal=float(np.median(mean)),
        windows=int(np.count_nonzero(flat)),
        constant=constant,
    )


def _allowed(read: list[_SliceReading]) -> float:
    """How far chance alone moves both signs of structure: the spread and the bend."""
    return 1 + _STRUCTURE + 0.7 / float(np.sqrt(sum(r.windows for r in read)))


def _share_of_noise(read: list[_SliceReading]) -> float:
    """The SD of the noise over the level read in the highest frequencies, 1 without structure.

    The middle frequencies stand out by what structure adds to them, and at least `_FALL` of its
    energy there lies in the highest ones. Only what exceeds chance counts as structure.
    """
    excess = max(0.0, float(np.median([r.bend for r in read])) - _allowed(read))
    share = (1 - _FALL * (1 + excess) ** 2) / (1 - _FALL)
    return float(np.sqrt(max(share, 0.25)))  # the idea does not carry beyond one half


def _air_agrees(ratio: float) -> bool:
    return any(lowest < ratio < highest for lowest, highest in (_AIR_AGREES, _AIR_INTERPOLATED))


def _judge(
    sigma: float,
    known: NDArray[np.float64],
    read: list[_SliceReading],
    air_sigma: float | None,
    clipped: bool,
) -> tuple[Confidence, tuple[str, ...]]:
    low, fair = [], []
    white = float(np.median([r.whiteness for r in read]))
    allowed = _allowed(read)
    spread = float(np.median([r.spread for r in read]))
    bend = float(np.median([r.bend for r in read]))
    if white < _EMPTY:
        low.append(
            "The highest spatial frequencies are empty: the image was interpolated or filtered, "
            "and its noise reads far too low."
        )
    elif white < COLOURED:
        fair.append(
            "The noise is not white: the image was filtered or reconstructed iteratively, or fine "
            "structure is read as noise."
        )
    elif max(spread, bend) > allowed:
        fair.append(
            "Fine structure is read as noise, or the noise varies over the image: the level may "
            "be too high."
        )
    if sum(r.windows for r in read) < _FEW_WINDOWS:
        fair.append("Little flat tissue is in view: chance alone may put the level off.")
    if float(np.median([r.signal for r in read])) < _DROWNED * sigma:
        fair.append("The signal hardly stands above the noise: the level may be too low.")
    if float(np.median([r.constant for r in read])) > _CONSTANT:
        fair.append("Part of the body has no variation at all: it was blanked or saturated.")
    if known.size > 1 and known.max() > 2 * known.min():
        fair.append("Slices differ more than twofold in noise.")
    if clipped:
        fair.append("The air around the body was set to zero, so it cannot confirm the level.")
    elif air_sigma is not None and not _air_agrees(air_sigma / sigma):
        fair.append(
            f"Air and body disagree about the noise level: the air reads {air_sigma / sigma:.2f} "
            "times that of the body."
        )
    confidence: Confidence = "low" if low else "fair" if fair else "high"
    return confidence, (*low, *fair)


def step_of(image: NDArray[np.float32]) -> float:
    """Distance of neighbouring stored values, in the unit of the image: 1 for whole numbers.

    Of each slice the smallest difference of two values, as a slice may have a slope of its own; of
    these the median. Values that are not stored in steps give next to nothing.
    """
    smallest = [np.diff(np.unique(plane)).min(initial=np.inf) for plane in image]
    known = [value for value in smallest if np.isfinite(value)]
    return float(np.median(known)) if known else 0.0
