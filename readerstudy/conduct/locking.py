"""Locking a study, and opening the lock again.

The lock ends reading and measuring: from then on no score and no region changes, in the database
too (`frozen_tables`), and the floor above freezes the data. An unlocking is an administrator's: the
lock, its frozen data and the reason stay on record, and the next lock freezes anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.reading import frames as reading
from readerstudy.reading.frames import ReaderProgress
from readerstudy.studies.access import require_role, roles_in
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study
from readerstudy.studies.services import lock_study

from . import hooks
from .models import Locking, Unlocking

REASON_LENGTH = 300


def open_sessions(study: Study) -> list[ReaderProgress]:
    """Readers who have items left to submit."""
    return [p for p in reading.progress(study) if not p.is_done]


def standing_lock(study: Study) -> Locking | None:
    """The lock that holds now."""
    return Locking.objects.filter(study=study, unlocking=None).order_by("-number").first()


def locks_of(study: Study) -> list[Locking]:
    """Every lock with its opening, the latest first."""
    found = Locking.objects.filter(study=study).order_by("-number")
    return list(found.select_related("locked_by", "unlocking__unlocked_by"))


# --- Lock -----------------------------------------------------------------------------------------


def check_lock(study: Study, actor: User | None, reason: str = "") -> Sequence[ReaderProgress]:
    """Raise `StudyError` unless the study can be locked; returns the sessions left open.

    A lock with open items needs a reason: their scores will be missing for good.
    """
    require_role(actor, study, Role.COORDINATOR)
    if study.is_draft:
        raise StudyError(f"“{study.title}” has not been launched: there is nothing to lock.")
    if study.is_locked:
        raise StudyError(f"“{study.title}” is locked already{_since(study)}.")
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


def _since(study: Study) -> str:
    lock = standing_lock(study)
    if lock is None:
        return ""
    by = f" by {lock.locked_by}" if lock.locked_by else ""
    return f", since {lock.locked_at:%Y-%m-%d %H:%M} UTC{by}"


@transaction.atomic
def do_lock(study: Study, actor: User | None, reason: str = "") -> Study:
    """End reading and measuring: from here on no score and no region changes."""
    study = lock_study(study)
    left = check_lock(study, actor, reason)
    now = timezone.now()
    locking = Locking.objects.create(
        study=study,
        number=Locking.objects.filter(study=study).count() + 1,
        reason=reason.strip(),
        open_items=[
            {"reader": p.reader_code, "occasion": p.occasion, "open": p.total - p.submitted}
            for p in left
        ],
        locked_by=actor,
        locked_at=now,
    )
    study.state = Study.State.LOCKED
    study.locked_at = now
    study.save(update_fields=["state", "locked_at"])
    record(
        "conduct.study.locked",
        actor,
        study_id=study.pk,
        subject=study,
        old={"state": Study.State.READING.value},
        new={
            "state": Study.State.LOCKED.value,
            "lock": locking.number,
            "open_items": locking.open_items,
        },
        why=reason.strip(),
    )
    hooks.study_locked(study, locking, actor)
    return study


# --- Unlock ---------------------------------------------------------------------------------------


def check_unlock(study: Study, actor: User | None, reason: str) -> Locking:
    """Raise unless the lock can be opened; returns it."""
    if actor is not None and not (actor.is_active and actor.is_administrator):
        raise PermissionDenied("A lock is opened by an administrator.")
    if actor is not None and Role.READER in roles_in(actor, study):
        raise PermissionDenied("Whoever reads in a study does not open its lock.")
    if study.is_unblinded:
        raise StudyError(
            "The key of this study is open: its arms are known, so no score may change any more. "
            "It stays locked."
        )
    if not study.is_locked:
        raise StudyError(f"“{study.title}” is not locked.")
    if not reason.strip():
        raise StudyError("Say why the lock is opened: the reason stays on record.")
    if len(reason) > REASON_LENGTH:
        raise StudyError(f"The reason is too long: {REASON_LENGTH} characters at most.")
    lock = standing_lock(study)
    if lock is None:
        raise StudyError("No lock of this study is on record: nothing was opened.")
    return lock


@transaction.atomic
def do_unlock(study: Study, actor: User | None, reason: str) -> Study:
    """Open the lock: readers and measurers go on where they were."""
    study = lock_study(study)
    lock = check_unlock(study, actor, reason)
    Unlocking.objects.create(
        locking=lock, reason=reason.strip(), unlocked_by=actor, unlocked_at=timezone.now()
    )
    study.state = Study.State.READING
    study.locked_at = None
    study.save(update_fields=["state", "locked_at"])
    record(
        "conduct.study.unlocked",
        actor,
        study_id=study.pk,
        subject=study,
        old={"state": Study.State.LOCKED.value, "lock": lock.number},
        new={"state": Study.State.READING.value},
        why=reason.strip(),
    )
    return study
