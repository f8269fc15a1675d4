"""A worker's second thread: it says that the worker lives, also while a long job runs."""

from __future__ import annotations

import datetime
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
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
    """Writes the worker's row; with TASKS=celery it also sweeps and does the housekeeping."""

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
            WorkerProcess.objects.filter(seen_at__lt=now - FORGOTTEN_AFTER).delete()

    def sweep(self) -> None:
        """Send the messages that are missing, and do the housekeeping that is due."""
        from .broker import BROKER_ERRORS, sweep

        self.worker.run_periodic()
        if time.monotonic() - self._swept_at < settings.JOB_SWEEP_SECONDS:
            return
        self._swept_at = time.monotonic()
        try:
            sent = sweep()
        except BROKER_ERRORS as error:
            log.error("message broker not usable, trying again: %s", type(error).__name__)
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

    def keep() -> None:
        try:
            while True:
                try:
                    close_old_connections()
                    heart.beat()
                    if celery:
                        heart.sweep()
                except Exception as error:  # noqa: BLE001 - a heart does not stop at an error
                    log.error("no sign of life or sweep: %s", describe(error))
                    connection.close()
                if over.wait(pause):
                    return
        finally:
            heart.stop()
            connections.close_all()

    thread = threading.Thread(target=keep, name="heart", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=10)
