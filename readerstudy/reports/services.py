"""Freezing the data of a locked study, and opening the key.

`actor` None is the platform itself (a command run by whoever owns the machine).
"""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.audit.models import Event
from readerstudy.audit.services import record
from readerstudy.conduct.locking import standing_lock
from readerstudy.studies.access import require_role, roles_in
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import PlanVersion, Role, Study
from readerstudy.studies.services import lock_study

from .models import Snapshot, Unblinding
from .plans import last_version, signed_plan
from .report import Report
from .snapshots import check_intact, freeze, standing_snapshot
from .verifying import row_differences

REASON_LENGTH = 300


def check_take_snapshot(study: Study, actor: User | None) -> None:
    require_role(actor, study, Role.STATISTICIAN)
    if not study.is_locked:
        raise StudyError("Lock the study first: only then can scores and regions no longer change.")


@transaction.atomic
def do_take_snapshot(study: Study, actor: User | None) -> Snapshot:
    """The data that the lock froze; a study that was locked before locks did so is frozen now."""
    study = lock_study(study)
    check_take_snapshot(study, actor)
    standing = standing_snapshot(study)
    return standing or freeze(study, standing_lock(study), actor)


def check_unblind(study: Study, actor: User | None, reason: str) -> PlanVersion:
    """Raise unless the key can be opened; returns the signed plan that it opens under."""
    require_role(actor, study, Role.STATISTICIAN)
    if actor is not None and Role.READER in roles_in(actor, study):
        raise PermissionDenied("Whoever reads in a study does not open its key.")
    if study.is_unblinded:
        raise StudyError(f"The study is unblinded already{_since(study)}.")
    if not study.is_locked:
        raise StudyError("Lock the study first: the key opens over frozen data only.")
    version = last_version(study)
    if version is None:
        raise StudyError("Sign the analysis plan first: the key opens under a signed plan only.")
    signed_plan(study, version)
    if not reason.strip():
        raise StudyError("Say why the key is opened now: the trail keeps the reason.")
    if len(reason) > REASON_LENGTH:
        raise StudyError(f"The reason is longer than {REASON_LENGTH} characters: shorten it.")
    return version


def _since(study: Study) -> str:
    opened = Unblinding.objects.filter(study=study).select_related("by").first()
    if opened is None:
        return ""
    by = f" by {opened.by}" if opened.by else ""
    return f", since {opened.at:%Y-%m-%d %H:%M} UTC{by}"


@transaction.atomic
def do_unblind(
    study: Study, actor: User | None, reason: str, *, shown_plan_sha256: str = ""
) -> Unblinding:
    """Open the key: data, plan, head of the trail and the new state in one transaction.

    `shown_plan_sha256` is the hash of the plan that the person saw. The caller has asked for the
    password again.
    """
    study = lock_study(study)
    version = check_unblind(study, actor, reason)
    if shown_plan_sha256 and shown_plan_sha256 != version.sha256:
        raise StudyError(
            f"The plan was amended after this page was opened: version {version.number} stands "
            "now. The key was not opened. Read the plan, then confirm again."
        )
    snapshot = do_take_snapshot(study, actor)
    check_intact(snapshot)
    different = row_differences(study, snapshot, most=3)
    if different:
        raise StudyError(
            "The stored scores or regions are no longer those that the lock froze, so the key was "
            "not opened: " + " ".join(different) + " See manage.py verify_snapshot."
        )
    now = timezone.now()
    event = record(
        "reports.study.unblinded",
        actor,
        study_id=study.pk,
        subject=study,
        old={"state": study.state},
        new={
            "state": Study.State.UNBLINDED,
            "data_sha256": snapshot.sha256,
            "plan_sha256": version.sha256,
            "plan_version": version.number,
        },
        why=reason.strip(),
    )
    study.state = Study.State.UNBLINDED
    study.unblinded_at = now
    study.save(update_fields=["state", "unblinded_at"])
    return Unblinding.objects.create(
        study=study,
        snapshot=snapshot,
        plan_version=version,
        plan_sha256=version.sha256,
        data_sha256=snapshot.sha256,
        audit_head=event.hash,
        by=actor,
        reason=reason.strip(),
    )


def record_download(
    study: Study, actor: User | None, report: Report, name: str, sha256: str
) -> Event:
    """Leave a trace of what left the platform."""
    return record(
        "reports.export.downloaded",
        actor,
        study_id=study.pk,
        subject=study,
        new={
            "file": name,
            "sha256": sha256,
            "masked": report.is_masked,
            "post_hoc": bool(report.post_hoc),
            "plan_sha256": report.plan_sha256,
        },
    )
