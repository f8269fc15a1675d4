"""What a design must keep to that its own room cannot know: recipes and plans that can be run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from analysis import AnalysisPlan, PlanError
from readerstudy.studies.design_checks import Rules, check_document
from readerstudy.studies.design_document import Document
from readerstudy.studies.errors import DesignFault
from readerstudy.variants.recipe import RecipeError, known_methods, read_recipe


def check_design(document: Any) -> None:
    """Raise `DesignError` with every fault of a design document."""
    check_document(document, Rules(_recipe_fault, lambda plan: list(_plan_faults(plan))))


def strength_methods() -> list[str]:
    """The engine's methods that are asked for by a strength; others take settings of their own."""
    try:
        known = known_methods()
    except RecipeError:
        return []
    return [
        name
        for name in known
        if not _recipe_fault({"method": name, "strength": {"kind": "full"}}, name)
    ]


def _recipe_fault(recipe: Any, arm_name: str) -> str:
    try:
        read_recipe(recipe, arm_name)
    except RecipeError as error:
        return str(error)
    return ""


def _plan_faults(plan: Document) -> Iterator[DesignFault]:
    """Each choice by itself: which arms and regions it meets is looked at when it is signed."""
    for key, value in plan.items():
        try:
            AnalysisPlan(
                arms=("A", "B"), control="A", comparisons=(("A", "B"),), **{key: _as_given(value)}
            )
        except PlanError as error:
            yield DesignFault(f"plan.{key}", str(error))
        except (TypeError, ValueError, AttributeError):
            yield DesignFault(f"plan.{key}", "This is not what an analysis plan can hold.")


def _as_given(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
