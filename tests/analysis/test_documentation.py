"""Every public name explains itself; pytest runs the examples themselves, module by module."""

import inspect
import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

import analysis

MODULES = [
    import_module(f"analysis.{found.name}")
    for found in pkgutil.iter_modules(analysis.__path__)
    if found.name != "__main__"
]
# Where users find what is not in `analysis` itself: files, tables, figures, scripts.
FOR_USERS = (
    *("command", "csv_input", "example", "figures", "image_figures", "image_input"),
    *("input_frames", "noise", "plan_document", "preference_figures", "preference_input"),
    *("preference_tables", "publication", "r_scripts", "regions", "results_document"),
    *("score_figures", "table_formats", "tables"),
)


def functions(module: Any) -> list[Callable[..., Any]]:
    return [
        found
        for name, found in vars(module).items()
        if inspect.isfunction(found)
        and not name.startswith("_")
        and found.__module__ == module.__name__
    ]


def lacking(function: Callable[..., Any], headings: tuple[str, ...]) -> list[str]:
    text = inspect.getdoc(function) or ""
    return [name for name in headings if f"{name}\n{'-' * len(name)}" not in text]


@pytest.mark.parametrize("name", sorted(analysis.__all__))
def test_a_public_name_explains_itself(name: str) -> None:
    found = getattr(analysis, name)
    if inspect.isfunction(found):
        assert not lacking(found, ("Parameters", "Returns", "Examples"))
    else:
        assert inspect.getdoc(found), f"{name} says nothing"


def test_every_function_without_an_underscore_shows_a_runnable_example() -> None:
    bare = [
        f"{module.__name__}.{function.__name__}"
        for module in MODULES
        for function in functions(module)
        if ">>>" not in (inspect.getdoc(function) or "")
    ]
    assert not bare


@pytest.mark.parametrize("name", FOR_USERS)
def test_functions_for_users_name_what_they_take_and_give(name: str) -> None:
    for function in functions(import_module(f"analysis.{name}")):
        wanted = (
            ("Returns", "Examples")
            if not inspect.signature(function).parameters
            else (
                "Parameters",
                "Returns",
                "Examples",
            )
        )
        assert not lacking(function, wanted), function.__name__


def test_pytest_collects_the_examples(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.getoption("doctestmodules")
    assert "analysis" in pytestconfig.getini("testpaths")
