"""A site on parts that operators run, each process started anew when it is killed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import requests

from tests import postgresql, rabbitmq
from tests.postgresql import free_port
from tests.rabbitmq import Broker

ROOT = Path(__file__).resolve().parents[2]
STARTING_SECONDS = 600.0  # on a machine that does other things beside
LEASE_SECONDS = 6
WORK_SECONDS = 10
rabbitmq.START_SECONDS = STARTING_SECONDS
CONNECT_SECONDS = 3
RESTART_SECONDS = 1.0  # as RestartSec= in deploy/systemd


@dataclass
class Kept:
    """One process that a supervisor keeps running, as systemd's Restart=always does."""

    name: str
    start: Callable[[], int]  # its process id
    is_up: Callable[[], bool]
    leads: bool = True
    has_work: Callable[[], bool] = lambda: True  # a freeze waits for it for a while
    pid: int = 0
    kills: int = 0
    ended_itself: int = 0
    slowest_return: float = 0.0
    busy: threading.Lock = field(default_factory=threading.Lock)

    def bring_up(self) -> None:
        self.pid = self.start()
        deadline = time.monotonic() + STARTING_SECONDS
        while not self.is_up():
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.name} did not come up within {STARTING_SECONDS:.0f} s")
            if self.has_ended():
                self.ended_itself += 1
                time.sleep(RESTART_SECONDS)
                self.pid = self.start()
            time.sleep(0.1)

    def has_ended(self) -> bool:
        """Whether it ended though nobody killed it."""
        try:
            return bool(self.pid) and os.waitpid(self.pid, os.WNOHANG)[0] == self.pid
        except ChildProcessError:
            return True

    def look_after(self) -> None:
        """Start it again if it has ended by itself; one that is down already is seen to."""
        if self.busy.acquire(blocking=False):
            try:
                if self.has_ended():
                    self.ended_itself += 1
                    self.bring_up()
            finally:
                self.busy.release()

    def kill(self) -> float:
        """kill -9, and up again; the seconds until it answered."""
        with self.busy:
            began = time.monotonic()
            self.end()
            self.kills += 1
            self.bring_up()
            took = time.monotonic() - began
            self.slowest_return = max(self.slowest_return, took)
            return took

    def end(self) -> None:
        """kill -9 of the process and, where it leads a group, of all its children at once."""
        with contextlib.suppress(ProcessLookupError):
            if self.leads:
                os.killpg(self.pid, signal.SIGKILL)
            else:
                os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def freeze(self, seconds: float) -> float:
        """Stopped and thawed: a host that swaps, a store that is slow. A worker in mid-job, if it
        gets one soon: an idle one has nothing to lose. The seconds until it was stopped."""
        with self.busy:
            began = time.monotonic()
            deadline = began + WORK_SECONDS
            while not self.has_work() and time.monotonic() < deadline:
                time.sleep(0.005)
            os.killpg(self.pid, signal.SIGSTOP)
            waited = time.monotonic() - began
            time.sleep(seconds)
            os.killpg(self.pid, signal.SIGCONT)
            return waited


def popen(command: list[Any], log: Path, **options: Any) -> subprocess.Popen[bytes]:
    with log.open("ab") as lines:
        return subprocess.Popen(
            [str(part) for part in command], stdout=lines, stderr=lines, **options
        )


class KeptBroker(Kept):
    """RabbitMQ's own start and kill; its name service stays."""

    def __init__(self, broker: Broker) -> None:
        super().__init__("broker", lambda: 0, lambda: True)
        self.broker = broker

    def end(self) -> None:
        self.broker.kill()

    def bring_up(self) -> None:
        self.broker.start()

    def has_ended(self) -> bool:
        return self.broker.has_ended()


class Database:
    """PostgreSQL that waits for the disk at each commit; killed, it recovers from its log."""

    def __init__(self, home: Path) -> None:
        self.folder = postgresql.require()
        self.home, self.data, self.port = home, home / "data", free_port()
        home.mkdir()
        self.who: dict[str, Any] = {}
        if os.geteuid() == 0:
            self.who = {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(home, "postgres", "postgres")
        self.environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(home)}
        subprocess.run(
            [
                *(str(self.folder / "initdb"), "-D", self.data, "-U", "site", "--auth=trust"),
                *("-E", "UTF8"),
            ],
            check=True,
            capture_output=True,
            cwd=home,
            env=self.environment,
            **self.who,
        )
        self.address = f"postgres://site@127.0.0.1:{self.port}"

    def start(self) -> int:
        command = [self.folder / "postgres", "-D", self.data, "-p", self.port, "-k", self.home]
        for setting in ("listen_addresses=127.0.0.1", "fsync=on", "max_connections=80"):
            command += ["-c", setting]
        deadline = time.monotonic() + STARTING_SECONDS
        while True:
            options = {"cwd": self.home, "env": self.environment, **self.who}
            process = popen(command, self.home / "log", **options)
            # Until the killed server's children have seen that it is gone, a new one refuses.
            time.sleep(0.7)
            if process.poll() is None:
                return process.pid
            if time.monotonic() > deadline:
                raise SystemExit((self.home / "log").read_text()[-2000:])

    def is_up(self) -> bool:
        try:
            psycopg.connect(f"{self.address}/postgres", connect_timeout=CONNECT_SECONDS).close()
        except psycopg.OperationalError:
            return False
        return True


def answers(address: str) -> bool:
    try:
        requests.get(address, timeout=CONNECT_SECONDS)
    except requests.RequestException:
        return False
    return True


@dataclass
class Stack:
    home: Path
    database: Database
    broker: Broker
    environment: dict[str, str]
    kept: dict[str, Kept] = field(default_factory=dict)
    webs: list[str] = field(default_factory=list)

    def web(self, number: int) -> None:
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        self.webs.append(address)
        command = [sys.executable, "-m", "gunicorn", "readerstudy.wsgi", "--bind"]
        command += [f"127.0.0.1:{port}", "--worker-class", "gthread", "--workers", "1"]
        command += ["--threads", "4", "--keep-alive", "65"]
        log = self.home / f"web{number}.log"
        self.kept[f"web {number}"] = Kept(
            f"web {number}", lambda: self._start(command, log), lambda: answers(f"{address}/health")
        )

    def worker(self, number: int) -> None:
        log = self.home / f"worker{number}.log"
        command = [sys.executable, ROOT / "manage.py", "worker"]
        name = f"worker {number}"

        began = 0  # where in the log the process that runs now began

        def start() -> int:
            nonlocal began
            began = log.stat().st_size if log.exists() else 0
            return self._start(command, log)

        def is_up() -> bool:
            return b"worker started" in log.read_bytes()[began:]

        def has_work() -> bool:
            told = re.findall(rb"job \S+ \S+ (.*)", log.read_bytes()[began:][-2000:])
            return bool(told) and told[-1].endswith(b"started")

        self.kept[name] = Kept(name, start, is_up, has_work=has_work)

    def _start(self, command: list[Any], log: Path) -> int:
        return popen(command, log, cwd=ROOT, env=self.environment, process_group=0).pid

    def logs(self) -> str:
        return "\n".join(
            path.read_text(errors="replace") for path in sorted(self.home.glob("w*.log"))
        )


@contextlib.contextmanager
def stack(home: Path) -> Iterator[Stack]:
    """Database, broker and object store up; web and workers are described but not started."""
    home.chmod(0o755)
    database = Database(home / "postgres")
    broker_home = home / "rabbitmq"
    broker_home.mkdir(mode=0o755)
    (broker_home / "plugins").write_text("[].\n")
    broker = Broker(broker_home)
    port = free_port()
    store_at = f"http://127.0.0.1:{port}"
    store_command = [sys.executable, "-m", "benchmarks.chaos_site.lasting_store", port]
    store_command.append(home / "store.journal")

    def start_store() -> int:
        return popen(store_command, home / "store.log", cwd=ROOT, process_group=0).pid

    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "DJANGO_SETTINGS_MODULE": "readerstudy.settings",
        "READERSTUDY_VAR": str(home / "var"),
        "DATABASE_URL": f"{database.address}/site",
        "SECRET_KEY": "the same in every process of this run",
        "EMAIL_URL": "memorymail://",
        "TASKS": "celery",
        "BROKER_URL": broker.url,
        "JOB_SWEEP_SECONDS": "1",
        "JOB_LEASE_SECONDS": str(LEASE_SECONDS),
        # Attempts are spent by kills here, not by faults.
        "JOB_MAX_ATTEMPTS": "50",
        "JOB_RETRY_SECONDS": "0.5",
        "S3_BUCKET": "images",
        "S3_ENDPOINT": store_at,
        "S3_ACCESS_KEY": "key",
        "S3_SECRET_KEY": "secret",
        "S3_SECONDS": "5",
    }
    made = Stack(home, database, broker, environment)
    kept = Kept("database", database.start, database.is_up, leads=False)
    made.kept["database"] = kept
    made.kept["store"] = Kept("store", start_store, lambda: answers(store_at))
    try:
        kept.bring_up()
        made.kept["store"].bring_up()
        postgresql_create(database.address)
        broker.start()
        made.kept["broker"] = KeptBroker(broker)
        yield made
    finally:
        for one in made.kept.values():
            if one.pid:
                one.end()
        broker.stop()


def postgresql_create(address: str) -> None:
    with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE site")
