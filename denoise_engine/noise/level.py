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
    components_of,
    high_energy,
    level_of,
    windows_within,
)

Confidence = Literal["high", "fair", "low"]

# Below this ratio of highest to middle frequencies the noise counts as coloured, and as unreadable.
COLOURED, _EMPTY = 0.8, 0.3
# SD of Rayleigh-distributed air in units of the noise SD.
_RAYLEIGH_SD = 0.65514
_ENOUGH_WINDOWS = 400


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


def estimate_noise(volume: ArrayLike) -> NoiseEstimate:
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
    low), when few windows are usable, or when slices disagree. The idea of reading noise from the
    median of high-frequency coefficients is Donoho's (IEEE Trans Inf Theory 1995;41:613-627).
    """
    image = checked_volume(volume)
    body = body_mask(image)
    high_levels = np.full(len(image), np.nan)
    middle_levels = np.full(len(image), np.nan)
    whiteness: list[float] = []
    air_levels: list[float] = []
    clipped = 0
    for k, plane in enumerate(image):
        components = components_of(plane)
        found = _level_of_slice(components, windows_within(body[k]))
        if found is not None:
            high_levels[k], middle_levels[k], white_of_slice = found
            whiteness.append(white_of_slice)
        air = windows_within(~ndimage.binary_dilation(body[k], iterations=6))
        if air.sum() >= _ENOUGH_WINDOWS:
            energy = high_energy(components)[air]
            if np.mean(energy <= 1e-12 * np.square(plane.max())) > 0.1:
                clipped += 1
            else:
                air_levels.append(level_of(energy, MEDIAN_OF_NINE) / _RAYLEIGH_SD)
    white = float(np.median(whiteness)) if whiteness else 0.0
    coloured = white < COLOURED
    levels = np.fmax(high_levels, middle_levels) if coloured else high_levels
    known = levels[np.isfinite(levels)]
    if known.size == 0 or float(np.median(known)) <= 0:
        raise UnusableVolumeError(
            "No noise level could be read from this image: it shows too little tissue, or none "
            "of the fine variation that noise leaves. Give the noise level yourself."
        )
    sigma = float(np.median(known))
    air_sigma = float(np.median(air_levels)) if air_levels else None
    confidence, reasons = _judge(sigma, known, white, air_sigma, clipped > len(image) / 2)
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


def _level_of_slice(
    components: NDArray[np.float32], inside: BoolArray
) -> tuple[float, float, float] | None:
    """Return high- and middle-frequency level and whiteness, or None where too little is usable."""
    if inside.sum() < _ENOUGH_WINDOWS:
        return None
    mean = components[0, 0][inside] / BLOCK
    low = sum(np.square(components[u, v][inside]) for u, v in ((0, 1), (1, 0), (1, 1)))
    high = high_energy(components)[inside]
    bright = np.ones_like(mean, dtype=bool)
    level = 0.0
    for _ in range(3):
        flat = bright & (low <= np.quantile(low[bright], 0.4))
        level = level_of(high[flat], MEDIAN_OF_NINE)
        # Below a signal of three times the noise, magnitude noise is no longer Gaussian.
        brighter = mean > 3 * level
        if brighter.sum() < _ENOUGH_WINDOWS:
            break
        bright = brighter
    # Three bands at both ends of each axis: a scan may be interpolated along one axis only.
    rows_high = np.median(np.square(components[6, 2:5][:, inside][:, flat]))
    columns_high = np.median(np.square(components[2:5, 6][:, inside][:, flat]))
    in_middle = np.square(components[3:5, 3:5][:, :, inside][:, :, flat])
    middle = np.median(in_middle)
    if middle <= 0:
        return None
    middle_level = level_of(in_middle.mean(axis=(0, 1)), MEDIAN_OF_FOUR)
    return level, middle_level, float(np.sqrt(min(rows_high, columns_high) / middle))


def _judge(
    sigma: float,
    known: NDArray[np.float64],
    white: float,
    air_sigma: float | None,
    clipped: bool,
) -> tuple[Confidence, tuple[str, ...]]:
    low, fair = [], []
    if white < _EMPTY:
        low.append(
            "The highest spatial frequencies are empty: the image was interpolated or filtered, "
            "and its noise reads far too low."
        )
    elif white < COLOURED:
        fair.append("The noise is not white: the image was filtered or reconstructed iteratively.")
    if known.size > 1 and known.max() > 2 * known.min():
        fair.append("Slices differ more than twofold in noise.")
    if clipped:
        fair.append("The air around the body was set to zero, so it cannot confirm the level.")
    elif air_sigma is not None and not 0.5 < air_sigma / sigma < 2:
        fair.append("Air and body disagree about the noise level.")
    confidence: Confidence = "low" if low else "fair" if fair else "high"
    return confidence, (*low, *fair)
