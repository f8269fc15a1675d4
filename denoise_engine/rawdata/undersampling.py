"""Retrospective undersampling: which samples of a full scan a faster one would have measured.

Real undersampled data never have a truth to compare with; leaving lines out of a full scan gives
one, with real coils and real noise. It does not show what a shorter scan also changes: motion,
timing, contrast along an echo train. Whoever reports it says so.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from denoise_engine.errors import EngineError, RawDataError
from denoise_engine.rawdata.scan import Mask, RawData

KINDS = ("regular", "random")
HIGHEST = 16.0
LEAST_CENTRE, LARGEST_CENTRE = 16, 128  # lines of the fully sampled centre
CENTRE = 24
SEED = 1


@dataclass(frozen=True)
class Sampling:
    """A mask by name: fully determined by these values and the matrix.

    Attributes
    ----------
    kind : {"regular", "random"}
        Every n-th phase encoding, or random ones, ever sparser towards the edge.
    acceleration : float
        Of regular sampling a whole number: every n-th line. Of random sampling the points of the
        grid over those sampled, the centre included.
    second : int
        Regular acceleration along the partitions of a 3-D scan; 1 for none.
    centre : int
        Lines in the fully sampled centre, for the calibration of the coils.
    seed : int
        Of random sampling.
    """

    kind: str = "regular"
    acceleration: float = 4.0
    second: int = 1
    centre: int = CENTRE
    seed: int = SEED

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise RawDataError(f"The sampling is {' or '.join(KINDS)}, not “{self.kind}”.")
        if not (math.isfinite(self.acceleration) and 1 <= self.acceleration <= HIGHEST):
            raise RawDataError(
                f"An acceleration lies between 1 and {HIGHEST:g}, not at {self.acceleration:g}."
            )
        if self.kind == "regular" and self.acceleration != int(self.acceleration):
            raise RawDataError(
                f"Regular sampling takes every n-th line: {self.acceleration:g} is no whole number."
            )
        if not 1 <= self.second <= HIGHEST or (self.second > 1 and self.kind != "regular"):
            raise RawDataError("An acceleration of the partitions is a whole number, and regular.")
        if not LEAST_CENTRE <= self.centre <= LARGEST_CENTRE:
            raise RawDataError(
                f"The fully sampled centre has {LEAST_CENTRE} to {LARGEST_CENTRE} lines, not "
                f"{self.centre}."
            )
        if not 0 <= self.seed < 2**31:
            raise RawDataError("The seed of random sampling is a whole number, 0 or more.")

    @property
    def is_full(self) -> bool:
        return self.acceleration == 1 and self.second == 1

    def as_json(self) -> dict[str, Any]:
        said: dict[str, Any] = {
            "kind": self.kind,
            "acceleration": self.acceleration,
            "centre": self.centre,
        }
        if self.second > 1:
            said["second"] = self.second
        if self.kind == "random":
            said["seed"] = self.seed
        return said

    def mask(self, rows: int, columns: int, *, is_3d: bool) -> Mask:
        """The mask (rows, columns): rows are phase encodings, columns readout or partitions."""
        if self.second > 1 and not is_3d:
            raise RawDataError(
                f"{self.acceleration:g} × {self.second} needs two phase encodings: these raw data "
                "are of a 2-D scan."
            )
        if self.centre >= rows:
            raise RawDataError(
                f"A centre of {self.centre} lines leaves nothing of {rows} to be left out."
            )
        middle = slice(rows // 2 - self.centre // 2, rows // 2 - self.centre // 2 + self.centre)
        if self.kind == "random":
            lines = self._random(rows)
            lines[middle] = True
            return np.ascontiguousarray(np.broadcast_to(lines[:, None], (rows, columns)))
        step = int(self.acceleration)
        chosen = (np.arange(rows) - rows // 2) % step == 0
        across = (np.arange(columns) - columns // 2) % self.second == 0
        mask = chosen[:, None] & across[None, :]
        reach = min(columns, self.centre) if self.second > 1 else columns
        mask[middle, columns // 2 - reach // 2 : columns // 2 - reach // 2 + reach] = True
        return np.asarray(mask)

    def _random(self, rows: int) -> np.ndarray:
        # The package around it loads torch, which whoever only reads files does not need.
        from denoise_engine.simulation.sampling import variable_density_mask

        # Half as far to either side of the middle, as the mask counts it.
        reach = (self.centre / 2) / (rows / 2)
        try:
            return variable_density_mask(
                rows,
                fraction=1 / self.acceleration,
                rng=np.random.default_rng(self.seed),
                calibration=reach,
            )
        except EngineError as error:
            raise RawDataError(str(error)) from None


def undersampled(raw: RawData, sampling: Sampling) -> RawData:
    """What a faster scan would have measured of a full one. Raises RawDataError.

    Lines that partial Fourier left out stay missing; any other scan has to be full.
    """
    if sampling.is_full:
        return raw
    if not is_one_block(raw):
        raise RawDataError(
            f"R = {sampling.acceleration:g} is made by leaving lines out of a full scan; these raw "
            f"data are undersampled already (R = {raw.acceleration:.2g})."
        )
    return raw.sampled_at(sampling.mask(*raw.matrix, is_3d=raw.placement.is_3d))


def is_one_block(raw: RawData) -> bool:
    """Whether the lines are sampled without a gap: fully, or partial Fourier."""
    for plane in range(raw.planes if raw.mask.ndim == 3 else 1):
        mask = raw.mask_of(plane)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        block = (int(rows[-1]) - int(rows[0]) + 1) * (int(columns[-1]) - int(columns[0]) + 1)
        if int(mask.sum()) != block:
            return False
    return True


def is_regular(raw: RawData) -> bool:
    """Whether the lines beside a full centre come at equal steps, as parallel imaging has it."""
    mask = raw.mask_of(0)
    across, down = np.asarray(mask.any(axis=1)), np.asarray(mask.any(axis=0))
    return _at_equal_steps(across) and _at_equal_steps(down)


def _at_equal_steps(sampled: NDArray[np.bool_]) -> bool:
    lines = np.flatnonzero(sampled)
    runs = np.split(lines, np.flatnonzero(np.diff(lines) > 1) + 1)
    centre = max(runs, key=len)
    outside = np.setdiff1d(lines, centre)
    if len(centre) < 2 or not len(outside):
        return len(runs) == 1 or len(np.unique(np.diff(lines))) == 1
    steps = np.diff(outside)
    step = int(steps[steps > 1].min()) if np.any(steps > 1) else 1
    return step > 1 and len(np.unique(outside % step)) == 1
