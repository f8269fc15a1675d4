"""The noise level that a volume is denoised with: given, or estimated and judged."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from denoise_engine.errors import UntrustedNoiseError, UnusableVolumeError
from denoise_engine.metrics import BoolArray
from denoise_engine.noise import Confidence, estimate_noise, estimate_noise_map
from denoise_engine.noise.level import COLOURED, step_of
from denoise_engine.resampling import map_on_grid

Floats = NDArray[np.float32]
NoiseChoice = float | ArrayLike | Literal["map"] | None


@dataclass(frozen=True)
class NoiseInUse:
    """A noise map (slices, rows, columns), its median in the body, and where it comes from."""

    map: Floats
    level: float
    method: str
    confidence: Confidence
    reasons: tuple[str, ...]
    trusted: bool

    @property
    def warnings(self) -> tuple[str, ...]:
        if self.confidence == "low" or not self.trusted:
            said = ["The noise level is not to be trusted.", *self.reasons]
            if self.confidence != "low":
                said.append(
                    "After compressed sensing, streaks and aliasing are not noise: they stay, and "
                    "stand out more once the noise is gone."
                )
            return (" ".join(said),)
        if self.confidence != "high":
            return (" ".join(("The noise level is uncertain.", *self.reasons)),)
        return ()


def settle_noise(
    image: Floats,
    body: BoolArray,
    noise: NoiseChoice,
    shape: tuple[int, ...],
    *,
    refuse_untrusted: bool = True,
    stored: Floats | None = None,
) -> NoiseInUse:
    """Settle on the noise of a volume.

    Parameters
    ----------
    image, body : ndarray
        (slices, rows, columns), on the native grid, and where the body is.
    noise : float, array_like, "map" or None
        A level, a map on the grid of the volume as it was given, a map to be estimated, or a level
        to be estimated.
    shape : tuple of int
        Shape of the volume as it was given.
    refuse_untrusted : bool
        Whether an estimate of low confidence is an error.
    stored : ndarray, optional
        The volume as it was given, whose values tell in what steps it was stored, if `image` was
        resampled from it.

    Raises
    ------
    UntrustedNoiseError
        The estimate cannot be acted on.
    UnusableVolumeError
        The given level is impossible, or no level can be read from the image.
    """
    if noise is None or isinstance(noise, str):
        return _estimated(
            image, noise, refuse_untrusted, step_of(image if stored is None else stored)
        )
    given = np.asarray(noise, dtype=np.float32)
    if not np.isfinite(given).all() or (given < 0).any():
        raise UnusableVolumeError("The noise level must be finite and not below 0.")
    if given.ndim == 0:
        level = np.broadcast_to(given, image.shape)
        return NoiseInUse(level, float(given), "given", "high", (), True)
    if given.shape != shape:
        raise UnusableVolumeError(
            f"The noise level must be one number or a map of the volume's shape {shape}; "
            f"this one is {given.shape}."
        )
    resampled = map_on_grid(given, image.shape)
    return NoiseInUse(
        resampled, float(np.median(resampled[body])), "given as a map", "high", (), True
    )


def _estimated(image: Floats, noise: str | None, refuse_untrusted: bool, step: float) -> NoiseInUse:
    if noise not in (None, "map"):
        raise UnusableVolumeError(
            f"The noise level must be a number, a map, or the word “map”; not “{noise}”."
        )
    estimate = estimate_noise(image, step)
    confidence, reasons = estimate.confidence, estimate.reasons
    level, sigma, method = np.float32(estimate.sigma), estimate.sigma, estimate.method
    values: Floats = np.broadcast_to(level, image.shape)
    if noise == "map":
        varying = estimate_noise_map(image, step)
        values, sigma, method = varying.map, varying.level, "map estimated from the image"
        confidence, reasons = varying.confidence, varying.reasons
    if confidence == "low" and refuse_untrusted:
        raise UntrustedNoiseError(
            "The noise level read from this image cannot be trusted. "
            + " ".join(reasons)
            + " Give the noise level yourself, or process the image as it left the scanner."
        )
    trusted = confidence != "low" and estimate.whiteness >= COLOURED
    return NoiseInUse(values, sigma, method, confidence, reasons, trusted)
