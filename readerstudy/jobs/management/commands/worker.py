from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from readerstudy.jobs.worker import ALL_QUEUES, Worker


class Command(BaseCommand):
    help = "Runs jobs from the job table until stopped (SIGTERM hands a job in hand back)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--queue",
            action="append",
            choices=ALL_QUEUES,
            help="A queue to work on; repeat for several. Default: all.",
        )
        stop = parser.add_mutually_exclusive_group()
        stop.add_argument("--once", action="store_true", help="Run at most one job, then stop.")
        stop.add_argument(
            "--until-empty", action="store_true", help="Stop when no job waits any more."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        worker = Worker(options["queue"] or ALL_QUEUES)
        worker.listen_for_signals()
        runs = worker.work(once=options["once"], until_empty=options["until_empty"])
        if options["once"] or options["until_empty"]:
            self.stdout.write(f"{runs} job{'' if runs == 1 else 's'} run.")
