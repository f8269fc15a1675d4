"""What a raw-data file comes down to: samples on a Cartesian grid, and where they lie."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from denoise_engine.errors import RawDataError
from denoise_engine.rawdata.placing import Placement

Complex = NDArray[np.complex64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class RawData:
    """Multi-coil samples of one image series, ready to be reconstructed plane by plane.

    A plane is what is reconstructed at once. Of a 2-D scan it is a slice, phase encoding × readout;
    of a 3-D scan a position along the readout (which is sampled fully, so that it was transformed
    back), phase encoding × partition.

    Attributes
    ----------
    kspace : ndarray of complex64
        (planes, coils, rows, columns), the zero frequency at n // 2, zero where nothing was
        sampled. Oversampling of the readout is removed, averages are averaged.
    mask : ndarray of bool
        (rows, columns) where all planes were sampled alike, else (planes, rows, columns).
    placement : Placement
        How planes become slices, and where these lie in the patient.
    noise : ndarray of complex64 or None
        (coils, samples) of noise alone, scaled to the noise of the samples in ``kspace``.
    calibration : ndarray of complex64 or None
        (planes, coils, r, c), the fully sampled centre of a separate calibration scan.
    acquired : dict
        What the file says of the acquisition, in plain JSON values: field strength, echo time and
        so on. Nothing that tells who was scanned, where or when is ever read.
    warnings : list of str
        What a user should know.
    """

    kspace: Complex
    mask: Mask
    placement: Placement
    noise: Complex | None = None
    calibration: Complex | None = None
    acquired: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def planes(self) -> int:
        return int(self.kspace.shape[0])

    @property
    def coils(self) -> int:
        return int(self.kspace.shape[1])

    @property
    def matrix(self) -> tuple[int, int]:
        """Rows and columns of a plane."""
        return int(self.kspace.shape[2]), int(self.kspace.shape[3])

    def mask_of(self, plane: int) -> Mask:
        return self.mask if self.mask.ndim == 2 else self.mask[plane]

    @property
    def acceleration(self) -> float:
        """Points of the grid over points that were sampled."""
        return float(self.mask.size / max(1, int(self.mask.sum())))

    @property
    def is_fully_sampled(self) -> bool:
        return bool(self.mask.all())

    def sampled_at(self, mask: Mask) -> "RawData":
        """The same scan with only the samples under a mask (rows, columns) kept."""
        if mask.shape != self.matrix:
            raise RawDataError(
                f"The mask is {mask.shape[0]} × {mask.shape[1]}, the samples lie on "
                f"{self.matrix[0]} × {self.matrix[1]}."
            )
        kept = self.mask & mask
        return replace(
            self,
            kspace=(self.kspace * mask).astype(np.complex64),
            mask=np.asarray(kept, dtype=np.bool_),
        )
