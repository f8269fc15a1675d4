"""A private PostgreSQL server from the system's own package, for one test session."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

MISSING = (
    "PostgreSQL is not installed. `make test` installs it; by hand: apt-get install postgresql"
)


def binaries() -> Path | None:
    """The folder of initdb and postgres of the newest installed version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def require() -> Path:
    """The binaries; without them a test is skipped, in CI it fails."""
    folder = binaries()
    if folder is None:
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    return folder


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Server:
    """One server on a free loopback port, which can be stopped and started again."""

    def __init__(self, home: Path, *, durable: bool) -> None:
        self.folder = require()
        self.home, self.log, self.port = home, home / "log", free_port()
        self.address = f"postgres://tests@127.0.0.1:{self.port}"  # without a database name
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root: the package's own user runs it then.
        who: dict[str, Any] = {}
        if os.geteuid() == 0:
            who = {"user": "postgres", "group": "postgres", "extra_groups": []}
            shutil.chown(home, "postgres", "postgres")
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(home)}
        self._run: dict[str, Any] = {"cwd": home, "env": environment, **who}
        data = home / "data"
        subprocess.run(
            [self.folder / "initdb", "-D", data, "-U", "tests", "--auth=trust", "-E", "UTF8", "-N"],
            check=True,
            capture_output=True,
            **self._run,
        )
        self._command: list[str | Path] = [self.folder / "postgres", "-D", data]
        self._command += ["-p", str(self.port), "-k", home]
        for setting in (
            "listen_addresses=127.0.0.1",
            f"fsync={'on' if durable else 'off'}",
            "max_connections=60",
            "shared_buffers=32MB",
        ):
            self._command += ["-c", setting]

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        with self.log.open("ab") as lines:
            self._process = subprocess.Popen(self._command, stdout=lines, stderr=lines, **self._run)
        _wait_until_ready(self._process, self.port, self.log)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT, `pg_ctl stop -m fast`: clients are disconnected. SIGQUIT, `-m immediate`: as if
        it had crashed, and the next start recovers from its log."""
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def own_server(*, durable: bool = False) -> Iterator[Server]:
    """A server that runs, for whoever stops and starts it.

    `durable`: it waits for the disk at each commit, as a site's does; tests need not.
    """
    home = Path(tempfile.mkdtemp(prefix="readerstudy-postgres-"))
    try:
        started = Server(home, durable=durable)
        try:
            started.start()
            yield started
        finally:
            started.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def server(*, durable: bool = False) -> Iterator[str]:
    """Start a server on a free loopback port; yields its address without a database name."""
    with own_server(durable=durable) as started:
        yield started.address


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    import psycopg

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            psycopg.connect(
                f"postgres://tests@127.0.0.1:{port}/postgres", connect_timeout=2
            ).close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"PostgreSQL did not start:\n{log.read_text(errors='replace')[-2000:]}")


def create_database(address: str, name: str, copy_of: str = "template1") -> str:
    """A fresh database on the server, or a copy of one; returns its DATABASE_URL."""
    import psycopg

    with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{copy_of}"')
    return f"{address}/{name}"
