"""Multi-coil scans simulated from a magnitude image, as a whitened reconstruction sees them.

Sensitivities are drawn (a ring of coils) or measured (the calibration centre of a real scan), noise
is correlated between the channels by a drawn or measured covariance and whitened again. The object
may be finer than the matrix: what k-space does not reach is cut off, phase and all, and rings at
edges as in a scan. The sensitivities that the reconstruction is given are estimated from the
noisy centre of the scan itself, or differ a little from those that made the data.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from denoise_engine.reconstruction.calibration import understand
from denoise_engine.reconstruction.operators import (
    CartesianEncoding,
    centred_images,
    centred_kspace,
)
from denoise_engine.reconstruction.sensitivities import espirit
from denoise_engine.simulation.coils import smooth_coils, smooth_field, smooth_phase
from denoise_engine.simulation.sampling import centre

Complex = NDArray[np.complex64]


@dataclass(frozen=True, eq=False)
class MeasuredArray:
    """What a real scan tells of its receive array.

    Attributes
    ----------
    calibration : ndarray of complex64
        (coils, n, n), the fully sampled centre of its k-space.
    covariance : ndarray of complex64
        (coils, coils), of the noise of the channels.
    """

    calibration: Complex
    covariance: Complex


@dataclass(frozen=True)
class SimulatedScan:
    """One slice of whitened data (noise SD 1 in real and imaginary part of a sample).

    Attributes
    ----------
    truth : Tensor
        (rows, columns) complex64, free of noise.
    full_scan : Tensor
        (rows, columns) complex64: what the full scan, its noise included, gives with ``coils``.
    coils : Tensor
        (coils, rows, columns) complex64, those that a reconstruction is given.
    samples : Tensor
        (coils, rows, columns) complex64 in the order of ``CartesianEncoding``.
    """

    truth: Tensor
    full_scan: Tensor
    coils: Tensor
    samples: Tensor


@dataclass(frozen=True)
class ScanSettings:
    """How scans are drawn: ranges of what varies from scan to scan.

    Attributes
    ----------
    snr : tuple of float
        Body mean over the noise of a full scan, drawn evenly in its logarithm.
    coils : tuple of int
        Fewest and most coils.
    widths : tuple of float
        Narrowest and widest fall-off of a drawn coil, in halves of the field of view.
    map_error : float
        Largest SD of the relative error of the sensitivities.
    measured : float
        Share of scans with a measured array, if there is one.
    estimated : float
        Of the scans with a full centre, the share whose sensitivities are found from it, by ESPIRiT
        as in a reconstruction; the others', true but for ``map_error``, cost less time.
    """

    snr: tuple[float, float] = (12.0, 90.0)
    coils: tuple[int, int] = (6, 16)
    widths: tuple[float, float] = (0.35, 0.85)
    map_error: float = 0.03
    measured: float = 0.4
    estimated: float = 0.0


def simulate_scan(
    magnitude: NDArray[np.float32],
    mask: NDArray[np.bool_],
    *,
    rng: np.random.Generator,
    matrix: tuple[int, int] | None = None,
    settings: ScanSettings | None = None,
    arrays: Sequence[MeasuredArray] = (),
) -> SimulatedScan:
    """Simulate an undersampled multi-coil scan of one slice.

    Parameters
    ----------
    magnitude : ndarray of float32
        The object, body mean 1; as fine as ``matrix`` or finer.
    mask : ndarray of bool
        (rows,) or (rows, columns), what is sampled.
    rng : numpy.random.Generator
        Draws everything that ``settings`` leaves open.
    matrix : tuple of int, optional
        Rows and columns of the scan; those of the object by default.
    settings : ScanSettings, optional
        What is drawn from which range.
    arrays : sequence of MeasuredArray
        Real arrays to take sensitivities and noise covariance from.
    """
    settings = settings or ScanSettings()
    rows, columns = matrix or magnitude.shape
    seen = _band_limited(magnitude * _drawn_phase(magnitude, rng), (rows, columns))
    magnitude = np.abs(seen)
    if arrays and rng.random() < settings.measured:
        array = arrays[int(rng.integers(len(arrays)))]
        physical = measured_coils(array, rows, columns, rng=rng)
        covariance = array.covariance
    else:
        count = int(rng.integers(settings.coils[0], settings.coils[1] + 1))
        physical = smooth_coils(rows, columns, count=count, rng=rng, widths=settings.widths)
        covariance = drawn_covariance(count, rng=rng)
    coils, strength = _whitened(physical, covariance)
    shading = np.exp(0.25 * smooth_field(rows, columns, length=max(rows, columns) / 4, rng=rng))
    low, high = np.log(settings.snr)
    level = np.exp(rng.uniform(low, high)) / strength[magnitude > 0.3].mean()
    truth = (level * seen * strength * shading).astype(np.complex64)

    full = CartesianEncoding(torch.from_numpy(coils))
    encoding = CartesianEncoding(torch.from_numpy(coils), torch.from_numpy(mask))
    clean = full.sensitivities.forward(torch.from_numpy(truth))
    noise = rng.standard_normal((*clean.shape, 2), dtype=np.float32)
    images = clean + torch.view_as_complex(torch.from_numpy(noise))
    maps = None
    if settings.estimated and rng.random() < settings.estimated:
        maps = _estimated(images, mask)
    if maps is None:
        given = _with_errors(coils, settings.map_error * rng.random(), rng)
        if rng.random() < 0.6:
            # Estimated sensitivities are 0 where there is no signal to estimate them from.
            given = given * (ndimage.gaussian_filter(magnitude, 2) > 0.08)
        maps = torch.from_numpy(given)
    truth = truth * (maps != 0).any(dim=0).numpy()
    return SimulatedScan(
        truth=torch.from_numpy(truth),
        full_scan=CartesianEncoding(maps).sensitivities.adjoint(images),
        coils=maps,
        samples=encoding.sampled(encoding.fourier.forward(images)),
    )


def _estimated(images: Tensor, mask: NDArray[np.bool_]) -> Tensor | None:
    """What ESPIRiT finds in the full centre of a scan, or None where it has none.

    ``images`` are those of the whitened coils, (coils, rows, columns).
    """
    matrix = (images.shape[-2], images.shape[-1])
    block = understand(torch.from_numpy(mask), matrix).calibration
    if block is None:
        return None
    maps = espirit(centred_kspace(images)[None, :, block[0], block[1]], matrix)[0]
    return maps if bool(maps.any()) else None


def drawn_covariance(count: int, *, rng: np.random.Generator) -> Complex:
    """Return a noise covariance as arrays have them: unequal channels, neighbours correlated."""
    mixing = rng.uniform(0, 0.25) * (
        rng.standard_normal((count, count)) + 1j * rng.standard_normal((count, count))
    )
    mixing = np.eye(count) + mixing / np.sqrt(count)
    gain = np.diag(np.exp(rng.uniform(-0.3, 0.3, count)))
    return np.asarray(gain @ mixing @ mixing.conj().T @ gain, dtype=np.complex64)


def measured_coils(
    array: MeasuredArray, rows: int, columns: int, *, rng: np.random.Generator
) -> Complex:
    """Return the sensitivities of a real array on another matrix, turned and mirrored at random.

    The low-resolution images of the calibration centre, each divided by their root sum of squares;
    where they show nothing, the sensitivities of the surroundings.
    """
    maps = _maps_of(array, rows, columns)
    if rng.random() < 0.5:
        maps = maps[:, ::-1]
    if rng.random() < 0.5:
        maps = maps[:, :, ::-1]
    if rng.random() < 0.5 and rows == columns:
        maps = maps.swapaxes(1, 2)
    return np.ascontiguousarray(maps, dtype=np.complex64)


@lru_cache(maxsize=16)
def _maps_of(array: MeasuredArray, rows: int, columns: int) -> Complex:
    coils, n, _ = array.calibration.shape
    window = np.hanning(n + 2)[1:-1]
    padded = np.zeros((coils, rows, columns), dtype=np.complex64)
    padded[(slice(None), *centre((rows, columns), n))] = array.calibration * np.outer(
        window, window
    )
    images = centred_images(torch.from_numpy(padded)).numpy()
    weight = np.sqrt((np.abs(images) ** 2).sum(axis=0))
    trust = np.minimum(weight / (0.1 * weight.max()), 1) ** 4 + 1e-3
    spread = max(rows, columns) / 12

    def smoothed(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(ndimage.gaussian_filter(values, spread, mode="nearest"))

    reference = np.exp(-1j * np.angle(images[int(np.argmax((np.abs(images) ** 2).sum((1, 2))))]))
    maps = images / np.maximum(weight, 1e-12) * reference
    norm = smoothed(trust.astype(np.float32))
    for k in range(coils):
        far = smoothed((maps[k].real * trust).astype(np.float32)) + 1j * smoothed(
            (maps[k].imag * trust).astype(np.float32)
        )
        inside = np.minimum(weight / (0.1 * weight.max()), 1) ** 2
        maps[k] = inside * maps[k] + (1 - inside) * far / norm
    maps /= np.maximum(np.sqrt((np.abs(maps) ** 2).sum(axis=0)), 1e-6)
    return np.asarray(maps, dtype=np.complex64)


def _band_limited(image: Complex, matrix: tuple[int, int]) -> Complex:
    """The image of the middle of k-space, at its own intensity."""
    if image.shape == matrix:
        return image
    kspace = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image)))
    kept = tuple(
        slice(n // 2 - m // 2, n // 2 - m // 2 + m)
        for n, m in zip(image.shape, matrix, strict=True)
    )
    cut = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace[kept])))
    scale = matrix[0] * matrix[1] / image.size
    return np.asarray(cut * scale, dtype=np.complex64)


def _drawn_phase(magnitude: NDArray[np.float32], rng: np.random.Generator) -> Complex:
    """A phase as gradient echoes have it, from smooth to sharp.

    Any phase at the middle, up to a cycle and a half across the field; detail of any size; and what
    goes with the tissue, such as fat that runs ahead of water: a jump at its edge.
    """
    rows, columns = magnitude.shape
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    ramp = rng.uniform(-np.pi, np.pi) + rng.uniform(-5, 5) * y + rng.uniform(-5, 5) * x
    length = np.exp(rng.uniform(np.log(1.5), np.log(12)))
    detail = rng.uniform(0, 0.7) * smooth_field(rows, columns, length=length, rng=rng)
    level, width = rng.uniform(0.2, 2.0), rng.uniform(0.05, 0.4)
    tissue = rng.uniform(-np.pi, np.pi) / (1 + np.exp(-(magnitude - level) / width))
    where = smooth_field(rows, columns, length=max(rows, columns) / 5, rng=rng) > 0
    jump = tissue * where if rng.random() < 0.5 else 0.4 * tissue
    phase = smooth_phase(rows, columns, rng=rng) * np.exp(1j * (ramp + detail + jump))
    return np.asarray(phase, dtype=np.complex64)


def _whitened(coils: Complex, covariance: Complex) -> tuple[Complex, NDArray[np.float32]]:
    """Sensitivities for whitened channels, of unit sum of squares, and what was divided out."""
    inverse = np.linalg.inv(np.linalg.cholesky(covariance)).astype(np.complex64)
    whitened = np.tensordot(inverse, coils, axes=1)
    strength = np.sqrt((np.abs(whitened) ** 2).sum(axis=0))
    return (whitened / strength).astype(np.complex64), (strength / strength.mean()).astype(
        np.float32
    )


def _with_errors(coils: Complex, size: float, rng: np.random.Generator) -> Complex:
    count, rows, columns = coils.shape
    length = max(rows, columns) / 16
    errors = np.empty_like(coils)
    for k in range(count):
        errors[k] = smooth_field(rows, columns, length=length, rng=rng) + 1j * smooth_field(
            rows, columns, length=length, rng=rng
        )
    loudest = np.abs(coils).max(axis=0, keepdims=True)
    return np.asarray(coils + size * errors * 0.5 * loudest, dtype=np.complex64)
