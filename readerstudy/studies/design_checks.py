"""Whether a design document can be taken: its shape first, then what its parts say of each other.

Whether it is complete enough to be launched is another question, asked at the launch. What rooms
above decide (which recipes the engine can follow, which plans `analysis` can run) they hand in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .design_document import FORMAT, VERSION, Document
from .errors import DesignError, DesignFault
from .models import Arm, Study, Tissue
from .plan_models import PLAN_SETTINGS
from .shapes import (
    Check,
    Faults,
    anything,
    choice,
    code,
    colour,
    entries,
    flag,
    kind_of,
    listed,
    number,
    or_null,
    text,
    whole,
)

POINTS = 5  # of the scale
MOST_ARMS = 26  # as many as there are letters
MOST_CRITERIA = 20
MOST_TISSUES = 20
MOST_COMPARISONS = 100
MOST_VOLUNTEERS = 500
LARGEST_AREA_MM2 = 100_000.0
PLANNING_KINDS = ("difference", "shares")


@dataclass(frozen=True)
class Rules:
    """What rooms above know: each says what is wrong, or nothing."""

    recipe_fault: Callable[[Any, str], str]  # recipe, name of the arm
    plan_faults: Callable[[Document], Sequence[DesignFault]]  # the part "plan"


_STRENGTH = entries(
    {"kind": text(40, least=1), "value": or_null(number(0, 1000))}, optional=("value",)
)
MOST_RECIPE_KEYS = 20


def _recipe(value: Any, path: str, faults: Faults) -> None:
    """Plain values by name, and a strength; what they mean the engine's own room knows."""
    if not isinstance(value, dict):
        faults.append(DesignFault(path, f"This is an object, not {kind_of(value)}."))
    elif len(value) > MOST_RECIPE_KEYS:
        faults.append(DesignFault(path, f"{MOST_RECIPE_KEYS} keys are the most."))
    else:
        for key, entry in value.items():
            within = f"{path}.{key[:60]}"
            if key == "strength":
                _STRENGTH(entry, within, faults)
            elif isinstance(entry, str):
                text(100)(entry, within, faults)
            elif isinstance(entry, (dict, list)):
                faults.append(DesignFault(within, f"This is one value, not {kind_of(entry)}."))


def _anchors(value: Any, path: str, faults: Faults) -> None:
    """The wording of every point, or none at all."""
    listed(text(100, least=1), POINTS)(value, path, faults)
    if isinstance(value, list) and 0 < len(value) < POINTS:
        faults.append(
            DesignFault(
                path,
                f"{len(value)} of {POINTS} points have a wording. Give it to each, or to none.",
            )
        )


PLANNING = entries(
    {
        "volunteers": whole(1, MOST_VOLUNTEERS),
        "kind": choice(PLANNING_KINDS),
        "difference": number(-25, 25),
        "sd": number(0.01, 25),
        "higher": number(0, 100),
        "lower": number(0, 100),
    },
    optional=("volunteers", "kind", "difference", "sd", "higher", "lower"),
)

_READING: dict[str, Check] = {
    "mode": choice(Study.ReadingMode.values),
    "side_policy": choice(Study.SidePolicy.values),
    "minimum_gap": whole(1, 50),
    "repeat_percent": whole(0, 50),
    "occasions": whole(1, 5),
    "washout_days": whole(1, 730),
    "practice_items": whole(0, 20),
    "practice_volunteers": listed(code(30), 100),
    "pause_after_minutes": whole(0, 240),
    "pause_minutes": whole(1, 60),
    "may_go_back": flag,
    "change_reason": choice(Study.ChangeReason.values),
    "warning_maps": choice(Study.WarningMaps.values),
    "instructions": text(5000, lines=True),
}

_SHAPE = entries(
    {
        "format": choice((FORMAT,)),
        "version": anything,  # looked at before everything else
        "study": entries(
            {
                "title": text(200, least=1),
                "description": text(5000, lines=True),
                "notice": text(300),
                "credits": text(5000, lines=True),
            }
        ),
        "arms": listed(
            entries(
                {
                    "code": code(30),
                    "name": text(100, least=1),
                    "kind": choice(Arm.Kind.values),
                    "is_control": flag,
                    "source": or_null(code(30)),
                    "recipe": _recipe,
                }
            ),
            MOST_ARMS,
        ),
        "comparisons": listed(entries({"first": code(30), "second": code(30)}), MOST_COMPARISONS),
        "criteria": listed(
            entries(
                {
                    "code": code(40),
                    "name": text(100, least=1),
                    "question": text(300),
                    "anchors": _anchors,
                }
            ),
            MOST_CRITERIA,
        ),
        "tissues": listed(
            entries(
                {
                    "code": code(30),
                    "name": text(60, least=1),
                    "purpose": choice(Tissue.Purpose.values),
                    "area_mm2": number(0.1, LARGEST_AREA_MM2),
                    "slice_rule": choice(Tissue.SliceRule.values),
                    "colour": colour,
                }
            ),
            MOST_TISSUES,
        ),
        # Designs that were written before there were warning maps do not speak of them.
        "reading": entries(_READING, optional=("warning_maps",)),
        "plan": entries(dict.fromkeys(PLAN_SETTINGS, anything)),
        "planning": PLANNING,
    }
)


def check_document(document: Any, rules: Rules) -> None:
    """Raise `DesignError` with every fault of a document."""
    faults = list(_version(document))
    if faults:
        raise DesignError(*faults)
    _SHAPE(document, "", faults)
    if faults:  # what the parts say of each other cannot be read off parts that are wrong
        raise DesignError(*faults)
    faults = [
        *_twice(document, "arms", "code"),
        *_twice(document, "arms", "name"),
        *_twice(document, "criteria", "code"),
        *_twice(document, "tissues", "code"),
        *_arms(document, rules),
        *_comparisons(document),
        *_tissues(document),
        *_reading(document),
        *rules.plan_faults(document["plan"]),
        *_planning(document["planning"]),
    ]
    if faults:
        raise DesignError(*faults)


def _version(document: Any) -> Iterator[DesignFault]:
    if not isinstance(document, dict):
        yield DesignFault("", f"A design is an object, not {kind_of(document)}.")
    elif document.get("format") != FORMAT:
        yield DesignFault("format", f"This is no design: its format is not “{FORMAT}”.")
    elif type(document.get("version")) is not int or document["version"] != VERSION:
        given = kind_of(document.get("version"))
        yield DesignFault("version", f"Version {VERSION} of the format is read here, not {given}.")


def _twice(document: Document, part: str, key: str) -> Iterator[DesignFault]:
    seen: dict[str, int] = {}
    for position, entry in enumerate(document[part]):
        first = seen.setdefault(entry[key].strip().casefold(), position)
        if first != position:
            yield DesignFault(
                f"{part}[{position}].{key}", f"“{entry[key]}” stands at {part}[{first}] already."
            )


def _arms(document: Document, rules: Rules) -> Iterator[DesignFault]:
    arms = document["arms"]
    by_code = {arm["code"]: arm for arm in arms}
    controls = [position for position, arm in enumerate(arms) if arm["is_control"]]
    for position in controls[1:]:
        yield DesignFault(
            f"arms[{position}].is_control", f"arms[{controls[0]}] is the control already."
        )
    for position, arm in enumerate(arms):
        path = f"arms[{position}]"
        if arm["kind"] == Arm.Kind.ACQUIRED:
            if arm["source"] is not None:
                yield DesignFault(f"{path}.source", "An acquired arm is made from no other.")
            if arm["recipe"]:
                yield DesignFault(f"{path}.recipe", "An acquired arm has no recipe.")
            continue
        if arm["is_control"]:
            yield DesignFault(f"{path}.is_control", "The control is an acquired arm.")
        yield from _source(arm, path, by_code)
        if message := rules.recipe_fault(arm["recipe"], arm["name"]):
            yield DesignFault(f"{path}.recipe", message)


def _source(arm: Document, path: str, arms: dict[str, Document]) -> Iterator[DesignFault]:
    """A derived arm is made from an acquired one, so no arms can be made from each other."""
    source = arm["source"]
    if not source:
        yield DesignFault(f"{path}.source", "Say which acquired arm this one is made from.")
    elif source == arm["code"]:
        yield DesignFault(f"{path}.source", "An arm cannot be made from itself.")
    elif source not in arms:
        yield DesignFault(f"{path}.source", f"There is no arm “{source}”.")
    elif arms[source]["source"] == arm["code"]:
        yield DesignFault(
            f"{path}.source", f"“{source}” is made from this arm: two cannot be made of each other."
        )
    elif arms[source]["kind"] != Arm.Kind.ACQUIRED:
        yield DesignFault(f"{path}.source", f"“{source}” is derived itself: name the acquired arm.")


def _comparisons(document: Document) -> Iterator[DesignFault]:
    codes = {arm["code"] for arm in document["arms"]}
    seen: dict[frozenset[str], int] = {}
    for position, pair in enumerate(document["comparisons"]):
        path = f"comparisons[{position}]"
        for key in ("first", "second"):
            if pair[key] not in codes:
                yield DesignFault(f"{path}.{key}", f"There is no arm “{pair[key]}”.")
        if pair["first"] == pair["second"]:
            yield DesignFault(f"{path}.second", "An arm cannot be compared with itself.")
            continue
        first = seen.setdefault(frozenset(pair.values()), position)
        if first != position:
            yield DesignFault(path, f"comparisons[{first}] names these two arms already.")


def _tissues(document: Document) -> Iterator[DesignFault]:
    for purpose in (Tissue.Purpose.AIR, Tissue.Purpose.REFERENCE):
        held = [n for n, tissue in enumerate(document["tissues"]) if tissue["purpose"] == purpose]
        for position in held[1:]:
            yield DesignFault(
                f"tissues[{position}].purpose",
                f"tissues[{held[0]}] is the {purpose.label.lower()} already.",
            )


def _reading(document: Document) -> Iterator[DesignFault]:
    reading = document["reading"]
    choice_mode = reading["mode"] == Study.ReadingMode.CHOICE
    if choice_mode and reading["side_policy"] != Study.SidePolicy.BALANCED:
        yield DesignFault(
            "reading.side_policy",
            "Forced choice needs sides that are balanced over the session: with fixed ones the "
            "side would tell the arm.",
        )


def _planning(planning: Document) -> Iterator[DesignFault]:
    if planning.get("higher", 0) + planning.get("lower", 0) > 100:
        yield DesignFault("planning.lower", "Higher and lower are more than 100 % together.")
