"""What the noise of a magnitude image should look like, given the image without it."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from denoise_engine.noise.bias import magnitude_mean

Floats = NDArray[np.float32]

# Above a signal of 12 times the noise, the SD of Rician data is the noise SD to 0.2 %.
_HIGHEST, _STEPS = 12.0, 600


def standardised(removed: Floats, output: Floats, sigma: Floats) -> Floats:
    """Divide what was removed by the SD that noise would have had there.

    In dark tissue and air the magnitude squeezes the noise, down to 0.66 of its SD. Without taking
    this into account bright and dark tissue would seem to differ in what was removed from them.

    Parameters
    ----------
    removed, output, sigma : ndarray of float32
        Same shape and unit: input − output, the denoised magnitude (its local mean still that of
        the input), and the noise SD. Where the noise SD is 0, nothing is expected and 0 returned.

    Returns
    -------
    ndarray of float32
        SD 1 where all the noise, and nothing else, was removed.

    References
    ----------
    Gudbjartsson H, Patz S. The Rician distribution of noisy MRI data. Magn Reson Med
    1995;34:910-914.
    """
    there = sigma > 0
    safe = np.where(there, sigma, np.float32(1))
    means, deviations = _magnitude_table()
    expected = safe * np.interp(output / safe, means, deviations).astype(np.float32)
    return np.where(there, removed / expected, np.float32(0))


@cache
def _magnitude_table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and SD of Rician magnitudes in units of the noise SD, over the true signal."""
    signal = np.linspace(0, _HIGHEST, _STEPS)
    means = magnitude_mean(signal, 1.0)
    return means, np.sqrt(2 + np.square(signal) - np.square(means))
