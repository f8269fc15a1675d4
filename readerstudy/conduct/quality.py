"""Looking at a series before readers do: accepted, or rejected with the reason.

No series is read unseen: the launch asks for a decision on every one. Decisions are added, never
changed, and every one is in the trail.
"""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db import transaction

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.imaging.models import Series
from readerstudy.imaging.selectors import off_the_control
from readerstudy.measurements.selectors import reads_blinded
from readerstudy.studies.access import require_role
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study
from readerstudy.studies.selectors import unread_arms
from readerstudy.studies.services import check_is_draft, lock_study

from .decisions import TOGETHER
from .models import SeriesCheck
from .readiness import CellState, readiness_grid

REASON_LENGTH = 300


def check_may_look(study: Study, actor: User | None) -> None:
    """Images beside their arms' names: coordinators, unless they read here and it is not locked."""
    require_role(actor, study, Role.COORDINATOR)
    if reads_blinded(actor, study):
        raise PermissionDenied(
            "You read in this study: its images stay closed to you under the names of their arms "
            "until it is locked. Another coordinator looks at them."
        )


@transaction.atomic
def do_decide(series: Series, actor: User | None, *, accept: bool, reason: str = "") -> SeriesCheck:
    """Accept or reject one series of a draft; a rejection needs its reason."""
    study = lock_study(series.volunteer.study)
    check_may_look(study, actor)
    check_is_draft(study)
    reason = reason.strip()
    if not accept and not reason:
        raise StudyError("Say why the series is rejected: whoever scans it again needs to know.")
    if len(reason) > REASON_LENGTH:
        raise StudyError(f"The reason is too long: {REASON_LENGTH} characters at most.")
    is_read = series.arm not in unread_arms(study)
    if accept and is_read and (differs := off_the_control(series)):
        raise StudyError(
            f"{series.arm.name} of {series.volunteer.code} is not on the control's grid "
            f"({'; '.join(differs)}): it cannot be read beside it. Replace it."
        )
    return _decide(series, study, actor, accept, reason)


@transaction.atomic
def do_accept_ready(study: Study, actor: User | None, volunteer_code: str = "") -> int:
    """Accept every series that is ready and has no decision, of one volunteer or of all.

    Series that differ from the control, or were rejected, are left as they are, and what was made
    from a rejected one waits for the next. Who accepts those of all volunteers has not opened each:
    the decision says so.
    """
    study = lock_study(study)
    check_may_look(study, actor)
    check_is_draft(study)
    cells = list(readiness_grid(study).cells())
    rejected = {
        (cell.volunteer.pk, cell.arm.pk) for cell in cells if cell.state == CellState.REJECTED
    }
    ready = [
        cell.series
        for cell in cells
        if cell.series is not None
        and cell.state == CellState.READY
        and cell.decision is None
        and (not volunteer_code or cell.volunteer.code == volunteer_code)
        and (cell.volunteer.pk, cell.arm.source_id) not in rejected
    ]
    for series in ready:
        _decide(series, study, actor, True, "" if volunteer_code else TOGETHER)
    return len(ready)


def _decide(
    series: Series, study: Study, actor: User | None, accept: bool, reason: str
) -> SeriesCheck:
    chosen = SeriesCheck.Decision.ACCEPTED if accept else SeriesCheck.Decision.REJECTED
    before = SeriesCheck.objects.filter(series=series).order_by("-pk").first()
    check = SeriesCheck.objects.create(
        series=series, decision=chosen, reason=reason, decided_by=actor
    )
    record(
        f"conduct.series.{chosen.value}",
        actor,
        study_id=study.pk,
        subject=series,
        old={"decision": before.decision} if before else None,
        new={
            "volunteer": series.volunteer.code,
            "arm": series.arm.code,
            "volume_sha256": series.volume_sha256,
        },
        why=reason,
    )
    return check
