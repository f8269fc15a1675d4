"""The recipe of a derived arm, of one of three kinds by its method.

`read_recipe` reads any; `raw_recipe` tells of those for raw data, `transfer_recipe` of images of
another quality. All others say what is done to the images of the source, and how strongly:
`Arm.recipe` holds, as JSON::

    {"method": "ddlr", "strength": {"kind": "target_snr_gain", "value": 1.7},
     "noise": "map", "bias_coils": 1, "native_grid": "off"}

`method` is a method of the engine. `strength` is `full`, `blend` with a value of 0 to 1, or
`target_snr_gain` with a factor. `noise` is `level`, one for the whole image, or `map`, where the
noise varies over it (parallel imaging, surface coils). `bias_coils` asks for the bias of magnitude
data to be taken out as a last step: the number of receiving coils that were combined by the root of
their sum of squares, 1 for Rician data. It is off without the key, as it changes the local mean
that a method otherwise carries through. `native_grid` is `auto` (images that the scanner
interpolated are taken back to the grid they were acquired on) or `off`. Recipes of the first
version name a `model` as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from denoise_engine.coils import MOST_COILS, is_possible
from denoise_engine.errors import EngineError
from denoise_engine.methods.filters import describe_methods

from .raw_recipe import RawRecipe, RecipeError, raw_methods, read_raw_recipe
from .transfer_recipe import METHOD as TRANSFER
from .transfer_recipe import TransferRecipe, is_transfer, read_transfer_recipe

__all__ = [
    "AnyRecipe",
    "RawRecipe",
    "Recipe",
    "RecipeError",
    "TransferRecipe",
    "is_for_raw",
    "is_transfer",
    "known_methods",
    "read_recipe",
]

KINDS = ("full", "blend", "target_snr_gain")
NOISES = ("level", "map")
GRIDS = ("auto", "off")
KEYS = {"method", "model", "strength", "noise", "bias_coils", "native_grid"}


@dataclass(frozen=True)
class Recipe:
    """`strength` is the whole method ("full"), a share of it ("blend", 0 to 1), or as much as
    raises SNR by a factor ("target_snr_gain")."""

    method: str
    strength: str
    value: float | None = None
    noise: str = "level"
    bias_coils: int | None = None
    native_grid: str = "auto"

    def strength_as_json(self) -> dict[str, Any]:
        strength: dict[str, Any] = {"kind": self.strength}
        if self.value is not None:
            strength["value"] = self.value
        return strength


AnyRecipe = Recipe | RawRecipe | TransferRecipe


def known_methods() -> tuple[str, ...]:
    """The engine's methods, from its lists: no network is loaded for it."""
    try:
        return (*describe_methods(), TRANSFER, *raw_methods())
    except EngineError as error:
        raise RecipeError(str(error)) from None


def is_for_raw(stored: Any) -> bool:
    """Whether a recipe asks for raw data, by its method."""
    return isinstance(stored, dict) and stored.get("method") in raw_methods()


def read_recipe(stored: Any, arm_name: str) -> AnyRecipe:
    """Check `Arm.recipe`. Raises RecipeError."""
    if not isinstance(stored, dict) or not stored:
        raise RecipeError(f"{arm_name} has no recipe: say in the protocol how it is made.")
    if is_for_raw(stored):
        return read_raw_recipe(stored, arm_name)
    if is_transfer(stored):
        return read_transfer_recipe(stored, arm_name)
    unknown = sorted(str(key) for key in set(stored) - KEYS)
    if unknown:
        raise RecipeError(
            f"{arm_name}: the recipe says {', '.join(unknown)}, which nothing is known about."
        )
    method = _read_method(stored, arm_name)
    kind, value = _read_strength(stored.get("strength"), arm_name)
    return Recipe(
        method=method,
        strength=kind,
        value=value,
        bias_coils=_read_coils(stored.get("bias_coils"), arm_name),
        noise=_read_choice("noise", stored.get("noise", "level"), NOISES, arm_name),
        native_grid=_read_choice("native grid", stored.get("native_grid", "auto"), GRIDS, arm_name),
    )


def _read_method(stored: Mapping[str, Any], arm_name: str) -> str:
    known = known_methods()
    method = stored.get("method")
    # The first version had the method ddlr alone, and the model beside it.
    name = stored.get("model") or method if method == "ddlr" else method
    if name not in known or name == TRANSFER:
        raise RecipeError(f"{arm_name}: the method “{name}” is unknown; known: {', '.join(known)}.")
    return str(name)


def _read_strength(strength: Any, arm_name: str) -> tuple[str, float | None]:
    kind = strength.get("kind") if isinstance(strength, dict) else None
    if not isinstance(strength, dict) or kind not in KINDS:
        raise RecipeError(
            f"{arm_name}: the strength {kind!r} is unknown; known: {', '.join(KINDS)}."
        )
    if kind == "full":
        return kind, None
    value = strength.get("value")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise RecipeError(f"{arm_name}: the strength {kind} needs a number.")
    if kind == "blend" and not 0 <= value <= 1:
        raise RecipeError(f"{arm_name}: a blend lies between 0 and 1, not at {value:g}.")
    if kind == "target_snr_gain" and value < 1:
        raise RecipeError(f"{arm_name}: a target gain is 1 or more, not {value:g}.")
    return kind, float(value)


def _read_coils(coils: Any, arm_name: str) -> int | None:
    if coils is None:
        return None
    if not isinstance(coils, int) or not is_possible(coils):
        raise RecipeError(
            f"{arm_name}: the bias correction needs a number of coils from 1 (Rician) to "
            f"{MOST_COILS}, not {coils!r}."
        )
    return coils


def _read_choice(name: str, chosen: Any, choices: tuple[str, ...], arm_name: str) -> str:
    if chosen not in choices:
        raise RecipeError(f"{arm_name}: the {name} is {' or '.join(choices)}, not {chosen!r}.")
    return str(chosen)
