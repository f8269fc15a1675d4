"""The resumable training loop of the unrolled network.

At first all six steps share one U-net, which so sees six times as many examples and every kind of
prior; then each goes its own way, from the beginning where the weights are those of a network
trained before. Every prior z₁ … z₆, and the image that the closing step makes, is compared with
what the full scan gives, its noise included; the image counts most. The loss is the mean absolute
error divided by the square root of the signal: neither the noisiest scans nor the cleanest rule the
gradient. The weights' exponential moving average is what is kept.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from denoise_engine.reconstruction.unrolled import Architecture, UnrolledNetwork
from denoise_engine.training.checkpoints import (
    average_in,
    fraction_done,
    read_checkpoint,
    write_checkpoint,
)
from denoise_engine.training.unrolled_data import ScanBatch, ScanSampler

Judge = Callable[[UnrolledNetwork], dict[str, float]]


@dataclass(frozen=True)
class UnrolledRecipe:
    """Everything that decides what is learnt, apart from the data."""

    seed: int = 20240611
    batch: int = 3
    channels: tuple[int, ...] = (24, 24, 48, 96, 192, 24)
    learning_rate: float = 1e-3
    bound_rate: float = 10.0
    warm_up: int = 30
    alike: float = 0.2
    clip: float = 1.0
    average: float = 0.995
    halving: float = 0.5
    steps: int = 100_000
    minutes: float | None = None
    low_precision: bool = True
    start: str = ""  # SHA-256 of the weights it began with; none: drawn at random


@dataclass
class UnrolledProgress:
    """Where a training stands, and its learning curve on held-out scans."""

    step: int = 0
    seconds: float = 0.0
    mean_loss: float = math.nan
    parted_at: int = -1
    skipped: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)


class UnrolledTrainer:
    """Trains an unrolled network, writes checkpoints, and goes on from them.

    Parameters
    ----------
    sampler : ScanSampler
        Gives the batch of a step.
    recipe : UnrolledRecipe
        Settings; a resumed training must have the same, except for its length.
    out : Path
        Folder of the checkpoints.
    judge : callable, optional
        Gives figures of the averaged network, by name, for the learning curve.
    judge_every : float
        Minutes of training between points of the curve.
    """

    def __init__(
        self,
        sampler: ScanSampler,
        recipe: UnrolledRecipe,
        out: Path,
        *,
        judge: Judge | None = None,
        judge_every: float = 20.0,
    ) -> None:
        self.recipe = recipe
        self.progress = UnrolledProgress()
        self._sampler, self._out = sampler, out
        self._judge, self._judge_every = judge, judge_every
        torch.manual_seed(recipe.seed)
        self.network = self._new_network()
        self.network.use_low_precision(recipe.low_precision)
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self._optimiser = self._new_optimiser()

    def run(
        self,
        report: Callable[[UnrolledProgress, float], None] | None = None,
        *,
        checkpoint_every: float = 120.0,
    ) -> None:
        """Train to the end of the recipe, with a checkpoint every so many seconds."""
        self._out.mkdir(parents=True, exist_ok=True)
        last_saved = time.monotonic()
        while (done := self.fraction_done()) < 1:
            start = time.monotonic()
            if self.progress.parted_at < 0 and done >= self.recipe.alike:
                self._part_ways()
            loss = self._step(self._sampler.batch(self.progress.step), done)
            if math.isfinite(loss):
                before = self.progress.mean_loss
                self.progress.mean_loss = (
                    loss if math.isnan(before) else 0.98 * before + 0.02 * loss
                )
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

    def averaged_network(self) -> UnrolledNetwork:
        """Return a single-precision network with the averaged weights."""
        network = self._new_network()
        network.load_state_dict(self.average)
        if self.progress.parted_at < 0:
            network.part_ways()
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
        self.progress = UnrolledProgress(**checkpoint.progress)
        self.network.load_state_dict(checkpoint.weights)
        self.average = checkpoint.average
        self._optimiser = self._new_optimiser()
        checkpoint.restore(self._optimiser)

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Begin with the weights of a trained network, all U-nets on their own way.

        One without a closing step gets it.
        """
        first = {name: value.float() for name, value in weights.items()}
        closing = self.network.state_dict()["log_closing"]
        self.network.load_state_dict({"log_closing": closing} | first)
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.progress.parted_at = 0

    def _new_network(self) -> UnrolledNetwork:
        channels: Any = tuple(self.recipe.channels)
        return UnrolledNetwork(Architecture(channels=channels))

    def _new_optimiser(self) -> torch.optim.Adam:
        networks = list(self.network.priors.parameters())
        return torch.optim.Adam(
            [{"params": networks}, {"params": self.network.log_lambdas()}],
            lr=0.0,
            betas=(0.9, 0.99),
        )

    def _part_ways(self) -> None:
        self.network.part_ways()
        averaged = self._new_network()
        averaged.load_state_dict(self.average)
        averaged.part_ways()
        self.average = {k: v.detach().clone() for k, v in averaged.state_dict().items()}
        self._optimiser = self._new_optimiser()
        self.progress.parted_at = self.progress.step

    def _extend_curve(self, *, last: bool = False) -> None:
        curve, minutes = self.progress.curve, self.progress.seconds / 60
        due = not curve or minutes - curve[-1]["minutes"] >= self._judge_every
        if self._judge is None or not self.progress.step or not (due or last):
            return
        seen = {
            "minutes": round(minutes, 1),
            "scans": self.progress.step * self.recipe.batch,
            "loss": round(self.progress.mean_loss, 5),
        }
        curve.append(seen | self._judge(self.averaged_network()))

    def _learning_rate(self, done: float) -> float:
        since = self.progress.step - max(self.progress.parted_at, 0)
        warm = min(1.0, (since + 1) / self.recipe.warm_up)
        return self.recipe.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    def _step(self, batch: ScanBatch, done: float) -> float:
        rate = self._learning_rate(done)
        for group, factor in zip(
            self._optimiser.param_groups, (1.0, self.recipe.bound_rate), strict=True
        ):
            group["lr"] = rate * factor
        self._optimiser.zero_grad(set_to_none=True)
        priors = self.network.iterations(batch.step, alike=self.progress.parted_at < 0)
        loss = self._loss(priors, batch.target)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        if not bool(torch.isfinite(norm)):
            self.progress.skipped += 1
            return math.nan
        self._optimiser.step()
        average_in(self.average, self.network, self.recipe.average, self.progress.step)
        return float(loss.detach())

    def _loss(self, priors: list[Tensor], target: Tensor) -> Tensor:
        signal = target.abs().mean(dim=(-2, -1), keepdim=True).clamp_min(1e-3)
        total = target.new_zeros((), dtype=torch.float32)
        weights = [self.recipe.halving ** (len(priors) - 1 - t) for t in range(len(priors))]
        for weight, prior in zip(weights, priors, strict=True):
            error = torch.view_as_real(prior - target).abs().sum(dim=-1) / signal.sqrt()
            total = total + weight / sum(weights) * error.mean()
        return total
