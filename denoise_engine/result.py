"""What a denoised volume is handed over with."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from denoise_engine.coils import MOST_COILS, is_possible
from denoise_engine.errors import StrengthError
from denoise_engine.noise import Confidence
from denoise_engine.runtime import Backend

if TYPE_CHECKING:
    from denoise_engine.noise.native_grid import NativeGrid

Floats = NDArray[np.float32]


def finite_or_none(value: float | None) -> float | None:
    """JSON has no infinity."""
    return value if value is not None and math.isfinite(value) else None


@dataclass(frozen=True)
class BiasCorrection:
    """The step after denoising that inverts the mean of magnitude noise.

    Attributes
    ----------
    coils : int
        1 for Rician, more for non-central chi noise.
    """

    coils: int

    def __post_init__(self) -> None:
        if not is_possible(self.coils):
            raise StrengthError(
                "The number of coils must be a whole number from 1 to "
                f"{MOST_COILS}, not {self.coils}."
            )

    def record(self) -> dict[str, Any]:
        return {"noise": "Rician" if self.coils == 1 else "non-central chi", "coils": self.coils}


@dataclass(frozen=True)
class DenoiseResult:
    """A denoised volume and all that is needed to say how it came about.

    Attributes
    ----------
    volume : ndarray of float32
        (slices, rows, columns), unit and grid of the input.
    sigma : float
        Noise SD that was acted on, unit of the input; the median inside the body of a map.
    sigma_method, sigma_confidence, sigma_reasons
        How it was found, how far it can be trusted, and why no further.
    sigma_trusted : bool
        False where the noise is coloured, as after compressed sensing: a level read from it stands
        for one band of frequencies only.
    blend : float
        Share of the method's output in the result.
    target_gain : float or None
        The gain asked for, if one was.
    achieved_gain : float
        SD of the noise before over after, inside the body and in units of the local noise, from
        replicas that the blend was not chosen on. Infinite where none of it is left; None in the
        record then.
    air_gain : float or None
        The same in the air; None without air, or without noise there.
    method : str
        Name of the method: a network, or a comparator.
    model, model_version, weights_sha256 : str
        The weights and their version; of a method without weights its name, the version of the
        library it comes from, and an empty string.
    backend : Backend
    native_grid : NativeGrid
        The grid that was denoised on, and how it was found.
    bias : BiasCorrection or None
        The bias correction, if one was asked for.
    warnings : tuple of str
        What a user of the result must know, in sentences.
    working_input, working_output : ndarray of float32
        (slices, native rows, native columns): what the method was given, and what it made of it at
        full strength, before bias correction.
    noise_map : ndarray of float32
        Same shape: the noise SD that was acted on.
    seconds : float
        Wall time.
    """

    volume: Floats
    sigma: float
    sigma_method: str
    sigma_confidence: Confidence
    sigma_reasons: tuple[str, ...]
    sigma_trusted: bool
    blend: float
    target_gain: float | None
    achieved_gain: float
    air_gain: float | None
    method: str
    model: str
    model_version: str
    weights_sha256: str
    backend: Backend
    native_grid: "NativeGrid"
    bias: BiasCorrection | None
    warnings: tuple[str, ...]
    working_input: Floats = field(repr=False)
    working_output: Floats = field(repr=False)
    noise_map: Floats = field(repr=False)
    seconds: float

    def record(self) -> dict[str, Any]:
        """Return everything but the pixels and the time, as plain JSON values."""
        return {
            "method": self.method,
            "model": self.model,
            "model_version": self.model_version,
            "weights_sha256": self.weights_sha256,
            "sigma": self.sigma,
            "sigma_method": self.sigma_method,
            "sigma_confidence": self.sigma_confidence,
            "sigma_reasons": list(self.sigma_reasons),
            "sigma_trusted": self.sigma_trusted,
            "blend": self.blend,
            "target_gain": self.target_gain,
            "achieved_gain": finite_or_none(self.achieved_gain),
            "air_gain": finite_or_none(self.air_gain),
            "native_grid": {
                "rows": self.native_grid.native_rows,
                "columns": self.native_grid.native_columns,
                "how": self.native_grid.how,
            },
            "bias": None if self.bias is None else self.bias.record(),
            "backend": str(self.backend),
            "warnings": list(self.warnings),
        }
