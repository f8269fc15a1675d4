"""The resumable training loop of dDLR.

Recipe: 16 patches of 48² a step, Adam at 2e-3 (thresholds three times that), warm-up then cosine,
L1 divided by √σ (0.3 dB above mean squared error), gradient clipped at 1, exponential moving
average of the weights.

The convolutions run in bfloat16, several times as fast as float32. Rounded to the nearest, a kernel
that starts as the identity stays at exactly 1 there while its float32 value drifts by up to 0.4 %:
over 22 layers the network that is trained is another one than the network that is kept (0.08 of the
noise SD apart, 0.2 to 0.4 dB). The kernels are therefore rounded at random, up or down, right on
average.
"""

import math
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from denoise_engine.ddlr.network import DDLR
from denoise_engine.training.checkpoints import (
    average_in,
    fraction_done,
    read_checkpoint,
    write_checkpoint,
)
from denoise_engine.training.patches import Batch, PatchSampler

_SNAPSHOT_EVERY = 100
Judge = Callable[[DDLR], dict[str, float]]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what is learnt, apart from the data."""

    seed: int = 20240611
    patches: int = 5
    size: int = 96
    learning_rate: float = 1.5e-3
    threshold_rate: float = 3.0
    warm_up: int = 200
    clip: float = 1.0
    runaway: float = 6.0
    average: float = 0.999
    steps: int = 100_000
    minutes: float | None = None
    low_precision: bool = True
    start: str = ""
    undersampled: float = 0.0


@dataclass
class Progress:
    """Where a training stands, and its learning curve: what was seen against held-out dB."""

    step: int = 0
    seconds: float = 0.0
    loss: float = math.nan
    mean_loss: float = math.nan
    rollbacks: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class _Snapshot:
    """A state to return to when the weights run away."""

    weights: dict[str, Tensor]
    average: dict[str, Tensor]
    optimiser: dict[str, Any]


class Trainer:
    """Trains a dDLR, writes checkpoints, and goes on from them.

    Parameters
    ----------
    sampler : PatchSampler
        Gives the batch of a step.
    recipe : Recipe
        Settings; a resumed training must have the same, except for its length.
    out : Path
        Folder of the checkpoints.
    compiled : bool
        Compile the network (a C++ compiler is needed); several times as fast on a CPU.
    device : str
        Where to train: "cpu" or "cuda".
    start : mapping of str to Tensor, optional
        Weights to begin with, in place of sliding-DCT shrinkage.
    judge : callable, optional
        Gives figures of the averaged network, by name, for the learning curve.
    judge_every : float
        Minutes of training between points of the curve.
    """

    def __init__(
        self,
        sampler: PatchSampler,
        recipe: Recipe,
        out: Path,
        *,
        compiled: bool = True,
        device: str = "cpu",
        start: Mapping[str, Tensor] | None = None,
        judge: Judge | None = None,
        judge_every: float = 5.0,
    ) -> None:
        self.recipe = recipe
        self.progress = Progress()
        self._sampler = sampler
        self._out = out
        self._judge = judge
        self._judge_every = judge_every
        self.device = torch.device(device)
        torch.manual_seed(recipe.seed)
        self.network = DDLR()
        if start is not None:
            self.network.load_state_dict(start)
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if compiled:
            filter_detail: Any = torch.compile(self.network.filter_detail)
            self.network.filter_detail = filter_detail  # type: ignore[method-assign]
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        thresholds = [p for n, p in self.network.named_parameters() if "threshold" in n]
        kernels = [p for n, p in self.network.named_parameters() if "threshold" not in n]
        self._optimiser = torch.optim.Adam([{"params": kernels}, {"params": thresholds}], lr=0.0)
        self._good = self._snapshot()

    def run(
        self,
        report: Callable[[Progress, float], None] | None = None,
        *,
        checkpoint_every: float = 180.0,
    ) -> None:
        """Train to the end of the recipe, with a checkpoint every so many seconds.

        ``report`` is called after each step with the progress and the fraction done.
        """
        self._out.mkdir(parents=True, exist_ok=True)
        if self.progress.step == 0:
            self._extend_curve()
        last_saved = time.monotonic()
        while (done := self.fraction_done()) < 1:
            start = time.monotonic()
            self.progress.loss = self._step(self._sampler.batch(self.progress.step), done)
            self.progress.step += 1
            self.progress.seconds += time.monotonic() - start
            if report is not None:
                report(self.progress, self.fraction_done())
            if time.monotonic() - last_saved > checkpoint_every:
                self._extend_curve()
                self.save()
                last_saved = time.monotonic()
        self._extend_curve(last=True)
        self.save()

    def fraction_done(self) -> float:
        """Progress in steps, or in minutes where those run out first."""
        return fraction_done(self.recipe, self.progress)

    def _extend_curve(self, *, last: bool = False) -> None:
        curve, minutes = self.progress.curve, self.progress.seconds / 60
        due = not curve or minutes - curve[-1]["minutes"] >= self._judge_every
        if self._judge is None or not (due or last):
            return
        patches = self.progress.step * self.recipe.patches
        if curve and curve[-1]["patches"] == patches:
            return
        seen = {
            "minutes": round(minutes, 1),
            "patches": patches,
            "megapixels": round(patches * self.recipe.size**2 / 1e6, 1),
        }
        curve.append(seen | self._judge(self.averaged_network()))

    def averaged_network(self) -> DDLR:
        """Return a plain float32 network with the averaged weights."""
        network = DDLR()
        network.load_state_dict(self.average)  # copies to the processor
        return network.eval()

    def save(self) -> None:
        """Write the checkpoint: weights, their average, the optimiser's state, the position."""
        write_checkpoint(
            self._out, self.network, self.average, self._optimiser, self.recipe, self.progress
        )

    def resume(self) -> None:
        """Go on from the checkpoint in the output folder.

        Raises
        ------
        TrainingDataError
            If there is none, or it was written with another recipe.
        """
        checkpoint = read_checkpoint(self._out, self.recipe)
        self.progress = Progress(**checkpoint.progress)
        self.network.load_state_dict(checkpoint.weights)
        self.average = {k: v.to(self.device) for k, v in checkpoint.average.items()}
        checkpoint.restore(self._optimiser)
        self._good = self._snapshot()

    def _learning_rate(self, done: float) -> float:
        warm = min(1.0, (self.progress.step + 1) / self.recipe.warm_up)
        return self.recipe.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    def _step(self, batch: Batch, done: float) -> float:
        recipe = self.recipe
        rate = self._learning_rate(done)
        self._optimiser.param_groups[0]["lr"] = rate
        self._optimiser.param_groups[1]["lr"] = rate * recipe.threshold_rate

        noisy, target, sigma = (
            torch.from_numpy(x).to(self.device) for x in (batch.noisy, batch.target, batch.sigma)
        )
        if recipe.low_precision:
            rng = torch.Generator(self.device).manual_seed((recipe.seed << 24) + self.progress.step)
            kernels = [_rounded_at_random(k, rng) for k in self.network.kernels()]
            denoised = self.network(noisy, sigma, dtype=torch.bfloat16, kernels=kernels)
        else:
            denoised = self.network(noisy, sigma)
        loss = ((denoised - target).abs() / sigma.sqrt()).mean()
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip)
        value = float(loss.detach())
        if self._is_runaway(value):
            self._restore(self._good)
            self.progress.rollbacks += 1
            return value
        self._optimiser.step()
        average_in(self.average, self.network, self.recipe.average, self.progress.step)
        mean = self.progress.mean_loss
        self.progress.mean_loss = value if math.isnan(mean) else 0.98 * mean + 0.02 * value
        if self.progress.step % _SNAPSHOT_EVERY == 0:
            self._good = self._snapshot()
        return value

    def _is_runaway(self, loss: float) -> bool:
        """Whether the weights have run away: a loss far above its mean, or none at all."""
        if not math.isfinite(loss):
            return True
        return loss > self.recipe.runaway * self.progress.mean_loss

    def _snapshot(self) -> _Snapshot:
        return _Snapshot(
            weights={k: v.detach().clone() for k, v in self.network.state_dict().items()},
            average={k: v.clone() for k, v in self.average.items()},
            optimiser=deepcopy(self._optimiser.state_dict()),
        )

    def _restore(self, snapshot: _Snapshot) -> None:
        self.network.load_state_dict(snapshot.weights)
        self.average = {k: v.clone() for k, v in snapshot.average.items()}
        self._optimiser.load_state_dict(deepcopy(snapshot.optimiser))


def _rounded_at_random(kernel: Tensor, rng: torch.Generator) -> Tensor:
    """Round float32 to what bfloat16 holds, up or down with the odds of the distance.

    The gradient passes as if nothing had been rounded.
    """
    bits = kernel.detach().contiguous().view(torch.int32)
    up = torch.randint(0, 1 << 16, bits.shape, generator=rng, dtype=torch.int32, device=bits.device)
    rounded = ((bits + up) & -(1 << 16)).view(torch.float32)
    return kernel + (rounded - kernel.detach())
