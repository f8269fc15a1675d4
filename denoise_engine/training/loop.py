"""The resumable training loop of dDLR.

Recipe: 16 patches of 48² a step, Adam at 2e-3 (thresholds three times that), warm-up then cosine,
L1 divided by √σ (0.3 dB above mean squared error), gradient clipped at 1, exponential moving
average of the weights.

The convolutions run in bfloat16, twice as fast. In that format a threshold that is small beside a
strong edge vanishes by rounding, and the network learns to count on it: in float32 the same weights
then lose 0.2 to 0.4 dB. ``finish`` is the last share of a training that runs in float32, at a lower
rate of its own, to win that back; version 1 was trained without it.
"""

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from denoise_engine.ddlr.network import DDLR
from denoise_engine.errors import TrainingDataError
from denoise_engine.training.patches import Batch, PatchSampler


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what is learnt, apart from the data."""

    seed: int = 20240611
    patches: int = 16
    size: int = 48
    learning_rate: float = 2e-3
    threshold_rate: float = 3.0
    warm_up: int = 50
    clip: float = 1.0
    skip: float = 20.0
    average: float = 0.999
    steps: int = 6000
    minutes: float | None = None
    low_precision: bool = True
    finish: float = 0.0
    finish_rate: float = 4e-4


@dataclass
class Progress:
    """Where a training stands."""

    step: int = 0
    seconds: float = 0.0
    loss: float = math.nan


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
        Compile the network (a C++ compiler is needed); about a third faster on a CPU.
    """

    def __init__(
        self, sampler: PatchSampler, recipe: Recipe, out: Path, *, compiled: bool = True
    ) -> None:
        self.recipe = recipe
        self.progress = Progress()
        self._sampler = sampler
        self._out = out
        torch.manual_seed(recipe.seed)
        self.network = DDLR()
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if compiled:
            filter_detail: Any = torch.compile(self.network.filter_detail)
            self.network.filter_detail = filter_detail  # type: ignore[method-assign]
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        thresholds = [p for n, p in self.network.named_parameters() if "threshold" in n]
        kernels = [p for n, p in self.network.named_parameters() if "threshold" not in n]
        self._optimiser = torch.optim.Adam([{"params": kernels}, {"params": thresholds}], lr=0.0)

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
        last_saved = time.monotonic()
        while (done := self.fraction_done()) < 1:
            start = time.monotonic()
            self.progress.loss = self._step(self._sampler.batch(self.progress.step), done)
            self.progress.step += 1
            self.progress.seconds += time.monotonic() - start
            if report is not None:
                report(self.progress, self.fraction_done())
            if time.monotonic() - last_saved > checkpoint_every:
                self.save()
                last_saved = time.monotonic()
        self.save()

    def fraction_done(self) -> float:
        """Progress in steps, or in minutes where those run out first."""
        done = self.progress.step / self.recipe.steps
        if self.recipe.minutes is not None:
            done = max(done, self.progress.seconds / (60 * self.recipe.minutes))
        return done

    def averaged_network(self) -> DDLR:
        """Return a plain float32 network with the averaged weights."""
        network = DDLR()
        network.load_state_dict(self.average)
        return network.eval()

    def save(self) -> None:
        """Write the checkpoint: weights, their average, the optimiser's state, the position."""
        tensors: dict[str, Tensor] = {}
        for name, value in self.network.state_dict().items():
            tensors[f"weights.{name}"] = value.contiguous()
        for name, value in self.average.items():
            tensors[f"average.{name}"] = value.contiguous()
        for index, state in self._optimiser.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"optimiser.{index}.{key}"] = torch.as_tensor(value).contiguous()
        metadata = {
            "recipe": json.dumps(asdict(self.recipe)),
            "progress": json.dumps(asdict(self.progress)),
        }
        partial = self._checkpoint.with_suffix(".partial")
        save_file(tensors, partial, metadata=metadata)
        os.replace(partial, self._checkpoint)

    def resume(self) -> None:
        """Go on from the checkpoint in the output folder.

        Raises
        ------
        TrainingDataError
            If there is none, or it was written with another recipe.
        """
        if not self._checkpoint.exists():
            raise TrainingDataError(
                f"There is no checkpoint in “{self._out}” to resume from. Start without --resume."
            )
        metadata = read_metadata(self._checkpoint)
        saved, now = json.loads(metadata["recipe"]), asdict(self.recipe)
        changed = [
            k for k in now if k not in {"steps", "minutes"} and saved.get(k, now[k]) != now[k]
        ]
        if changed:
            raise TrainingDataError(
                "The checkpoint was written with other settings: " + ", ".join(changed) + "."
            )
        self.progress = Progress(**json.loads(metadata["progress"]))
        tensors = load_file(self._checkpoint)
        self.network.load_state_dict(_part(tensors, "weights."))
        self.average = _part(tensors, "average.")
        states: dict[int, dict[str, Tensor]] = {}
        for name, value in _part(tensors, "optimiser.").items():
            index, key = name.split(".")
            states.setdefault(int(index), {})[key] = value
        groups = self._optimiser.state_dict()["param_groups"]
        self._optimiser.load_state_dict({"state": states, "param_groups": groups})

    @property
    def _checkpoint(self) -> Path:
        return self._out / "checkpoint.safetensors"

    def _schedule(self, done: float) -> tuple[float, torch.dtype]:
        """Learning rate and number format: a cosine for each of the two parts."""
        recipe = self.recipe
        main = 1 - recipe.finish
        if done < main or recipe.finish == 0:
            peak, position = recipe.learning_rate, done / main
            dtype = torch.bfloat16 if recipe.low_precision else torch.float32
        else:
            peak, position = recipe.finish_rate, (done - main) / recipe.finish
            dtype = torch.float32
        warm = min(1.0, (self.progress.step + 1) / recipe.warm_up)
        return peak * warm * 0.5 * (1 + math.cos(math.pi * min(position, 1.0))), dtype

    def _step(self, batch: Batch, done: float) -> float:
        recipe = self.recipe
        rate, dtype = self._schedule(done)
        self._optimiser.param_groups[0]["lr"] = rate
        self._optimiser.param_groups[1]["lr"] = rate * recipe.threshold_rate

        noisy, target, sigma = (
            torch.from_numpy(x) for x in (batch.noisy, batch.target, batch.sigma)
        )
        denoised = self.network(noisy, sigma, dtype=dtype)
        loss = ((denoised - target).abs() / sigma.sqrt()).mean()
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip)
        # One runaway batch would spoil every weight, and Adam's memory of it the steps after.
        if torch.isfinite(norm) and float(norm) < recipe.skip:
            self._optimiser.step()
        keep = min(recipe.average, (1 + self.progress.step) / (10 + self.progress.step))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self.average[name].lerp_(value, 1 - keep)
        return float(loss.detach())


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def read_metadata(path: Path) -> dict[str, str]:
    """Read the text header of a safetensors file."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})
