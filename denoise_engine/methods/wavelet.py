"""Wavelet shrinkage by scikit-image, made independent of where the grid of the wavelets falls."""

import numpy as np
from numpy.typing import NDArray

WAVELET = "db4"
LEVELS = 4
SHIFTS = 3

SOURCE = (
    "Chang SG, Yu B, Vetterli M. Adaptive wavelet thresholding for image denoising and "
    "compression. IEEE Trans Image Process 2000;9:1532-1546. Cycle spinning: Coifman RR, Donoho "
    "DL. Translation-invariant de-noising. Wavelets and Statistics 1995:125-150."
)


def wavelet_shrinkage(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Denoise one slice whose noise SD is 1.

    BayesShrink in the orthogonal wavelet transform, averaged over 16 shifts of the image.

    Parameters
    ----------
    image : ndarray of float32
        (rows, columns), in units of the noise SD.

    Returns
    -------
    ndarray of float32
        (rows, columns).
    """
    import pywt
    from skimage.restoration import cycle_spin, denoise_wavelet

    levels = min(LEVELS, max(1, pywt.dwtn_max_level(image.shape, WAVELET)))
    out = cycle_spin(
        image,
        func=denoise_wavelet,
        max_shifts=SHIFTS,
        workers=1,
        func_kw={
            "sigma": 1.0,
            "wavelet": WAVELET,
            "wavelet_levels": levels,
            "method": "BayesShrink",
            "mode": "soft",
        },
    )
    return np.asarray(out, dtype=np.float32)
