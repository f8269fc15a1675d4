"""Callers who send slowly on purpose, too often, or without an end: before the reverse proxy of
`deploy/`, and where there is none before gunicorn."""

from __future__ import annotations

import contextlib
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
LINK = "works-once-and-sets-a-password"
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
def ports(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """deploy/nginx.conf without TLS, before gunicorn with four threads; the ports of the two."""
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
    who = "user root; " if os.geteuid() == 0 else ""  # so that it may write into the test's folder
    configuration.write_text(
        f"{who}daemon off; pid {tmp_path}/pid; error_log {tmp_path}/errors.log;\n"
        f"events {{ }}\nhttp {{ access_log {tmp_path}/requests.log; {folders}\n{told} }}\n"
    )
    (tmp_path / "temporary").mkdir()
    written = (tmp_path / "site.log").open("wb")
    gunicorn = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "readerstudy.wsgi", "--bind", f"127.0.0.1:{site}"),
            *("--worker-class", "gthread", "--workers", "1", "--threads", str(THREADS)),
            *("--access-logfile", f"{tmp_path}/gunicorn.log"),
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "readerstudy.settings",
            "READERSTUDY_VAR": str(tmp_path / "var"),
            "TMPDIR": str(tmp_path / "temporary"),
        },
        stderr=written,
    )
    nginx = subprocess.Popen([nginx_at, "-p", str(tmp_path), "-c", str(configuration)])
    try:
        wait_until_up(site, gunicorn)
        wait_until_up(port, nginx)
        yield port, site
    finally:
        for process in (nginx, gunicorn):
            process.terminate()
            process.wait()
        written.close()


def endless(port: int, method: str, path: str, kind: str) -> tuple[bytes, int]:
    """Send chunks until the server ends it; what it answered, and how many bytes it let in."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    sent = 0
    with socket.create_connection(("127.0.0.1", port), 20) as caller:
        caller.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        answer = caller.recv(4096)
        try:
            while sent < 1024**3:
                caller.sendall(chunk)
                sent += len(chunk)
        except OSError:
            pass
    return answer.split(b"\r\n")[0], sent


def a_body_in_chunks_has_no_way_in(ports: tuple[int, int], home: Path) -> None:
    """Refused before the database (there is none) is asked, and nothing is left on the disk."""
    proxy, site = ports
    assert answer(site, "/health") == 200
    before = sorted(path for path in home.rglob("*") if "gunicorn" not in path.name)
    for method, kind in (
        ("POST", "multipart/form-data; boundary=x"),
        ("PATCH", "application/offset+octet-stream"),
    ):
        said, sent = endless(site, method, "/accounts/login/", kind)
        assert said == b"HTTP/1.1 411 Length Required"
        assert sent < 64 * 1024**2  # what fits between the two, then the connection is closed
    assert sorted(path for path in home.rglob("*") if "gunicorn" not in path.name) == before
    assert answer_of_chunks(proxy, 12 * 1024**2) == 413
    # The proxy hands on what is complete, with its length: a small one comes through.
    assert answer_of_chunks(proxy, 1000) not in {411, 413}
    assert answer(site, "/health") == 200


def answer_of_chunks(port: int, size: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    pieces = (bytes(min(65536, size - at)) for at in range(0, size, 65536))
    headers = {"Host": "localhost", "Content-Type": "text/plain"}
    with contextlib.suppress(OSError):  # refused before all of it was sent
        connection.request("POST", "/no/such/page/", pieces, headers, encode_chunked=True)
    status = connection.getresponse().status
    connection.close()
    return status


def test_callers_who_are_slow_endless_or_too_many_hold_nobody_up(
    ports: tuple[int, int], tmp_path: Path
) -> None:
    for port in ports:  # read at the end, when all of it is written
        assert answer(port, f"/accounts/invitation/{LINK}/") in {404, 500}
    a_body_in_chunks_has_no_way_in(ports, tmp_path)
    proxy = ports[0]
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
    logs = {path.name: path.read_text(errors="replace") for path in tmp_path.glob("*.log")}
    assert "/health" in logs["requests.log"]
    assert "/health" in logs["gunicorn.log"]
    assert "invitation/***" in logs["gunicorn.log"]
    assert ": /accounts/invitation/***" in logs["site.log"]
    assert [name for name, text in logs.items() if LINK in text] == []
