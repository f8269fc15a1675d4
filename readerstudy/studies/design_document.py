"""A study's design as one JSON document: what a coordinator decides, and no data.

The document goes out with `document_of` and `as_text`, and comes in with `read_text`,
`design_checks.check_document` and `design_writing.write_design`. What goes out and comes in again
is the same document. People, images, scores, letters and the address are no part of it.
"""

from __future__ import annotations

import json
from typing import Any

from .errors import DesignError, DesignFault
from .models import Arm, Plan, Study

FORMAT = "readerstudy-design"
VERSION = 1
MOST_BYTES = 1_000_000

Document = dict[str, Any]

# Keys of the part "reading", and the fields of the study that they stand for.
READING_FIELDS = {
    "mode": "reading_mode",
    "side_policy": "side_policy",
    "minimum_gap": "minimum_gap",
    "repeat_percent": "repeat_percent",
    "occasions": "occasions",
    "washout_days": "washout_days",
    "practice_items": "practice_items",
    "practice_volunteers": "practice_volunteers",
    "pause_after_minutes": "pause_after_minutes",
    "pause_minutes": "pause_minutes",
    "may_go_back": "may_go_back",
    "change_reason": "change_reason",
    "warning_maps": "warning_maps",
    "instructions": "reading_instructions",
}
STUDY_FIELDS = ("title", "description", "notice", "credits")


def document_of(study: Study) -> Document:
    """The design as it stands; the order of each list is the protocol's own order."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "study": {name: getattr(study, name) for name in STUDY_FIELDS},
        "arms": [_arm(arm) for arm in study.arms.select_related("source")],
        "comparisons": [
            {"first": pair.first.code, "second": pair.second.code}
            for pair in study.comparisons.select_related("first", "second")
        ],
        "criteria": [
            {"code": c.code, "name": c.name, "question": c.question, "anchors": list(c.anchors)}
            for c in study.criteria.all()
        ],
        "tissues": [
            {
                "code": t.code,
                "name": t.name,
                "purpose": t.purpose,
                "area_mm2": t.area_mm2,
                "slice_rule": t.slice_rule,
                "colour": t.colour,
            }
            for t in study.tissues.all()
        ],
        "reading": {key: getattr(study, field) for key, field in READING_FIELDS.items()},
        "plan": _plan(study).settings(),
        "planning": dict(study.planning),
    }


def empty_document(title: str = "") -> Document:
    """The design of a study in which nothing is decided yet."""
    blank = Study(title=title)
    return {
        "format": FORMAT,
        "version": VERSION,
        "study": {name: getattr(blank, name) for name in STUDY_FIELDS},
        **{part: [] for part in ("arms", "comparisons", "criteria", "tissues")},
        "reading": {key: getattr(blank, field) for key, field in READING_FIELDS.items()},
        "plan": Plan().settings(),
        "planning": {},
    }


def as_text(document: Document) -> str:
    """To be read by people and kept under version control."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_text(content: bytes) -> Any:
    """The JSON of a file somebody gave. Raises `DesignError` when it cannot be taken as such.

    What it says is not looked at here: see `design_checks`.
    """
    if len(content) > MOST_BYTES:
        raise _refused(
            f"The file has {len(content) / 1e6:.1f} MB; a design has {MOST_BYTES / 1e6:g} MB at "
            "most. Is it another file?"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _refused(f"Line {line} is not UTF-8 text. Save the file as UTF-8.") from None
    if not text.strip():
        raise _refused("The file is empty.")
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise _refused("The file holds half a character (a lone surrogate).") from None
    except json.JSONDecodeError as error:
        raise _refused(
            f"The file is not JSON: line {error.lineno}, column {error.colno}: {error.msg}."
        ) from None
    except RecursionError:
        raise _refused("The file is nested too deeply to be a design.") from None
    except ValueError:  # Python refuses numbers of thousands of digits
        raise _refused("The file holds a number that is too long.") from None
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """JSON lets a key stand twice, and readers of it differ in which one counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _value in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _refused(f"The key “{twice[:60]}” stands twice in one place. Keep one of them.")
    return found


def _no_constant(name: str) -> Any:
    raise _refused(f"The file holds {name}, which is no JSON number.")


def _refused(message: str) -> DesignError:
    return DesignError(DesignFault("", message))


def _arm(arm: Arm) -> Document:
    return {
        "code": arm.code,
        "name": arm.name,
        "kind": arm.kind,
        "is_control": arm.is_control,
        "source": arm.source.code if arm.source else None,
        "recipe": arm.recipe,
    }


def _plan(study: Study) -> Plan:
    return Plan.objects.filter(study=study).first() or Plan(study=study)
