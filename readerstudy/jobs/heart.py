"""A worker's other threads: one says that it lives, also while a long job runs, and with
TASKS=celery sends the messages that are missing; one does the housekeeping meanwhile.

Housekeeping asks the storage, which may hang for minutes: it has a thread of its own, so that a
store that is away takes images away and nothing else. With TASKS=polling the worker does it itself,
between its jobs.
"""

from __future__ import annotations

import datetime
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection, connections

from . import leases
from .models import WorkerProcess
from .worker import Worker, describe

log = logging.getLogger("readerstudy.worker")
BEAT_SECONDS = 5.0
# A worker that was not seen for so long is taken for gone. Its jobs are freed by their lease.
GONE_SECONDS = 30.0
FORGOTTEN_AFTER = datetime.timedelta(hours=1)


class Heart:
    """Writes the worker's row; with TASKS=celery it also sweeps. Nothing here asks the storage."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.row = WorkerProcess(
            host=socket.gethostname()[:200],
            pid=os.getpid(),
            queues=" ".join(worker.queues),
            device=os.environ.get("CUDA_VISIBLE_DEVICES", "")[:50],
        )
        self._swept_at = float("-inf")

    def beat(self) -> None:
        now = leases.database_now()
        in_hand = self.worker.job_in_hand
        known = WorkerProcess.objects.filter(pk=self.row.pk)
        if not known.update(seen_at=now, job_id=in_hand):
            self.row.started_at = self.row.started_at or now
            self.row.seen_at = now
            self.row.job_id = in_hand
            self.row.save(force_insert=True)
        # One that was killed cannot delete its row. Looked for first: a beat writes no more than
        # it has to, since on SQLite each write keeps all others waiting.
        forgotten = WorkerProcess.objects.filter(seen_at__lt=now - FORGOTTEN_AFTER)
        if forgotten.exists():
            forgotten.delete()

    def sweep(self) -> None:
        """Send the messages that are missing."""
        from .broker import BROKER_ERRORS, kind_of, sweep

        if time.monotonic() - self._swept_at < settings.JOB_SWEEP_SECONDS:
            return
        self._swept_at = time.monotonic()
        try:
            sent = sweep()
        except BROKER_ERRORS as error:
            log.error("message broker not usable, trying again: %s", kind_of(error))
        else:
            if sent:
                log.info("sweep: %d wake-ups sent", sent)

    def stop(self) -> None:
        try:
            WorkerProcess.objects.filter(pk=self.row.pk).delete()
        except DatabaseError as error:
            log.warning("this worker's row stays: %s", describe(error))


@contextmanager
def beating(worker: Worker) -> Iterator[None]:
    """Keep the worker's row fresh while the body runs; remove it at the end."""
    heart = Heart(worker)
    over = threading.Event()
    celery = settings.TASKS == "celery"
    pause = min(BEAT_SECONDS, settings.JOB_SWEEP_SECONDS) if celery else BEAT_SECONDS

    def beat() -> None:
        heart.beat()
        if celery:
            heart.sweep()

    def keep() -> None:
        try:
            _again_and_again(beat, "no sign of life or sweep", over, pause)
        finally:
            heart.stop()
            connections.close_all()

    def keep_house() -> None:
        try:
            _again_and_again(worker.run_periodic, "no housekeeping", over, pause)
        finally:
            connections.close_all()

    beats = threading.Thread(target=keep, name="heart", daemon=True)
    house = threading.Thread(target=keep_house, name="housekeeping", daemon=True)
    beats.start()
    if celery:
        house.start()
    try:
        yield
    finally:
        over.set()
        beats.join(timeout=10)
        if celery:
            # One that waits for a storage is left behind: it ends with the process, which undoes
            # what it had begun in the database, and each piece is safe to repeat.
            house.join(timeout=2)


def _again_and_again(
    work: Callable[[], None], fault: str, over: threading.Event, pause: float
) -> None:
    """Until it is over, whatever it meets, each time on a connection that works."""
    while True:
        try:
            close_old_connections()
            work()
        except Exception as error:  # noqa: BLE001 - a heart does not stop at an error
            log.error("%s: %s", fault, describe(error))
            connection.close()
        if over.wait(pause):
            return
