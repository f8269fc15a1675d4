"""Training examples of the unrolled network: simulated multi-coil scans of brain and knee."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from denoise_engine.reconstruction.alias_groups import AliasGroups, columns_of, find_lattice
from denoise_engine.reconstruction.operators import CartesianEncoding
from denoise_engine.simulation.multicoil import (
    MeasuredArray,
    ScanSettings,
    SimulatedScan,
    simulate_scan,
)
from denoise_engine.simulation.sampling import centre, uniform_mask
from denoise_engine.training.patches import CleanSlice, rescale

Floats = NDArray[np.float32]

MEASURED_ARRAYS = ("kspace/brain-cs-8ch-undersampled.npz",)
# The real slice on which the network is judged. No sample, sensitivity or noise of it is used.
NEVER_USED = "kspace/brain-gre-3t-16ch.npz"

_CALIBRATION = 24
# Divisible by every reduction below, and by what the U-nets halve.
MATRICES = ((96, 96), (96, 144), (144, 96), (144, 144))
MATRIX_SHARES = (0.5, 0.25, 0.2, 0.05)
# How much finer than the matrix the object is.
FINER = 1.5
# Phase encodings along the rows, and along both directions; 4 and 6 are what the network is for.
REDUCTIONS: tuple[tuple[tuple[int, ...], float], ...] = (
    ((2,), 0.05),
    ((3,), 0.10),
    ((4,), 0.40),
    ((6,), 0.15),
    ((2, 2), 0.15),
    ((2, 3), 0.10),
    ((3, 2), 0.05),
)
# Of the scans with lines left out along one direction, this share has a full centre besides.
CENTRE_SHARE = 0.7
CENTRE_LINES = (16, 32)
SETTINGS = ScanSettings(estimated=0.3)


@dataclass(frozen=True)
class ScanBatch:
    """Scans of one matrix and one sampling.

    Attributes
    ----------
    target : Tensor
        (batch, rows, columns) complex64: what the full scan gives, its noise included. Noise that
        was measured stays; removing it is the denoiser's part, with a strength that one can set.
    step : AliasGroups
        Their data.
    """

    target: Tensor
    step: AliasGroups


class ScanSampler:
    """Draws batches of scans; the batch of a step depends on the seed and the step alone.

    Parameters
    ----------
    pool : sequence of CleanSlice
        Magnitude slices, body mean 1.
    arrays : sequence of MeasuredArray
        Real arrays for part of the scans.
    seed : int
        Decides everything that is drawn.
    batch : int
        Scans a step.
    """

    def __init__(
        self,
        pool: Sequence[CleanSlice],
        arrays: Sequence[MeasuredArray],
        *,
        seed: int,
        batch: int,
    ) -> None:
        self._pool, self._arrays = pool, arrays
        self._seed, self._batch = seed, batch

    def batch(self, step: int) -> ScanBatch:
        """Return the batch of one training step."""
        rng = np.random.default_rng((self._seed, step))
        matrix = MATRICES[int(rng.choice(len(MATRICES), p=MATRIX_SHARES))]
        shares = np.array([share for _, share in REDUCTIONS])
        reduction = REDUCTIONS[int(rng.choice(len(REDUCTIONS), p=shares / shares.sum()))][0]
        with_centre = len(reduction) == 1 and rng.random() < CENTRE_SHARE
        mask = uniform_mask(
            matrix[: len(reduction)],
            reduction,
            calibration=int(rng.integers(CENTRE_LINES[0], CENTRE_LINES[1] + 1)) * with_centre,
            offset=int(rng.integers(max(reduction))),
        )
        scans = [
            simulate_scan(
                self._slice(matrix, rng),
                mask,
                rng=rng,
                matrix=matrix,
                settings=SETTINGS,
                arrays=self._arrays,
            )
            for _ in range(self._batch)
        ]
        return collate(scans, torch.from_numpy(mask))

    def _slice(self, matrix: tuple[int, int], rng: np.random.Generator) -> Floats:
        image = self._pool[int(rng.integers(len(self._pool)))].image
        image = np.rot90(image, int(rng.integers(4)))
        if rng.random() < 0.5:
            image = image[:, ::-1]
        fine = finer(matrix)
        wanted = rng.uniform(0.75, 1.3) * max(fine) / max(image.shape)
        return placed(rescale(np.ascontiguousarray(image), min(wanted, 1.2)), fine, rng=rng)


def finer(matrix: tuple[int, int]) -> tuple[int, int]:
    """Return the matrix of the object that is scanned with ``matrix``."""
    return round(FINER * matrix[0]), round(FINER * matrix[1])


def collate(scans: Sequence[SimulatedScan], mask: Tensor) -> ScanBatch:
    """Put scans of one matrix and one sampling, uniform or of lines, together."""
    matrix = (scans[0].truth.shape[0], scans[0].truth.shape[1])
    lattice = find_lattice(mask, matrix)
    if lattice is None and mask.ndim == 1:
        lattice = columns_of(mask, matrix)
    if lattice is None:
        raise ValueError("Along two directions the sampling of a training batch must be uniform.")
    # Scans differ in their number of coils: a coil that sees nothing changes nothing.
    most = max(len(scan.coils) for scan in scans)
    coils = torch.stack([_with_blind_coils(scan.coils, most) for scan in scans])
    samples = torch.stack([_with_blind_coils(scan.samples, most) for scan in scans])
    projection = CartesianEncoding(coils, mask).adjoint(samples)
    target = torch.stack([scan.full_scan for scan in scans])
    return ScanBatch(target, AliasGroups(coils, projection, lattice))


def placed(image: Floats, matrix: tuple[int, int], *, rng: np.random.Generator) -> Floats:
    """Cut a slice to a matrix at a random place, or put it somewhere into it, in air."""
    for axis, wanted in enumerate(matrix):
        size = image.shape[axis]
        if size > wanted:
            start = int(rng.integers(size - wanted + 1))
            image = np.take(image, range(start, start + wanted), axis=axis)
        elif size < wanted:
            before = int(rng.integers(wanted - size + 1))
            margins = [(0, 0), (0, 0)]
            margins[axis] = (before, wanted - size - before)
            image = np.pad(image, margins)
    return image


def read_arrays(folder: Path) -> list[MeasuredArray]:
    """Read sensitivities' calibration and noise covariance of the real scans of training.

    The covariance is that of the outermost samples, where noise is all there is.
    """
    return [_read_array(folder / path) for path in MEASURED_ARRAYS]


def _read_array(path: Path) -> MeasuredArray:
    with np.load(path) as stored:
        kspace, mask = stored["kspace"], stored["mask"]
    rows, columns = mask.shape
    y, x = np.meshgrid(
        (np.arange(rows) - rows // 2) / (rows / 2),
        (np.arange(columns) - columns // 2) / (columns / 2),
        indexing="ij",
    )
    outermost = kspace[:, mask & (np.hypot(y, x) > 0.85)]
    covariance = outermost @ outermost.conj().T / outermost.shape[1]
    calibration = kspace[(slice(None), *centre((rows, columns), _CALIBRATION))]
    scale = np.sqrt(np.trace(covariance).real / len(covariance))
    return MeasuredArray(
        calibration=np.asarray(calibration, dtype=np.complex64),
        covariance=np.asarray(covariance / scale**2, dtype=np.complex64),
    )


def _with_blind_coils(values: Tensor, count: int) -> Tensor:
    missing = count - len(values)
    return (
        torch.cat([values, values.new_zeros((missing, *values.shape[1:]))]) if missing else values
    )
