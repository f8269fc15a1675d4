"""What the training loops share: checkpoints, how far a training is, and the average of weights."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from denoise_engine.errors import TrainingDataError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_NAME = "checkpoint.safetensors"
_LENGTH = {"steps", "minutes"}  # of a recipe: a training that goes on may be longer


class Length(Protocol):
    """How long a recipe trains."""

    @property
    def steps(self) -> int: ...

    @property
    def minutes(self) -> float | None: ...


class Position(Protocol):
    """Where a training stands."""

    @property
    def step(self) -> int: ...

    @property
    def seconds(self) -> float: ...


@dataclass(frozen=True)
class Checkpoint:
    """What was written: fields of the progress, weights, their average, the optimiser's state.

    ``length`` is how long the recipe was to train: ``steps`` and ``minutes``.
    """

    progress: dict[str, Any]
    weights: dict[str, Tensor]
    average: dict[str, Tensor]
    states: dict[int, dict[str, Tensor]]
    length: dict[str, Any]

    def restore(self, optimiser: torch.optim.Optimizer) -> None:
        """Give an optimiser of the same parameters the state that was written."""
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": self.states, "param_groups": groups})


def write_checkpoint(
    folder: Path,
    network: nn.Module,
    average: Mapping[str, Tensor],
    optimiser: torch.optim.Optimizer,
    recipe: "DataclassInstance",
    progress: "DataclassInstance",
) -> None:
    """Write a checkpoint into a folder; the one before it is there until this one is whole."""
    tensors: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        tensors[f"weights.{name}"] = value.contiguous()
    for name, value in average.items():
        tensors[f"average.{name}"] = value.contiguous()
    for index, state in optimiser.state_dict()["state"].items():
        for key, value in state.items():
            tensors[f"optimiser.{index}.{key}"] = torch.as_tensor(value).contiguous()
    metadata = {
        "recipe": json.dumps(asdict(recipe)),
        "progress": json.dumps(asdict(progress)),
    }
    partial = (folder / _NAME).with_suffix(".partial")
    save_file(tensors, partial, metadata=metadata)
    os.replace(partial, folder / _NAME)


def read_checkpoint(folder: Path, recipe: "DataclassInstance") -> Checkpoint:
    """Read the checkpoint of a folder.

    Raises
    ------
    TrainingDataError
        If there is none, or it was written with another recipe.
    """
    path = folder / _NAME
    if not path.exists():
        raise TrainingDataError(
            f"There is no checkpoint in “{folder}” to resume from. Start without --resume."
        )
    metadata = _metadata(path)
    saved, now = json.loads(metadata["recipe"]), json.loads(json.dumps(asdict(recipe)))
    changed = [k for k in now if k not in _LENGTH and saved.get(k, now[k]) != now[k]]
    if changed:
        raise TrainingDataError(
            "The checkpoint was written with other settings: " + ", ".join(changed) + "."
        )
    tensors = load_file(path)
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(tensors, "optimiser.").items():
        index, key = name.split(".")
        states.setdefault(int(index), {})[key] = value
    progress = json.loads(metadata["progress"])
    length = {k: v for k, v in saved.items() if k in _LENGTH}
    weights, average = (_part(tensors, name) for name in ("weights.", "average."))
    return Checkpoint(progress, weights, average, states, length)


def fraction_done(recipe: Length, progress: Position) -> float:
    """Progress in steps, or in minutes where those run out first."""
    done = progress.step / recipe.steps if recipe.steps else 1.0
    if recipe.minutes is not None:
        done = max(done, progress.seconds / (60 * recipe.minutes))
    return done


def average_in(average: Mapping[str, Tensor], network: nn.Module, keep: float, step: int) -> None:
    """Let the exponential moving average follow the weights; faster in the first steps."""
    keep = min(keep, (1 + step) / (10 + step))
    with torch.no_grad():
        for name, weights in network.state_dict().items():
            average[name].lerp_(weights, 1 - keep)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})
