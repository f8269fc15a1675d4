"""What was answered beside the primary analysis, and how it was read, as files.

Hidden repeats, later occasions and practice stand in `answers_long.csv`, each under its name; they
enter no result. Visits and displays are for the statistician alone. What stands here cannot change
after the lock: the database refuses it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from readerstudy.accounts.models import User
from readerstudy.reading.frames import (
    answers_frame,
    arrows_frame,
    comments_frame,
    displays_frame,
    visits_frame,
)
from readerstudy.studies.access import roles_in
from readerstudy.studies.models import Role, Study

from .report import Report

READING_FILES: dict[str, Callable[[Study], list[dict[str, Any]]]] = {
    "answers_long.csv": answers_frame,
    "comments.csv": comments_frame,
    "arrows.csv": arrows_frame,
    "visits.csv": visits_frame,
    "displays.csv": displays_frame,
}
# Open to the statistician, and to nobody by another office.
STATISTICIANS_OWN = frozenset({"visits.csv", "displays.csv"})
READING_DESCRIPTIONS = {
    "answers_long.csv": "Every answer: primary, hidden repeats, later occasions, practice",
    "comments.csv": "Comments, and how many arrows stand on each item",
    "arrows.csv": "Arrows: image and slice counted from 1, both ends in patient millimetres (LPS)",
    "visits.csv": "How each item was read: time, interruptions, slices, window, display",
    "displays.csv": "What each session was read on, and what of the contrast pattern was seen",
}
_ARM_COLUMNS = ("arm", "first", "second", "chosen")
_PLACE = (
    *("reader", "occasion", "purpose", "position"),
    *("volunteer", "arm", "first", "second"),
)
# Files that may have no row and keep their heading.
_HEADINGS = {
    "comments.csv": (*_PLACE, "comment", "arrows"),
    "arrows.csv": (
        *(*_PLACE, "arrow", "image", "image_position", "image_arm", "slice"),
        *("tail_x_mm", "tail_y_mm", "tail_z_mm", "head_x_mm", "head_y_mm", "head_z_mm"),
    ),
}


def reading_files(study: Study, user: User | None) -> list[str]:
    """The files that this person gets; None is the platform itself. Imported studies have none."""
    if not study.sessions.filter(is_imported=False).exists():
        return []
    is_statistician = user is None or Role.STATISTICIAN in roles_in(user, study)
    return [name for name in READING_FILES if is_statistician or name not in STATISTICIANS_OWN]


def reading_frame(study: Study, report: Report, name: str) -> pd.DataFrame:
    """One file's table; before unblinding, letters stand for arms."""
    rows, heading = READING_FILES[name](study), _HEADINGS.get(name)
    frame = pd.DataFrame(rows, columns=list(heading) if heading else None)
    if not report.is_masked:
        return frame
    # The arm under an arrow would tell which letter is the control.
    frame = frame.drop(columns="image_arm", errors="ignore")
    for column in _ARM_COLUMNS:
        if column in frame.columns:
            known = study.arm_letters
            frame[column] = [known.get(code, code) if code else code for code in frame[column]]
    if "first" in frame.columns and "second" in frame.columns:
        _earlier_letter_first(frame)
    keys = ["reader", "occasion", "position", "criterion", "arm"]
    if name == "answers_long.csv":
        # In the panes' order the letters would stand where the arms stood.
        frame = frame.sort_values([key for key in keys if key in frame.columns], kind="stable")
    return frame.reset_index(drop=True)


def _earlier_letter_first(frame: pd.DataFrame) -> None:
    pairs = [sorted(pair) for pair in zip(frame["first"], frame["second"], strict=True)]
    frame["first"] = [first for first, _ in pairs]
    frame["second"] = [second for _, second in pairs]
