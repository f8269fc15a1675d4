"""What a page reports of a visit and of a display: checked field by field, bounded, nothing else.

No free text is taken in: numbers, and names from short lists.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from .errors import Malformed
from .models import DisplayCheck

DAY_MS = 24 * 3600 * 1000
YEAR_MS = 366 * DAY_MS  # the item on which a reader went on holiday
MOST_INTERRUPTIONS = 200
MOST_WINDOWS = 30
MOST_CHANGES = 1_000_000
MOST_PIXELS = 100_000  # of a screen's side
MOST_PATCHES = 16
MOST_INTENSITY = 1_000_000.0
CAUSES = ("hidden", "idle", "unfocused", "offline", "signed_out", "pause")
TOOLS = (
    "invert",
    "cine",
    "magnifier",
    "pixel_exact",
    "full_pane",
    "unsynced",
    "preset",
    "warning_map",
)
RAMPS = ("smooth", "banded", "unsure")

ADVICE_DARK = (
    "Not every dark patch was seen: darken the room, raise the brightness of the display, or "
    "read on a diagnostic display."
)
ADVICE_LIGHT = (
    "Not every light patch was seen: lower the contrast of the display, or read on a diagnostic "
    "display."
)
ADVICE_RAMP = (
    "The grey ramp showed bands: this display has too few grey levels for fine differences."
)
ADVICE_DEPTH = "The display reports fewer than 24 bits of colour: fine differences may be lost."


def visit_content(content: Mapping[str, Any], panes: int, slices: int) -> dict[str, Any]:
    """A visit as it is stored; `Malformed` names the field that is wrong."""
    interruptions = [
        {
            "at_ms": _whole(one, "at_ms", 0, YEAR_MS),
            "ms": _whole(one, "ms", 0, YEAR_MS),
            "why": _one_of(one, "why", CAUSES),
        }
        for one in _list(content, "interruptions", MOST_INTERRUPTIONS)
    ]
    windows = [
        {
            "center": _number(one, "center", -MOST_INTENSITY, MOST_INTENSITY),
            "width": _number(one, "width", 0.0, MOST_INTENSITY),
            "ms": _whole(one, "ms", 0, YEAR_MS),
        }
        for one in _list(content, "windows", MOST_WINDOWS)
    ]
    # None: the item was left before anything of it was drawn.
    zoom = _mapping(content, "zoom") if content.get("zoom", "") is not None else None
    return {
        "active_ms": _whole(content, "active_ms", 0, DAY_MS),
        "images_ms": _optional_whole(content, "images_ms", 0, YEAR_MS),
        "interruptions": interruptions,
        "panes": _panes(content, panes, slices),
        "slice_changes": _whole(content, "slice_changes", 0, MOST_CHANGES),
        "windows": windows,
        "zoom": (
            None
            if zoom is None
            else {name: _number(zoom, name, 0.001, 1000.0) for name in ("least", "most", "last")}
        ),
        "used": sorted(set(_names(content, "used", TOOLS))),
        "display": display_content(_mapping(content, "display")),
    }


def _panes(content: Mapping[str, Any], panes: int, slices: int) -> list[dict[str, Any]]:
    found: dict[int, list[int]] = {}
    for one in _list(content, "panes", panes):
        number = _whole(one, "number", 1, panes)
        seen = one.get("slices")
        if number in found or not isinstance(seen, list) or len(seen) > slices:
            raise Malformed("The record's “panes” are not right.")
        if not all(_is_whole(index) and 0 <= index < slices for index in seen):
            raise Malformed("The record's “slices” are not right.")
        found[number] = sorted(set(seen))
    return [{"number": number, "slices": found[number]} for number in sorted(found)]


def display_content(content: Mapping[str, Any]) -> dict[str, Any]:
    """A display as it is stored."""
    return {
        "viewport": _size(content, "viewport"),
        "screen": _size(content, "screen"),
        "device_pixel_ratio": _number(content, "device_pixel_ratio", 0.05, 20.0),
        "colour_depth": _whole(content, "colour_depth", 1, 64),
        "browser_zoom": (
            None
            if content.get("browser_zoom") is None
            else _number(content, "browser_zoom", 0.05, 20.0)
        ),
    }


def check_content(content: Mapping[str, Any]) -> dict[str, Any]:
    """A display check as it is stored: the display, and what of the pattern was seen."""
    contrast = content.get("contrast")
    if contrast is not None:
        contrast = _mapping(content, "contrast")
        contrast = {
            "dark": _patches(_mapping(contrast, "dark")),
            "light": _patches(_mapping(contrast, "light")),
            "ramp": _one_of(contrast, "ramp", RAMPS),
        }
    return {**display_content(content), "contrast": contrast}


def _patches(content: Mapping[str, Any]) -> dict[str, int]:
    shown = _whole(content, "shown", 1, MOST_PATCHES)
    return {"shown": shown, "seen": _whole(content, "seen", 0, shown)}


def result_of(check: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The result of a display check, and what the reader may do about it."""
    advice = [ADVICE_DEPTH] if check["colour_depth"] < 24 else []
    contrast = check["contrast"]
    if contrast is None:
        return DisplayCheck.Result.SKIPPED, advice
    seen = [
        (contrast["dark"]["seen"] < contrast["dark"]["shown"], ADVICE_DARK),
        (contrast["light"]["seen"] < contrast["light"]["shown"], ADVICE_LIGHT),
        (contrast["ramp"] == "banded", ADVICE_RAMP),
    ]
    found = [words for is_poor, words in seen if is_poor]
    result = DisplayCheck.Result.POOR if found or advice else DisplayCheck.Result.GOOD
    return result, [*found, *advice]


# --- Fields ---------------------------------------------------------------------------------------


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _wrong(name: str) -> Malformed:
    return Malformed(f"The record's “{name}” is not right.")


def _whole(content: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value = content.get(name)
    if not isinstance(value, int) or not _is_whole(value) or not least <= value <= most:
        raise _wrong(name)
    return value


def _optional_whole(content: Mapping[str, Any], name: str, least: int, most: int) -> int | None:
    return None if content.get(name) is None else _whole(content, name, least, most)


def _number(content: Mapping[str, Any], name: str, least: float, most: float) -> float:
    value = content.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(name)
    if not math.isfinite(value) or not least <= value <= most:
        raise _wrong(name)
    return round(float(value), 4)


def _one_of(content: Mapping[str, Any], name: str, names: Collection[str]) -> str:
    value = content.get(name)
    if not isinstance(value, str) or value not in names:
        raise _wrong(name)
    return value


def _names(content: Mapping[str, Any], name: str, names: Collection[str]) -> list[str]:
    value = content.get(name)
    if not isinstance(value, list) or len(value) > len(names):
        raise _wrong(name)
    if not all(isinstance(one, str) and one in names for one in value):
        raise _wrong(name)
    return value


def _mapping(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = content.get(name)
    if not isinstance(value, dict):
        raise _wrong(name)
    return value


def _list(content: Mapping[str, Any], name: str, most: int) -> list[Mapping[str, Any]]:
    value = content.get(name)
    if not isinstance(value, list) or len(value) > most:
        raise _wrong(name)
    if not all(isinstance(one, dict) for one in value):
        raise _wrong(name)
    return value


def _size(content: Mapping[str, Any], name: str) -> list[int]:
    value = content.get(name)
    if not isinstance(value, list) or len(value) != 2:
        raise _wrong(name)
    if not all(_is_whole(side) and 1 <= side <= MOST_PIXELS for side in value):
        raise _wrong(name)
    return value
