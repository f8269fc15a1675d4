"""Every 7×7 window of a slice as DCT components, and the noise level in them."""

import numpy as np
import torch
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
_STRIP = 256


def components_of(plane: Floats) -> Floats:
    """(rows, columns) → (7, 7, rows − 6, columns − 6): vertical by horizontal frequency."""
    rows, columns = plane.shape[0] - BLOCK + 1, plane.shape[1] - BLOCK + 1
    dct = SlidingDCT()
    components = np.empty((BLOCK * BLOCK, rows, columns), dtype=np.float32)
    # Strip by strip: what the convolution sets aside would double the memory of a large slice.
    with torch.no_grad():
        for top in range(0, rows, _STRIP):
            strip = torch.from_numpy(plane[top : top + _STRIP + BLOCK - 1])
            components[:, top : top + _STRIP] = dct(strip[None, None])[0].numpy()
    return components.reshape(BLOCK, BLOCK, rows, columns)


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


def windows_within(region: BoolArray) -> BoolArray:
    """Windows (rows − 6, columns − 6) that lie wholly inside a region."""
    eroded = ndimage.binary_erosion(region, structure=np.ones((BLOCK, BLOCK)))
    half = BLOCK // 2
    return np.asarray(eroded[half:-half, half:-half])
