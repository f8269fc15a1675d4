"""Tasks by name: a job row names its task, a worker looks it up here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from django.utils.module_loading import autodiscover_modules

if TYPE_CHECKING:
    from .context import JobContext

TaskFunction = Callable[["JobContext", dict[str, Any]], dict[str, Any] | None]


@dataclass(frozen=True)
class Task:
    name: str
    queue: str
    function: TaskFunction


@dataclass(frozen=True)
class Periodic:
    name: str
    seconds: float
    function: Callable[[], object]


_tasks: dict[str, Task] = {}
_periodic: dict[str, Periodic] = {}


def task(name: str, *, queue: str = "cpu") -> Callable[[TaskFunction], TaskFunction]:
    """Register a function as the body of jobs of kind `name`."""

    def register(function: TaskFunction) -> TaskFunction:
        _tasks[name] = Task(name=name, queue=queue, function=function)
        return function

    return register


@cache
def _know_all() -> None:
    """Every app's tasks.py registers its tasks, once somebody asks for one: commands that have
    nothing to do with jobs would otherwise wait for all that reads and computes images."""
    autodiscover_modules("tasks")


def get_task(name: str) -> Task:
    _know_all()
    try:
        return _tasks[name]
    except KeyError:
        raise LookupError(f"No task is registered under the name {name!r}.") from None


def periodic(seconds: float) -> Callable[[Callable[[], object]], Callable[[], object]]:
    """Register housekeeping that every worker runs about every `seconds`.

    Several workers may run it at once, so it must be safe to repeat. What it returns, if
    anything, is logged: a count, never patient data.
    """

    def register(function: Callable[[], object]) -> Callable[[], object]:
        name = f"{function.__module__}.{function.__qualname__}"
        _periodic[name] = Periodic(name=name, seconds=seconds, function=function)
        return function

    return register


def periodic_tasks() -> list[Periodic]:
    _know_all()
    return list(_periodic.values())
