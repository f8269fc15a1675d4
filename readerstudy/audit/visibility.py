"""Which events nobody may read yet. Floors above know states of studies, and register what to hide.

The rows stay in the chain and are verified; they are left out of the administration site only.
"""

from __future__ import annotations

from collections.abc import Callable

from django.db.models import Q, QuerySet

from .models import Event

Hidden = Callable[[], Q]
_hidden: list[Hidden] = []


def register(hidden: Hidden) -> Hidden:
    """Add a function that returns which events are hidden now. Usable as a decorator."""
    if hidden not in _hidden:
        _hidden.append(hidden)
    return hidden


def readable(events: QuerySet[Event]) -> QuerySet[Event]:
    """Those of `events` that no registered function hides."""
    for hidden in _hidden:
        events = events.exclude(hidden())
    return events
