"""Artifact marks: arrows in patient millimetres, checked against the images they point into."""

from __future__ import annotations

import math
from typing import Any

from readerstudy.imaging.geometry import Geometry
from readerstudy.imaging.selectors import control_series, geometry_of

from .errors import MarksRefused
from .models import Item

MOST_MARKS = 10
TOLERANCE = 0.51  # of a pixel or a slice: the outer edge of the image, and rounding


def read_marks(item: Item, content: object) -> list[dict[str, Any]]:
    """The arrows that a page sends, checked; `MarksRefused` says what is wrong."""
    if not isinstance(content, list):
        raise MarksRefused("Marks are a list of arrows.")
    if len(content) > MOST_MARKS:
        raise MarksRefused(f"An item can carry {MOST_MARKS} arrows at most.")
    series = control_series(item.volunteer)
    if series is None:
        raise MarksRefused("The images of this item are not there any more.")
    geometry = geometry_of(series)
    panes = item.panes.count()
    return [_mark(mark, geometry, panes) for mark in content]


def _mark(mark: object, geometry: Geometry, panes: int) -> dict[str, Any]:
    if not isinstance(mark, dict):
        raise MarksRefused("An arrow has a pane, a slice and two points.")
    pane, slice_index = mark.get("pane"), mark.get("slice")
    if not _is_whole(pane) or not 1 <= pane <= panes:  # type: ignore[operator]
        raise MarksRefused("An arrow lies in no image of this item.")
    if not _is_whole(slice_index) or not 0 <= slice_index < geometry.slices:  # type: ignore[operator]
        raise MarksRefused("An arrow lies on no slice of this item.")
    points = {name: _point(mark.get(name), geometry, slice_index) for name in ("tail", "head")}  # type: ignore[arg-type]
    if points["tail"] == points["head"]:
        raise MarksRefused("An arrow has two different ends.")
    return {"pane": pane, "slice": slice_index, **points}


def _point(point: object, geometry: Geometry, slice_index: int) -> list[float]:
    if (
        not isinstance(point, list)
        or len(point) != 3
        or any(isinstance(x, bool) or not isinstance(x, int | float) for x in point)
        or not all(math.isfinite(x) for x in point)
    ):
        raise MarksRefused("An end of an arrow is three numbers, in millimetres.")
    at, row, column = geometry.to_index(point)
    inside = (
        abs(at - slice_index) <= TOLERANCE
        and -TOLERANCE <= row <= geometry.rows - 1 + TOLERANCE
        and -TOLERANCE <= column <= geometry.columns - 1 + TOLERANCE
    )
    if not inside:
        raise MarksRefused("An arrow lies outside the image that it marks.")
    return [round(float(x), 3) for x in point]


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
