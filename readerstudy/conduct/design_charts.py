"""The curve of power over volunteers, in the coordinates of a small drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .design_power import ENOUGH, Power

WIDTH, HEIGHT = 300, 170
LEFT, RIGHT, TOP, BOTTOM = 34, 8, 8, 34


@dataclass(frozen=True)
class Chart:
    width: int
    height: int
    left: int
    right: int
    bottom: int
    line: str  # points of the polyline
    dots: Sequence[tuple[float, float]]
    here: tuple[float, float]  # the planned number
    across: Sequence[tuple[float, str]]  # y, label
    along: Sequence[tuple[float, str]]  # x, label
    enough: float
    words: str


def chart_of(power: Power) -> Chart:
    numbers = [n for n, _value in power.curve]
    low, high = min(numbers), max(numbers)

    def x(n: float) -> float:
        share = (n - low) / (high - low) if high > low else 0.5
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(TOP + (1 - value) * (HEIGHT - TOP - BOTTOM), 1)

    places = [(x(n), y(value)) for n, value in power.curve]
    return Chart(
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
        bottom=HEIGHT - BOTTOM,
        line=" ".join(f"{across},{down}" for across, down in places),
        dots=places,
        here=(x(power.volunteers), y(power.value)),
        across=[(y(share / 100), f"{share} %") for share in (0, 50, 80, 100)],
        along=[(x(n), str(n)) for n in numbers[::2]],
        enough=y(ENOUGH),
        words="; ".join(f"{n} volunteers {value:.0%}" for n, value in power.curve),
    )
