"""Make the demo studies and, with --serve, serve them: the web server and one worker."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from readerstudy.demo.build import DemoError, build_demo
from readerstudy.demo.people import PEOPLE, make_people
from readerstudy.jobs.stopping import sigterm_as_ctrl_c


class Command(BaseCommand):
    help = "Make the demo studies (again: go on where it stopped) and show how to sign in."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--serve", action="store_true", help="serve until Ctrl-C")

    def handle(self, *args: Any, **options: Any) -> None:
        # From the start to the end: what it started ends with it, however it is stopped.
        try:
            with sigterm_as_ctrl_c():
                self._make(options["port"])
                if options["serve"]:
                    self._serve(options["port"])
                else:
                    self.stdout.write("\nServe it with: make demo\n")
        except KeyboardInterrupt:
            raise CommandError(
                "Stopped before the demo was ready. Nothing is lost: make demo goes on from here.",
                returncode=130,
            ) from None

    def _make(self, port: int) -> None:
        started = time.monotonic()
        self.stdout.write(
            "Making the demo studies: the first time six minutes on two fast cores, up to half an "
            "hour on slow or busy ones; seconds if they are there. Ctrl-C stops; started again, it "
            "goes on where it stopped."
        )
        users, passwords = make_people()
        try:
            build_demo(users, say=self.stdout.write)
        except DemoError as error:
            raise CommandError(
                f"{error} What the worker said: {settings.VAR_DIR / 'worker.log'}. "
                "Mend the cause and run make demo again: it goes on where it stopped."
            ) from error
        minutes, seconds = divmod(int(time.monotonic() - started), 60)
        self.stdout.write(f"\nThe demo is ready ({minutes} min {seconds} s).\n\n")
        address = f"http://localhost:{port}"
        self.stdout.write(f"  address         {address}\n")
        for person in PEOPLE:
            self.stdout.write(f"  {person.role:<15} {person.email:<27} {passwords[person.email]}\n")

    def _serve(self, port: int) -> None:
        """gunicorn and one worker, bound to this machine alone; both end together."""
        self.stdout.write("\nServing on this machine alone; Ctrl-C stops.\n")
        self.stdout.flush()
        environment = {**os.environ, "SITE_URL": f"http://localhost:{port}"}
        web = [
            *(sys.executable, "-m", "gunicorn", "readerstudy.wsgi", "--bind", f"127.0.0.1:{port}"),
            *("--worker-class", "gthread", "--workers", "2", "--threads", "4"),
            *("--keep-alive", "65"),  # readers pause between clicks: see docs/deployment.md
            *("--log-level", "warning"),
        ]
        worker = [sys.executable, str(settings.BASE_DIR / "manage.py"), "worker"]
        with (settings.VAR_DIR / "worker.log").open("ab") as log:
            processes: list[subprocess.Popen[bytes]] = []
            try:
                processes.append(subprocess.Popen(web, cwd=settings.BASE_DIR, env=environment))
                processes.append(subprocess.Popen(worker, env=environment, stdout=log, stderr=log))
                while all(process.poll() is None for process in processes):
                    time.sleep(0.5)
            except KeyboardInterrupt:
                self.stdout.write("\nStopping …\n")
            else:
                raise CommandError(
                    f"A server process ended by itself (is port {port} taken? "
                    f"try PORT={port + 1} make demo)."
                )
            finally:
                for process in processes:
                    process.terminate()
                for process in processes:
                    process.wait()
