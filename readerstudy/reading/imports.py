"""Scores that were given elsewhere, brought in from a table.

Each reader becomes an imported session, each volunteer and arm an item of it. Everything is checked
before anything is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.imaging.models import Volunteer
from readerstudy.studies.access import require_role
from readerstudy.studies.models import Role, Study
from readerstudy.studies.services import check_not_locked
from readerstudy.studies.tables import (
    Fault,
    RowCheck,
    TableFile,
    duplicate,
    known_names,
    read_table,
    table_notes,
)

from .models import Item, ScoreRevision, Session

COLUMNS = {
    "case": ("case", "volunteer", "subject", "patient", "case_id", "volunteer_code"),
    "sequence": ("sequence", "arm", "image_set", "method", "arm_code"),
    "reader": ("reader", "rater", "observer", "radiologist", "reader_code"),
    "criterion": ("criterion", "item", "category", "criterion_code"),
    "score": ("score", "value", "rating"),
}
LOWEST, HIGHEST = 1, 5


@dataclass(frozen=True)
class ScoreLine:
    volunteer: str
    arm: str
    reader: str
    criterion: str
    score: int


@dataclass(frozen=True)
class ScoreTable:
    """A checked table; `notes` say what is worth knowing and no fault.

    `headings` are pairs of our column and the heading of the file that was taken for it.
    """

    file: str
    sha256: str
    lines: Sequence[ScoreLine]
    notes: Sequence[str]
    headings: Sequence[tuple[str, str]] = ()

    @property
    def volunteers(self) -> list[str]:
        return sorted({line.volunteer for line in self.lines})

    @property
    def readers(self) -> list[str]:
        return sorted({line.reader for line in self.lines})


def check_import_scores(
    study: Study, actor: User | None, file: TableFile
) -> tuple[ScoreTable, list[Fault]]:
    """Read and check a table of scores: the rows that are right, and every fault."""
    require_role(actor, study, Role.COORDINATOR)
    check_not_locked(study)
    faults: list[Fault] = []
    sha256 = hashlib.sha256(file.content).hexdigest()
    table = read_table(file, COLUMNS, faults)
    if table is None:
        return ScoreTable(file.name, sha256, (), ()), faults
    arms = known_names(*study.arms.values_list("code", "name"))
    criteria = known_names(*study.criteria.values_list("code", "name"))
    lines: list[ScoreLine] = []
    seen: dict[tuple[str, ...], int] = {}
    for row in table.rows:
        line = _line(RowCheck(table, row, faults), arms, criteria)
        if line is None:
            continue
        key = (line.volunteer, line.arm, line.reader, line.criterion)
        twice = duplicate(table, row, key, seen)
        if twice:
            faults.append(twice)
        else:
            lines.append(line)
    notes = table_notes(table, lines, ("volunteer", "arm", "reader", "criterion"))
    checked = ScoreTable(file.name, sha256, lines, notes, table.headings)
    faults += _clashes(study, checked)
    return checked, faults


def _line(
    check: RowCheck, arms: Mapping[str, str], criteria: Mapping[str, str]
) -> ScoreLine | None:
    before = len(check.faults)
    volunteer = check.code("case", 30)
    arm = check.known("sequence", arms, "arm")
    reader = check.code("reader", 20)
    criterion = check.known("criterion", criteria, "criterion")
    score = check.whole(
        "score",
        LOWEST,
        HIGHEST,
        f"Scores go from {LOWEST} to {HIGHEST}; leave out the line of a missing score.",
    )
    if len(check.faults) > before or score is None:
        return None
    return ScoreLine(volunteer, arm, reader, criterion, score)


def _clashes(study: Study, table: ScoreTable) -> list[Fault]:
    """What already stands in the study and would be mixed with the table."""
    faults: list[Fault] = []
    if Session.objects.filter(study=study, is_imported=False).exists():
        faults.append(
            Fault(
                table.file,
                None,
                "",
                "This study has reading sessions of its own: imported scores would stand beside "
                "blinded ones. Import them into a study of their own.",
            )
        )
    taken = set(
        Session.objects.filter(study=study, is_imported=True, occasion=1).values_list(
            "reader_code", flat=True
        )
    )
    faults += [
        Fault(table.file, None, "reader", f"The scores of {code} were imported before.")
        for code in table.readers
        if code in taken
    ]
    return faults


@transaction.atomic
def do_import_scores(
    study: Study,
    actor: User | None,
    table: ScoreTable,
    volunteers: Mapping[str, Volunteer],
    readers: Mapping[str, User] | None = None,
) -> int:
    """Write a checked table; returns the number of scores.

    Hold the study's row (`lock_study`). `volunteers` holds every one that the table names;
    `readers` says which accounts stand behind reader codes, where that is known.
    """
    require_role(actor, study, Role.COORDINATOR)
    check_not_locked(study)
    now = timezone.now()
    arms = {arm.code: arm for arm in study.arms.all()}
    criteria = {criterion.code: criterion for criterion in study.criteria.all()}
    arm_order = {code: at for at, code in enumerate(arms)}
    for code in table.readers:
        mine = [line for line in table.lines if line.reader == code]
        session = Session.objects.create(
            study=study,
            reader=(readers or {}).get(code),
            reader_code=code,
            is_imported=True,
            completed_at=now,
        )
        cells = sorted(
            {(line.volunteer, line.arm) for line in mine},
            key=lambda cell: (cell[0], arm_order[cell[1]]),
        )
        items = {
            cell: Item(
                session=session,
                position=position,
                volunteer=volunteers[cell[0]],
                arm=arms[cell[1]],
                submitted_at=now,
            )
            for position, cell in enumerate(cells, start=1)
        }
        Item.objects.bulk_create(items.values())
        ScoreRevision.objects.bulk_create(
            [
                ScoreRevision(
                    item=items[line.volunteer, line.arm],
                    criterion=criteria[line.criterion],
                    revision=1,
                    value=line.score,
                    reason="imported",
                )
                for line in mine
            ],
            batch_size=1000,
        )
    record(
        "reading.scores.imported",
        actor,
        study_id=study.pk,
        subject=study,
        new={
            "file": table.file,
            "sha256": table.sha256,
            "scores": len(table.lines),
            "readers": table.readers,
            "volunteers": len(table.volunteers),
        },
    )
    return len(table.lines)
