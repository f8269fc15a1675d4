"""Who places, blind or not, and when the figures are opened.

A placer who sees SNR steers it. So the regions of a volunteer are placed on the control, with no
figure on the screen, until they are frozen; then mean, SD, SNR and CNR of every arm are shown and
nothing moves any more. Opening frozen regions again needs a reason and stays on record, as does the
unblinded mode, which is for method work.
"""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.imaging.models import Volunteer
from readerstudy.studies.access import require_role, roles_in
from readerstudy.studies.models import Role, Study
from readerstudy.studies.services import check_not_locked, lock_study

from .errors import MeasurementError
from .models import FIRST_OBSERVER, OBSERVERS, SECOND_OBSERVER, Placing, Region
from .selectors import reads_blinded

REASON_LENGTH = 300


def check_may_measure(study: Study, actor: User | None) -> None:
    """Coordinators and administrators, unless they read in the study and it is not locked."""
    require_role(actor, study, Role.COORDINATOR)
    if reads_blinded(actor, study):
        raise PermissionDenied(
            "You read in this study: its images and their names stay closed to you until it is "
            "locked. Another coordinator places the regions."
        )


def placing_of(volunteer: Volunteer, observer: int = FIRST_OBSERVER) -> Placing:
    """How the observer stands with the volunteer; a fresh, unsaved row if nothing is stored."""
    found = Placing.objects.filter(volunteer=volunteer, observer=observer).first()
    return found or Placing(volunteer=volunteer, observer=observer)


def shows_figures(placing: Placing, study: Study, user: User | None) -> bool:
    """Whether figures and the other arms may be on the screen.

    Whoever also analyses the study knows its arms by letters: figures beside arms' names would
    open the letters before the unblinding.
    """
    analyses = user is not None and Role.STATISTICIAN in roles_in(user, study)
    if analyses and not study.is_unblinded:
        return False
    return placing.is_frozen or placing.unblinded or study.is_locked


def check_observer(volunteer: Volunteer, observer: int, actor: User | None) -> None:
    """A second observer is another person than the first, and the other way round."""
    if observer not in OBSERVERS:
        raise MeasurementError("A volunteer's regions have a first and a second observer.")
    if actor is None:
        return
    other = SECOND_OBSERVER if observer == FIRST_OBSERVER else FIRST_OBSERVER
    if Region.objects.filter(volunteer=volunteer, observer=other, placed_by=actor).exists():
        raise MeasurementError(
            f"You placed regions of {volunteer.code} as the "
            f"{'first' if other == FIRST_OBSERVER else 'second'} observer: the other observer has "
            "to be another person."
        )


def check_not_frozen(placing: Placing) -> None:
    if placing.is_frozen:
        raise MeasurementError(
            f"The regions of {placing.volunteer.code} are frozen: their figures have been seen. "
            "Open them again, with a reason, to move one."
        )


def _held(volunteer: Volunteer, actor: User | None) -> Study:
    study = lock_study(volunteer.study)
    volunteer.study = study
    check_may_measure(study, actor)
    check_not_locked(study)
    return study


@transaction.atomic
def do_freeze(volunteer: Volunteer, actor: User | None, observer: int = FIRST_OBSERVER) -> Placing:
    """No region of the volunteer moves any more, and its figures are opened."""
    study = _held(volunteer, actor)
    check_observer(volunteer, observer, actor)
    placing = placing_of(volunteer, observer)
    if placing.is_frozen:
        return placing
    placed = set(
        Region.objects.filter(volunteer=volunteer, observer=observer).values_list(
            "tissue_id", flat=True
        )
    )
    missing = [tissue.name for tissue in study.tissues.all() if tissue.pk not in placed]
    if missing:
        raise MeasurementError(f"Place every region before freezing: {', '.join(missing)} to do.")
    placing.frozen_at, placing.frozen_by = timezone.now(), actor
    placing.save()
    _record("frozen", placing, study, actor)
    return placing


@transaction.atomic
def do_reopen(
    volunteer: Volunteer, actor: User | None, reason: str, observer: int = FIRST_OBSERVER
) -> Placing:
    """Let frozen regions be moved again; whatever is moved is marked as placed unblinded."""
    study = _held(volunteer, actor)
    check_observer(volunteer, observer, actor)
    placing = placing_of(volunteer, observer)
    if not placing.is_frozen:
        raise MeasurementError(f"The regions of {volunteer.code} are not frozen.")
    reason = reason.strip()
    if not reason:
        raise MeasurementError("Give the reason for opening regions whose figures were seen.")
    if len(reason) > REASON_LENGTH:
        raise MeasurementError(f"The reason is too long: {REASON_LENGTH} characters at most.")
    placing.frozen_at, placing.frozen_by = None, None
    placing.reopened += 1
    placing.save()
    _record("reopened", placing, study, actor, reason)
    return placing


@transaction.atomic
def do_unblind_placing(
    volunteer: Volunteer, actor: User | None, reason: str, observer: int = FIRST_OBSERVER
) -> Placing:
    """For method work: show all arms and figures while regions are placed. Stays on record."""
    study = _held(volunteer, actor)
    check_observer(volunteer, observer, actor)
    placing = placing_of(volunteer, observer)
    if placing.unblinded:
        return placing
    reason = reason.strip()
    if not reason or len(reason) > REASON_LENGTH:
        raise MeasurementError(
            f"Give the reason for placing with figures in sight, in {REASON_LENGTH} characters."
        )
    placing.unblinded = True
    placing.save()
    _record("unblinded", placing, study, actor, reason)
    return placing


def _record(
    what: str, placing: Placing, study: Study, actor: User | None, reason: str = ""
) -> None:
    record(
        f"measurements.regions.{what}",
        actor,
        study_id=study.pk,
        subject=placing,
        new={"volunteer": placing.volunteer.code, "observer": placing.observer},
        why=reason,
    )
