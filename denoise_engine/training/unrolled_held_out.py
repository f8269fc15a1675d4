"""The unrolled network on simulated scans of anatomy that training never sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from denoise_engine.metrics import psnr, ssim
from denoise_engine.reconstruction.unrolled import UnrolledNetwork
from denoise_engine.simulation.multicoil import ScanSettings, simulate_scan
from denoise_engine.simulation.sampling import uniform_mask
from denoise_engine.training.patches import normalise, rescale
from denoise_engine.training.sources import SOURCES, Source, read_slices
from denoise_engine.training.unrolled_data import ScanBatch, collate, finer, placed

Floats = NDArray[np.float32]

MATRIX = (144, 144)
# Name, reduction, lines of a full centre.
SAMPLINGS: dict[str, tuple[tuple[int, ...], int]] = {
    "4+24": ((4,), 24),
    "4": ((4,), 0),
    "2x2": ((2, 2), 0),
    "6+24": ((6,), 24),
    "6": ((6,), 0),
    "2x3": ((2, 3), 0),
}
BOUND = 5.0  # λ of plain SENSE beside the network
# Scans as of a good head array, neither at the easy nor at the hard end of training. Where there is
# a full centre the sensitivities are found from it, as in a reconstruction.
SETTINGS = ScanSettings(
    snr=(40.0, 40.0), coils=(12, 12), widths=(0.45, 0.65), map_error=0.01, estimated=1.0
)
_SEED = 77


@dataclass(frozen=True)
class HeldOutScans:
    """Simulated scans of one sampling."""

    sampling: str
    batch: ScanBatch


def held_out_scans(
    folder: Path, sources: Sequence[Source] = SOURCES, *, slices: int = 8
) -> list[HeldOutScans]:
    """Simulate the held-out scans: the same slices, coils and noise whatever the network."""
    images = _slices(folder, sources, slices)
    scans = []
    for name, (reduction, lines) in SAMPLINGS.items():
        mask = uniform_mask(MATRIX[: len(reduction)], reduction, calibration=lines)
        batch = [
            simulate_scan(
                image,
                mask,
                rng=np.random.default_rng((_SEED, k)),
                matrix=MATRIX,
                settings=SETTINGS,
            )
            for k, image in enumerate(images)
        ]
        scans.append(HeldOutScans(name, collate(batch, torch.from_numpy(mask))))
    return scans


def judge(network: UnrolledNetwork, scans: Sequence[HeldOutScans]) -> dict[str, float]:
    """Return PSNR and SSIM of the magnitude against the full scan: mean over slices."""
    figures: dict[str, float] = {}
    for scan in scans:
        with torch.no_grad():
            image = network(scan.batch.step)
        add_figures(figures, scan.sampling, image, scan.batch.target)
    return figures


def judge_sense(scans: Sequence[HeldOutScans], bound: float = BOUND) -> dict[str, float]:
    """Return the same figures for regularised SENSE toward z = 0."""
    figures: dict[str, float] = {}
    for scan in scans:
        image = scan.batch.step.solve(0.25 / bound**2)
        add_figures(figures, scan.sampling, image, scan.batch.target)
    return figures


def add_figures(figures: dict[str, float], name: str, image: Tensor, reference: Tensor) -> None:
    """Enter PSNR and SSIM of a batch, (slices, rows, columns), peak of each slice."""
    found, wanted = image.abs().numpy(), reference.abs().numpy()
    pairs = list(zip(found, wanted, strict=True))
    figures[f"psnr_{name}"] = round(float(np.mean([psnr(a, b) for a, b in pairs])), 3)
    figures[f"ssim_{name}"] = round(float(np.mean([ssim(a[None], b[None]) for a, b in pairs])), 4)


def _slices(folder: Path, sources: Sequence[Source], count: int) -> list[Floats]:
    found: list[Floats] = []
    for source in sources:
        if source.held_out == "none":
            continue
        of_source = [
            clean
            for image in read_slices(folder, source, held_out=True)
            if (clean := normalise(image)) is not None
        ]
        middles = np.linspace(0, len(of_source) - 1, count + 2)[1:-1].round().astype(int)
        found += [of_source[k] for k in middles[: count // 2]]
    rng = np.random.default_rng(_SEED)
    fine = finer(MATRIX)
    fitted = [rescale(image, min(0.95 * min(fine) / max(image.shape), 1.2)) for image in found]
    return [placed(image, fine, rng=rng) for image in fitted]
