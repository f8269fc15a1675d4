"""Launching a study, and having derived arms made again."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.reading.ordering import DrawnOrder, do_store_randomisation, draw_order
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
from .locking import check_lock, do_lock, open_sessions
from .readiness import Cell, Grid, readiness_grid

__all__ = [
    "check_launch",
    "check_lock",
    "do_derive",
    "do_launch",
    "do_lock",
    "open_sessions",
]


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


def do_launch(study: Study, actor: User | None, seed: str | None = None) -> Study:
    """Freeze the protocol, draw the arms' letters, store every reader's order, open the reading.

    `seed` is for tests and for re-deriving; without one it is drawn at random.
    """
    check_launch(Study.objects.get(pk=study.pk), actor)
    return _launch(study, actor, draw_order(study, seed))


@transaction.atomic
def _launch(study: Study, actor: User | None, drawn: DrawnOrder) -> Study:
    study = lock_study(study)
    grid = check_launch(study, actor)
    images = {
        row.volunteer.code: {c.arm.code: c.series.volume_sha256 for c in row.cells if c.series}
        for row in grid.rows
    }
    protocol_sha256 = freeze_protocol(study, images)
    randomisation = do_store_randomisation(study, actor, drawn)
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
