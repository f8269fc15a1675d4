"""A private Redis server from the system's own package."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgresql import free_port

MISSING = "Redis is not installed. `make test` installs it; by hand: apt-get install redis-server"


@contextlib.contextmanager
def redis_server(home: Path) -> Iterator[str]:
    """The address of a server that keeps nothing; without the package: skipped, in CI failed."""
    binary = shutil.which("redis-server")
    if binary is None:
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    port = free_port()
    process = subprocess.Popen(
        [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(home)],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, "Redis did not start"
            assert time.monotonic() < deadline, "Redis did not answer"
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()
