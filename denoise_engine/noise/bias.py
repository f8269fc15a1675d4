"""The bias of magnitude data: noise lifts the mean of dark tissue, and this takes it back.

A magnitude image is never negative, so its noise is not centred: where the signal is weak the local
mean stands above the true signal, up to the *noise floor* where there is none. A denoiser that
carries the local mean through keeps that bias. It is taken out in a step of its own, after
denoising, because the formula holds for the mean and not for a single noisy pixel.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from denoise_engine.coils import MOST_COILS, is_possible
from denoise_engine.errors import UnusableVolumeError
from denoise_engine.noise.checks import checked_volume

# Half the squared signal-to-noise ratio from which the mean is read from its expansion. Below it
# Kummer's transformation keeps every term of the series positive; above, e^x leaves the numbers.
_EXPAND_FROM = 600.0
_EXPANSION_TERMS = 9
# The table reaches to this signal-to-noise ratio; beyond, one term of the expansion is exact.
_TABLE_END = 1000.0
_TABLE_STEPS = 16384


def magnitude_mean(signal: ArrayLike, sigma: ArrayLike, coils: int = 1) -> NDArray[np.float64]:
    """Return the expected root-sum-of-squares magnitude of signals with noise.

    Parameters
    ----------
    signal : array_like
        True magnitude: the root of the sum over the coils of the squared true signals. Any shape,
        ≥ 0.
    sigma : array_like
        SD of the noise in each of the real and imaginary parts of each coil, > 0, broadcast
        against ``signal``.
    coils : int
        Channels combined by root-sum-of-squares; 1 is Rician.

    Returns
    -------
    ndarray of float64
        σ·√2·Γ(n + ½)/Γ(n)·₁F₁(−½; n; −s²/2σ²) for n coils.

    References
    ----------
    Constantinides CD, Atalar E, McVeigh ER. Signal-to-noise measurements in magnitude images from
    NMR phased arrays. Magn Reson Med 1997;38:852-857.
    Koay CG, Basser PJ. Analytically exact correction scheme for signal extraction from noisy
    magnitude MR signals. J Magn Reson 2006;179:317-322.
    """
    s, sd = np.broadcast_arrays(
        np.asarray(signal, dtype=np.float64), np.asarray(sigma, dtype=np.float64)
    )
    x = np.square(s / sd) / 2
    far = x > _EXPAND_FROM
    mean = np.empty_like(x)
    mean[far] = _expansion(x[far], coils)
    near = x[~far]
    mean[~far] = noise_floor(coils) * np.exp(-near) * special.hyp1f1(coils + 0.5, coils, near)
    return np.asarray(mean * sd)


def noise_floor(coils: int = 1) -> float:
    """Return the mean magnitude of pure noise, in units of the noise SD of one part of one coil."""
    return float(np.sqrt(2) * special.poch(coils, 0.5))


def correct_bias(volume: ArrayLike, sigma: ArrayLike, coils: int = 1) -> NDArray[np.float32]:
    """Replace local means of magnitude data by the signals that give rise to them.

    Meant for a *denoised* volume, whose pixels are estimates of the local mean. The inverse of the
    mean is read from a table. Monotonic; means at or below the noise floor become 0; far above the
    noise the value changes by about (2n − 1)·σ²/2s for n coils.

    Parameters
    ----------
    volume : array_like
        (slices, rows, columns), denoised magnitude.
    sigma : array_like
        SD of the noise before denoising, in the unit of the volume: one number or a map of the
        volume's shape. 0 leaves the value as it is.
    coils : int
        1 for Rician data (one coil, or coils combined with their phases, as in SENSE and adaptive
        combination); the number of channels for a root-sum-of-squares image. After SENSE or GRAPPA
        the *effective* number is smaller than the number of elements.

    Returns
    -------
    ndarray of float32
        (slices, rows, columns), unit of the input.

    Raises
    ------
    UnusableVolumeError
        If the volume or the noise level cannot be used, or the number of coils is out of range.

    References
    ----------
    As for :func:`magnitude_mean`. Gudbjartsson H, Patz S. The Rician distribution of noisy MRI
    data. Magn Reson Med 1995;34:910-914.
    """
    image = checked_volume(volume)
    if not is_possible(coils):
        raise UnusableVolumeError(
            f"The number of coils must be a whole number from 1 to {MOST_COILS}; this is {coils}."
        )
    sd = np.asarray(sigma, dtype=np.float64)
    if sd.ndim not in (0, 3) or (sd.ndim == 3 and sd.shape != image.shape):
        raise UnusableVolumeError(
            f"The noise level must be one number or a map of the volume's shape {image.shape}; "
            f"this one is {sd.shape}."
        )
    if not np.isfinite(sd).all() or (sd < 0).any():
        raise UnusableVolumeError("The noise level must be finite and not below 0.")
    corrected = np.empty_like(image)
    for k, plane in enumerate(image):
        corrected[k] = signal_of_mean(plane, sd if sd.ndim == 0 else sd[k], int(coils))
    return corrected


def signal_of_mean(mean: ArrayLike, sigma: ArrayLike, coils: int = 1) -> NDArray[np.float64]:
    """Return the signals that have these mean magnitudes: :func:`magnitude_mean` turned round.

    Parameters
    ----------
    mean, sigma : array_like
        Any shape, broadcast against each other. 0 noise leaves the value as it is.
    coils : int
        As for :func:`magnitude_mean`.

    Returns
    -------
    ndarray of float64
        0 where the mean lies at or below the noise floor.
    """
    value, level = np.broadcast_arrays(
        np.asarray(mean, dtype=np.float64), np.asarray(sigma, dtype=np.float64)
    )
    means, signals = _table(coils)
    noisy = level > 0
    ratio = np.divide(value, level, out=np.full(value.shape, np.inf), where=noisy)
    signal = np.interp(ratio, means, signals, left=0.0)
    far = noisy & (ratio > means[-1])
    signal[far] = ratio[far] - (coils - 0.5) / ratio[far]
    return np.where(noisy, signal * level, value)


@lru_cache(maxsize=8)
def _table(coils: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means and the signals that belong to them, both rising, in units of the noise SD."""
    # The mean starts with zero slope, so its inverse starts steeply: steps shrink towards 0.
    signals = _TABLE_END * np.linspace(0, 1, _TABLE_STEPS) ** 2
    means = np.maximum.accumulate(magnitude_mean(signals, 1.0, coils))
    means.flags.writeable = signals.flags.writeable = False
    return means, signals


def _expansion(x: NDArray[np.float64], coils: int) -> NDArray[np.float64]:
    """The mean at σ = 1 for large x = s²/2: ₁F₁'s asymptotic series."""
    term = np.sqrt(2 * x)
    total = term.copy()
    for k in range(_EXPANSION_TERMS):
        term = term * (k - 0.5) * (k + 0.5 - coils) / ((k + 1) * x)
        total += term
    return total
