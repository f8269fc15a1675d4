"""Claiming job rows and the fence that every later write goes through.

Each write names the token that the claim gave out. Once another worker has claimed the row the old
token is gone from it, so the writes of a worker that was frozen and thaws change no row.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from readerstudy.audit.services import record

from .models import Job

WORKER_DIED = (
    "The worker stopped in the middle of this job {attempts} times (it was killed or ran out of "
    "memory). Look at the worker's log and the machine's memory, then start the job again."
)


class LostLease(Exception):
    """Another worker has taken the job over, or it was cancelled: stop, and write nothing."""


def database_now() -> datetime.datetime:
    """The time by the database's clock: workers on several hosts compare leases by one clock."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            now: datetime.datetime = cursor.fetchone()[0]
            return now
    return timezone.now()


def _lease_end(now: datetime.datetime) -> datetime.datetime:
    return now + datetime.timedelta(seconds=settings.JOB_LEASE_SECONDS)


def _runnable(queues: Collection[str], now: datetime.datetime) -> QuerySet[Job]:
    due = Q(run_after__isnull=True) | Q(run_after__lte=now)
    waiting = Q(state=Job.State.QUEUED) & due
    abandoned = Q(state=Job.State.RUNNING, lease_until__lt=now)
    found = Job.objects.filter(waiting | abandoned, queue__in=queues)
    # What a person waits for at a page (images sent, an export) is not held up by the hours of
    # denoising that follow from it, where one worker serves both queues.
    return found.annotate(is_long=Q(queue=Job.Queue.GPU)).order_by("is_long", "created_at", "id")


def claim(queues: Collection[str]) -> Job | None:
    """Take a job that waits or whose lease ran out, in one transaction: short work (the queue cpu)
    before long, the oldest first.

    A job that has used up its attempts while its workers died is failed here, with the reason.
    """
    if not _runnable(queues, database_now()).exists():
        return None  # an idle worker takes no write lock
    while True:
        with transaction.atomic():
            now = database_now()
            candidates = _runnable(queues, now)
            if connection.features.has_select_for_update_skip_locked:
                candidates = candidates.select_for_update(skip_locked=True)
            job = candidates.first()
            if job is None:
                return None
            if job.attempts >= job.max_attempts:
                _fail_row(job, now)
                continue
            job.state = Job.State.RUNNING
            job.attempts += 1
            job.token = uuid.uuid4()
            job.lease_until = _lease_end(now)
            job.run_after = None
            job.started_at = now
            job.progress_done = job.progress_total = 0
            job.message = ""
            job.save()
            return job


def _fail_row(job: Job, now: datetime.datetime) -> None:
    job.state = Job.State.FAILED
    job.token = None
    job.lease_until = None
    job.finished_at = now
    job.error = WORKER_DIED.format(attempts=job.attempts)
    job.save()
    _record_failure(job)


def _record_failure(job: Job) -> None:
    # Neither payload nor error text: either may hold a file name that a person typed.
    record(
        "jobs.failed",
        None,
        study_id=job.study_id,
        subject=job,
        new={"kind": job.kind, "attempts": job.attempts},
    )


def held(job_id: uuid.UUID, token: uuid.UUID) -> QuerySet[Job]:
    """The row if, and only if, the token still holds it: every write of a worker starts here."""
    return Job.objects.filter(pk=job_id, token=token, state=Job.State.RUNNING)


def renew(job_id: uuid.UUID, token: uuid.UUID, **progress: Any) -> bool:
    """Extend the lease (and note progress). False if the token no longer holds the job."""
    return bool(held(job_id, token).update(lease_until=_lease_end(database_now()), **progress))


def retry_later(job: Job, token: uuid.UUID, reason: str) -> None:
    """Queue the job again after an unexpected error, or fail it when its attempts are used up."""
    if job.attempts >= job.max_attempts:
        fail(job, token, reason)
        return
    pause = datetime.timedelta(seconds=settings.JOB_RETRY_SECONDS * job.attempts)
    held(job.pk, token).update(
        state=Job.State.QUEUED,
        token=None,
        lease_until=None,
        run_after=database_now() + pause,
        error=reason,
    )


def fail(job: Job, token: uuid.UUID, reason: str) -> None:
    """Fail the job for good, keeping the reason for people."""
    with transaction.atomic():
        failed = held(job.pk, token).update(
            state=Job.State.FAILED,
            token=None,
            lease_until=None,
            finished_at=database_now(),
            error=reason,
        )
        if failed:
            _record_failure(job)


def hand_back(job: Job, token: uuid.UUID) -> None:
    """Queue the job again at once: the worker was asked to stop, which is no failed attempt."""
    held(job.pk, token).update(
        state=Job.State.QUEUED,
        token=None,
        lease_until=None,
        attempts=job.attempts - 1,
    )


def count_runnable(queue: str) -> int:
    """Rows of the queue that a worker could claim now."""
    return _runnable([queue], database_now()).count()


def none_waiting(queues: Collection[str]) -> bool:
    """True if no job of these queues waits, be it for now or for its next attempt."""
    return not Job.objects.filter(state=Job.State.QUEUED, queue__in=queues).exists()
