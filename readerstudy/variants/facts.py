"""The parts of a page that tells how a series came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

UNKNOWN = "not recorded"


@dataclass(frozen=True)
class Fact:
    label: str
    value: str
    notes: Sequence[str] = ()
    badge: str = ""  # ending of a badge class: ok, warn, bad


@dataclass(frozen=True)
class Section:
    title: str
    facts: Sequence[Fact]


@dataclass(frozen=True)
class Picture:
    """One picture of a slice, and what its greys or colours mean."""

    name: str
    title: str
    caption: str
    scale: str = ""  # class of the colour bar
    lowest: str = ""
    highest: str = ""


def percent(share: float) -> str:
    """Never 0 where there is some: a place of a few pixels is one to look at."""
    if 0 < share < 0.0001:
        return "less than 0.01 %"
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def factor(value: Any) -> str:
    return f"{float(value):.2f}×" if value is not None else UNKNOWN
