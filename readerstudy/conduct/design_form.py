"""The design form as its page shows it: every field with its value, its choices and its faults."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from readerstudy.studies.errors import DesignFault
from readerstudy.studies.models import Arm, Study, Tissue
from readerstudy.studies.wording import METHOD_NAMES
from readerstudy.variants.forms import GRIDS, NOISES, STRENGTHS

from .checks import POINT_MODES
from .design_rules import strength_methods
from .design_state import ANCHORS, Line, State

Choices = Sequence[tuple[str, str]]
PART_WORDS = {"arms": "arm", "comparisons": "comparison", "criteria": "criterion"}
PART_WORDS["tissues"] = "region"
_ENTRY = re.compile(r"(arms|comparisons|criteria|tissues)\[(\d+)\]")


@dataclass(frozen=True)
class Box:
    """One field. `name` is what is sent; `element` is the id of its element."""

    name: str
    label: str
    value: str
    kind: str = "text"  # text, lines, number, select, colour, check
    choices: Choices = ()
    help: str = ""
    faults: Sequence[str] = ()
    most: int = 200
    when: str = ""  # the kind of expectation that it belongs to
    is_idle: bool = False  # of another kind than the chosen one: kept, not shown

    @property
    def element(self) -> str:
        return self.name


@dataclass(frozen=True)
class FormRow:
    """One entry of a list; `said` is how it is spoken of."""

    index: int
    key: str
    said: str
    is_first: bool
    is_last: bool
    boxes: Mapping[str, Box]
    kind: str = ""
    is_control: bool = False
    model: str = ""  # of a recipe of the first version
    kept: str = ""  # a recipe that is not edited here, as JSON

    @property
    def anchors(self) -> list[Box]:
        return [self.boxes[point] for point in ANCHORS if point in self.boxes]


@dataclass(frozen=True)
class FormView:
    study: Sequence[Box]
    arms: Sequence[FormRow]
    comparisons: Sequence[FormRow]
    criteria: Sequence[FormRow]
    tissues: Sequence[FormRow]
    reading: Sequence[Box]
    instructions: Box
    planning: Sequence[Box]
    has_points: bool
    faults: Sequence[tuple[str, str, str]] = ()  # id of the field, place in words, what is wrong


@dataclass
class _Maker:
    """Makes fields, giving each the faults that were found in it."""

    found: Mapping[str, Sequence[str]]
    made: set[str] = field(default_factory=set)

    def box(self, name: str, label: str, value: str, **options: Any) -> Box:
        self.made.add(name)
        return Box(name, label, value, faults=self.found.get(name, ()), **options)


def view_of(state: State, faults: Iterable[DesignFault] = ()) -> FormView:
    """The form to be shown; faults stand at their fields and, all of them, at the top."""
    placed = [(field_of(fault.path), fault) for fault in faults]
    found: dict[str, list[str]] = {}
    for name, fault in placed:
        found.setdefault(name, []).append(in_words(fault.message))
    make = _Maker(found)
    arms = [(line["key"], line["name"] or line["code"] or "a new arm") for line in state["arms"]]
    acquired = [
        (key, name)
        for (key, name), line in zip(arms, state["arms"], strict=True)
        if line["kind"] == Arm.Kind.ACQUIRED
    ]
    said_reading, planning = state["reading"], state["planning"]
    view = FormView(
        study=_study(make, state["study"]),
        arms=[_arm_row(make, n, line, state, acquired) for n, line in enumerate(state["arms"])],
        comparisons=[
            _comparison_row(make, n, line, state, arms)
            for n, line in enumerate(state["comparisons"])
        ],
        criteria=[_criterion_row(make, n, line, state) for n, line in enumerate(state["criteria"])],
        tissues=[_tissue_row(make, n, line, state) for n, line in enumerate(state["tissues"])],
        reading=_reading(make, said_reading),
        instructions=make.box(
            "reading-instructions",
            "Instructions to readers",
            said_reading["instructions"],
            kind="lines",
            most=5000,
            help="Shown before reading. Name no arm.",
        ),
        planning=_planning(make, planning, said_reading["mode"]),
        has_points=said_reading["mode"] in POINT_MODES,
        faults=[
            (name if name in make.made else "", place_in_words(fault.path), in_words(fault.message))
            for name, fault in placed
        ],
    )
    return view


# --- Where a fault stands -------------------------------------------------------------------------


def field_of(path: str) -> str:
    """The field of a JSON path: "arms[2].recipe.strength.value" is "arms-2-value"."""
    entry = _ENTRY.match(path)
    if entry is None:
        part, _, rest = path.partition(".")
        return f"{part}-{re.sub(r'[^a-z0-9_].*', '', rest)}" if rest else part
    part, index, rest = entry[1], entry[2], path[entry.end() :].lstrip(".")
    anchor = re.fullmatch(r"anchors\[(\d+)\]", rest)
    if anchor:
        return f"{part}-{index}-p{int(anchor[1]) + 1}"
    name = {
        "": "first" if part == "comparisons" else "name",
        "anchors": "p1",
        "is_control": "name",
        "kind": "name",
        "recipe": "strength",
        "recipe.strength.kind": "strength",
        "recipe.strength.value": "value",
    }.get(rest, rest.rsplit(".", 1)[-1])
    return f"{part}-{index}-{name}"


def place_in_words(path: str) -> str:
    words = _ENTRY.sub(lambda m: f"{PART_WORDS[m[1]]} {int(m[2]) + 1}", path)
    words = re.sub(r"anchors\[(\d+)\]", lambda m: f"point {int(m[1]) + 1}", words)
    words = words.replace("area_mm2", "area").replace("recipe.", "").replace("study.", "")
    words = words.replace(".", ", ").replace("_", " ")
    return words[:1].upper() + words[1:]


def in_words(message: str) -> str:
    return _ENTRY.sub(lambda m: f"{PART_WORDS[m[1]]} {int(m[2]) + 1}", message)


# --- Parts ----------------------------------------------------------------------------------------


def _study(make: _Maker, said: Line) -> list[Box]:
    return [
        make.box(
            "study-title",
            "Title",
            said["title"],
            help="Readers see it too: name no arm and no sequence.",
        ),
        make.box(
            "study-notice",
            "Notice",
            said["notice"],
            most=300,
            help="Shown on every page, readers’ pages included, and written into every export.",
        ),
        make.box("study-description", "Description", said["description"], kind="lines", most=5000),
        make.box(
            "study-credits",
            "Credits",
            said["credits"],
            kind="lines",
            most=5000,
            help="Where the images come from, and under which licence.",
        ),
    ]


def _row(
    part: str, index: int, line: Line, lines: Sequence[Line], said: str, boxes: Mapping[str, Box]
) -> FormRow:
    last = index == len(lines) - 1
    return FormRow(index, line["key"], said, index == 0, last, boxes)


def _arm_row(make: _Maker, index: int, line: Line, state: State, acquired: Choices) -> FormRow:
    def box(name: str, label: str, **options: Any) -> Box:
        return make.box(f"arms-{index}-{name}", label, line[name], **options)

    boxes = {"name": box("name", "Name", most=100), "code": box("code", "Code", most=30)}
    if line["kind"] == Arm.Kind.DERIVED:
        boxes["source"] = box("source", "Made from", kind="select", choices=acquired)
    if line["kind"] == Arm.Kind.DERIVED and not line["kept"]:
        boxes |= {
            "method": box("method", "Method", kind="select", choices=_methods(line["method"])),
            "strength": box("strength", "Strength", kind="select", choices=STRENGTHS),
            "value": box("value", "Value", kind="number"),
            "noise": box("noise", "Noise", kind="select", choices=NOISES),
            "native_grid": box("native_grid", "Grid", kind="select", choices=GRIDS),
            "bias_coils": box("bias_coils", "Bias correction, coils", kind="number"),
        }
    said = line["name"] or "the new arm"
    row = _row("arms", index, line, state["arms"], said, boxes)
    return replace(
        row,
        kind=line["kind"],
        is_control=line["key"] == state["control"],
        model=line["model"],
        kept=line["kept"],
    )


def _methods(chosen: str) -> Choices:
    """What the engine offers; what was chosen stays visible even if the engine lost it."""
    known = strength_methods()
    if chosen and chosen not in known:
        known.append(chosen)
    return [(name, METHOD_NAMES.get(name, name)) for name in known]


def _comparison_row(make: _Maker, index: int, line: Line, state: State, arms: Choices) -> FormRow:
    choices = [("", "Choose"), *arms]
    boxes = {
        name: make.box(
            f"comparisons-{index}-{name}", label, line[name], kind="select", choices=choices
        )
        for name, label in (("first", "First"), ("second", "Second"))
    }
    said = f"comparison {index + 1}"
    return _row("comparisons", index, line, state["comparisons"], said, boxes)


def _criterion_row(make: _Maker, index: int, line: Line, state: State) -> FormRow:
    def box(name: str, label: str, **options: Any) -> Box:
        return make.box(f"criteria-{index}-{name}", label, line[name], **options)

    boxes = {
        "name": box("name", "Name", most=100),
        "code": box("code", "Code", most=40),
        "question": box("question", "Question to the reader", most=300),
        **{point: box(point, f"Point {point[1:]}", most=100) for point in ANCHORS},
    }
    said = line["name"] or "the new criterion"
    return _row("criteria", index, line, state["criteria"], said, boxes)


def _tissue_row(make: _Maker, index: int, line: Line, state: State) -> FormRow:
    def box(name: str, label: str, **options: Any) -> Box:
        return make.box(f"tissues-{index}-{name}", label, line[name], **options)

    boxes = {
        "name": box("name", "Region", most=60),
        "code": box("code", "Code", most=30),
        "purpose": box("purpose", "Purpose", kind="select", choices=Tissue.Purpose.choices),
        "area_mm2": box("area_mm2", "Area, mm²", kind="number"),
        "slice_rule": box("slice_rule", "Slice", kind="select", choices=Tissue.SliceRule.choices),
        "colour": box("colour", "Colour", kind="colour"),
    }
    said = line["name"] or "the new region"
    return _row("tissues", index, line, state["tissues"], said, boxes)


def _reading(make: _Maker, said: Line) -> list[Box]:
    def box(name: str, label: str, **options: Any) -> Box:
        return make.box(f"reading-{name}", label, said[name], **options)

    return [
        box(
            "mode",
            "What readers see and score",
            kind="select",
            choices=Study.ReadingMode.choices,
            help="A forced choice is made for each comparison.",
        ),
        box(
            "side_policy",
            "Sides",
            kind="select",
            choices=Study.SidePolicy.choices,
            help="A forced choice needs balanced sides.",
        ),
        box(
            "change_reason",
            "A changed score needs a reason",
            kind="select",
            choices=Study.ChangeReason.choices,
        ),
        box(
            "warning_maps",
            "Warning maps of networks",
            kind="select",
            choices=Study.WarningMaps.choices,
            help="A map over one arm alone tells the arm. One for all tells none.",
        ),
        box("minimum_gap", "Gap", kind="number", help="Items of others between two of one."),
        box("repeat_percent", "Hidden repeats, %", kind="number", help="For intra-reader figures."),
        box("occasions", "Occasions", kind="number", help="How often each reader reads it all."),
        box("washout_days", "Washout, days", kind="number", help="Between two occasions."),
        box("practice_items", "Practice items", kind="number", help="Read first, never analysed."),
        box(
            "practice_volunteers",
            "Volunteers for practice alone",
            most=600,
            help="Codes, with commas between. None: the study’s own are shown.",
        ),
        box("pause_after_minutes", "Pause after, min", kind="number", help="0: no pauses."),
        box("pause_minutes", "Length of a pause, min", kind="number"),
        box("may_go_back", "Readers may go back and change submitted scores", kind="check"),
    ]


def _planning(make: _Maker, said: Line, mode: str) -> list[Box]:
    def box(name: str, label: str, **options: Any) -> Box:
        return make.box(f"planning-{name}", label, said[name], kind="number", **options)

    volunteers = box("volunteers", "Volunteers planned")
    if mode == Study.ReadingMode.CHOICE:
        return [volunteers, box("higher", "Second preferred, %", help="Of the volunteers.")]
    kind = make.box(
        "planning-kind",
        "Expected effect as",
        said["kind"],
        kind="select",
        choices=[("difference", "Mean and SD of differences"), ("shares", "Shares that differ")],
    )
    by_mean = {"when": "difference", "is_idle": said["kind"] == "shares"}
    by_shares = {"when": "shares", "is_idle": said["kind"] != "shares"}
    return [
        volunteers,
        kind,
        box("difference", "Mean difference", help="Second less first.", **by_mean),
        box("sd", "SD", help="Of the differences.", **by_mean),
        box("higher", "Second better, %", help="Of the volunteers.", **by_shares),
        box("lower", "Second worse, %", help="Of the volunteers.", **by_shares),
    ]
