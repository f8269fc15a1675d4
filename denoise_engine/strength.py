"""How strongly an image is denoised: fully, by a fixed blend, or to a target gain in SNR.

Fully denoised images look artificial to radiologists, and the products that were validated raise
SNR by only about 1.7. A part of the input is therefore mixed back in:
result = (1 − a)·input + a·denoised.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from denoise_engine.errors import StrengthError


@dataclass(frozen=True)
class Full:
    """The network's output as it is."""


@dataclass(frozen=True)
class Blend:
    """A fixed share ``amount`` of denoised image, 0 (input) to 1 (full)."""

    amount: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.amount) and 0 <= self.amount <= 1):
            raise StrengthError(f"A blend must lie between 0 and 1, not {self.amount}.")


@dataclass(frozen=True)
class TargetSnrGain:
    """As much denoising as raises SNR inside the body by the factor ``gain``."""

    gain: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.gain) and self.gain >= 1):
            raise StrengthError(f"A target gain must be 1 or more, not {self.gain}.")


Strength = Full | Blend | TargetSnrGain


@dataclass(frozen=True)
class NoiseMoments:
    """Noise variances over replicas: of the input, of the output, and their covariance.

    In units of the local noise variance.
    """

    of_input: float
    of_output: float
    covariance: float

    def gain(self, blend: float) -> float:
        """SD of the noise before over after, at a blend; infinite where nothing is left of it."""
        if self.of_input == 0:
            return 1.0
        keep = 1 - blend
        after = (
            keep**2 * self.of_input + 2 * keep * blend * self.covariance + blend**2 * self.of_output
        )
        return math.sqrt(self.of_input / after) if after > 0 else math.inf

    def blend_for(self, gain: float) -> float:
        """Return the smallest blend that reaches a gain.

        The variance of a blend is a quadratic in the blend, so the answer is a root in closed form.

        Raises
        ------
        StrengthError
            If even full strength does not reach it.
        """
        reach = self.gain(1.0)
        if gain > reach:
            raise StrengthError(
                f"A gain of {gain:g} cannot be reached: at full strength this model gains "
                f"{reach:.2f} on this image."
            )
        square = self.of_input - 2 * self.covariance + self.of_output
        linear = 2 * (self.covariance - self.of_input)
        constant = self.of_input * (1 - 1 / gain**2)
        discriminant = linear**2 - 4 * square * constant
        if square <= 0 or discriminant < 0:
            raise StrengthError(f"A gain of {gain:g} cannot be reached on this image.")
        return min(max((-linear - math.sqrt(discriminant)) / (2 * square), 0.0), 1.0)


def moments_of_replicas(
    noisy: NDArray[np.float32], denoised: NDArray[np.float32], weights: NDArray[Any]
) -> NoiseMoments:
    """Average the noise variances over the pixels of several replicas.

    Parameters
    ----------
    noisy, denoised : ndarray of float32
        (replicas, tiles, rows, columns), in units of the local noise SD.
    weights : ndarray
        (tiles, rows, columns): how much each pixel counts, ≥ 0; a mask of bool will do.
    """
    where = weights > 0
    if not where.any():
        return NoiseMoments(0.0, 0.0, 0.0)
    weight = weights[where].astype(np.float64)
    a = (noisy - noisy.mean(axis=0))[:, where].astype(np.float64)
    b = (denoised - denoised.mean(axis=0))[:, where].astype(np.float64)
    scale = 1 / (weight.sum() * (len(noisy) - 1))
    return NoiseMoments(
        of_input=float((a * a).sum(axis=0) @ weight * scale),
        of_output=float((b * b).sum(axis=0) @ weight * scale),
        covariance=float((a * b).sum(axis=0) @ weight * scale),
    )
