"""What an import would write, shown before it is written: nothing of it can be taken back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from readerstudy.conduct.imports import CheckedTables
from readerstudy.imaging.models import Volunteer
from readerstudy.measurements.imports import COLUMNS as REGION_COLUMNS
from readerstudy.reading.imports import COLUMNS as SCORE_COLUMNS
from readerstudy.studies.models import Study

from .mapping import LABELS, SCORE_OF

Counts = Sequence[tuple[str, int]]


@dataclass(frozen=True)
class Part:
    """One file: which heading was taken for what, and how many lines each code has."""

    file: str
    what: str  # "scores" or "region measurements"
    lines: int
    headings: Sequence[tuple[str, str]]  # our name of the column, the file's heading
    counts: Sequence[tuple[str, Counts]]  # "Arms": (arm, lines), …


@dataclass(frozen=True)
class Preview:
    parts: Sequence[Part]
    volunteers: Sequence[str]
    new_volunteers: Sequence[str]
    notes: Sequence[str]
    freezes: bool  # the protocol, and the study leaves the draft


def preview_of(
    study: Study,
    checked: CheckedTables,
    columns: Mapping[str, str] | None = None,
    unused: Sequence[str] = (),
) -> Preview:
    """Of checked tables.

    Where a person said which column is which, `columns` are ours to theirs and `unused` the
    headings that were left.
    """
    names = {
        "arm": dict(study.arms.values_list("code", "name")),
        "criterion": dict(study.criteria.values_list("code", "name")),
        "tissue": dict(study.tissues.values_list("code", "name")),
    }
    parts = []
    for table, what, fields in (
        (checked.scores, "scores", ("arm", "reader", "criterion")),
        (checked.regions, "region measurements", ("arm", "tissue")),
    ):
        if table is None:
            continue
        counted = []
        for field in fields:
            found = Counter(str(getattr(line, field)) for line in table.lines)
            known = names.get(field, {})
            order = [*(code for code in known if code in found), *sorted(set(found) - set(known))]
            counted.append((_TITLES[field], [(_said(code, known), found[code]) for code in order]))
        chosen = table.headings if columns is None else columns.items()
        headings = [(_label(study, ours), theirs) for ours, theirs in chosen if theirs]
        parts.append(Part(table.file, what, len(table.lines), headings, counted))
    present = set(Volunteer.objects.filter(study=study).values_list("code", flat=True))
    return Preview(
        parts,
        checked.volunteers,
        [code for code in checked.volunteers if code not in present],
        [*checked.notes, *_left(unused)],
        checked.scores is not None and study.is_draft,
    )


_TITLES = {"arm": "Arms", "reader": "Readers", "criterion": "Criteria", "tissue": "Regions"}


def _said(code: str, names: Mapping[str, str]) -> str:
    name = names.get(code, code)
    return code if name == code else f"{name} ({code})"


def _left(unused: Sequence[str]) -> list[str]:
    return [f"Columns that were not used: {', '.join(unused)}."] if unused else []


def _label(study: Study, ours: str) -> str:
    if ours.startswith(SCORE_OF):
        code = ours.removeprefix(SCORE_OF)
        return f"Score of {study.criteria.values_list('name', flat=True).get(code=code)}"
    return LABELS[ours]


def understood_headings() -> list[tuple[str, list[tuple[str, str, str]]]]:
    """By file: each column, its own heading and every other heading that is taken for it."""
    tables = (("Scores", SCORE_COLUMNS), ("Regions", REGION_COLUMNS))
    return [
        (
            title,
            [
                (LABELS[ours], ours, ", ".join(n for n in names if n != ours))
                for ours, names in columns.items()
            ],
        )
        for title, columns in tables
    ]
