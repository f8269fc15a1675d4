"""Running jobs: the loop of ``manage.py worker`` and the plain call that tests make."""

from __future__ import annotations

import logging
import signal
import threading
import time
import traceback
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection, connections

from . import leases
from .context import JobContext, JobError, LostLease
from .models import Job
from .registry import get_task, periodic_tasks
from .stopping import Stop

log = logging.getLogger("readerstudy.worker")
ALL_QUEUES: tuple[str, ...] = (Job.Queue.CPU, Job.Queue.GPU)
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequested(BaseException):
    """SIGTERM arrived in mid-job. Not an Exception: no task may swallow it."""


def run_pending(queue: str | None = None, limit: int | None = None) -> int:
    """Claim and run waiting jobs in this thread until none is left. The number of runs.

    No lease thread: for tests and commands, where nothing else claims the same rows.
    """
    queues = ALL_QUEUES if queue is None else (queue,)
    runs = 0
    while limit is None or runs < limit:
        job = leases.claim(queues)
        if job is None:
            break
        run(job)
        runs += 1
    return runs


def run(job: Job) -> JobContext:
    """Run one claimed job to its end, whatever that is, and write the end through the fence."""
    context = JobContext(job)
    _execute(job, context)
    return context


def _execute(job: Job, context: JobContext) -> None:
    started = time.monotonic()
    log.info("job %s %s attempt %d started", job.pk, job.kind, job.attempts)
    try:
        try:
            task = get_task(job.kind)
        except LookupError:
            raise JobError(
                f"This worker does not know the task {job.kind}. "
                "Bring web and worker to the same version, then start the job again."
            ) from None
        result = task.function(context, dict(job.payload))
        if not context.published:
            with context.publish() as kept:
                kept.update(result or {})
        elif result is not None:
            context.keep_result(result)
    except LostLease:
        log.warning("job %s %s was taken over or cancelled; left alone", job.pk, job.kind)
    except JobError as error:
        log.warning("job %s %s failed", job.pk, job.kind)
        leases.fail(job, context.token, str(error))
    except StopRequested:
        # The signal may have arrived in the middle of a query: start from a clean connection.
        connection.close()
        leases.hand_back(job, context.token)
        log.info("job %s %s handed back", job.pk, job.kind)
        raise
    except Exception as error:  # noqa: BLE001 - whatever a task raises must end in the row
        log.error("job %s %s: %s", job.pk, job.kind, describe(error))
        if not context.published:
            leases.retry_later(
                job,
                context.token,
                f"The job stopped unexpectedly ({type(error).__name__}). "
                "The worker's log says where; start the job again once the cause is removed.",
            )
    else:
        log.info("job %s %s done in %.1f s", job.pk, job.kind, time.monotonic() - started)


def describe(error: BaseException) -> str:
    """Where an error arose, without its message: a message may quote a patient's header."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]]
    return f"{type(error).__name__} at " + " > ".join(places)


@contextmanager
def lease_kept(context: JobContext) -> Iterator[None]:
    """Renew the lease from a thread while the body runs; note in the context when it is lost."""
    over = threading.Event()

    def keep() -> None:
        try:
            while not over.wait(settings.JOB_LEASE_SECONDS / 3):
                try:
                    if not leases.renew(context.job_id, context.token):
                        context.lost = not context.published
                        return
                except DatabaseError as error:
                    # Busy or away for a moment: the lease may survive until the next try.
                    log.warning("lease of job %s not renewed: %s", context.job_id, describe(error))
                    connection.close()
        finally:
            connections.close_all()

    thread = threading.Thread(target=keep, name=f"lease-{context.job_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=settings.JOB_LEASE_SECONDS)


class Worker:
    """Polls the job table; stops on SIGTERM or SIGINT, handing a job in hand back."""

    def __init__(self, queues: Collection[str] = ALL_QUEUES) -> None:
        self.queues = tuple(queues)
        self.stopping = Stop()
        self._context: JobContext | None = None
        self._periodic_due: dict[str, float] = {}

    def listen_for_signals(self) -> None:
        for number in SIGNALS:
            signal.signal(number, self.on_signal)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """The same for a while: what comes after finds the handlers that were there before."""
        before = [(number, signal.getsignal(number)) for number in SIGNALS]
        self.listen_for_signals()
        try:
            yield
        finally:
            for number, handler in before:
                signal.signal(number, handler)

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Stop: after the job in hand is handed back, or published if that has begun."""
        first = not self.stopping.is_set()
        self.stopping.set()
        context = self._context
        # A publication in progress is let finish: it is one short transaction.
        if first and context is not None and not context.publishing and not context.published:
            raise StopRequested

    def work(self, *, once: bool = False, until_empty: bool = False) -> int:
        """Run jobs; for ever unless `once` (one job) or `until_empty`. The number of runs."""
        runs = 0
        log.info("worker started for %s", " and ".join(self.queues))
        while not self.stopping.is_set():
            try:
                close_old_connections()
                if not (once or until_empty):
                    self.run_periodic()
                if self.run_one(self.queues):
                    runs += 1
                    if once:
                        break
                    continue
                if once or (until_empty and leases.none_waiting(self.queues)):
                    break
            except StopRequested:
                break
            except DatabaseError as error:
                log.error("database not usable, trying again: %s", describe(error))
                connection.close()
            self.stopping.wait(settings.JOB_POLL_SECONDS)
        log.info("worker stopped")
        return runs

    def run_one(self, queues: Collection[str]) -> bool:
        """Claim one job and run it to its end. False if none was to be had."""
        if self.stopping.is_set():
            return False
        job = leases.claim(queues)
        if job is None:
            return False
        self._run(job)
        return True

    @property
    def job_in_hand(self) -> uuid.UUID | None:
        context = self._context
        return None if context is None else context.job_id

    def _run(self, job: Job) -> None:
        context = JobContext(job)
        with lease_kept(context):
            self._context = context
            try:
                if self.stopping.is_set():  # the signal came between claim and here
                    leases.hand_back(job, context.token)
                    raise StopRequested
                _execute(job, context)
            finally:
                self._context = None

    def run_periodic(self) -> None:
        """Run the housekeeping that is due. Each piece is safe to run on several workers, and each
        may have to wait for a storage: one that was asked to stop begins no further one."""
        for periodic in periodic_tasks():
            if self.stopping.is_set():
                return
            now = time.monotonic()
            if now < self._periodic_due.get(periodic.name, 0.0):
                continue
            self._periodic_due[periodic.name] = now + periodic.seconds
            try:
                outcome: Any = periodic.function()
            except Exception as error:  # noqa: BLE001 - housekeeping must not stop the jobs
                log.error("housekeeping %s: %s", periodic.name, describe(error))
            else:
                if outcome:
                    log.info("housekeeping %s: %s", periodic.name, outcome)
