"""Noise maps by pseudo-replicas, where no formula gives them.

Fresh noise is sent through the same reconstruction a few times. Its variance is smoothed over
neighbouring pixels, over which it hardly changes: a handful of replicas then suffices.

References
----------
Robson PM, et al. Comprehensive quantification of signal-to-noise ratio and g-factor for image-based
and k-space-based parallel imaging reconstructions. Magn Reson Med 2008;60:895-907.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

SMOOTHING = 2.0  # SD in pixels
_SEED = 5


def replica_noise(
    reconstruct: Callable[[Tensor], Tensor],
    samples: Tensor,
    sampled: Callable[[Tensor], Tensor],
    *,
    replicas: int,
    base: Tensor | None = None,
    smoothing: float = SMOOTHING,
) -> Tensor:
    """Return the noise SD (real or imaginary part) of a reconstruction of whitened data.

    Parameters
    ----------
    reconstruct : callable
        From samples (slices, coils, rows, columns) to images (slices, rows, columns).
    samples : Tensor
        The data; for a linear reconstruction only their shape counts.
    sampled : callable
        Sets samples that were not taken to zero.
    replicas : int
        How often.
    base : Tensor, optional
        The images of the data. With it, replicas are the data with more noise, and what changes is
        the noise: for reconstructions that are not linear. Without it, noise alone is sent through.
    smoothing : float
        SD of the Gaussian over which the variance is averaged, in pixels; 0: none.

    Returns
    -------
    Tensor
        (slices, rows, columns) float32. The seed is fixed: a repeated run gives the same map.
    """
    generator = torch.Generator().manual_seed(_SEED)
    total: Tensor | None = None
    for _ in range(replicas):
        parts = torch.randn((*samples.shape, 2), generator=generator, dtype=torch.float32)
        noise = sampled(torch.view_as_complex(parts))
        changed = reconstruct(noise) if base is None else reconstruct(samples + noise) - base
        energy = torch.view_as_real(changed).square().mean(dim=-1)
        total = energy if total is None else total + energy
    if total is None:
        raise ValueError("A noise map needs at least one replica.")
    variance = total / replicas
    return (_smoothed(variance, smoothing) if smoothing else variance).sqrt()


def _smoothed(images: Tensor, width: float) -> Tensor:
    reach = int(3 * width)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / width) ** 2)
    kernel = (kernel / kernel.sum()).to(images.dtype)
    planes = F.pad(images.unsqueeze(1), (reach,) * 4, mode="reflect")
    planes = F.conv2d(planes, kernel[None, None, :, None])
    return F.conv2d(planes, kernel[None, None, None, :]).squeeze(1)
