"""The resumable training loop of the transfer networks.

The loss is a Gaussian likelihood whose gradient at a voxel is weighted by the predicted SD (β of
0.5, Seitzer 2022). With the plain likelihood the network first finds that it may call difficult
voxels uncertain, and then learns them no more. The weights' exponential moving average is what is
kept.

References
----------
Seitzer M, et al. On the pitfalls of heteroscedastic uncertainty estimation with probabilistic
neural networks. ICLR 2022.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from denoise_engine.errors import TrainingDataError
from denoise_engine.training.checkpoints import (
    average_in,
    fraction_done,
    read_checkpoint,
    write_checkpoint,
)
from denoise_engine.training.transfer_card import pair_hashes
from denoise_engine.training.transfer_data import PatchSampler, TransferBatch
from denoise_engine.transfer.models import LoadedTransfer
from denoise_engine.transfer.networks import Architecture, Kind, TransferNetwork

# What each model that can be trained is built as.
KINDS: dict[str, Kind] = {
    "sr-unet": "sr-unet",
    "anisotropic-unet": "anisotropic-unet",
    "7t-like-gan": "residual-unet",
    "7t-like-plain": "residual-unet",
}
Judge = Callable[[TransferNetwork], dict[str, float]]


@dataclass(frozen=True)
class TransferRecipe:
    """Everything that decides what is learnt, apart from the data."""

    kind: str = "sr-unet"
    seed: int = 20240611
    factors: tuple[int, ...] = (4, 8)
    patches: int = 2
    size: int = 48
    channels: tuple[int, ...] = (32, 48, 80, 128)
    fine: int = 16
    dropout: float = 0.1
    learning_rate: float = 1.2e-3
    warm_up: int = 100
    decay: float = 0.4
    beta: float = 0.5
    clip: float = 1.0
    average: float = 0.9985
    steps: int = 100_000
    minutes: float | None = None
    low_precision: bool = True


@dataclass
class TransferProgress:
    """Where a training stands, and its learning curve on the validation head.

    Attributes
    ----------
    step : int
    seconds : float
        Of the processor: a training that had to wait is not older for it. On a GPU, of the clock.
    mean_loss : float
    skipped : int
        Steps without effect, because a gradient was not finite.
    curve : list of dict
        Figures by name, with ``minutes``, ``patches`` and ``loss``.
    pairs : list of dict
        Records of the real pairs that were drawn from (:meth:`RegisteredPair.record`).
    start : dict
        ``name``, ``version``, ``sha256`` of the network that it began with, and ``pairs``: SHA-256
        of the high scans of the real pairs that one had seen; empty where it began with weights
        drawn at random.
    device : str
        "cpu" or "cuda", of the last step.
    """

    step: int = 0
    seconds: float = 0.0
    mean_loss: float = math.nan
    skipped: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)
    pairs: list[dict[str, Any]] = field(default_factory=list)
    start: dict[str, Any] = field(default_factory=dict)
    device: str = "cpu"

    @property
    def pairs_seen(self) -> int:
        """Real pairs behind the weights, those of the network that it began with among them."""
        own = {pair["files"][1]["sha256"] for pair in self.pairs}
        return len(own | set(self.start.get("pairs") or ()))


class TransferTrainer:
    """Trains a transfer network, writes checkpoints, and goes on from them.

    Parameters
    ----------
    sampler : PatchSampler, optional
        Gives the batch of a step; without one there is nothing to do but export.
    recipe : TransferRecipe
        Settings; a resumed training must have the same, except for its length.
    out : Path
        Folder of the checkpoints.
    start : LoadedTransfer, optional
        A shipped network to begin with, in place of weights drawn at random.
    device : {"cpu", "cuda"}
        Where to train.
    judge : callable, optional
        Gives figures of the averaged network, by name, for the learning curve.
    judge_every : float
        Minutes of training between points of the curve.

    Raises
    ------
    TrainingDataError
        If the network to begin with is built otherwise.
    """

    def __init__(
        self,
        sampler: PatchSampler | None,
        recipe: TransferRecipe,
        out: Path,
        *,
        start: LoadedTransfer | None = None,
        device: str = "cpu",
        judge: Judge | None = None,
        judge_every: float = 8.0,
    ) -> None:
        self.recipe = recipe
        self.device = torch.device(device)
        self.progress = TransferProgress()
        if sampler is not None:
            self.progress.pairs = [pair.record() for pair in sampler.pairs]
        self._sampler, self._out = sampler, out
        self._judge, self._judge_every = judge, judge_every
        torch.manual_seed(recipe.seed)
        self.network = self._new_network()
        if start is not None:
            self._begin_with(start)
        self.network.low_precision = recipe.low_precision
        if recipe.low_precision:
            # Channels beside one another: two to three times as fast on a processor.
            self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self._trained = self._all_that_learns().to(self.device)
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self._optimiser = self._new_optimiser()

    def run(
        self,
        report: Callable[[TransferProgress, float], None] | None = None,
        *,
        checkpoint_every: float = 120.0,
    ) -> None:
        """Train to the end of the recipe, with a checkpoint every so many seconds."""
        if self._sampler is None:
            raise TrainingDataError("There is nothing to train on.")
        self._out.mkdir(parents=True, exist_ok=True)
        self.network.train()
        last_saved = time.monotonic()
        while (done := self.fraction_done()) < 1:
            start = self._seconds()
            # What is dropped depends on seed and step alone, whether resumed or not.
            torch.manual_seed(self.recipe.seed + self.progress.step)
            loss = self._step(self._sampler.batch(self.progress.step).to(self.device), done)
            if math.isfinite(loss):
                before = self.progress.mean_loss
                self.progress.mean_loss = (
                    loss if math.isnan(before) else 0.99 * before + 0.01 * loss
                )
            self.progress.step += 1
            self.progress.seconds += self._seconds() - start
            self.progress.device = self.device.type
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

    def averaged_network(self) -> TransferNetwork:
        """Return a single-precision network with the averaged weights."""
        network = self._new_network()
        network.load_state_dict(self.average)
        return network.eval()

    def save(self) -> None:
        """Write the checkpoint: weights, their average, the optimiser's state, the position."""
        write_checkpoint(
            self._out, self._trained, self.average, self._optimiser, self.recipe, self.progress
        )

    def resume(self, *, as_it_was: bool = False) -> None:
        """Go on from the checkpoint in the output folder.

        Parameters
        ----------
        as_it_was : bool
            Whether the length of the training is the one of the checkpoint, for its card, and not
            that of the recipe that was given.

        Raises
        ------
        TrainingDataError
            If there is none, or it was written with another recipe, with other pairs, or began with
            other weights.
        """
        checkpoint = read_checkpoint(self._out, self.recipe)
        saved = TransferProgress(**checkpoint.progress)
        self._check_same_data(saved)
        self.progress = saved
        if as_it_was:
            self.recipe = replace(self.recipe, **checkpoint.length)
        self._trained.load_state_dict(checkpoint.weights)
        self.average = {k: v.to(self.device) for k, v in checkpoint.average.items()}
        self._optimiser = self._new_optimiser()
        checkpoint.restore(self._optimiser)

    def _check_same_data(self, saved: TransferProgress) -> None:
        """A card tells of one set of pairs and one start: refuse to go on with others."""
        own = self.progress
        if self._sampler is not None and saved.pairs != own.pairs:
            raise TrainingDataError(
                f"The checkpoint was written with {_pairs_in_words(saved.pairs)}, and would go on "
                f"with {_pairs_in_words(own.pairs)}. Give the same --pairs, or train anew."
            )
        if own.start and saved.start != own.start:
            raise TrainingDataError(
                "The checkpoint did not begin with the weights of "
                f"{own.start['name']} {own.start['version']}. Resume without --start."
            )

    def _begin_with(self, start: LoadedTransfer) -> None:
        if start.network.architecture != self.network.architecture:
            raise TrainingDataError(
                f"{start.file.name} cannot begin a training of {self.recipe.kind}: it is built "
                "otherwise. Begin with a network of the same kind and size."
            )
        self.network.load_state_dict(start.network.state_dict())
        self.progress.start = {
            "name": start.file.name,
            "version": start.file.version,
            "sha256": start.file.sha256,
            "pairs": sorted(pair_hashes(start.card)),
        }

    def _seconds(self) -> float:
        return time.process_time() if self.device.type == "cpu" else time.monotonic()

    def _all_that_learns(self) -> nn.Module:
        """What a checkpoint holds and the optimiser moves."""
        return self.network

    def _new_network(self) -> TransferNetwork:
        return TransferNetwork(architecture_of(self.recipe))

    def _new_optimiser(self) -> torch.optim.Adam:
        return torch.optim.Adam(self._trained.parameters(), lr=0.0, betas=(0.9, 0.99))

    def _extend_curve(self, *, last: bool = False) -> None:
        curve, minutes = self.progress.curve, self.progress.seconds / 60
        due = not curve or minutes - curve[-1]["minutes"] >= self._judge_every
        if self._judge is None or not (due or last):
            return
        seen = {
            "minutes": round(minutes, 1),
            "patches": self.progress.step * self.recipe.patches,
            "loss": round(self.progress.mean_loss, 4),
        }
        curve.append(seen | self._judge(self.averaged_network()))

    def _learning_rate(self, done: float) -> float:
        """Warm-up, level, and a cosine to 0 over the last part: ``decay`` of the training."""
        warm = min(1.0, (self.progress.step + 1) / self.recipe.warm_up)
        late = max(0.0, (min(done, 1.0) - (1 - self.recipe.decay)) / self.recipe.decay)
        return self.recipe.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * late))

    def _step(self, batch: TransferBatch, done: float) -> float:
        for group in self._optimiser.param_groups:
            group["lr"] = self._learning_rate(done)
        self._optimiser.zero_grad(set_to_none=True)
        thick = batch.thick
        if self.recipe.low_precision:
            thick = thick.contiguous(memory_format=torch.channels_last_3d)
        correction, log_variance = self.network(thick, batch.factor)
        error = batch.target - batch.cubic - correction
        loss = weighted_likelihood(error, log_variance, self.recipe.beta)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        if not bool(torch.isfinite(norm)):
            self.progress.skipped += 1
            return math.nan
        self._optimiser.step()
        average_in(self.average, self.network, self.recipe.average, self.progress.step)
        return float(loss.detach())


def weighted_likelihood(error: Tensor, log_variance: Tensor, beta: float) -> Tensor:
    """Negative log-likelihood of a Gaussian, each voxel weighted by its variance to the power β.

    The weight takes no part in the gradient.
    """
    likelihood = 0.5 * (error.square() * torch.exp(-log_variance) + log_variance)
    return (torch.exp(beta * log_variance.detach()) * likelihood).mean()


def _pairs_in_words(pairs: list[dict[str, Any]]) -> str:
    if not pairs:
        return "no real pairs"
    return "the real pairs " + ", ".join(f"“{pair['name']}”" for pair in pairs)


def architecture_of(recipe: TransferRecipe) -> Architecture:
    """Return the architecture that a recipe names."""
    a, b, c, d = recipe.channels
    return Architecture(
        kind=KINDS[recipe.kind],
        factors=tuple(recipe.factors),
        channels=(a, b, c, d),
        fine=recipe.fine,
        dropout=recipe.dropout,
    )
