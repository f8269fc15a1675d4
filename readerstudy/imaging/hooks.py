"""Where higher floors are told that a series came or went.

Imaging knows nothing of what is derived from its series; whoever does registers a function in its
AppConfig.ready(). Functions run inside the transaction that stores or deletes the series, and read
nothing from storage: what they need of it they say before (`on_series_coming`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from readerstudy.accounts.models import User
    from readerstudy.studies.models import Study

    from .models import Series, Volunteer
    from .raw_data import RawIntake
    from .readings import Readings

ComingHook = Callable[["Volunteer", "Series", "Sequence[Series]", "Readings"], None]
StoredHook = Callable[["Study", "Sequence[Series]", "User | None", "Readings"], None]
DeletingHook = Callable[["Series", "User | None", list[str]], None]

_coming: list[ComingHook] = []
_stored: list[StoredHook] = []
_deleting: list[DeletingHook] = []
_intakes: list[Callable[[], RawIntake]] = []


def on_series_coming(function: ComingHook) -> ComingHook:
    """`function(volunteer, control, series, readings)` before series are stored.

    `series` are those of the volunteer that are there and those to come, whose rows, and perhaps
    the volunteer's, are not saved. It asks (`Readings.want`) for what the function of
    `on_series_stored` will need, and changes nothing.
    """
    if function not in _coming:
        _coming.append(function)
    return function


def on_series_stored(function: StoredHook) -> StoredHook:
    """`function(study, series, actor, readings)` after one or more series were stored."""
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


def on_raw_data(intake: Callable[[], RawIntake]) -> None:
    """`intake` makes one when raw data may have come: what reads them takes long to load."""
    if intake not in _intakes:
        _intakes.append(intake)


def raw_intakes() -> Sequence[Callable[[], RawIntake]]:
    return _intakes


def series_coming(
    volunteer: Volunteer, control: Series, series: Sequence[Series], readings: Readings
) -> None:
    for function in _coming:
        function(volunteer, control, series, readings)


def series_stored(
    study: Study, series: Sequence[Series], actor: User | None, readings: Readings
) -> None:
    for function in _stored:
        function(study, series, actor, readings)


def series_deleting(series: Series, actor: User | None, prefixes: list[str]) -> None:
    for function in _deleting:
        function(series, actor, prefixes)
