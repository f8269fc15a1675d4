"""What the design form's own buttons do: rows added, taken away, moved, repeated."""

from __future__ import annotations

import itertools

from readerstudy.studies.models import Arm
from readerstudy.studies.wording_lumbar import LUMBAR_WORDINGS

from .design_state import ANCHORS, MOST_ROWS, PART_FIELDS, Line, State

# Told apart with every common colour vision (Okabe and Ito), on a grey image.
COLOURS = ("#e69f00", "#56b4e9", "#f0e442", "#cc79a7", "#d55e00", "#009e73", "#f5f5f5", "#0072b2")
_NEW: dict[str, Line] = {
    "arms": {
        "strength": "target_snr_gain",
        "value": "1.7",
        "noise": "level",
        "native_grid": "auto",
        "method": "ddlr",
    },
    "comparisons": {},
    "criteria": {},
    "tissues": {"purpose": "tissue", "area_mm2": "30", "slice_rule": "central"},
}


def act(state: State, wish: str) -> str:
    """Do what a button says, e.g. "up:arms:2"; returns the id of the field to go on with.

    Whoever sends something else changes nothing.
    """
    verb, _, rest = wish.partition(":")
    part, _, where = rest.partition(":")
    if verb == "words":
        return _word_anew(state)
    if part not in PART_FIELDS:
        return ""
    lines: list[Line] = state[part]
    if verb == "add":
        return _add(state, part, where)
    if not (where.isascii() and where.isdigit()) or int(where) >= len(lines):
        return ""
    at = int(where)
    if verb == "remove":
        return _remove(state, part, at)
    if verb in {"up", "down"}:
        return _move(lines, part, at, verb)
    if verb == "again" and part == "arms":
        return _strength_again(state, at)
    if verb == "points" and part == "criteria":
        for line in lines:
            line.update({point: lines[at][point] for point in ANCHORS})
        return f"criteria-{at}-p1"
    return ""


def _add(state: State, part: str, where: str) -> str:
    lines = state[part]
    if len(lines) >= MOST_ROWS:
        return ""
    line = dict.fromkeys(PART_FIELDS[part], "") | _NEW[part] | {"key": _key(state, part)}
    if part == "arms":
        derived = where == Arm.Kind.DERIVED
        line["kind"] = Arm.Kind.DERIVED if derived else Arm.Kind.ACQUIRED
        acquired = [arm["key"] for arm in lines if arm["kind"] == Arm.Kind.ACQUIRED]
        if derived and acquired:
            line["source"] = acquired[-1]
        if not derived and not state["control"]:
            state["control"] = line["key"]
    if part == "comparisons":
        line["first"] = state["control"]
    if part == "tissues":
        used = {tissue["colour"] for tissue in lines}
        line["colour"] = next((colour for colour in COLOURS if colour not in used), COLOURS[0])
    if part == "criteria" and lines:
        line.update({point: lines[-1][point] for point in ANCHORS})
    lines.append(line)
    first = "second" if part == "comparisons" else "name"
    return f"{part}-{len(lines) - 1}-{first}"


def _remove(state: State, part: str, at: int) -> str:
    lines = state[part]
    gone = lines.pop(at)
    if part == "arms":
        if state["control"] == gone["key"]:
            state["control"] = ""
        # A comparison with an arm that is no more goes with it.
        state["comparisons"] = [
            pair
            for pair in state["comparisons"]
            if gone["key"] not in {pair["first"], pair["second"]}
        ]
    if not lines:
        return f"add-{part}"
    return f"remove-{part}-{min(at, len(lines) - 1)}"


def _move(lines: list[Line], part: str, at: int, verb: str) -> str:
    to = at - 1 if verb == "up" else at + 1
    if 0 <= to < len(lines):
        lines[at], lines[to] = lines[to], lines[at]
        at = to
    # A row at the end has one way left.
    if verb == "up" and at == 0 and len(lines) > 1:
        verb = "down"
    elif verb == "down" and at == len(lines) - 1 and len(lines) > 1:
        verb = "up"
    return f"{verb}-{part}-{at}"


def _strength_again(state: State, at: int) -> str:
    """One more strength of the same source: the same recipe under another code."""
    lines = state["arms"]
    if lines[at]["kind"] != Arm.Kind.DERIVED or len(lines) >= MOST_ROWS:
        return ""
    line = {**lines[at], "key": _key(state, "arms"), "value": ""}
    codes = {arm["code"].casefold() for arm in lines}
    names = {arm["name"].casefold() for arm in lines}
    for number in itertools.count(2):
        code, name = f"{lines[at]['code']}_{number}", f"{lines[at]['name']} {number}"
        if code.casefold() not in codes and name.casefold() not in names:
            break
    line |= {"code": code[:30], "name": name[:100]}
    lines.insert(at + 1, line)
    return f"arms-{at + 1}-value"


def _word_anew(state: State) -> str:
    """The lumbar protocol's words for the chosen mode, for the criteria that it knows."""
    words = LUMBAR_WORDINGS.get(state["reading"]["mode"])
    if words is None:
        return ""
    for line in state["criteria"]:
        if line["code"] in words.questions:
            line["question"] = words.questions[line["code"]]
            line.update(dict.fromkeys(ANCHORS, ""))
            line.update(dict(zip(ANCHORS, words.anchors, strict=False)))
    state["reading"]["instructions"] = words.instructions
    return "reading-mode"


def _key(state: State, part: str) -> str:
    """Of a row that is not stored yet."""
    taken = {line["key"] for line in state[part]}
    return next(key for n in itertools.count(1) if (key := f"new{n}") not in taken)
