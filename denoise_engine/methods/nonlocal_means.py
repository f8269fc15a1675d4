"""Non-local means by scikit-image."""

import numpy as np
from numpy.typing import NDArray

PATCH = 5
DISTANCE = 8
FILTERING = 0.7  # in units of the noise SD

SOURCE = (
    "Buades A, Coll B, Morel JM. A non-local algorithm for image denoising. CVPR 2005;2:60-65. "
    "Computed by integral images: Darbon J, et al. ISBI 2008:1331-1334."
)


def nonlocal_means(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Denoise one slice whose noise SD is 1.

    Parameters
    ----------
    image : ndarray of float32
        (rows, columns), in units of the noise SD.

    Returns
    -------
    ndarray of float32
        (rows, columns).
    """
    from skimage.restoration import denoise_nl_means

    out = denoise_nl_means(
        image,
        patch_size=PATCH,
        patch_distance=DISTANCE,
        h=FILTERING,
        sigma=1.0,
        fast_mode=True,
        preserve_range=True,
    )
    return np.asarray(out, dtype=np.float32)
