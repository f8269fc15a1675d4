"""Calibrating the warning maps of a transfer network on the validation head.

Curves and factors are fitted to the middle of its brain. How well they hold is judged on the same
head by cross-fitting: what is fitted to all slabs of slices but one is measured on that one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from denoise_engine.errors import TrainingDataError
from denoise_engine.training.transfer_held_out import HeldOutScan
from denoise_engine.transfer.calibration import (
    Calibration,
    fit_calibration,
    over_rest,
    reliability,
)
from denoise_engine.transfer.error_model import ErrorModel
from denoise_engine.transfer.heads import Head
from denoise_engine.transfer.networks import TransferNetwork
from denoise_engine.transfer.segmentation import place_priors, read_template

Doubles = NDArray[np.float64]

SAMPLES = 8
_SEED = 5
_SLABS = 4


@dataclass(frozen=True)
class SeenScan:
    """Voxels of the brain of one scan: squared error, both variances, number of the slab.

    Where nobody said where the brain is, they are those of the head (``in_brain``).
    """

    name: str
    factor: int
    squared: Doubles
    intrinsic: Doubles
    parameter: Doubles
    slab: NDArray[np.int64]
    in_brain: bool = True

    def where(self, chosen: NDArray[np.bool_]) -> tuple[Doubles, Doubles, Doubles]:
        return self.squared[chosen], self.intrinsic[chosen], self.parameter[chosen]


def brain_of(data: Path, head: Head) -> NDArray[np.bool_] | None:
    """Return where the template places the brain; nothing where the data folder has no template."""
    try:
        template = read_template(data)
    except TrainingDataError:
        return None
    return place_priors(template, head).brain


def seen_on(
    network: TransferNetwork,
    model: ErrorModel,
    scans: Sequence[HeldOutScan],
    *,
    samples: int = SAMPLES,
    seed: int = _SEED,
) -> list[SeenScan]:
    """Run a network over the validation scans, and over samples of its weights."""
    seen = []
    for scan in scans:
        thick = torch.from_numpy(scan.thick)[None, None]
        with torch.no_grad(), torch.random.fork_rng():
            torch.manual_seed(seed)
            correction, log_variance = network(thick, scan.factor)
            network.sample_dropout(True)
            drawn = torch.stack([network(thick, scan.factor)[0] for _ in range(samples)])
            network.sample_dropout(False)
        made = correction[0, 0].numpy()
        error = scan.target - scan.cubic - made
        first = log_variance.exp()[0, 0].numpy()
        inside = scan.brain
        slices = np.arange(len(error))[:, None, None] * _SLABS // len(error)
        variance = model.variance(scan.cubic, made, first, scan.factor)
        seen.append(
            SeenScan(
                scan.name,
                scan.factor,
                np.square(error[inside].astype(np.float64)),
                variance[inside].astype(np.float64),
                drawn.var(dim=0)[0, 0].double().numpy()[inside],
                np.broadcast_to(slices, error.shape)[inside].astype(np.int64),
                scan.is_brain_known,
            )
        )
    return seen


def calibrated_on(seen: Sequence[SeenScan]) -> Calibration:
    """Fit to all voxels that were seen."""
    return _fitted(seen, [np.ones(scan.squared.size, dtype=np.bool_) for scan in seen])


def judged_on(seen: Sequence[SeenScan]) -> dict[str, dict[str, dict[str, float]]]:
    """Return, by scan and uncertainty, the cross-fitted calibration error and what flagging finds.

    ``error`` is the expected normalised calibration error, ``over_rest`` the ratio of the error of
    the least sure tenth to that of the rest.
    """
    expected = [
        {name: np.zeros(scan.squared.size) for name in ("intrinsic", "parameter", "together")}
        for scan in seen
    ]
    for slab in range(_SLABS):
        calibration = _fitted(seen, [scan.slab != slab for scan in seen])
        for scan, found in zip(seen, expected, strict=True):
            here = scan.slab == slab
            _, *both = scan.where(here)
            intrinsic, parameter = (one.astype(np.float32) for one in both)
            found["intrinsic"][here] = calibration.intrinsic(intrinsic, scan.factor)
            found["parameter"][here] = calibration.parameter(parameter, scan.factor)
            found["together"][here] = calibration.together(intrinsic, parameter, scan.factor)
    return {
        scan.name: {name: _judged(scan.squared, variance) for name, variance in found.items()}
        for scan, found in zip(seen, expected, strict=True)
    }


def _judged(squared: Doubles, variance: Doubles) -> dict[str, float]:
    error, expected = (np.sqrt(part).astype(np.float32) for part in (squared, variance))
    everywhere = np.ones(error.shape, dtype=np.bool_)
    return {
        "error": round(reliability(error, expected, everywhere).error, 4),
        "over_rest": round(over_rest(squared, variance), 3),
    }


def _fitted(seen: Sequence[SeenScan], chosen: Sequence[NDArray[np.bool_]]) -> Calibration:
    by_factor: dict[int, list[tuple[Doubles, Doubles, Doubles]]] = {}
    for scan, where in zip(seen, chosen, strict=True):
        by_factor.setdefault(scan.factor, []).append(scan.where(where))

    def joined(parts: list[tuple[Doubles, Doubles, Doubles]]) -> tuple[Any, Any, Any]:
        squared, intrinsic, parameter = (np.concatenate(part) for part in zip(*parts, strict=True))
        return squared, intrinsic, parameter

    return fit_calibration({factor: joined(parts) for factor, parts in by_factor.items()})
