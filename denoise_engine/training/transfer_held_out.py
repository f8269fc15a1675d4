"""The learning curve of the transfer networks: the middle of the validation head."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from denoise_engine.metrics import psnr, ssim
from denoise_engine.transfer.forward import LOW_FIELD, THICK, THREE_TESLA, Degradation, degrade
from denoise_engine.transfer.grids import interpolate
from denoise_engine.transfer.heads import Head, typical_intensity
from denoise_engine.transfer.networks import TransferNetwork

Floats = NDArray[np.float32]

_SEED = 77
_SHAPE = (64, 128, 128)


@dataclass(frozen=True)
class HeldOutScan:
    """A degraded block of a head, intensities about 1.

    ``signal`` is where there is no air; ``brain`` where errors are calibrated, ``signal`` itself
    where nobody said where the brain is (``is_brain_known``).
    """

    name: str
    factor: int
    thick: Floats
    cubic: Floats
    target: Floats
    signal: NDArray[np.bool_]
    brain: NDArray[np.bool_]
    is_brain_known: bool


def held_out_scans(
    head: Head, factors: Sequence[int] = (4, 8), brain: NDArray[np.bool_] | None = None
) -> list[HeldOutScan]:
    """Degrade the middle of a head, the same for every network: thick slices, and low field.

    At a factor of 1 it is the scan at 3 T of what is taken for 7 T. The settings are those on which
    models are judged (:data:`THICK`, :data:`LOW_FIELD`, :data:`THREE_TESLA`), the noise is seeded.

    Parameters
    ----------
    head : Head
        Of the validation part; at most its middle 64 × 128 × 128 voxels are used.
    factors : sequence of int
        Of the network; each has the scans that the settings hold for it.
    brain : ndarray of bool, optional
        Of the shape of the head's volume; the same block of it goes with each scan.

    Returns
    -------
    list of HeldOutScan
        Thick slices (64 / factor, 128, 128), interpolation and target (64, 128, 128) float32,
        intensities about 1: divided by the head's :func:`typical_intensity`.

    Raises
    ------
    UnusableVolumeError
        The head holds no signal.
    SimulationError
        The slices of the block are no multiple of a factor, or the head is not T1-weighted.
    """
    corner = [
        max(0, (n - wanted) // 2) for n, wanted in zip(head.volume.shape, _SHAPE, strict=True)
    ]
    middle = tuple(slice(c, c + wanted) for c, wanted in zip(corner, _SHAPE, strict=True))
    block = head.volume[middle]
    inside = None if brain is None else brain[middle]
    scans = []
    for word, settings in (("thick", THICK), ("low", LOW_FIELD), ("field", THREE_TESLA)):
        for factor in (f for f in factors if f in settings):
            scans.append(_scan(f"{word}_{factor}", block, settings[factor], head, inside))
    return scans


def _scan(
    name: str, block: Floats, how: Degradation, head: Head, inside: NDArray[np.bool_] | None
) -> HeldOutScan:
    scale = np.float32(1 / typical_intensity(head.volume))
    thick = degrade(block, how, head.tissues, np.random.default_rng(_SEED)) * scale
    target = block * scale
    signal = target > 0.3
    return HeldOutScan(
        name,
        how.factor,
        thick,
        interpolate(thick, how.factor),
        target,
        signal,
        signal if inside is None else inside,
        inside is not None,
    )


def judge(network: TransferNetwork, scans: Sequence[HeldOutScan]) -> dict[str, float]:
    """Return PSNR and SSIM where there is no air, of each scan."""
    figures: dict[str, float] = {}
    for scan in scans:
        with torch.no_grad():
            correction, _ = network(torch.from_numpy(scan.thick)[None, None], scan.factor)
        add_figures(figures, scan, scan.cubic + correction[0, 0].numpy())
    return figures


def judge_cubic(scans: Sequence[HeldOutScan]) -> dict[str, float]:
    """Return the same figures of cubic interpolation."""
    figures: dict[str, float] = {}
    for scan in scans:
        add_figures(figures, scan, scan.cubic)
    return figures


def add_figures(figures: dict[str, float], scan: HeldOutScan, image: Floats) -> None:
    """Enter PSNR (peak: the target's) and SSIM under the scan's name."""
    figures[f"psnr_{scan.name}"] = round(psnr(image, scan.target, scan.signal), 3)
    figures[f"ssim_{scan.name}"] = round(ssim(image, scan.target, scan.signal), 4)
