"""Tasks by name: a job row names its task, a worker looks it up here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .context import JobContext

TaskFunction = Callable[["JobContext", dict[str, Any]], dict[str, Any] | None]


@dataclass(frozen=True)
class Task:
    name: str
    queue: str
    function: TaskFunction


_tasks: dict[str, Task] = {}


def task(name: str, *, queue: str = "cpu") -> Callable[[TaskFunction], TaskFunction]:
    """Register a function as the body of jobs of kind `name`."""

    def register(function: TaskFunction) -> TaskFunction:
        _tasks[name] = Task(name=name, queue=queue, function=function)
        return function

    return register


def get_task(name: str) -> Task:
    try:
        return _tasks[name]
    except KeyError:
        raise LookupError(f"No task is registered under the name {name!r}.") from None
