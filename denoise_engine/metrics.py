"""Image quality against a reference, inside the body."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from denoise_engine.errors import UnusableVolumeError

FloatArray = NDArray[np.float32] | NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def otsu_threshold(values: ArrayLike, bins: int = 256) -> float:
    """Return the threshold that best parts values into two classes.

    Parameters
    ----------
    values : array_like
        Any shape, finite. Values above the 99.5th percentile are clipped to it, so that a few
        bright pixels do not coarsen the histogram.

    References
    ----------
    Otsu N. IEEE Trans Syst Man Cybern 1979;9:62-66.
    """
    v = np.asarray(values, dtype=np.float64).ravel()
    v = np.minimum(v, np.percentile(v, 99.5))
    counts, edges = np.histogram(v, bins=bins)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts).astype(np.float64)
    above = below[-1] - below
    sums = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = sums / below - (sums[-1] - sums) / above
        between = below * above * gap**2
    return float(centres[int(np.nanargmax(np.nan_to_num(between)))])


def body_mask(volume: ArrayLike, *, smooth: float = 2.0) -> BoolArray:
    """Find the body in a magnitude volume.

    Slice by slice: smoothing, half of Otsu's threshold (dark tissue such as cortical bone and disc
    belongs to the body), closing, connected parts of at least a tenth of the largest (dark fascia
    can cut the fat of the back off), holes filled.

    Parameters
    ----------
    volume : array_like
        (slices, rows, columns), magnitude, any intensity unit.
    smooth : float
        SD of the smoothing in pixels.

    Returns
    -------
    ndarray of bool
        (slices, rows, columns).

    Raises
    ------
    UnusableVolumeError
        If the volume is not three-dimensional or holds no signal.
    """
    v = np.asarray(volume, dtype=np.float32)
    if v.ndim != 3:
        raise UnusableVolumeError(f"A volume has three dimensions; this one has {v.ndim}.")
    smoothed = ndimage.gaussian_filter(v, sigma=(0, smooth, smooth))
    threshold = 0.5 * otsu_threshold(smoothed)
    mask = np.zeros(v.shape, dtype=np.bool_)
    for k, image in enumerate(smoothed):
        # Padded, so that closing does not eat the body where it leaves the field of view.
        padded = np.pad(image > threshold, 4, mode="edge")
        above = ndimage.binary_closing(padded, iterations=3)[4:-4, 4:-4]
        labels, count = ndimage.label(above)
        if count == 0:
            continue
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        large = sizes >= 0.1 * sizes.max()
        mask[k] = ndimage.binary_fill_holes(large[labels])
    if not mask.any():
        raise UnusableVolumeError("No body was found: the image holds no signal.")
    return mask


def rmse(image: ArrayLike, reference: ArrayLike, mask: BoolArray | None = None) -> float:
    """Root mean square difference, in the unit of the images, over ``mask`` if one is given."""
    difference = np.asarray(image, dtype=np.float64) - np.asarray(reference, dtype=np.float64)
    chosen = difference if mask is None else difference[mask]
    return float(np.sqrt(np.mean(np.square(chosen))))


def psnr(
    image: ArrayLike,
    reference: ArrayLike,
    mask: BoolArray | None = None,
    *,
    peak: float | None = None,
) -> float:
    """Peak signal-to-noise ratio in dB, over ``mask`` if one is given.

    Parameters
    ----------
    image, reference : array_like
        Same shape and unit.
    mask : ndarray of bool, optional
        Where to compare.
    peak : float, optional
        The intensity called peak; the reference's maximum by default.
    """
    top = float(np.max(np.asarray(reference))) if peak is None else peak
    error = rmse(image, reference, mask)
    return float("inf") if error == 0 else float(20 * np.log10(top / error))


def ssim(
    image: ArrayLike,
    reference: ArrayLike,
    mask: BoolArray | None = None,
    *,
    peak: float | None = None,
) -> float:
    """Structural similarity, slice by slice with a Gaussian window of SD 1.5 pixels.

    Parameters
    ----------
    image, reference : array_like
        (slices, rows, columns), same unit.
    mask : ndarray of bool, optional
        Where the local values are averaged.
    peak : float, optional
        Dynamic range; the reference's maximum by default.

    References
    ----------
    Wang Z, et al. IEEE Trans Image Process 2004;13:600-612.
    """
    x = np.asarray(image, dtype=np.float64)
    y = np.asarray(reference, dtype=np.float64)
    top = float(y.max()) if peak is None else peak
    c1, c2 = (0.01 * top) ** 2, (0.03 * top) ** 2

    def local_mean(a: NDArray[np.float64]) -> NDArray[np.float64]:
        return ndimage.gaussian_filter(a, sigma=(0, 1.5, 1.5), truncate=3.5)

    mx, my = local_mean(x), local_mean(y)
    vx = local_mean(x * x) - mx * mx
    vy = local_mean(y * y) - my * my
    vxy = local_mean(x * y) - mx * my
    values = ((2 * mx * my + c1) * (2 * vxy + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return float(values.mean() if mask is None else values[mask].mean())
