"""What a reconstruction returns: images, noise map, g-factor, and the record of how."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ReconstructionResult:
    """Images of a stack of slices.

    Attributes
    ----------
    image : ndarray of complex64
        (slices, rows, columns), in units of the noise SD of the data: sensitivities have unit sum
        of squares, so a full scan would have noise of SD 1 in real and imaginary part.
    noise_map : ndarray of float32 or None
        Same shape: noise SD of real and imaginary part of ``image``, in its unit. It is what
        ``denoise(magnitude, noise=…)`` takes. None only where it was asked to be left out.
    g_factor : ndarray of float32 or None
        Same shape: noise over √R times that of a full scan, where there is a formula (uniform
        sampling); None elsewhere.
    seconds : float
        Time taken.
    details : dict
        How it was made, in plain JSON values; see ``record``.
    """

    image: NDArray[np.complex64]
    noise_map: Floats | None
    g_factor: Floats | None
    seconds: float
    details: dict[str, Any] = field(default_factory=dict)

    def magnitude(self) -> Floats:
        """Return the magnitude images."""
        return np.abs(self.image)

    def record(self) -> dict[str, Any]:
        """Return how the images were made, the same for a repeated run."""
        return dict(self.details)
