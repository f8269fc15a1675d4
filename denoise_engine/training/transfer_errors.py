"""Fitting the model of errors beside a trained network: on the training heads, the image frozen."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from denoise_engine.training.transfer_data import ranges_for
from denoise_engine.transfer.error_model import REACH, ErrorModel, measured_around
from denoise_engine.transfer.forward import degrade
from denoise_engine.transfer.grids import interpolate
from denoise_engine.transfer.heads import Head, typical_intensity
from denoise_engine.transfer.networks import TransferNetwork

Floats = NDArray[np.float32]

_BLOCK = (64, 112, 112)
_SCANS = 2  # of each head and factor
_VOXELS = 60_000  # of each scan
ERROR_STEPS = 1500
_BATCH, _RATE = 8192, 3e-3
_MARGIN = REACH + 1  # voxels at the border of a block, whose surroundings are not known
_SIGNAL = 0.3  # below it there is air: errors there are of no use


def fit_error_model(
    network: TransferNetwork,
    heads: Sequence[Head],
    factors: Sequence[int],
    *,
    seed: int,
    steps: int = ERROR_STEPS,
) -> ErrorModel:
    """Fit the model to a network's errors on simulated scans of the training heads.

    Parameters
    ----------
    network : TransferNetwork
    heads : sequence of Head
        Of the training part.
    factors : sequence of int
    seed : int
        Of blocks, forward model, voxels and the first weights.
    steps : int
    """
    rng = np.random.default_rng((seed, 3))
    parts = [
        _examples(network, head, factor, rng)
        for head in heads
        for factor in factors
        for _ in range(_SCANS)
    ]
    measured = torch.from_numpy(np.concatenate([m for m, _ in parts]))
    squared = torch.from_numpy(np.concatenate([s for _, s in parts]))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = ErrorModel()
        model.centre.copy_(measured.mean(dim=0))
        model.spread.copy_(measured.std(dim=0).clamp_min(1e-3))
        last = model.layers[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.weight.mul_(0.1)
            last.bias.fill_(float(squared.mean().log()))
        optimiser = torch.optim.Adam(model.parameters(), lr=_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(steps):
            drawn = torch.randint(len(measured), (_BATCH,))
            log_variance = model(measured[drawn])
            loss = 0.5 * (squared[drawn] * torch.exp(-log_variance) + log_variance).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return model.eval()


def _examples(
    network: TransferNetwork, head: Head, factor: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Measures and squared errors of voxels of one scan of one block."""
    scale = np.float32(1 / typical_intensity(head.volume))
    shape = [min(n // 8 * 8, wanted) for n, wanted in zip(head.volume.shape, _BLOCK, strict=True)]
    # Around the middle, where the brain is.
    corner = [
        int(rng.integers((n - w) // 4, max((n - w) // 4 + 1, 3 * (n - w) // 4 + 1)))
        for n, w in zip(head.volume.shape, shape, strict=True)
    ]
    block = head.volume[tuple(slice(c, c + w) for c, w in zip(corner, shape, strict=True))]
    how = ranges_for([factor] if factor == 1 else network.architecture.factors).draw(factor, rng)
    thick = degrade(block, how, head.tissues, rng) * scale
    cubic = interpolate(thick, factor)
    with torch.no_grad():
        correction, log_variance = (
            part[0, 0].numpy() for part in network(torch.from_numpy(thick)[None, None], factor)
        )
    squared = np.square(block * scale - cubic - correction)
    measures = measured_around(cubic, correction, np.exp(log_variance), factor)
    inner = np.zeros(block.shape, dtype=np.bool_)
    inner[inner_part(block.shape)] = True
    where = np.argwhere(inner & (block * scale > _SIGNAL))
    where = where[rng.permutation(len(where))[:_VOXELS]]
    k, i, j = where.T
    return np.ascontiguousarray(measures[:, k, i, j].T), squared[k, i, j]


def inner_part(shape: Sequence[int]) -> tuple[slice, ...]:
    """Return where in a block all that is measured lies within it.

    A small block keeps its middle 8 voxels along an axis all the same.
    """
    widths = [max(0, min(_MARGIN, (n - 8) // 2)) for n in shape]
    return tuple(slice(w, n - w) for w, n in zip(widths, shape, strict=True))
