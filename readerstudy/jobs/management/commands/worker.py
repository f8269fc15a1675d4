from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from readerstudy.jobs.heart import beating
from readerstudy.jobs.registry import periodic_tasks
from readerstudy.jobs.unmigrated import migrations_wait, wait_until_migrated
from readerstudy.jobs.worker import ALL_QUEUES, Worker


class Command(BaseCommand):
    help = (
        "Runs jobs until stopped (SIGTERM hands a job in hand back). With TASKS=celery it is "
        "woken by the message broker, else it polls the job table."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--queue",
            action="append",
            choices=ALL_QUEUES,
            help="A queue to work on; repeat for several. Default: all.",
        )
        parser.add_argument(
            "--card",
            type=int,
            help="The one GPU that this worker may use, by its number. Start one worker a card.",
        )
        stop = parser.add_mutually_exclusive_group()
        stop.add_argument("--once", action="store_true", help="Run at most one job, then stop.")
        stop.add_argument(
            "--until-empty", action="store_true", help="Stop when no job waits any more."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["card"] is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = str(options["card"])  # before torch is imported
        periodic_tasks()  # loads every task now: what cannot be loaded stops the worker, not a job
        worker = Worker(options["queue"] or ALL_QUEUES)
        if options["once"] or options["until_empty"]:
            _demand_migrated()
            worker.listen_for_signals()
            runs = worker.work(once=options["once"], until_empty=options["until_empty"])
            self.stdout.write(f"{runs} job{'' if runs == 1 else 's'} run.")
            return
        with worker.listening():
            wait_until_migrated(worker.stopping)
        if worker.stopping.is_set():
            return
        with beating(worker):
            if settings.TASKS == "celery":
                from readerstudy.jobs.broker import consume

                consume(worker)
            else:
                worker.listen_for_signals()
                worker.work()


def _demand_migrated() -> None:
    """One that is to end by itself does not wait for somebody to migrate."""
    with suppress(DatabaseError):  # away: its loop says so and tries again
        if sentence := migrations_wait():
            raise CommandError(sentence, returncode=2)
