"""Checks of plain data that came from outside: each says what is wrong and where.

A check takes a value, its JSON path and the list of faults. Nothing is converted and nothing is
guessed: a value is what it should be, or it is a fault.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from .errors import DesignFault
from .models import CODE

Faults = list[DesignFault]
Check = Callable[[Any, str, Faults], None]

# What no text field may hold: control characters beside tab and line feed, and half characters.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    if isinstance(value, bool):
        return "yes or no"
    if isinstance(value, str):
        return f"“{value[:60]}”"
    if isinstance(value, (int, float)):
        return f"{value:g}" if abs(value) < 1e15 else "a very large number"
    return {"list": "a list", "dict": "an object"}.get(type(value).__name__, "nothing")


def text(most: int, *, least: int = 0, lines: bool = False) -> Check:
    """`lines` says that line breaks and tabs are allowed."""

    def check(value: Any, path: str, faults: Faults) -> None:
        if not isinstance(value, str):
            faults.append(DesignFault(path, f"This is a text, not {kind_of(value)}."))
        elif len(value.strip()) < least:
            faults.append(DesignFault(path, "This is empty. Write something."))
        elif len(value) > most:
            faults.append(
                DesignFault(path, f"This has {len(value)} characters; {most} are the most.")
            )
        elif _FORBIDDEN.search(value) or (not lines and ("\n" in value or "\t" in value)):
            faults.append(DesignFault(path, "This holds a character that cannot be shown."))

    return check


def code(most: int) -> Check:
    def check(value: Any, path: str, faults: Faults) -> None:
        if not isinstance(value, str):
            faults.append(DesignFault(path, f"This is a code, not {kind_of(value)}."))
        elif not value:
            faults.append(DesignFault(path, "The code is empty. Give one."))
        elif len(value) > most or not CODE.regex.fullmatch(value):  # type: ignore[union-attr]
            faults.append(
                DesignFault(
                    path,
                    f"“{value[:60]}” is no code: use up to {most} letters, digits, hyphens and "
                    "underscores, a letter or digit first.",
                )
            )

    return check


def choice(choices: Collection[str]) -> Check:
    def check(value: Any, path: str, faults: Faults) -> None:
        if not isinstance(value, str) or value not in choices:
            faults.append(
                DesignFault(path, f"This is one of {', '.join(choices)}, not {kind_of(value)}.")
            )

    return check


def flag(value: Any, path: str, faults: Faults) -> None:
    if not isinstance(value, bool):
        faults.append(DesignFault(path, f"This is true or false, not {kind_of(value)}."))


def colour(value: Any, path: str, faults: Faults) -> None:
    if not isinstance(value, str) or not _COLOUR.fullmatch(value):
        faults.append(DesignFault(path, f"This is a colour such as #ffb000, not {kind_of(value)}."))


def whole(least: int, most: int) -> Check:
    def check(value: Any, path: str, faults: Faults) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            faults.append(
                DesignFault(
                    path, f"This is a whole number from {least} to {most}, not {kind_of(value)}."
                )
            )

    return check


def number(least: float, most: float) -> Check:
    def check(value: Any, path: str, faults: Faults) -> None:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not least <= value <= most:
            faults.append(
                DesignFault(
                    path, f"This is a number from {least:g} to {most:g}, not {kind_of(value)}."
                )
            )

    return check


def anything(value: Any, path: str, faults: Faults) -> None:
    """Checked elsewhere."""


def or_null(check: Check) -> Check:
    def checked(value: Any, path: str, faults: Faults) -> None:
        if value is not None:
            check(value, path, faults)

    return checked


def listed(check: Check, most: int) -> Check:
    def checked(value: Any, path: str, faults: Faults) -> None:
        if not isinstance(value, list):
            faults.append(DesignFault(path, f"This is a list, not {kind_of(value)}."))
        elif len(value) > most:
            faults.append(DesignFault(path, f"This has {len(value)} entries; {most} are the most."))
        else:
            for position, entry in enumerate(value):
                check(entry, f"{path}[{position}]", faults)

    return checked


def entries(checks: Mapping[str, Check], optional: Collection[str] = ()) -> Check:
    """An object with these keys and no others."""

    def checked(value: Any, path: str, faults: Faults) -> None:
        if not isinstance(value, dict):
            faults.append(DesignFault(path, f"This is an object, not {kind_of(value)}."))
            return
        within = f"{path}." if path else ""
        for key in value:
            if key not in checks:
                faults.append(
                    DesignFault(
                        f"{within}{key[:60]}",
                        f"Nothing is known of this key. Known are {', '.join(checks)}.",
                    )
                )
        for key, check in checks.items():
            if key in value:
                check(value[key], f"{within}{key}", faults)
            elif key not in optional:
                faults.append(DesignFault(f"{within}{key}", "This is missing."))

    return checked
