"""A broker that greets and then says nothing more: who sends to it does not wait for long."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from readerstudy.jobs.broker import ANSWER_SECONDS
from tests.jobs.site import Site, copy_test_database, running_site
from tests.rabbitmq import broker

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

# Connection.OpenOk, the last word of RabbitMQ's greeting: class 10, method 41.
OPEN_OK = bytes([0, 10, 0, 41])


class Line:
    """Hands every byte on to a real broker and back, until it is told to keep answers back."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.keeps = False  # what comes after the greeting of connections made from now on
        self.keeps_after = 0  # and so many bytes
        self.kept = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"amqp://guest:guest@127.0.0.1:{self.listener.getsockname()[1]}//"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return  # closed
            try:
                far = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                near.close()
                continue
            for work, *ends in ((self._ask, near, far), (self._answer, far, near)):
                threading.Thread(target=work, args=ends, daemon=True).start()

    def _ask(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while said := near.recv(65536):
                far.sendall(said)
        self._end(near, far)

    def _answer(self, far: socket.socket, near: socket.socket) -> None:
        keeps, is_greeted, left = self.keeps, False, self.keeps_after
        with suppress(OSError):
            while said := far.recv(65536):
                if keeps and is_greeted:
                    self.kept += 1
                    near.sendall(said[:left])
                    left -= len(said[:left])
                    continue
                is_greeted |= OPEN_OK in said
                near.sendall(said)

    def _end(self, near: socket.socket, far: socket.socket) -> None:
        for end in (near, far):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def line_to(port: int) -> Iterator[Line]:
    line = Line(port)
    try:
        yield line
    finally:
        line.listener.shutdown(socket.SHUT_RDWR)
        line.listener.close()


def test_a_broker_that_freezes_after_its_greeting_holds_no_page_and_no_sweep(
    django_db_setup: None, tmp_path: Path
) -> None:
    database = copy_test_database(tmp_path / "site.sqlite3")
    with (
        broker() as rabbit,
        line_to(rabbit.port) as line,
        running_site(tmp_path, database, broker_url=line.url) as site,
    ):
        assert timed(site, "send_wakeup('cpu')")[1] == "sent"
        assert timed(site, "print(depths()['cpu'])")[1] == "1"
        line.keeps = True
        for asked in ("depths()", "send_wakeup('cpu')", "ready()"):
            took, said = timed(site, asked, is_new=True)
            assert line.kept, "the greeting did not go through, so nothing was frozen after it"
            assert said == "refused"
            assert took < ANSWER_SECONDS + 2  # a probe of /ready waits for 5 s
            line.kept = 0
        line.keeps_after = 8  # frozen within a word
        for asked in ("depths()", "send_wakeup('cpu')"):
            took, said = timed(site, asked, is_new=True)
            assert line.kept
            assert said == "refused"
            assert took < ANSWER_SECONDS + 2
            line.kept = 0
        line.keeps = False
        assert timed(site, "send_wakeup('cpu')")[1] == "sent"


def timed(site: Site, code: str, *, is_new: bool = False) -> tuple[float, str]:
    """In a process that is connected, or in a new one."""
    printed = (site.python if is_new else site.console)(
        "import time\n"
        "from readerstudy.jobs.broker import BROKER_ERRORS, depths, send_wakeup\n"
        "from readerstudy.web.health import checks\n"
        "def ready():\n"
        "    if any(one.fault for one in checks() if one.name == 'broker'):\n"
        "        raise OSError\n"
        "began, said = time.monotonic(), 'sent'\n"
        f"try:\n    {code}\n"
        "except BROKER_ERRORS:\n    said = 'refused'\n"
        "print(time.monotonic() - began, said)"
    ).split()
    return float(printed[-2]), printed[0] if len(printed) > 2 else printed[-1]
