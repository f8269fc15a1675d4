"""A site made of real processes: web and workers that share a database and nothing else."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LEASE_SECONDS = 3.0
# Runs what it is sent, a line of JSON each, and answers with what that printed.
CONSOLE = """
import contextlib, io, json, sys, traceback
import django
django.setup()
from django.db import connections
for line in sys.stdin:
    said, fault = io.StringIO(), ""
    with contextlib.redirect_stdout(said):
        try:
            exec(json.loads(line), {})
        except BaseException:
            fault = traceback.format_exc()
    connections.close_all()
    print(json.dumps([said.getvalue(), fault]), flush=True)
"""


@dataclass
class Process:
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


@dataclass
class Site:
    home: Path
    database_url: str
    processes: list[Process] = field(default_factory=list)
    workers: list[Process] = field(default_factory=list)  # those of them that are
    broker_url: str = ""  # with one, workers are woken by it
    _console: subprocess.Popen[str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "tests.jobs.probe_settings",
            "READERSTUDY_VAR": str(self.home / "var"),
            "DATABASE_URL": self.database_url,
            "SECRET_KEY": "the same on web and worker",
            "JOB_LEASE_SECONDS": str(LEASE_SECONDS),
            "JOB_POLL_SECONDS": "0.1",
            "JOB_RETRY_SECONDS": "0",
            "JOB_SWEEP_SECONDS": "0.5",
            **({"TASKS": "celery", "BROKER_URL": self.broker_url} if self.broker_url else {}),
        }

    def manage(self, *arguments: str) -> str:
        """Run a command of manage.py to its end; its output."""
        return self._run([str(ROOT / "manage.py"), *arguments])

    def python(self, code: str) -> str:
        """Run a few lines with Django set up; what they print."""
        return self._run(["-c", f"import django; django.setup()\n{code}"]).strip()

    def console(self, code: str) -> str:
        """The same in one process for all: to start one costs more than most lines."""
        if self._console is None:
            with (self.home / "console.log").open("wb") as lines:
                self._console = subprocess.Popen(
                    [sys.executable, "-c", CONSOLE],
                    cwd=ROOT,
                    env=self.environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=lines,
                    text=True,
                )
        assert self._console.stdin
        assert self._console.stdout
        print(json.dumps(code), file=self._console.stdin, flush=True)
        said, fault = json.loads(self._console.stdout.readline())
        assert not fault, fault
        return str(said).strip()

    def _run(self, arguments: list[str]) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,  # what hangs fails
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *arguments: str) -> Process:
        """Start a Python process that goes on until it is stopped."""
        log = self.home / f"process{len(self.processes)}.log"
        with log.open("wb") as lines:
            popen = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=lines,
                stderr=lines,
            )
        process = Process(popen, log)
        self.processes.append(process)
        return process

    def start_worker(self, *arguments: str) -> Process:
        worker = self.start(str(ROOT / "manage.py"), "worker", *arguments)
        wait_for(lambda: "worker started" in worker.output(), "the worker to start")
        self.workers.append(worker)
        return worker

    def verify_audit(self) -> str:
        return self.console(
            "from django.core.management import call_command; call_command('verify_audit')"
        )

    def enqueue(
        self, seconds: float, trace: Path, *, quiet: bool = False, gate: Path | None = None
    ) -> str:
        payload = {"seconds": seconds, "trace": str(trace), "quiet": quiet}
        if gate is not None:
            payload["gate"] = str(gate)
        return self.console(
            "from readerstudy.jobs.services import do_enqueue\n"
            f"print(do_enqueue('probe.slow', {payload!r}).pk)"
        )

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the database directly: quicker than starting a process for each look."""
        if self.database_url.startswith("sqlite"):
            path = self.database_url.removeprefix("sqlite:///")
            with contextlib.closing(sqlite3.connect(path, timeout=20)) as connection:
                return connection.execute(sql).fetchall()
        import psycopg

        with psycopg.connect(self.database_url) as postgres:
            return postgres.execute(sql).fetchall()  # type: ignore[call-overload]

    def job(self, job_id: str) -> tuple[str, int]:
        """State and attempts."""
        rows = {
            str(uuid.UUID(str(key))): (state, attempts)
            for key, state, attempts in self.query("SELECT id, state, attempts FROM jobs_job")
        }
        return rows[job_id]

    def published(self, trace: Path | None = None) -> list[int]:
        """The process ids that published, one for each time; of one job's trace, or of all."""
        rows = self.query("SELECT new FROM audit_event WHERE action = 'probe.published'")
        found = [json.loads(new) if isinstance(new, str) else new for (new,) in rows]
        return [int(new["pid"]) for new in found if trace in (None, Path(new["trace"]))]

    def stop(self) -> None:
        if self._console is not None:
            self._console.kill()
            self._console.communicate()
            self._console = None
        for process in self.processes:
            if process.popen.poll() is None:
                process.signal(signal.SIGCONT)
                process.signal(signal.SIGKILL)
            process.popen.wait()


def copy_test_database(path: Path) -> str:
    """The migrated database of this test run (SQLite), copied; its address. It is there for modules
    that are marked `django_db` and ask for `django_db_setup`."""
    from django.db import connection

    source = str(connection.settings_dict["NAME"])
    with (
        contextlib.closing(sqlite3.connect(source)) as migrated,
        contextlib.closing(sqlite3.connect(path)) as copy,
    ):
        migrated.backup(copy)
        assert copy.execute("SELECT count(*) FROM django_migrations").fetchone()[0]
    return f"sqlite:///{path}"


@contextlib.contextmanager
def running_site(home: Path, database_url: str, broker_url: str = "") -> Iterator[Site]:
    """A site on a migrated database; whatever was started on it is stopped at the end."""
    site = Site(home, database_url, broker_url=broker_url)
    try:
        yield site
    finally:
        site.stop()


def wait_for(
    condition: Callable[[], bool], what: str, seconds: float = 60, every: float = 0.05
) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain for {what}"
        time.sleep(every)


def lines(trace: Path) -> list[list[str]]:
    return [line.split() for line in trace.read_text().splitlines()] if trace.exists() else []
