"""Reading the trail."""

from __future__ import annotations

from typing import TypedDict

from .models import Event
from .services import GENESIS


class Head(TypedDict):
    sequence: int
    hash: str


def head() -> Head:
    """The last event's position and hash: what to keep outside the database as an anchor."""
    last = Event.objects.order_by("-sequence").values_list("sequence", "hash").first()
    return Head(sequence=last[0], hash=last[1]) if last else Head(sequence=0, hash=GENESIS)
