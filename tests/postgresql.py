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


@contextlib.contextmanager
def server(*, durable: bool = False) -> Iterator[str]:
    """Start a server on a free loopback port; yields its address without a database name.

    `durable`: it waits for the disk at each commit, as a site's does; tests need not.
    """
    folder = require()
    # PostgreSQL refuses to run as root: the package's own user runs it then.
    who: dict[str, Any] = {}
    home = Path(tempfile.mkdtemp(prefix="readerstudy-postgres-"))
    if os.geteuid() == 0:
        who = {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(home, "postgres", "postgres")
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(home)}
    data, log = home / "data", home / "log"
    try:
        subprocess.run(
            [folder / "initdb", "-D", data, "-U", "tests", "--auth=trust", "-E", "UTF8", "-N"],
            check=True,
            capture_output=True,
            cwd=home,
            env=environment,
            **who,
        )
        port = free_port()
        command: list[str | Path] = [folder / "postgres", "-D", data, "-p", str(port), "-k", home]
        for setting in (
            "listen_addresses=127.0.0.1",
            f"fsync={'on' if durable else 'off'}",
            "max_connections=60",
            "shared_buffers=32MB",
        ):
            command += ["-c", setting]
        with log.open("wb") as lines:
            process = subprocess.Popen(
                command, cwd=home, env=environment, stdout=lines, stderr=lines, **who
            )
        try:
            _wait_until_ready(process, port, log)
            yield f"postgres://tests@127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGINT)  # fast shutdown: clients are disconnected
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(home, ignore_errors=True)


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
