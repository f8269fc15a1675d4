"""What a running task holds: its token, its progress, and the one way to publish its outputs."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction

from readerstudy.audit.services import record

from . import leases, locks
from .leases import LostLease
from .models import Job

__all__ = ["JobContext", "JobError", "LostLease"]

PROGRESS_SECONDS = 0.5


class JobError(Exception):
    """Raised by a task to fail at once and for good; the message is for people."""


class JobContext:
    """The claim of one job by one worker. Outputs go to storage under a path with `token`."""

    def __init__(self, job: Job) -> None:
        if job.token is None:
            raise ValueError("Only a claimed job has a context.")
        self.job_id: uuid.UUID = job.pk
        self.token: uuid.UUID = job.token
        self.attempt: int = job.attempts
        self.study_id: uuid.UUID | None = job.study_id
        self.kind: str = job.kind
        self.published = False
        self.publishing = False
        self.lost = False  # set by the lease thread
        self._written_at = float("-inf")

    def progress(self, done: int, total: int, message: str = "") -> None:
        """Note progress for people; at most two writes a second, and always the last one.

        Raises LostLease when another worker has taken the job over.
        """
        if self.lost:
            raise LostLease(f"job {self.job_id}")
        now = time.monotonic()
        if done < total and now - self._written_at < PROGRESS_SECONDS:
            return
        self._written_at = now
        noted = leases.renew(
            self.job_id,
            self.token,
            progress_done=max(0, done),
            progress_total=max(0, total),
            message=message[:300],
        )
        if not noted:
            self.lost = True
            raise LostLease(f"job {self.job_id}")

    @contextmanager
    def publish(self) -> Iterator[dict[str, Any]]:
        """One transaction in which the outputs become visible and the job becomes succeeded.

        The study's row and the job's are locked, in that order (`locks`), and the token is checked
        first, so that a worker that has lost its lease publishes nothing (LostLease), and nobody
        can claim the job while it publishes. What the body puts into the yielded dict is kept as
        the job's result.
        """
        result: dict[str, Any] = {}
        self.publishing = True
        try:
            with transaction.atomic():
                if self.study_id is not None:
                    locks.hold_study(self.study_id)
                rows = leases.held(self.job_id, self.token).select_for_update()
                job = rows.first()
                if job is None:
                    self.lost = True
                    raise LostLease(f"job {self.job_id}")
                yield result
                changed = leases.held(self.job_id, self.token).update(
                    state=Job.State.SUCCEEDED,
                    lease_until=None,
                    finished_at=leases.database_now(),
                    progress_done=max(job.progress_done, job.progress_total),
                    error="",
                    result=result,
                )
                if not changed:
                    self.lost = True
                    raise LostLease(f"job {self.job_id}")
                record(
                    "jobs.succeeded",
                    None,
                    study_id=job.study_id,
                    subject=job,
                    new={"kind": job.kind, "attempts": job.attempts},
                )
            self.published = True
        finally:
            self.publishing = False

    def keep_result(self, result: dict[str, Any]) -> None:
        """Add what the task returned after it had published."""
        Job.objects.filter(pk=self.job_id, token=self.token, state=Job.State.SUCCEEDED).update(
            result=result
        )
