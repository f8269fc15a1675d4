"""Starting and cancelling jobs."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from readerstudy.audit.services import record

from .dispatch import wake_after_commit
from .models import Job
from .registry import get_task

if TYPE_CHECKING:
    from readerstudy.accounts.models import User


def do_enqueue(
    kind: str,
    payload: dict[str, Any],
    *,
    actor: User | None = None,
    study_id: uuid.UUID | None = None,
    label: str = "",
    max_attempts: int | None = None,
) -> Job:
    """Write one job row. Inside a transaction, workers see it when that transaction commits.

    The caller has authorised the act. `payload` and `label` carry no patient data. Raises
    LookupError if no task of that name is registered.
    """
    task = get_task(kind)
    with transaction.atomic():
        job = Job.objects.create(
            kind=kind,
            queue=task.queue,
            payload=payload,
            study_id=study_id,
            label=label[:200],
            max_attempts=settings.JOB_MAX_ATTEMPTS if max_attempts is None else max_attempts,
            created_by=actor,
        )
        record(
            "jobs.enqueued",
            actor,
            study_id=study_id,
            subject=job,
            new={"kind": kind, "queue": task.queue},
        )
        wake_after_commit(task.queue)
    return job


def do_cancel(job: Job, *, actor: User | None, why: str = "") -> bool:
    """Cancel a job that is not over. A worker that runs it is fenced out. False if it was over.

    The caller has authorised the act.
    """
    with transaction.atomic():
        changed = Job.objects.filter(
            pk=job.pk, state__in=[Job.State.QUEUED, Job.State.RUNNING]
        ).update(
            state=Job.State.CANCELLED,
            token=None,
            lease_until=None,
            finished_at=timezone.now(),
        )
        if changed:
            record(
                "jobs.cancelled",
                actor,
                study_id=job.study_id,
                subject=job,
                new={"kind": job.kind},
                why=why,
            )
    return bool(changed)
