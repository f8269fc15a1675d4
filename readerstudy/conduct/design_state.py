"""The design form between its fields and the document: what was typed is kept as it was typed.

A *state* is plain text field by field, so that nothing is lost when a document cannot be made of
it. Arms are referred to by their rows' keys, so that a corrected code does not break a comparison.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.utils.text import slugify

from readerstudy.studies.design_checks import POINTS
from readerstudy.studies.design_document import FORMAT, STUDY_FIELDS, VERSION, Document, read_text
from readerstudy.studies.design_writing import Rows
from readerstudy.studies.errors import DesignError
from readerstudy.studies.models import Arm, Study

State = dict[str, Any]  # {"study": {…}, "arms": [{…}], …, "control": key}
Line = dict[str, str]

ANCHORS = tuple(f"p{point}" for point in range(1, POINTS + 1))
ARM_FIELDS = (
    *("key", "kind", "code", "name", "source", "method", "model", "strength", "value"),
    *("noise", "native_grid", "bias_coils", "kept"),
)
PART_FIELDS: Mapping[str, Sequence[str]] = {
    "arms": ARM_FIELDS,
    "comparisons": ("key", "first", "second"),
    "criteria": ("key", "code", "name", "question", *ANCHORS),
    "tissues": ("key", "code", "name", "purpose", "area_mm2", "slice_rule", "colour"),
}
READING_TEXTS = ("mode", "side_policy", "change_reason", "warning_maps", "instructions")
READING_WHOLES = (
    *("minimum_gap", "repeat_percent", "occasions", "washout_days"),
    *("practice_items", "pause_after_minutes", "pause_minutes"),
)
READING = (*READING_TEXTS, *READING_WHOLES, "practice_volunteers", "may_go_back")
PLANNING = ("volunteers", "kind", "difference", "sd", "higher", "lower")
MOST_ROWS = 200  # more than any part takes, so that the check can say so

_WHOLE = re.compile(r"[+-]?\d{1,9}")
_NUMBER = re.compile(r"[+-]?(\d{1,15}([.,]\d{0,15})?|[.,]\d{1,15})([eE][+-]?\d{1,3})?")


# --- From the document ----------------------------------------------------------------------------


def state_from_study(study: Study, document: Document) -> State:
    """The form of a study that stands: rows are known by their keys in the database."""
    keys = {
        "arms": [str(key) for key in study.arms.values_list("pk", flat=True)],
        "criteria": [str(key) for key in study.criteria.values_list("pk", flat=True)],
        "tissues": [str(key) for key in study.tissues.values_list("pk", flat=True)],
    }
    by_code = {arm["code"]: key for arm, key in zip(document["arms"], keys["arms"], strict=True)}
    return {
        "study": dict(document["study"]),
        "control": next((by_code[a["code"]] for a in document["arms"] if a["is_control"]), ""),
        "arms": [
            _arm_line(arm, key, by_code)
            for arm, key in zip(document["arms"], keys["arms"], strict=True)
        ],
        "comparisons": [
            {"key": str(n), "first": by_code[pair["first"]], "second": by_code[pair["second"]]}
            for n, pair in enumerate(document["comparisons"])
        ],
        "criteria": [
            {
                "key": key,
                **{name: criterion[name] for name in ("code", "name", "question")},
                **dict.fromkeys(ANCHORS, ""),
                **dict(zip(ANCHORS, criterion["anchors"], strict=False)),
            }
            for criterion, key in zip(document["criteria"], keys["criteria"], strict=True)
        ],
        "tissues": [
            {"key": key, **{name: _typed(value) for name, value in tissue.items()}}
            for tissue, key in zip(document["tissues"], keys["tissues"], strict=True)
        ],
        "reading": {
            name: ", ".join(value) if isinstance(value, list) else _typed(value)
            for name, value in document["reading"].items()
        },
        "planning": {
            **dict.fromkeys(PLANNING, ""),
            "kind": "difference",
            **{name: _typed(value) for name, value in document["planning"].items()},
        },
    }


def _arm_line(arm: Document, key: str, by_code: Mapping[str, str]) -> Line:
    recipe = arm["recipe"]
    strength = recipe.get("strength", {})
    return {
        "key": key,
        "kind": arm["kind"],
        "code": arm["code"],
        "name": arm["name"],
        "source": by_code.get(arm["source"], ""),
        # A recipe that says no strength is not edited here, and goes out as it came in.
        "kept": json.dumps(recipe) if recipe and "strength" not in recipe else "",
        "method": recipe.get("model") or recipe.get("method", ""),
        "model": recipe.get("model", ""),
        "strength": strength.get("kind", ""),
        "value": _typed(strength.get("value")),
        "noise": recipe.get("noise", "level"),
        "native_grid": recipe.get("native_grid", "auto"),
        "bias_coils": _typed(recipe.get("bias_coils")),
    }


def _typed(value: Any) -> str:
    """A value as a person would type it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


# --- From what was sent ---------------------------------------------------------------------------


def state_from_post(posted: Mapping[str, str]) -> State:
    """Whatever was sent, as text; what is missing is empty."""

    def said(name: str) -> str:
        return str(posted.get(name, "")).replace("\r\n", "\n").strip()

    state: State = {
        "study": {name: said(f"study-{name}") for name in STUDY_FIELDS},
        "control": said("control"),
        "reading": {name: said(f"reading-{name}") for name in READING},
        "planning": {name: said(f"planning-{name}") for name in PLANNING},
    }
    for part, names in PART_FIELDS.items():
        lines: list[Line] = []
        while len(lines) < MOST_ROWS and f"{part}-{len(lines)}-key" in posted:
            lines.append({name: said(f"{part}-{len(lines)}-{name}") for name in names})
        state[part] = lines
    return state


# --- To the document ------------------------------------------------------------------------------


def document_from_state(state: State, plan: Document) -> tuple[Document, Rows]:
    """The document that the form says; what is no number stays text, for the check to tell.

    `plan` is the analysis plan, which has its own page.
    """
    arms = state["arms"]
    codes = _codes(arms)
    by_key = {line["key"]: code for line, code in zip(arms, codes, strict=True)}
    document = {
        "format": FORMAT,
        "version": VERSION,
        "study": dict(state["study"]),
        "arms": [
            _arm(line, code, state["control"], by_key)
            for line, code in zip(arms, codes, strict=True)
        ],
        "comparisons": [
            {name: by_key.get(line[name], "") for name in ("first", "second")}
            for line in state["comparisons"]
        ],
        "criteria": [
            {
                "code": code,
                "name": line["name"],
                "question": line["question"],
                "anchors": [line[p] for p in ANCHORS] if any(line[p] for p in ANCHORS) else [],
            }
            for line, code in zip(state["criteria"], _codes(state["criteria"]), strict=True)
        ],
        "tissues": [
            {
                "code": code,
                **{name: line[name] for name in ("name", "purpose")},
                "area_mm2": number_in(line["area_mm2"]),
                **{name: line[name] for name in ("slice_rule", "colour")},
            }
            for line, code in zip(state["tissues"], _codes(state["tissues"]), strict=True)
        ],
        "reading": _reading(state["reading"]),
        "plan": plan,
        "planning": _planning(state["planning"]),
    }
    rows = Rows(*([_key(line) for line in state[part]] for part in ("arms", "criteria", "tissues")))
    return document, rows


def _key(line: Line) -> int | None:
    return int(line["key"]) if _WHOLE.fullmatch(line["key"]) else None


def _codes(lines: Sequence[Line]) -> list[str]:
    """An empty code is made of the name."""
    return [line["code"] or slugify(line["name"]).replace("-", "_")[:30] for line in lines]


def _arm(line: Line, code: str, control: str, by_key: Mapping[str, str]) -> Document:
    derived = line["kind"] == Arm.Kind.DERIVED
    return {
        "code": code,
        "name": line["name"],
        "kind": line["kind"],
        "is_control": not derived and line["key"] == control,
        "source": (by_key.get(line["source"]) or None) if derived else None,
        "recipe": _recipe(line) if derived else {},
    }


def _recipe(line: Line) -> Document:
    """What stands at its default is left out; a recipe of the first version keeps its model."""
    if line["kept"]:
        return _kept(line["kept"])
    named = line["model"] and line["model"] == line["method"]
    recipe: Document = (
        {"method": "ddlr", "model": line["model"]} if named else {"method": line["method"]}
    )
    recipe["strength"] = {"kind": line["strength"]}
    if line["strength"] != "full":
        recipe["strength"]["value"] = number_in(line["value"])
    if line["noise"] != "level":
        recipe["noise"] = line["noise"]
    if line["native_grid"] != "auto":
        recipe["native_grid"] = line["native_grid"]
    if line["bias_coils"]:
        recipe["bias_coils"] = whole_in(line["bias_coils"])
    return recipe


def _kept(typed: str) -> Document:
    """What the page was given is sent back with it; what somebody else made of it is no recipe."""
    try:
        found = read_text(typed.encode())
    except DesignError:
        return {}
    return found if isinstance(found, dict) else {}


def _reading(said: Line) -> Document:
    codes = [code for code in re.split(r"[\s,;]+", said["practice_volunteers"]) if code]
    values: Document = {
        **{name: said[name] for name in READING_TEXTS},
        "warning_maps": said["warning_maps"] or Study.WarningMaps.NEVER.value,
        **{name: whole_in(said[name]) for name in READING_WHOLES},
        "practice_volunteers": list(dict.fromkeys(codes)),
        "may_go_back": said["may_go_back"] == "on",
    }
    return values


def _planning(said: Line) -> Document:
    """What is empty is not decided; without any number there is no kind either."""
    read: dict[str, Callable[[str], Any]] = {"volunteers": whole_in, "kind": str}
    found = {name: read.get(name, number_in)(said[name]) for name in PLANNING if said[name]}
    return {} if set(found) <= {"kind"} else found


def number_in(typed: str) -> Any:
    """The number that was typed; text that is none stays text, nothing is None."""
    if _NUMBER.fullmatch(typed):
        return float(typed.replace(",", "."))
    return typed or None


def whole_in(typed: str) -> Any:
    return int(typed) if _WHOLE.fullmatch(typed) else typed or None
