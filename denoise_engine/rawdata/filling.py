"""Samples put onto the grid: averages averaged, oversampling cut off, coils compressed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from denoise_engine.errors import RawDataError
from denoise_engine.rawdata.acquisitions import Acquisitions
from denoise_engine.rawdata.scan import Complex, Mask

LEAST_COILS = 4  # of fewer virtual ones nothing can be unfolded any more
LEAST_SIGNAL = 0.95  # what compression must keep
BYTES = 8  # of a complex64
COPIES = 2  # the samples, and what working on them takes beside


@dataclass(frozen=True)
class Grid:
    """The grid, and where on it each acquisition belongs (by its index)."""

    is_3d: bool
    readout: int  # samples of a readout, oversampling included
    columns: int  # without it
    rows: int
    partitions: int
    slices: int
    line: Mapping[int, int]
    partition: Mapping[int, int]
    slice: Mapping[int, int]
    centre_sample: Mapping[int, int]

    @property
    def planes_shape(self) -> tuple[int, int, int]:
        """Planes, rows and columns as they are reconstructed."""
        if self.is_3d:
            return self.columns, self.rows, self.partitions
        return self.slices, self.rows, self.columns


@dataclass(frozen=True)
class Filled:
    kspace: Complex
    mask: Mask
    noise: Complex | None
    averages: int
    warnings: list[str]


class Filling:
    """Takes readouts one by one; memory is given to what is kept alone."""

    def __init__(self, grid: Grid, channels: int, noise: Complex | None, memory_limit: int) -> None:
        self._grid = grid
        self.channels = channels
        self._noise = noise
        planes, rows, columns = grid.planes_shape
        per_coil = planes * rows * columns * BYTES * COPIES
        self.kept = min(channels, memory_limit // per_coil)
        if self.kept < min(channels, LEAST_COILS):
            raise RawDataError(
                f"The scan of {channels} coils needs {per_coil * channels / 1024**3:.1f} GB of "
                f"memory, and {per_coil * LEAST_COILS / 1024**3:.1f} GB compressed to "
                f"{LEAST_COILS}; {memory_limit / 1024**3:.1f} GB are allowed. Send fewer slices a "
                "file, or have the limit raised."
            )
        self._mixing: Complex | None = None
        self._warnings: list[str] = []
        self._block = np.zeros(
            (grid.slices, self.kept, grid.rows, grid.partitions, grid.columns), dtype=np.complex64
        )
        self._counts = np.zeros((grid.slices, grid.rows, grid.partitions), dtype=np.int32)
        self._short = False

    def compress(self, acquisitions: Acquisitions, imaging: NDArray[np.int64]) -> None:
        """Find how coils that memory does not allow are mixed into fewer.

        Their main components by the samples around the centre, in units of the noise where it was
        measured (Buehrer M, et al. Magn Reson Med 2007;57:1131-1139).
        """
        if self.kept == self.channels:
            return
        white = _whitening(self._noise) if self._noise is not None else np.eye(self.channels)
        middle = self._grid.rows // 2
        near = [int(k) for k in imaging if abs(self._grid.line[int(k)] - middle) <= 12]
        total = np.zeros((self.channels, self.channels), dtype=np.complex128)
        for _k, samples in acquisitions.samples(np.asarray(near or list(imaging))):
            mixed = white @ samples
            total += mixed @ mixed.conj().T
        values, vectors = np.linalg.eigh(total)
        values, vectors = values[::-1], vectors[:, ::-1]
        share = float(values[: self.kept].sum() / max(values.sum(), 1e-30))
        if share < LEAST_SIGNAL:
            raise RawDataError(
                f"The scan of {self.channels} coils is too large for the memory allowed; "
                f"compressed to the {self.kept} that fit, it would lose {100 * (1 - share):.0f} % "
                "of its signal. Send fewer slices a file, or have the limit raised."
            )
        self._mixing = (vectors[:, : self.kept].conj().T @ white).astype(np.complex64)
        self._warnings.append(
            f"{self.channels} coils were compressed to {self.kept}, as memory allows no more; they "
            f"keep {100 * share:.1f} % of the signal."
        )

    def mixed(self, samples: Complex) -> Complex:
        return samples if self._mixing is None else self._mixing @ samples

    def add(self, k: int, samples: Complex) -> None:
        """Take one readout (coils, samples)."""
        grid = self._grid
        place = (grid.slice[k], slice(None), grid.line[k], grid.partition[k])
        self._block[place] += self.line(self._readout(k, samples))
        self._counts[grid.slice[k], grid.line[k], grid.partition[k]] += 1

    def line(self, readout: Complex) -> Complex:
        """A whole readout as it is kept: its coils mixed, its oversampling cut off.

        The readout of a 3-D scan stays transformed: its positions are the planes.
        """
        grid, mixed = self._grid, self.mixed(readout)
        if not grid.is_3d and grid.columns == grid.readout:
            return mixed
        image = crop_readout(to_image(mixed), grid.columns)
        return image if grid.is_3d else from_image(image)

    def _readout(self, k: int, samples: Complex) -> Complex:
        """A readout at its place on the grid; one of an asymmetric echo starts late or ends early.

        Some files leave the centre of a whole readout at 0: it lies in the middle.
        """
        have, wanted = samples.shape[1], self._grid.readout
        if have == wanted:
            return samples
        start = wanted // 2 - self._grid.centre_sample[k]
        if start < 0 or start + have > wanted or (start > 0 and start + have < wanted):
            raise RawDataError(
                f"Acquisition {k + 1} has {have} samples about sample "
                f"{self._grid.centre_sample[k]}; they do not fit the matrix of {wanted} in the "
                "header."
            )
        self._short = True
        whole = np.zeros((len(samples), wanted), dtype=np.complex64)
        whole[:, start : start + have] = samples
        return whole

    def finished(self) -> Filled:
        grid = self._grid
        counts = self._counts
        seen = counts > 0
        averages = int(np.median(counts[seen])) if seen.any() else 1
        self._block /= np.maximum(counts, 1).astype(np.float32)[:, None, :, :, None]
        if self._short:
            self._warnings.append(
                "The echo is asymmetric: the missing part of each readout is left at zero."
            )
        if seen.any() and int(counts.max()) != int(counts[seen].min()):
            self._warnings.append(
                f"Lines were measured {int(counts[seen].min())} to {int(counts.max())} times; the "
                f"noise is taken for {averages}."
            )
        noise = self._noise
        if noise is not None:
            noise = (self.mixed(noise) / np.float32(np.sqrt(averages))).astype(np.complex64)
        if grid.is_3d:
            kspace = np.ascontiguousarray(self._block[0].transpose(3, 0, 1, 2))
            return Filled(kspace, seen[0], noise, averages, self._warnings)
        kspace = self._block[:, :, :, 0]
        lines = seen[:, :, 0]
        alike = bool((lines == lines[:1]).all())
        sampled = lines[0][:, None] if alike else lines[:, :, None]
        shape = (grid.rows, grid.columns) if alike else (grid.slices, grid.rows, grid.columns)
        mask = np.ascontiguousarray(np.broadcast_to(sampled, shape))
        return Filled(kspace, mask, noise, averages, self._warnings)


def to_image(samples: Complex) -> Complex:
    """Centred inverse Fourier transform of the last axis, which keeps the noise as it is."""
    moved = scipy.fft.ifft(scipy.fft.ifftshift(samples, axes=-1), axis=-1, norm="ortho")
    return np.asarray(scipy.fft.fftshift(moved, axes=-1), dtype=np.complex64)


def from_image(image: Complex) -> Complex:
    """The inverse of `to_image`."""
    moved = scipy.fft.fft(scipy.fft.ifftshift(image, axes=-1), axis=-1, norm="ortho")
    return np.asarray(scipy.fft.fftshift(moved, axes=-1), dtype=np.complex64)


def crop_readout(image: Complex, columns: int) -> Complex:
    """The middle of the last axis: what oversampling reached beyond it is cut off."""
    start = image.shape[-1] // 2 - columns // 2
    return image[..., start : start + columns]


def _whitening(noise: Complex) -> NDArray[np.complex128]:
    """The matrix after which the noise of all coils is alike and independent."""
    covariance = noise @ noise.conj().T / noise.shape[1]
    covariance = covariance.astype(np.complex128)
    ridge = 1e-6 * float(np.real(np.trace(covariance))) / len(covariance)
    factor = np.linalg.cholesky(covariance + ridge * np.eye(len(covariance)))
    return np.asarray(np.linalg.inv(factor))
