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
from readerstudy.studies.access import require_role, roles_in
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study
from readerstudy.studies.protocol import sha256_of
from readerstudy.studies.services import lock_study

from .models import Snapshot, Unblinding
from .plans import plan_of, plan_sha256
from .report import Report
from .selectors import data_of, masked_data


def check_take_snapshot(study: Study, actor: User | None) -> None:
    require_role(actor, study, Role.STATISTICIAN)
    if not study.is_locked:
        raise StudyError("Lock the study first: only then can scores and regions no longer change.")


@transaction.atomic
def do_take_snapshot(study: Study, actor: User | None) -> Snapshot:
    """Freeze data and plan with their hashes; an equal snapshot that stands is given back."""
    study = lock_study(study)
    check_take_snapshot(study, actor)
    data, plan = data_of(study), plan_of(study)
    data_sha256, plan_hash = sha256_of(data), plan_sha256(plan)
    standing = Snapshot.objects.filter(
        study=study, sha256=data_sha256, plan_sha256=plan_hash
    ).first()
    if standing:
        return standing
    snapshot = Snapshot.objects.create(
        study=study,
        data=data,
        sha256=data_sha256,
        plan=plan.to_dict(),
        plan_sha256=plan_hash,
    )
    # The hash of the named data stays out of the trail until the key is open: with the masked data
    # at hand, trying all orders of the letters against it would open the key.
    record(
        "reports.snapshot.taken",
        actor,
        study_id=study.pk,
        subject=snapshot,
        new={"masked_data_sha256": sha256_of(masked_data(data)), "plan_sha256": plan_hash},
    )
    return snapshot


def check_unblind(study: Study, actor: User | None, reason: str) -> None:
    require_role(actor, study, Role.STATISTICIAN)
    if actor is not None and Role.READER in roles_in(actor, study):
        raise PermissionDenied("Whoever reads in a study does not open its key.")
    if study.is_unblinded:
        raise StudyError("The study is unblinded already.")
    if not study.is_locked:
        raise StudyError("Lock the study first: the key opens over frozen data only.")
    if not reason.strip():
        raise StudyError("Say why the key is opened now: the trail keeps the reason.")
    if len(reason) > 300:
        raise StudyError("The reason is longer than 300 characters: shorten it.")


@transaction.atomic
def do_unblind(study: Study, actor: User | None, reason: str) -> Unblinding:
    """Open the key: snapshot, hashes, head of the trail and the new state in one transaction."""
    study = lock_study(study)
    check_unblind(study, actor, reason)
    snapshot = do_take_snapshot(study, actor)
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
            "plan_sha256": snapshot.plan_sha256,
        },
        why=reason.strip(),
    )
    study.state = Study.State.UNBLINDED
    study.unblinded_at = now
    study.save(update_fields=["state", "unblinded_at"])
    return Unblinding.objects.create(
        study=study,
        snapshot=snapshot,
        plan_sha256=snapshot.plan_sha256,
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
            "plan_sha256": report.plan_sha256,
        },
    )
