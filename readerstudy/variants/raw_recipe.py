"""The recipe of an arm that is reconstructed from raw data.

`Arm.recipe` holds, as JSON::

    {"method": "unrolled", "acceleration": 4, "sampling": "regular", "centre": 24}
    {"method": "sense", "acceleration": 4, "bound": 5}
    {"method": "cs", "acceleration": 1.8, "sampling": "random", "seed": 1}

`method` is a reconstruction of the engine. `acceleration` leaves lines out of a full scan by the
mask that `sampling` names (`regular`: every n-th line; `random`: ever sparser towards the edge),
`second` also partitions of a 3-D scan, around a fully sampled `centre` of so many lines; without it
the scan is taken as it was measured. `bound` is the λ of SENSE, which the amplification of noise
never exceeds; `penalty` the weight of compressed sensing's wavelets in units of the noise; `model`
a network other than the usual one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from denoise_engine.errors import EngineError
from denoise_engine.rawdata.methods import describe_reconstructions
from denoise_engine.rawdata.undersampling import CENTRE, SEED, Sampling

if TYPE_CHECKING:
    from denoise_engine.rawdata import Reconstruction

KEYS = {
    "method",
    "model",
    "acceleration",
    "sampling",
    "second",
    "centre",
    "seed",
    "bound",
    "penalty",
}
BOUND_RANGE = (0.1, 1000.0)
PENALTY_RANGE = (0.001, 100.0)


class RecipeError(Exception):
    """A recipe that cannot be followed; the message is for people."""


@dataclass(frozen=True)
class RawRecipe:
    """Without a method the one that fits the scan: for acquired arms, whose scan is as it is."""

    method: str | None = None
    sampling: Sampling | None = None
    bound: float | None = None
    penalty: float | None = None
    model: str | None = None

    def wanted(self) -> Reconstruction:
        from denoise_engine.rawdata import Reconstruction

        return Reconstruction(
            method=self.method,
            sampling=self.sampling,
            bound=self.bound,
            penalty=self.penalty,
            model=self.model,
        )


def raw_methods() -> tuple[str, ...]:
    """The engine's reconstructions: nothing heavy is loaded for it."""
    return tuple(describe_reconstructions())


def read_raw_recipe(stored: Mapping[str, Any], arm_name: str) -> RawRecipe:
    """Check the recipe of an arm made from raw data. Raises RecipeError."""
    unknown = sorted(str(key) for key in set(stored) - KEYS)
    if unknown:
        raise RecipeError(
            f"{arm_name}: a recipe for raw data says nothing of {', '.join(unknown)}."
        )
    method = str(stored["method"])
    for key, owner in (("bound", "sense"), ("penalty", "cs"), ("model", "unrolled")):
        if stored.get(key) is not None and method != owner:
            raise RecipeError(f"{arm_name}: {key} belongs to the method {owner}, not to {method}.")
    model = stored.get("model")
    if model is not None and not isinstance(model, str):
        raise RecipeError(f"{arm_name}: the model is a name.")
    return RawRecipe(
        method=method,
        sampling=_read_sampling(stored, arm_name),
        bound=_read_number("bound", stored.get("bound"), BOUND_RANGE, arm_name),
        penalty=_read_number("penalty", stored.get("penalty"), PENALTY_RANGE, arm_name),
        model=model,
    )


def _read_sampling(stored: Mapping[str, Any], arm_name: str) -> Sampling | None:
    if "acceleration" not in stored:
        alone = sorted(set(stored) & {"sampling", "second", "centre", "seed"})
        if alone:
            raise RecipeError(
                f"{arm_name}: {alone[0]} says how lines are left out; say how many: acceleration."
            )
        return None
    acceleration = _read_number("acceleration", stored["acceleration"], (1, 16), arm_name)
    whole = {}
    for key, usual in (("second", 1), ("centre", CENTRE), ("seed", SEED)):
        value = stored.get(key, usual)
        if isinstance(value, bool) or not isinstance(value, int):
            raise RecipeError(f"{arm_name}: {key} is a whole number, not {value!r}.")
        whole[key] = value
    try:
        return Sampling(
            kind=str(stored.get("sampling", "regular")), acceleration=acceleration or 1.0, **whole
        )
    except EngineError as error:
        raise RecipeError(f"{arm_name}: {error}") from None


def _read_number(name: str, value: Any, reach: tuple[float, float], arm_name: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise RecipeError(f"{arm_name}: {name} is a number, not {value!r}.")
    if not reach[0] <= value <= reach[1]:
        raise RecipeError(
            f"{arm_name}: {name} lies between {reach[0]:g} and {reach[1]:g}, not at {value:g}."
        )
    return float(value)
