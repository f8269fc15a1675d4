"""The forward model: what a scan of lower quality would have shown of the same head.

In the order in which a scanner makes them:

1. **Contrast.** At lower field the difference between white and grey matter shrinks. Intensities go
   through a rising, piecewise linear curve that leaves 0 and the mean of both tissues where they
   are and keeps the share ``contrast`` of their difference.
2. **Blur** within the slice: a Gaussian of ``blur`` pixels (full width at half maximum); along thin
   slices, where the resolution of a 3-D scan is lower in all directions, ``depth_blur`` slices.
3. **Slice profile and down-sampling** through-plane: a Gaussian of ``thickness`` times the slice
   spacing, one slice for every ``factor`` thin ones.
4. **Rician noise**: ``snr`` is the mean of grey and white matter over the SD of the noise in the
   real and imaginary part.

Contrast, profile and gap follow the probabilistic decimation simulator of Lin (2019); there the
change of contrast is drawn from pairs of scans of both fields, which do not exist here. Bias
fields, motion, flow and geometric distortion are not modelled.

References
----------
Lin H, et al. Deep learning for low-field to high-field MR: image quality transfer with
probabilistic decimation simulator. MLMIR 2019, LNCS 11905:58-70.
Gudbjartsson H, Patz S. The Rician distribution of noisy MRI data. Magn Reson Med 1995;34:910-914.
"""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from denoise_engine.errors import SimulationError
from denoise_engine.transfer.grids import along_slices, slice_profile

Floats = NDArray[np.float32]

_FWHM_PER_SD = 2.3548200450309493
HIGHEST_FACTOR = 8


@dataclass(frozen=True)
class Tissues:
    """Mean intensity of grey and white matter of a T1-weighted image, in its own unit."""

    grey: float
    white: float

    @property
    def mean(self) -> float:
        return (self.grey + self.white) / 2


@dataclass(frozen=True)
class Degradation:
    """How much worse a scan is; the default is perfect.

    Attributes
    ----------
    factor : int
        Slice spacing over that of the source, 1 to 8.
    thickness : float
        Slice thickness over slice spacing: 1 is no gap.
    blur : float
        In-plane blur in pixels, full width at half maximum.
    depth_blur : float
        The same along the slices, in slices, before they are made thick.
    contrast : float
        Share of the difference between white and grey matter that is left.
    snr : float
        Mean of grey and white matter over the noise SD; infinite: no noise.
    """

    factor: int = 1
    thickness: float = 1.0
    blur: float = 0.0
    contrast: float = 1.0
    snr: float = float("inf")
    depth_blur: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.factor <= HIGHEST_FACTOR:
            raise SimulationError(f"The factor must be 1 to {HIGHEST_FACTOR}, not {self.factor}.")
        if not 0.1 <= self.thickness <= 1.5:
            raise SimulationError(
                f"The slice thickness must be 0.1 to 1.5 of the spacing, not {self.thickness:g}."
            )
        if not (min(self.blur, self.depth_blur) >= 0 and 0 < self.contrast <= 2 and self.snr > 0):
            raise SimulationError(
                "Blur must be 0 or more, contrast above 0 and at most 2, SNR above 0."
            )

    def as_json(self) -> dict[str, float | None]:
        """Plain JSON values; no noise is null."""
        values: dict[str, float | None] = dict(asdict(self))
        return values | {"snr": self.snr if np.isfinite(self.snr) else None}


# The two scans on which models are judged: slices that are thick and nothing else but a little
# noise; and what a low field adds to that.
THICK = {f: Degradation(factor=f, thickness=0.9, snr=40.0) for f in (4, 8)}
LOW_FIELD = {
    f: Degradation(factor=f, thickness=0.9, blur=1.2, contrast=0.7, snr=20.0) for f in (4, 8)
}
# What a scan at 3 T is taken to show of a head scanned at 7 T: 1.6 voxels in all directions (1.1 mm
# for 0.7), less contrast of white and grey matter, and an SNR of 20. These are assumptions.
THREE_TESLA = {1: Degradation(blur=1.6, depth_blur=1.6, contrast=0.8, snr=20.0)}


def degrade(volume: Floats, how: Degradation, tissues: Tissues, rng: np.random.Generator) -> Floats:
    """Return the scan of lower quality.

    Parameters
    ----------
    volume : ndarray of float32
        (slices, rows, columns), magnitude, thin slices; their number is a multiple of the factor.
    how : Degradation
    tissues : Tissues
        Of ``volume``, in its unit.
    rng : numpy Generator
        The noise.

    Returns
    -------
    ndarray of float32
        (slices / factor, rows, columns), same unit.

    Raises
    ------
    SimulationError
        Another number of dimensions, slices that are no multiple of the factor, or a change of
        contrast where white matter is not brighter than grey.
    """
    if volume.ndim != 3 or len(volume) % how.factor or len(volume) == 0:
        raise SimulationError(
            f"The source must have three dimensions and a multiple of {how.factor} slices; it "
            f"measures {volume.shape}."
        )
    scan = reduced_contrast(volume, how.contrast, tissues)
    if how.blur > 0 or how.depth_blur > 0:
        depth, sd = how.depth_blur / _FWHM_PER_SD, how.blur / _FWHM_PER_SD
        scan = ndimage.gaussian_filter(scan, sigma=(depth, sd, sd), mode="nearest")
    if how.factor > 1:
        profile = slice_profile(len(scan) // how.factor, how.factor, how.thickness)
        scan = along_slices(profile, scan)
    if np.isfinite(how.snr):
        sigma = np.float32(tissues.mean / how.snr)
        real = scan + sigma * rng.standard_normal(scan.shape, dtype=np.float32)
        scan = np.hypot(real, sigma * rng.standard_normal(scan.shape, dtype=np.float32))
    return np.ascontiguousarray(scan, dtype=np.float32)


def reduced_contrast(volume: Floats, contrast: float, tissues: Tissues) -> Floats:
    """Keep a share of the difference between white and grey matter; nothing else changes place.

    A rising, piecewise linear curve: 0 and the mean of both tissues stay, and beyond white matter
    it rises as before.

    Parameters
    ----------
    volume : ndarray of float32
        Any shape and unit, magnitude, T1-weighted.
    contrast : float
        The share, above 0; 1 gives the volume itself, not a copy.
    tissues : Tissues
        Of ``volume``, in its unit.

    Returns
    -------
    ndarray of float32
        Same shape and unit.

    Raises
    ------
    SimulationError
        White matter is not brighter than grey, or grey is not above 0: no T1-weighted image.

    References
    ----------
    Lin H, et al. MLMIR 2019, LNCS 11905:58-70 (the change of contrast as a curve of intensities;
    there drawn from pairs of scans).
    """
    if contrast == 1:
        return volume
    if not 0 < tissues.grey < tissues.white:
        raise SimulationError(
            "The change of contrast is for T1-weighted images: white matter must be brighter than "
            f"grey; here they measure {tissues.white:g} and {tissues.grey:g}."
        )
    grey = tissues.mean + contrast * (tissues.grey - tissues.mean)
    white = tissues.mean + contrast * (tissues.white - tissues.mean)
    bright = max(4 * tissues.white, float(volume.max(initial=0)))
    return np.interp(
        volume,
        [0, tissues.grey, tissues.white, bright],
        [0, grey, white, white + bright - tissues.white],
    ).astype(np.float32)
