"""Web processes on the platform's own settings, a database and a storage of their own.

`prepare` sets Django up in the benchmark's process on the same database, so that a study can be
made, and what was stored can be read, through the platform's own models. Import nothing of Django
before it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STARTING_SECONDS = 60.0
# What docs/deployment.md tells people to run.
WORKERS, THREADS, KEEP_ALIVE_SECONDS = 2, 4, 65


@dataclass
class Site:
    home: Path
    database_url: str
    settings: dict[str, str] = field(default_factory=dict)  # variables beside those below
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "readerstudy.settings",
            "READERSTUDY_VAR": str(self.home / "var"),
            "DATABASE_URL": self.database_url,
            "SECRET_KEY": "the same in every process of this benchmark",
            "EMAIL_URL": "memorymail://",
            "LOG_LEVEL": "WARNING",
            **self.settings,
        }

    def prepare(self) -> None:
        """Front end built, migrated, static files collected; Django set up in this process."""
        build = [sys.executable, str(ROOT / "frontend" / "build.py"), "--if-changed"]
        if subprocess.run(build, check=False, stdout=subprocess.DEVNULL).returncode:
            raise SystemExit("The front end could not be built.")
        (self.home / "var" / "static").mkdir(parents=True)
        os.environ.update(self.environment)
        # Playwright keeps an event loop in the process that drives it.
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)

    def serve(
        self,
        *,
        settings: str = "readerstudy.settings",
        processors: set[int] | None = None,
        processes: int = WORKERS,
    ) -> str:
        """Start gunicorn; its address. `processors`: those that it may run on."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        address = f"http://127.0.0.1:{port}"
        log = self.home / f"web{len(self.processes)}.log"
        with log.open("wb") as lines:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "readerstudy.wsgi"),
                    *("--bind", f"127.0.0.1:{port}", "--worker-class", "gthread"),
                    *("--workers", str(processes), "--threads", str(THREADS)),
                    *("--keep-alive", str(KEEP_ALIVE_SECONDS)),
                ],
                cwd=ROOT,
                env={**self.environment, "DJANGO_SETTINGS_MODULE": settings},
                stdout=lines,
                stderr=lines,
            )
        self.processes.append(process)
        if processors:
            os.sched_setaffinity(process.pid, processors)
        deadline = time.monotonic() + STARTING_SECONDS
        while not _answers(address):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"The web process did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.1)
        return address

    def work(self) -> None:
        """Start a worker and wait until it looks for jobs."""
        log = self.home / f"worker{len(self.processes)}.log"
        with log.open("wb") as lines:
            process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "worker"],
                cwd=ROOT,
                env={**self.environment, "LOG_LEVEL": "INFO"},
                stdout=lines,
                stderr=lines,
            )
        self.processes.append(process)
        deadline = time.monotonic() + STARTING_SECONDS
        while "worker started" not in log.read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"The worker did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.1)

    def log_of(self, number: int) -> str:
        return (self.home / f"web{number}.log").read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(f"{address}/accounts/login/", timeout=5)  # noqa: S310
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@contextlib.contextmanager
def benchmark_site(database_url: str = "", **settings: str) -> Iterator[Site]:
    """A site in a temporary folder; without an address of a database, on SQLite. `settings`:
    further variables of docs/deployment.md."""
    home = Path(tempfile.mkdtemp(prefix="readerstudy-benchmark-"))
    site = Site(home, database_url or f"sqlite:///{home}/site.sqlite3", settings)
    try:
        site.prepare()
        yield site
    finally:
        site.stop()
        shutil.rmtree(home, ignore_errors=True)


def load_of_the_machine() -> str:
    """What else is going on, for whoever reads the figures."""
    one, five, _ = os.getloadavg()
    return f"{os.cpu_count()} processors, load average {one:.1f} (1 min), {five:.1f} (5 min)"
