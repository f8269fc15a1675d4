"""Callers who send slowly on purpose, or too often, before the reverse proxy of `deploy/`."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgresql import free_port

ROOT = Path(__file__).resolve().parents[2]
THREADS = 4
MISSING = "nginx is not installed. `make test` installs it; by hand: apt-get install nginx-light"


def answer(port: int, path: str, seconds: float = 20.0) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    connection.request("GET", path, headers={"Host": "localhost"})
    status = connection.getresponse().status
    connection.close()
    return status


def wait_until_up(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[int]:
    """deploy/nginx.conf without TLS, before gunicorn with four threads; the proxy's port."""
    nginx_at = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(nginx_at).exists():
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    site, port = free_port(), free_port()
    told = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    lines = [line for line in told.splitlines() if not line.strip().startswith("ssl_")]
    told = "\n".join(lines).replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    told = told.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{site}")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "\n".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in kinds)
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(
        f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/log;\n"
        f"events {{ }}\nhttp {{ access_log off; {folders}\n{told} }}\n"
    )
    gunicorn = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "readerstudy.wsgi", "--bind", f"127.0.0.1:{site}"),
            *("--worker-class", "gthread", "--workers", "1", "--threads", str(THREADS)),
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "readerstudy.settings",
            "READERSTUDY_VAR": str(tmp_path / "var"),
        },
        stderr=subprocess.DEVNULL,
    )
    nginx = subprocess.Popen([nginx_at, "-p", str(tmp_path), "-c", str(configuration)])
    try:
        wait_until_up(site, gunicorn)
        wait_until_up(port, nginx)
        yield port
    finally:
        for process in (nginx, gunicorn):
            process.terminate()
            process.wait()


def test_slow_callers_hold_nobody_up_and_a_flood_of_sign_ins_is_slowed_down(proxy: int) -> None:
    slow = []
    for number in range(4 * THREADS):
        caller = socket.create_connection(("127.0.0.1", proxy), 5)
        caller.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        if number % 2:  # half of them have sent their head, and dribble a body
            caller.sendall(b"1\r\nContent-Length: 100000\r\n\r\nx")
        slow.append(caller)
    for _ in range(3):
        began = time.monotonic()
        assert answer(proxy, "/health") == 200
        assert time.monotonic() - began < 10  # each slow caller keeps its connection for longer
    for caller in slow:
        caller.close()
    # The page itself needs a database, which is not there; what matters is who is let through.
    answers = [answer(proxy, "/accounts/login/") for _ in range(120)]
    assert 429 not in answers[:60]
    assert 429 in answers[60:]
    assert answer(proxy, "/health") == 200
