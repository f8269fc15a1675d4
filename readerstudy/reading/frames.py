"""The tables that other rooms ask for: progress, and the answers by their place in the analysis.

Only submitted primary items of the first occasion enter the primary analysis. Hidden repeats, later
occasions and practice have tables of their own, and so has the record of the reading.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from readerstudy.studies.models import Study

from .models import DisplayCheck, Item, ScoreRevision, Session, Visit
from .selectors import with_counts

FIRST_OCCASION = 1


@dataclass(frozen=True)
class ReaderProgress:
    """Practice is not counted."""

    reader_code: str
    occasion: int
    submitted: int
    total: int
    is_imported: bool
    is_begun: bool  # something was answered, be its item submitted or still open

    @property
    def is_done(self) -> bool:
        return self.submitted == self.total


def progress(study: Study) -> list[ReaderProgress]:
    """How far each reader is: figures of progress, never of scores."""
    found = [
        ReaderProgress(s.reader_code, s.occasion, s.submitted, s.total, s.is_imported, s.is_begun)
        for s in with_counts(Session.objects.filter(study=study))
    ]
    return sorted(found, key=lambda p: (len(p.reader_code), p.reader_code, p.occasion))


# --- The primary analysis -------------------------------------------------------------------------


def primary_items(study: Study) -> QuerySet[Item]:
    """The items that the primary analysis takes, submitted or not."""
    return Item.objects.filter(
        session__study=study,
        session__occasion=FIRST_OCCASION,
        purpose=Item.Purpose.PRIMARY,
    )


def scores_frame(study: Study) -> list[dict[str, Any]]:
    """The scores of the primary analysis, one row each, for a data frame.

    The latest revision of each score; criteria that could not be assessed have no row. Columns:
    volunteer, arm, reader, criterion (codes), score, item_id, revision.
    """
    return [
        {
            "volunteer": score.item.volunteer.code,
            "arm": score.item.arm.code,
            "reader": score.item.session.reader_code,
            "criterion": score.criterion.code,
            "score": score.value,
            "item_id": score.item_id,
            "revision": score.revision,
        }
        for score in _latest(primary_items(study))
        if score.item.arm is not None and score.value is not None
    ]


def _latest(items: QuerySet[Item]) -> list[ScoreRevision]:
    """The counting answers of the submitted ones of `items`, in a fixed order."""
    revisions = (
        ScoreRevision.objects.filter(item__in=items.filter(submitted_at__isnull=False))
        .select_related(
            "item__volunteer",
            "item__arm",
            "item__comparison__first",
            "item__comparison__second",
            "item__session",
            "criterion",
        )
        .order_by(
            "item__volunteer__code",
            "item__arm__position",
            "item__comparison__position",
            "item__session__reader_code",
            "item__session__occasion",
            "criterion__position",
            "criterion_id",
            "item_id",
            "revision",
        )
    )
    return list({(score.item_id, score.criterion_id): score for score in revisions}.values())


# --- Everything that was answered -----------------------------------------------------------------


def answers_frame(study: Study) -> list[dict[str, Any]]:
    """The counting answers of all submitted items, of whatever purpose and occasion.

    Columns: reader, occasion, purpose, position, volunteer, criterion, revision, then by mode: arm
    and score; first, second and chosen (arms); or arm and rank, one row an arm. `cannot_assess`
    holds the reason why there is none of these.
    """
    return _rows_of(Item.objects.filter(session__study=study))


def second_rows(study: Study) -> list[dict[str, Any]]:
    """The rows of `answers_frame` of what was read again: hidden repeats and later occasions."""
    items = Item.objects.filter(session__study=study).exclude(purpose=Item.Purpose.PRACTICE)
    return _rows_of(
        items.filter(Q(purpose=Item.Purpose.REPEAT) | Q(session__occasion__gt=FIRST_OCCASION))
    )


def primary_rows(study: Study, *, unassessed: bool = False) -> list[dict[str, Any]]:
    """The rows of `answers_frame` that the primary analysis takes.

    With `unassessed`, those alone in which the reader said why there is no answer.
    """
    items = primary_items(study)
    if not unassessed:
        return _rows_of(items)
    # Few items hold one; the others are not read.
    marked = ScoreRevision.objects.filter(item__in=items).exclude(cannot_assess="")
    rows = _rows_of(items.filter(pk__in=marked.values("item_id")))
    return [row for row in rows if row["cannot_assess"]]


def _rows_of(items: QuerySet[Item]) -> list[dict[str, Any]]:
    shown = _panes_of(items)
    return [row for score in _latest(items) for row in _answer_rows(score, shown)]


def _panes_of(items: QuerySet[Item]) -> dict[int, dict[int, str]]:
    """For each item the arm in each of its panes."""
    shown: dict[int, dict[int, str]] = {}
    rows = items.filter(panes__isnull=False).values_list("pk", "panes__number", "panes__arm__code")
    for item, number, arm in rows:
        shown.setdefault(item, {})[number] = arm
    return shown


def _answer_rows(
    score: ScoreRevision, shown: dict[int, dict[int, str]]
) -> Iterable[dict[str, Any]]:
    item = score.item
    row = {
        "reader": item.session.reader_code,
        "occasion": item.session.occasion,
        "purpose": item.purpose,
        "position": item.position,
        "volunteer": item.volunteer.code,
        "criterion": score.criterion.code,
        "revision": score.revision,
        "cannot_assess": score.cannot_assess,
    }
    panes = shown.get(item.pk, {})
    if item.arm is not None:
        yield {**row, "arm": item.arm.code, "score": score.value}
    elif item.comparison is not None:
        pair = item.comparison
        yield {
            **row,
            "first": pair.first.code,
            "second": pair.second.code,
            "chosen": panes[score.value] if score.value is not None else None,
        }
    else:
        for number, arm in sorted(panes.items()):
            rank = score.ranks[number - 1] if score.ranks else None
            yield {**row, "arm": arm, "rank": rank}


# --- The record of the reading --------------------------------------------------------------------


def visits_frame(study: Study) -> list[dict[str, Any]]:
    """How each item was looked at, one row a visit. For the statistician, after the lock."""
    visits = Visit.objects.filter(item__session__study=study).select_related(
        "item__session", "item__volunteer", "item__arm", "item__comparison__first",
        "item__comparison__second",
    )  # fmt: skip
    ordered = visits.order_by(
        "item__session__reader_code", "item__session__occasion", "item__position", "id"
    )
    return [_visit_row(visit) for visit in ordered]


def _visit_row(visit: Visit) -> dict[str, Any]:
    item, content = visit.item, visit.content
    display = content["display"]
    zoom = content["zoom"] or {"least": None, "most": None}
    most_used = max(content["windows"], key=lambda one: one["ms"], default=None)
    return {
        **_place(item),
        "opened_at": item.opened_at.isoformat() if item.opened_at else "",
        "submitted_at": item.submitted_at.isoformat() if item.submitted_at else "",
        "active_s": visit.active_ms / 1000,
        "interrupted_s": sum(one["ms"] for one in content["interruptions"]) / 1000,
        "interruptions": len(content["interruptions"]),
        "images_s": None if content["images_ms"] is None else content["images_ms"] / 1000,
        "slices_seen": min((len(pane["slices"]) for pane in content["panes"]), default=0),
        "slice_changes": content["slice_changes"],
        "window_center": most_used["center"] if most_used else None,
        "window_width": most_used["width"] if most_used else None,
        "zoom_least": zoom["least"],
        "zoom_most": zoom["most"],
        "used": " ".join(content["used"]),
        "viewport": "x".join(map(str, display["viewport"])),
        "screen": "x".join(map(str, display["screen"])),
        "device_pixel_ratio": display["device_pixel_ratio"],
        "colour_depth": display["colour_depth"],
    }


def displays_frame(study: Study) -> list[dict[str, Any]]:
    """What each session was read on, one row a check."""
    checks = DisplayCheck.objects.filter(session__study=study).select_related("session")
    rows = []
    for check in checks.order_by("session__reader_code", "session__occasion", "id"):
        content = check.content
        contrast = content["contrast"] or {}
        rows.append(
            {
                "reader": check.session.reader_code,
                "occasion": check.session.occasion,
                "checked_at": check.created_at.isoformat(),
                "result": check.result,
                "dark_seen": contrast.get("dark", {}).get("seen"),
                "dark_shown": contrast.get("dark", {}).get("shown"),
                "light_seen": contrast.get("light", {}).get("seen"),
                "light_shown": contrast.get("light", {}).get("shown"),
                "ramp": contrast.get("ramp", ""),
                "viewport": "x".join(map(str, content["viewport"])),
                "screen": "x".join(map(str, content["screen"])),
                "device_pixel_ratio": content["device_pixel_ratio"],
                "colour_depth": content["colour_depth"],
                "browser_zoom": content["browser_zoom"],
            }
        )
    return rows


def comments_frame(study: Study) -> list[dict[str, Any]]:
    """The counting comment of each item that has one or has arrows, and how many arrows it has."""
    rows = []
    for item in _written_on(study):
        text, arrows = _comment_of(item), _arrows_of(item)
        if text or arrows:
            rows.append({**_place(item), "comment": text, "arrows": len(arrows)})
    return rows


def arrows_frame(study: Study) -> list[dict[str, Any]]:
    """The counting arrows, one row each: on which image and slice, and where in the patient.

    Images and slices are counted from 1, as readers see them.
    """
    rows = []
    for item in _written_on(study):
        panes = {pane.number: pane for pane in item.panes.all()}
        for number, arrow in enumerate(_arrows_of(item), start=1):
            pane = panes[arrow["pane"]]
            ends = {
                f"{end}_{axis}_mm": arrow[end][at]
                for end in ("tail", "head")
                for at, axis in enumerate("xyz")
            }
            rows.append(
                {
                    **_place(item),
                    "arrow": number,
                    "image": pane.role,
                    "image_position": pane.number,
                    "image_arm": pane.arm.code,
                    "slice": arrow["slice"] + 1,
                    **ends,
                }
            )
    return rows


def _written_on(study: Study) -> QuerySet[Item]:
    return (
        Item.objects.filter(session__study=study)
        .select_related("session", "volunteer", "arm", "comparison__first", "comparison__second")
        .prefetch_related("comments", "marks", "panes__arm")
        .order_by("session__reader_code", "session__occasion", "position")
    )


def _comment_of(item: Item) -> str:
    comments = list(item.comments.all())
    return comments[-1].text if comments else ""


def _arrows_of(item: Item) -> list[dict[str, Any]]:
    marks = list(item.marks.all())
    return list(marks[-1].marks) if marks else []


def _place(item: Item) -> dict[str, Any]:
    return {
        "reader": item.session.reader_code,
        "occasion": item.session.occasion,
        "purpose": item.purpose,
        "position": item.position,
        "volunteer": item.volunteer.code,
        "arm": item.arm.code if item.arm else "",
        "first": item.comparison.first.code if item.comparison else "",
        "second": item.comparison.second.code if item.comparison else "",
    }
