"""The mean of Rician magnitude data: what noise does to the local average."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special


def rician_mean(signal: ArrayLike, sigma: ArrayLike) -> NDArray[np.float64]:
    """Return the expected magnitude of a complex signal with noise.

    Parameters
    ----------
    signal : array_like
        True magnitude, ≥ 0, any shape.
    sigma : array_like
        SD of the noise in each of the real and imaginary parts, > 0, broadcast against ``signal``.

    Returns
    -------
    ndarray of float64
        √(π/2)·σ·L(−s²/2σ²), with L the Laguerre polynomial of degree one half.

    References
    ----------
    Gudbjartsson H, Patz S. The Rician distribution of noisy MRI data. Magn Reson Med
    1995;34:910-914.
    """
    s = np.asarray(signal, dtype=np.float64)
    sd = np.asarray(sigma, dtype=np.float64)
    quarter = np.square(s / sd) / 4
    # Exponentially scaled Bessel functions keep the product finite at any signal.
    laguerre = (1 + 2 * quarter) * special.ive(0, quarter) + 2 * quarter * special.ive(1, quarter)
    return np.asarray(np.sqrt(np.pi / 2) * sd * laguerre)
