"""Where the floor above is told that a study was locked.

`reports` freezes the data at that moment. Functions run inside the transaction that locks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from readerstudy.accounts.models import User
    from readerstudy.studies.models import Study

    from .models import Locking

LockedHook = Callable[["Study", "Locking", "User | None"], None]
_locked: list[LockedHook] = []


def on_study_locked(function: LockedHook) -> LockedHook:
    """`function(study, locking, actor)` after a study was locked."""
    if function not in _locked:
        _locked.append(function)
    return function


def study_locked(study: Study, locking: Locking, actor: User | None) -> None:
    for function in _locked:
        function(study, locking, actor)
