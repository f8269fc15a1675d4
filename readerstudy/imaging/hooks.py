"""Where higher floors are told that a series came or went.

Imaging knows nothing of what is derived from its series; whoever does registers a function in its
AppConfig.ready(). Functions run inside the transaction that stores or deletes the series.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from readerstudy.accounts.models import User
    from readerstudy.studies.models import Study

    from .models import Series

StoredHook = Callable[["Study", "Sequence[Series]", "User | None"], None]
DeletingHook = Callable[["Series", "User | None", list[str]], None]

_stored: list[StoredHook] = []
_deleting: list[DeletingHook] = []


def on_series_stored(function: StoredHook) -> StoredHook:
    """`function(study, series, actor)` after one or more series were stored."""
    if function not in _stored:
        _stored.append(function)
    return function


def on_series_deleting(function: DeletingHook) -> DeletingHook:
    """`function(series, actor, prefixes)` just before a series is deleted.

    What it deletes itself goes through `services.delete_series_row` with the same `prefixes`, so
    that files are removed once the transaction has committed.
    """
    if function not in _deleting:
        _deleting.append(function)
    return function


def series_stored(study: Study, series: Sequence[Series], actor: User | None) -> None:
    for function in _stored:
        function(study, series, actor)


def series_deleting(series: Series, actor: User | None, prefixes: list[str]) -> None:
    for function in _deleting:
        function(series, actor, prefixes)
