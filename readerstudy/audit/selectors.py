"""Reading the trail."""

from __future__ import annotations

import datetime
from typing import TypedDict

from django.db.models import Max

from .models import Event
from .services import GENESIS


class Head(TypedDict):
    sequence: int
    hash: str


def last_time_of(action: str) -> datetime.datetime | None:
    """When an act of this name was last recorded; None if it never was."""
    last: datetime.datetime | None = Event.objects.filter(action=action).aggregate(at=Max("at"))[
        "at"
    ]
    return last


def head() -> Head:
    """The last event's position and hash: what to keep outside the database as an anchor."""
    last = Event.objects.order_by("-sequence").values_list("sequence", "hash").first()
    return Head(sequence=last[0], hash=last[1]) if last else Head(sequence=0, hash=GENESIS)
