"""The recipe of an arm of another image quality: thin slices made from thick ones, or another look.

`Arm.recipe` holds, as JSON::

    {"method": "transfer", "model": "sr-unet", "factor": 4, "thick": "simulated", "samples": 4}
    {"method": "transfer", "model": "cubic", "factor": 4, "thick": "simulated"}
    {"method": "transfer", "model": "7t-like-gan", "factor": 1}

`model` is a transfer network of the engine, or `cubic`: interpolation alone, what a network has to
be better than. `factor` is how many thin slices each thick one becomes. `thick` says where the
thick slices come from: `acquired`, the source was scanned so, on a grid of its own, and the result
is brought onto the control's; or `simulated`, the source's thin slices are added up to thick ones
first. With a factor of 1 a network makes the scan look as from a higher field and makes no slices:
`thick` is left out. `samples` is how many runs with channels left out at random the warning map
rests on; 0 takes what the network says of itself alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from denoise_engine.errors import EngineError
from denoise_engine.models import TRANSFER_MANIFEST, ModelFile, available_models, read_card

from .raw_recipe import RecipeError

METHOD = "transfer"
CUBIC = "cubic"
ACQUIRED, SIMULATED = "acquired", "simulated"
THICK = (ACQUIRED, SIMULATED)
SAMPLES = 4
MOST_SAMPLES = 32
CUBIC_FACTORS = tuple(range(2, 9))
KEYS = {"method", "model", "factor", "thick", "samples"}


@dataclass(frozen=True)
class TransferRecipe:
    model: str
    factor: int
    thick: str = ACQUIRED
    samples: int = SAMPLES

    @property
    def is_network(self) -> bool:
        return self.model != CUBIC

    @property
    def is_simulated(self) -> bool:
        return self.thick == SIMULATED

    @property
    def keeps_slices(self) -> bool:
        """The images change, the slices stay where they are."""
        return self.factor == 1


def is_transfer(stored: Any) -> bool:
    """Whether a recipe asks for images of another quality."""
    return isinstance(stored, dict) and stored.get("method") == METHOD


def transfer_choices() -> dict[str, tuple[int, ...]]:
    """The engine's transfer networks, and the factors that each was trained for.

    Nothing heavy is loaded for it. Raises EngineError when the list or a card cannot be read.
    """
    listed = sorted(available_models(TRANSFER_MANIFEST).items())
    return {name: _factors(file) for name, file in listed} | {CUBIC: CUBIC_FACTORS}


@lru_cache(maxsize=16)
def _factors(file: ModelFile) -> tuple[int, ...]:
    """From the card in the weights; a network that makes no slices says none, or 1."""
    said = read_card(file)["architecture"].get("factors") or (1,)
    return tuple(int(factor) for factor in said)


def read_transfer_recipe(stored: Mapping[str, Any], arm_name: str) -> TransferRecipe:
    """Check the recipe of such an arm. Raises RecipeError."""
    unknown = sorted(str(key) for key in set(stored) - KEYS)
    if unknown:
        raise RecipeError(
            f"{arm_name}: a recipe for image quality transfer says nothing of {', '.join(unknown)}."
        )
    try:
        known = transfer_choices()
    except EngineError as error:
        raise RecipeError(str(error)) from None
    model = stored.get("model")
    if not isinstance(model, str) or model not in known:
        raise RecipeError(f"{arm_name}: the model “{model}” is unknown; known: {', '.join(known)}.")
    factors = known[model]
    factor = stored.get("factor")
    if isinstance(factor, bool) or not isinstance(factor, int) or factor not in factors:
        listed = " or ".join(str(one) for one in factors)
        raise RecipeError(f"{arm_name}: {model} takes a factor of {listed}, not {factor!r}.")
    thick = stored.get("thick", ACQUIRED)
    if factor == 1 and "thick" in stored:
        raise RecipeError(f"{arm_name}: {model} makes no slices: leave out “thick”.")
    if thick not in THICK:
        raise RecipeError(f"{arm_name}: the thick slices are {' or '.join(THICK)}, not {thick!r}.")
    samples = stored.get("samples", SAMPLES)
    is_count = isinstance(samples, int) and not isinstance(samples, bool)
    if not is_count or not 0 <= samples <= MOST_SAMPLES or samples == 1:
        raise RecipeError(
            f"{arm_name}: the warning map rests on 0 or on 2 to {MOST_SAMPLES} runs, not "
            f"{samples!r}."
        )
    return TransferRecipe(model, factor, str(thick), samples)
