"""Heads of the chain that other tables wrote down at some act.

Whoever forges the whole chain, hashes and all, has to find these too: `verify_chain` looks for
each. Floors above register a function that returns theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Anchor:
    what: str  # for people
    hash: str


Anchors = Callable[[], Sequence[Anchor]]
_registered: list[Anchors] = []


def register(anchors: Anchors) -> Anchors:
    if anchors not in _registered:
        _registered.append(anchors)
    return anchors


def anchors() -> list[Anchor]:
    """All that are on record."""
    return [anchor for registered in _registered for anchor in registered()]
