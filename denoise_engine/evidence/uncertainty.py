"""How far the result depends on chance: the same slices, turned, mirrored, and noisier by a little.

A denoiser should give the same answer for an image that is mirrored, and much the same for one with
a little more noise. Where it does not, its output is a guess. Each pass sees the slices turned or
mirrored and with fresh noise of half the SD that is there already; the SD over the passes, divided
by that half, says how much of the noise comes through to the output or is decided by chance.

It is an estimate of the SD of the output's error in units of the noise SD: near 0 the noise is
gone, at 1 the output is no surer than the input. It cannot see an error that every pass makes
alike, such as a faint structure that is always smoothed away; the structure test looks for those.
``benchmarks/evidence.py`` prints how well it predicts true errors.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float32]
# Slices (n, rows, columns) and their noise maps in, denoised slices out.
DenoiseSlices = Callable[[Floats, Floats], Floats]

# Quarter turns and whether mirrored; the first are those that treat rows and columns alike.
TRANSFORMS = (
    (0, False),
    (2, False),
    (0, True),
    (2, True),
    (1, False),
    (3, False),
    (1, True),
    (3, True),
)
PASSES = 4
ADDED_NOISE = 0.5
# Four passes give a rough SD in one pixel; neighbours make it steady.
_SMOOTHING = 1.5
_SEED = 17


def uncertainty_of_slice(
    given: Floats,
    sigma: Floats,
    denoise_slices: DenoiseSlices,
    *,
    number: int,
    passes: int = PASSES,
) -> Floats:
    """Estimate the SD of the error of a denoised slice.

    Parameters
    ----------
    given, sigma : ndarray of float32
        (rows, columns): the slice before denoising and its noise SD, same unit.
    denoise_slices : callable
        The method at full strength.
    number : int
        Of the slice; the same number sees the same added noise.
    passes : int
        How many transforms, 2 to 8.

    Returns
    -------
    ndarray of float32
        (rows, columns), in units of the noise SD. 0 where the noise SD is 0.
    """
    if not 2 <= passes <= len(TRANSFORMS):
        raise ValueError(f"Between 2 and {len(TRANSFORMS)} passes are possible, not {passes}.")
    rng = np.random.default_rng((_SEED, number))
    mean = np.zeros(given.shape, dtype=np.float64)
    squares = np.zeros(given.shape, dtype=np.float64)
    for count, (turns, mirrored) in enumerate(TRANSFORMS[:passes], start=1):
        noise = rng.standard_normal(given.shape, dtype=np.float32)
        noisier = given + np.float32(ADDED_NOISE) * sigma * noise
        seen = _turned(noisier, turns, mirrored)
        level = _turned(sigma, turns, mirrored)
        out = _turned_back(denoise_slices(seen[None], level[None])[0], turns, mirrored)
        # Welford's sums: only two planes are kept, however many the passes.
        change = out - mean
        mean += change / count
        squares += change * (out - mean)
    there = sigma > 0
    safe = np.where(there, sigma, np.float32(1))
    variance = np.where(there, squares / (passes - 1) / np.square(safe * ADDED_NOISE), 0)
    return np.sqrt(ndimage.gaussian_filter(variance, _SMOOTHING)).astype(np.float32)


def _turned(image: Floats, turns: int, mirrored: bool) -> Floats:
    turned = np.rot90(image, turns)
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)


def _turned_back(image: Floats, turns: int, mirrored: bool) -> Floats:
    return np.asarray(np.rot90(image[:, ::-1] if mirrored else image, -turns))
