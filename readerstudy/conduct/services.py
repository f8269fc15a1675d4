"""Launching and locking a study, and having derived arms made again."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.reading import frames as reading
from readerstudy.reading.frames import ReaderProgress
from readerstudy.reading.ordering import do_store_randomisation
from readerstudy.studies.access import require_role
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study
from readerstudy.studies.services import (
    check_is_draft,
    draw_arm_letters,
    freeze_protocol,
    lock_study,
)
from readerstudy.variants.services import do_request_variant

from .checks import launch_checks
from .readiness import Cell, Grid, readiness_grid

REASON_LENGTH = 300


# --- Derived arms ---------------------------------------------------------------------------------


def do_derive(study: Study, cell: Cell, actor: User | None) -> None:
    """Have the worker make a derived series that was not started, was cancelled or failed."""
    require_role(actor, study, Role.COORDINATOR)
    check_is_draft(study)
    if not cell.may_start:
        raise StudyError(
            f"{cell.volunteer.code}, {cell.arm.name}: nothing to start ({cell.label.lower()})."
        )
    do_request_variant(cell.volunteer, cell.arm, actor)


# --- Launch ---------------------------------------------------------------------------------------


def check_launch(study: Study, actor: User | None) -> Grid:
    """Raise `StudyError` with every fault that keeps the study from being launched."""
    require_role(actor, study, Role.COORDINATOR)
    check_is_draft(study)
    grid = readiness_grid(study)
    faults = [
        detail for check in launch_checks(study, grid) if check.is_fault for detail in check.details
    ]
    if faults:
        raise StudyError(*faults)
    return grid


@transaction.atomic
def do_launch(study: Study, actor: User | None, seed: str | None = None) -> Study:
    """Freeze the protocol, draw the arms' letters, store every reader's order, open the reading.

    `seed` is for tests and for re-deriving; without one it is drawn at random.
    """
    study = lock_study(study)
    grid = check_launch(study, actor)
    images = {
        row.volunteer.code: {c.arm.code: c.series.volume_sha256 for c in row.cells if c.series}
        for row in grid.rows
    }
    protocol_sha256 = freeze_protocol(study, images)
    randomisation = do_store_randomisation(study, actor, seed)
    study.arm_letters = draw_arm_letters(study)
    study.state = Study.State.READING
    study.launched_at = timezone.now()
    study.save(update_fields=["protocol", "protocol_sha256", "arm_letters", "state", "launched_at"])
    # Neither the letters nor the seed: the trail is read by people who are blind.
    record(
        "conduct.study.launched",
        actor,
        study_id=study.pk,
        subject=study,
        old={"state": Study.State.DRAFT.value},
        new={
            "state": Study.State.READING.value,
            "protocol_sha256": protocol_sha256,
            "randomisation_sha256": randomisation.sha256,
            "volunteers": [row.volunteer.code for row in grid.rows],
        },
    )
    return study


# --- Lock -----------------------------------------------------------------------------------------


def open_sessions(study: Study) -> list[ReaderProgress]:
    """Readers who have items left to submit."""
    return [p for p in reading.progress(study) if not p.is_done]


def check_lock(study: Study, actor: User | None, reason: str = "") -> Sequence[ReaderProgress]:
    """Raise `StudyError` unless the study can be locked; returns the sessions left open.

    A lock with open items needs a reason: their scores will be missing for good.
    """
    require_role(actor, study, Role.COORDINATOR)
    if study.is_draft:
        raise StudyError(f"“{study.title}” has not been launched: there is nothing to lock.")
    if study.is_locked:
        raise StudyError(f"“{study.title}” is locked already.")
    if len(reason) > REASON_LENGTH:
        raise StudyError(f"The reason is too long: {REASON_LENGTH} characters at most.")
    left = open_sessions(study)
    if left and not reason.strip():
        items = ", ".join(f"{p.reader_code} {p.total - p.submitted}" for p in left)
        raise StudyError(
            f"Items are still open ({items}): finish the reading, or give the reason "
            "for locking without them."
        )
    return left


@transaction.atomic
def do_lock(study: Study, actor: User | None, reason: str = "") -> Study:
    """End reading and measuring: from here on no score and no region changes."""
    study = lock_study(study)
    left = check_lock(study, actor, reason)
    study.state = Study.State.LOCKED
    study.locked_at = timezone.now()
    study.save(update_fields=["state", "locked_at"])
    record(
        "conduct.study.locked",
        actor,
        study_id=study.pk,
        subject=study,
        old={"state": Study.State.READING.value},
        new={
            "state": Study.State.LOCKED.value,
            "open_items": [
                {"reader": p.reader_code, "occasion": p.occasion, "open": p.total - p.submitted}
                for p in left
            ],
        },
        why=reason.strip(),
    )
    return study
