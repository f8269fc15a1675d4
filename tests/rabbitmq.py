"""A private RabbitMQ server from the system's own package; it can be killed and started again."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.postgresql import free_port

FOLDER = Path("/usr/lib/rabbitmq/bin")
MISSING = (
    "RabbitMQ is not installed. `make test` installs it; by hand: apt-get install rabbitmq-server"
)
START_SECONDS = 180.0  # six on an idle machine


class Broker:
    """One node on loopback, with its own name service, data and cookie in a temporary folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port, self.name_port = free_port(), free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.who: dict[str, Any] = {}
        if os.geteuid() == 0:
            self.who = {"user": "rabbitmq", "group": "rabbitmq", "extra_groups": []}
            shutil.chown(home, "rabbitmq", "rabbitmq")

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{FOLDER}:/usr/sbin:{os.environ['PATH']}",
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_PORT": str(self.name_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"tests{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_HOME": "/usr/lib/rabbitmq",
            "RABBITMQ_MNESIA_BASE": str(self.home / "data"),
            "RABBITMQ_LOG_BASE": str(self.home),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.home / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self.home / "none"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}"
            ),
        }

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.home / "log").open("ab") as lines:
            process = subprocess.Popen(
                command,
                cwd=self.home,
                env=self.environment,
                stdout=lines,
                stderr=lines,
                process_group=0,
                **self.who,
            )
        self._processes.append(process)
        return process

    def start(self) -> None:
        if not any(process.poll() is None for process in self._processes[:1]):
            self._run("epmd", "-port", str(self.name_port), "-address", "127.0.0.1")
        server = self._run("rabbitmq-server")
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and server.poll() is None:
            if self._answers():
                return
            time.sleep(0.1)
        text = (self.home / "log").read_text(errors="replace")
        pytest.fail(f"RabbitMQ did not start:\n{text[-3000:]}")

    def _answers(self) -> bool:
        """An AMQP greeting answered by the server's."""
        with contextlib.suppress(OSError), socket.socket() as caller:
            caller.settimeout(2)
            caller.connect(("127.0.0.1", self.port))
            caller.sendall(b"AMQP\x00\x00\x09\x01")
            return bool(caller.recv(1))
        return False

    def has_ended(self) -> bool:
        """Whether the server ended though nobody killed it."""
        return self._processes[-1].poll() is not None

    def kill(self) -> None:
        """kill -9 of the server (not of its name service)."""
        self._end(self._processes[-1])

    def stop(self) -> None:
        for process in self._processes:
            self._end(process)

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()


@contextlib.contextmanager
def broker() -> Iterator[Broker]:
    """A broker that runs; without the package a test is skipped, in CI it fails."""
    if not (FOLDER / "rabbitmq-server").exists():
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    home = Path(tempfile.mkdtemp(prefix="readerstudy-rabbitmq-"))
    home.chmod(0o755)
    (home / "plugins").write_text("[].\n")
    running = Broker(home)
    try:
        running.start()
        yield running
    finally:
        running.stop()
        shutil.rmtree(home, ignore_errors=True)
