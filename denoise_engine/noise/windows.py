"""Every 7×7 window of a slice as DCT components, and the noise level in them."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage

from denoise_engine.ddlr.dct import BLOCK, SlidingDCT
from denoise_engine.metrics import BoolArray

Floats = NDArray[np.float32]

# Median of a chi-square with n degrees of freedom, over n: n components are averaged.
MEDIAN_OF_NINE = 0.92702
MEDIAN_OF_FOUR = 0.83917
# 90th over 10th percentile of a chi-square with nine degrees of freedom.
SPREAD_OF_NINE = 3.5228


def components_of(plane: Floats, stride: int = 1) -> Floats:
    """(rows, columns) → (7, 7, windows down, windows across): vertical by horizontal frequency.

    Windows start at every ``stride``-th pixel; neighbours share most of theirs.
    """
    with torch.no_grad():
        image = torch.from_numpy(plane)[None, None]
        components = F.conv2d(image, SlidingDCT().kernels, stride=stride)[0].numpy()
    return np.asarray(components.reshape(BLOCK, BLOCK, *components.shape[1:]))


def high_energy(components: Floats) -> Floats:
    """Mean energy of the nine components with both indices at least 4, window by window."""
    return np.asarray(np.square(components[4:, 4:]).mean(axis=(0, 1)))


def middle_energy(components: Floats) -> Floats:
    """Mean energy of the four components with both indices 3 or 4, window by window."""
    return np.asarray(np.square(components[3:5, 3:5]).mean(axis=(0, 1)))


def low_energy(components: Floats) -> Floats:
    """Energy of the three lowest components but the mean: small where a window is flat."""
    lowest = (components[0, 1], components[1, 0], components[1, 1])
    return np.asarray(sum(np.square(c) for c in lowest))


def level_of(energy: Floats, median: float) -> float:
    """Noise SD from the energies of windows, by the median of their distribution."""
    return float(np.sqrt(np.median(energy) / median))


def windows_within(region: BoolArray, stride: int = 1) -> BoolArray:
    """Windows, as in :func:`components_of`, that lie wholly inside a region."""
    eroded = ndimage.binary_erosion(region, structure=np.ones((BLOCK, BLOCK)))
    half = BLOCK // 2
    return np.asarray(eroded[half:-half:stride, half:-half:stride])
