"""Coil sensitivities from the calibration centre of k-space: ESPIRiT, and Walsh's as a fast choice.

Both return sensitivities of unit sum of squares where there is signal, and 0 elsewhere.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from denoise_engine.reconstruction.operators import centred_images

KERNEL = 6
# Singular values of the calibration matrix below this share of the largest count as noise.
_NULL_SPACE = 0.02
# Eigenvalues below this: no signal. The same as in the authors' software.
_CROP = 0.8
_POWER_STEPS = 30
_WALSH_WINDOW = 7
_WALSH_CROP = 0.05


def espirit(
    calibration: Tensor,
    matrix: tuple[int, int],
    *,
    kernel: int = KERNEL,
    crop: float = _CROP,
) -> Tensor:
    """Estimate sensitivities by ESPIRiT, one set of maps.

    Every patch of the calibration region lies in the row space of the calibration matrix. Taken to
    the image, that condition is, in each pixel, an eigenvalue of 1 whose vector is the sensitivity.

    Parameters
    ----------
    calibration : Tensor
        (slices, coils, rows, columns) complex64, the fully sampled centre.
    matrix : tuple of int
        Rows and columns of the maps.
    kernel : int
        Size of a patch.
    crop : float
        Eigenvalue below which a pixel counts as empty.

    Returns
    -------
    Tensor
        (slices, coils, rows, columns) complex64, image origin at n // 2.

    References
    ----------
    Uecker M, et al. ESPIRiT: an eigenvalue approach to autocalibrating parallel MRI. Magn Reson
    Med 2014;71:990-1001.
    """
    return torch.stack([_espirit(one, matrix, kernel, crop) for one in calibration])


def walsh(calibration: Tensor, matrix: tuple[int, int]) -> Tensor:
    """Estimate sensitivities as the local principal component of low-resolution coil images.

    Parameters
    ----------
    calibration, matrix
        As for ``espirit``.

    Returns
    -------
    Tensor
        (slices, coils, rows, columns) complex64.

    References
    ----------
    Walsh DO, et al. Adaptive reconstruction of phased array MR imagery. Magn Reson Med
    2000;43:682-690.
    """
    images = low_resolution_images(calibration, matrix)
    coils = images.shape[1]
    products = images[:, :, None] * images[:, None].conj()
    planes = torch.view_as_real(products).movedim(-1, 1).flatten(1, 3)
    margin = _WALSH_WINDOW // 2
    padded = F.pad(planes, (margin,) * 4, mode="replicate")
    local = F.avg_pool2d(padded, _WALSH_WINDOW, stride=1).unflatten(1, (2, coils, coils))
    covariance = torch.complex(local[:, 0], local[:, 1]).movedim((1, 2), (-2, -1))
    vectors, _ = _principal(covariance, images.movedim(1, -1))
    strength = images.abs().square().sum(dim=1, keepdim=True).sqrt()
    limit = _WALSH_CROP * strength.amax(dim=(-2, -1), keepdim=True)
    return _with_reference_phase(vectors.movedim(-1, 1), calibration) * (strength > limit)


def low_resolution_images(calibration: Tensor, matrix: tuple[int, int]) -> Tensor:
    """Return the coil images of the calibration centre, Hann-windowed, on the full matrix."""
    rows, columns = calibration.shape[-2:]
    window = torch.outer(
        torch.hann_window(rows + 2, periodic=False)[1:-1],
        torch.hann_window(columns + 2, periodic=False)[1:-1],
    )
    return centred_images(_zero_filled(calibration * window, matrix))


def _espirit(calibration: Tensor, matrix: tuple[int, int], kernel: int, crop: float) -> Tensor:
    coils = calibration.shape[0]
    patches = calibration.unfold(1, kernel, 1).unfold(2, kernel, 1)  # coils, y, x, ky, kx
    rows = patches.permute(1, 2, 0, 3, 4).reshape(-1, coils * kernel**2).to(torch.complex128)
    values, vectors = torch.linalg.eigh(rows.mH @ rows)
    signal = vectors[:, values > _NULL_SPACE**2 * values[-1]]
    projection = (signal @ signal.mH).conj().to(torch.complex64)
    blocks = projection.reshape(coils, kernel, kernel, coils, kernel, kernel)
    correlation = _summed_over_distance(blocks, kernel)
    covariance = _to_images(correlation, matrix) / kernel**2
    start = low_resolution_images(calibration[None], matrix)[0].movedim(0, -1)
    vectors_here, eigenvalue = _principal(covariance, start)
    maps = _with_reference_phase(vectors_here.movedim(-1, 0)[None], calibration[None])[0]
    return maps * (eigenvalue > crop)


def _summed_over_distance(blocks: Tensor, kernel: int) -> Tensor:
    """Sum (coil, y, x, coil′, y′, x′) over pairs of one distance: (coil, coil′, 2k−1, 2k−1)."""
    coils = blocks.shape[0]
    size = 2 * kernel - 1
    total = blocks.new_zeros((coils, coils, size, size))
    for y in range(kernel):
        for x in range(kernel):
            # Distances of this patch position to all others, as one window of the result.
            top, left = kernel - 1 - y, kernel - 1 - x
            total[:, :, top : top + kernel, left : left + kernel] += blocks[:, y, x]
    return total


def _to_images(correlation: Tensor, matrix: tuple[int, int]) -> Tensor:
    """Fourier transform short correlations onto the full matrix: (rows, columns, coils, coils)."""
    size = correlation.shape[-1]
    distance = torch.arange(size) - size // 2
    down, across = (
        torch.exp(
            -2j * math.pi * torch.outer((torch.arange(n) - n // 2).double(), distance.double()) / n
        ).to(torch.complex64)
        for n in matrix
    )
    return torch.einsum("ya,ijab,xb->yxij", down, correlation, across)


def _principal(covariance: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Largest eigenvalue and its vector in each pixel, by power iteration.

    (…, coils, coils) and (…, coils) → vectors (…, coils), values (…).
    """
    tiny = torch.finfo(torch.float32).tiny
    vector = start + 1e-6 * start.abs().amax()
    value = vector.abs().sum(dim=-1)
    for _ in range(_POWER_STEPS):
        vector = vector / torch.linalg.vector_norm(vector, dim=-1, keepdim=True).clamp_min(tiny)
        vector = (covariance @ vector.unsqueeze(-1)).squeeze(-1)
        value = torch.linalg.vector_norm(vector, dim=-1)
    return vector / value.unsqueeze(-1).clamp_min(tiny), value


def _with_reference_phase(maps: Tensor, calibration: Tensor) -> Tensor:
    """Turn each pixel so that the scan's strongest combination of coils has phase 0 there."""
    data = calibration.flatten(2)
    _, vectors = torch.linalg.eigh(data @ data.mH)
    reference = (vectors[:, :, -1].conj()[:, :, None, None] * maps).sum(dim=1, keepdim=True)
    return maps * torch.exp(-1j * reference.angle())


def _zero_filled(calibration: Tensor, matrix: tuple[int, int]) -> Tensor:
    filled = calibration.new_zeros((*calibration.shape[:-2], *matrix))
    where = [
        slice(n // 2 - m // 2, n // 2 - m // 2 + m)
        for n, m in zip(matrix, calibration.shape[-2:], strict=True)
    ]
    filled[..., where[0], where[1]] = calibration
    return filled
