"""A simulated multi-coil scan with a known truth, for the tests of reconstruction."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from denoise_engine.reconstruction.operators import centred_kspace
from denoise_engine.simulation.coils import smooth_coils, smooth_phase

Complex = NDArray[np.complex64]


@dataclass(frozen=True)
class PhantomScan:
    """Fully sampled k-space (coils, rows, columns), its coils and its truth."""

    kspace: Complex
    coils: Tensor
    truth: Tensor
    noise_scan: Complex


def phantom_scan(
    rows: int = 64, columns: int = 48, *, coils: int = 8, sigma: float = 0.0, seed: int = 0
) -> PhantomScan:
    """Ellipses of several intensities seen by a ring of coils; white noise of SD sigma."""
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    image = 1.0 * (y**2 / 0.75 + x**2 / 0.6 < 1)
    for centre_y, centre_x, size, value in (
        (-0.3, 0.2, 0.2, 0.7),
        (0.2, -0.3, 0.25, -0.5),
        (0.35, 0.3, 0.1, 0.9),
    ):
        image += value * ((y - centre_y) ** 2 + (x - centre_x) ** 2 < size**2)
    truth = (image * smooth_phase(rows, columns, rng=rng)).astype(np.complex64)
    maps = smooth_coils(rows, columns, count=coils, rng=rng, widths=(0.4, 0.7))
    kspace = centred_kspace(torch.from_numpy(maps * truth)).numpy()

    def noise(shape: tuple[int, ...]) -> Complex:
        parts = rng.standard_normal((*shape, 2))
        return np.asarray(sigma * (parts[..., 0] + 1j * parts[..., 1]), dtype=np.complex64)

    noise_scan = noise((coils, 4096)) if sigma else np.zeros((coils, 1), np.complex64)
    return PhantomScan(
        kspace=np.asarray(kspace + noise(kspace.shape), dtype=np.complex64),
        coils=torch.from_numpy(maps),
        truth=torch.from_numpy(truth),
        noise_scan=noise_scan,
    )
