"""Bringing a finished study in from spreadsheets: scores and region measurements, all or nothing.

Imported scores were given elsewhere, so there is nothing left to launch: the protocol is frozen and
the arms get their letters with the import. What follows is the same for every study: lock, masked
results, unblinding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.imaging.models import Volunteer
from readerstudy.measurements.imports import RegionTable, check_import_regions, do_import_regions
from readerstudy.reading.imports import ScoreTable, check_import_scores, do_import_scores
from readerstudy.studies.access import require_role
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study
from readerstudy.studies.services import (
    check_not_locked,
    draw_arm_letters,
    freeze_protocol,
    lock_study,
)
from readerstudy.studies.tables import Fault, TableError, TableFile

MOST_BYTES = 10 * 1024**2


@dataclass(frozen=True)
class CheckedTables:
    scores: ScoreTable | None
    regions: RegionTable | None

    @property
    def volunteers(self) -> list[str]:
        tables = [table for table in (self.scores, self.regions) if table]
        return sorted({code for table in tables for code in table.volunteers})

    @property
    def notes(self) -> list[str]:
        return [note for table in (self.scores, self.regions) if table for note in table.notes]


@dataclass(frozen=True)
class ImportReport:
    """What came in, for people."""

    volunteers: int
    new_volunteers: int
    scores: int
    readers: Sequence[str]
    measurements: int
    notes: Sequence[str]


def check_import_study_tables(
    study: Study,
    actor: User | None,
    *,
    scores: TableFile | None = None,
    regions: TableFile | None = None,
) -> CheckedTables:
    """Check both files wholly; raises `TableError` with every fault of both."""
    require_role(actor, study, Role.COORDINATOR)
    check_not_locked(study)
    if scores is None and regions is None:
        raise StudyError("Give a file of scores, a file of regions, or both.")
    faults: list[Fault] = [
        Fault(file.name, None, "", f"The file is larger than {MOST_BYTES // 1024**2} MB.")
        for file in (scores, regions)
        if file is not None and len(file.content) > MOST_BYTES
    ]
    if faults:
        raise TableError(faults)
    score_table = region_table = None
    if scores is not None:
        score_table, found = check_import_scores(study, actor, scores)
        faults += found
    if regions is not None:
        region_table, found = check_import_regions(study, actor, regions)
        faults += found
    checked = CheckedTables(score_table, region_table)
    if not study.is_draft:
        faults += _unknown_volunteers(study, checked)
    if faults:
        raise TableError(faults)
    return checked


def _unknown_volunteers(study: Study, checked: CheckedTables) -> list[Fault]:
    """A launched study takes in no further volunteers."""
    known = set(Volunteer.objects.filter(study=study).values_list("code", flat=True))
    return [
        Fault(table.file, None, "case", f"{code} is no volunteer of this launched study.")
        for table in (checked.scores, checked.regions)
        if table
        for code in table.volunteers
        if code not in known
    ]


@transaction.atomic
def do_import_study_tables(
    study: Study,
    actor: User | None,
    *,
    scores: TableFile | None = None,
    regions: TableFile | None = None,
    readers: Mapping[str, User] | None = None,
) -> ImportReport:
    """Check and write both files in one transaction: nothing half-imported remains.

    `readers` says which accounts stand behind reader codes, where that is known. Raises
    `TableError` (the files) or `StudyError` (the study's state).
    """
    study = lock_study(study)
    checked = check_import_study_tables(study, actor, scores=scores, regions=regions)
    known = {volunteer.code: volunteer for volunteer in Volunteer.objects.filter(study=study)}
    new = [Volunteer(study=study, code=code) for code in checked.volunteers if code not in known]
    for volunteer in new:
        volunteer.save(force_insert=True)
        known[volunteer.code] = volunteer
    if new:
        record(
            "imaging.volunteers.imported",
            actor,
            study_id=study.pk,
            subject=study,
            new={"volunteers": [volunteer.code for volunteer in new]},
        )
    measured = scored = 0
    if checked.regions:
        measured = do_import_regions(study, actor, checked.regions, known)
    if checked.scores:
        scored = do_import_scores(study, actor, checked.scores, known, readers)
        if study.is_draft:
            _freeze(study, actor)
    return ImportReport(
        volunteers=len(checked.volunteers),
        new_volunteers=len(new),
        scores=scored,
        readers=checked.scores.readers if checked.scores else [],
        measurements=measured,
        notes=checked.notes,
    )


def _freeze(study: Study, actor: User | None) -> None:
    """Scores exist, so the protocol they were given under may change no more."""
    sha256 = freeze_protocol(study, {})
    study.arm_letters = draw_arm_letters(study)
    study.state = Study.State.READING
    study.launched_at = timezone.now()
    study.save(update_fields=["protocol", "protocol_sha256", "arm_letters", "state", "launched_at"])
    # The letters are the key of the blind: the trail, which statisticians may read, has them not.
    record(
        "conduct.study.frozen_by_import",
        actor,
        study_id=study.pk,
        subject=study,
        new={"protocol_sha256": sha256},
        why="Scores were imported.",
    )
