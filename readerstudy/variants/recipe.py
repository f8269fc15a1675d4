"""The recipe of a derived arm: what is done to the source's images, and how strongly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

METHODS = ("ddlr",)
KINDS = ("full", "blend", "target_snr_gain")


class RecipeError(Exception):
    """A recipe that cannot be followed; the message is for people."""


@dataclass(frozen=True)
class Recipe:
    """`strength` is the whole network ("full"), a share of it ("blend", 0 to 1), or as much as
    raises SNR by a factor ("target_snr_gain")."""

    method: str
    model: str
    strength: str
    value: float | None = None

    def as_json(self) -> dict[str, Any]:
        strength: dict[str, Any] = {"kind": self.strength}
        if self.value is not None:
            strength["value"] = self.value
        return {"method": self.method, "model": self.model, "strength": strength}


def read_recipe(stored: Any, arm_name: str) -> Recipe:
    """Check `Arm.recipe`. Raises RecipeError."""
    if not isinstance(stored, dict) or not stored:
        raise RecipeError(f"{arm_name} has no recipe: say in the protocol how it is made.")
    method = stored.get("method")
    if method not in METHODS:
        raise RecipeError(f"{arm_name}: the method {method!r} is unknown; known: ddlr.")
    model = stored.get("model") or "ddlr"
    strength = stored.get("strength")
    kind = strength.get("kind") if isinstance(strength, dict) else None
    if not isinstance(strength, dict) or kind not in KINDS:
        raise RecipeError(
            f"{arm_name}: the strength {kind!r} is unknown; known: {', '.join(KINDS)}."
        )
    if kind == "full":
        return Recipe(method, str(model), kind)
    value = strength.get("value")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise RecipeError(f"{arm_name}: the strength {kind} needs a number.")
    if kind == "blend" and not 0 <= value <= 1:
        raise RecipeError(f"{arm_name}: a blend lies between 0 and 1, not at {value:g}.")
    if kind == "target_snr_gain" and value < 1:
        raise RecipeError(f"{arm_name}: a target gain is 1 or more, not {value:g}.")
    return Recipe(method, str(model), kind, float(value))
