"""How well a network does on the images that its training never saw."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from denoise_engine.ddlr.network import DDLR
from denoise_engine.metrics import body_mask, psnr
from denoise_engine.training.patches import normalise
from denoise_engine.training.sources import SOURCES, Source, read_slices

Floats = NDArray[np.float32]
LEVELS = (5.0, 10.0, 20.0)
SLICES = 10


@dataclass(frozen=True)
class HeldOutFigure:
    """Mean PSNR (dB, inside the body, peak: the slice's maximum) over the slices of one series.

    ``start`` is the untrained network, plain sliding-DCT shrinkage: what training has to beat.
    """

    anatomy: str
    path: str
    slices: int
    snr: float
    noisy: float
    start: float
    trained: float


def held_out_figures(
    network: DDLR, folder: Path, sources: Iterable[Source] = SOURCES
) -> list[HeldOutFigure]:
    """Denoise held-out slices with white Gaussian noise of known level.

    Parameters
    ----------
    network : DDLR
        Float32, on the CPU.
    folder : Path
        The data folder.
    sources : iterable of Source
        Those with a held-out part are used.
    """
    untrained = DDLR().eval()
    figures = []
    for source in (s for s in sources if s.held_out != "none"):
        clean = [normalise(image) for image in read_slices(folder, source, held_out=True)]
        known = [image for image in clean if image is not None]
        chosen = known[:: max(1, len(known) // SLICES)][:SLICES]
        for snr in LEVELS:
            rows = [_judge(image, snr, k, untrained, network) for k, image in enumerate(chosen)]
            noisy, start, trained = (float(v) for v in np.mean(rows, axis=0))
            figures.append(
                HeldOutFigure(source.anatomy, source.path, len(chosen), snr, noisy, start, trained)
            )
    return figures


def curve_judge(
    folder: Path, sources: Iterable[Source] = SOURCES, *, slices: int = 3
) -> Callable[[DDLR], dict[str, float]]:
    """Return a quick judge for the learning curve: mean PSNR at each level, and over all.

    A few held-out slices a source, white Gaussian noise of known level, float32.
    """
    chosen: list[Floats] = []
    for source in (s for s in sources if s.held_out != "none"):
        known = [normalise(image) for image in read_slices(folder, source, held_out=True)]
        usable = [image for image in known if image is not None]
        chosen += usable[len(usable) // (2 * slices) :: max(1, len(usable) // slices)][:slices]

    def judge(network: DDLR) -> dict[str, float]:
        figures = {
            f"snr_{snr:g}": float(
                np.mean([_psnr_of(network, c, snr, k) for k, c in enumerate(chosen)])
            )
            for snr in LEVELS
        }
        return figures | {"mean": float(np.mean(list(figures.values())))}

    return judge


def _psnr_of(network: DDLR, image: Floats, snr: float, seed: int) -> float:
    inside = body_mask(image[None])[0]
    rng = np.random.default_rng((seed, round(snr)))
    noisy = (image + rng.standard_normal(image.shape) / snr).astype(np.float32)
    with torch.inference_mode():
        out = network(torch.from_numpy(noisy)[None, None], torch.full((1, 1, 1, 1), 1 / snr))
    return psnr(out[0, 0].numpy(), image, inside)


def _judge(
    image: Floats, snr: float, seed: int, untrained: DDLR, trained: DDLR
) -> tuple[float, float, float]:
    inside = body_mask(image[None])[0]
    rng = np.random.default_rng((seed, round(snr)))
    noisy = (image + rng.standard_normal(image.shape) / snr).astype(np.float32)
    outputs = [noisy]
    for network in (untrained, trained):
        with torch.inference_mode():
            out = network(torch.from_numpy(noisy)[None, None], torch.full((1, 1, 1, 1), 1 / snr))
        outputs.append(out[0, 0].numpy())
    first, second, third = (psnr(out, image, inside) for out in outputs)
    return first, second, third
