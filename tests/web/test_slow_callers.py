"""Callers who send slowly on purpose, too often, or without an end: before the reverse proxy of
`deploy/`, and where there is none before gunicorn."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
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


MINE, ANOTHER = "127.0.0.1", "127.0.0.2"  # addresses of callers; loopback has many


def ask(port: int, path: str, caller: str = MINE, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, 60, source_address=(caller, 0))
    connection.request("GET", path, headers={"Host": "localhost", **headers})
    response = connection.getresponse()
    connection.close()
    return response


def answer(port: int, path: str, caller: str = MINE) -> int:
    return ask(port, path, caller).status


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
    told = told.replace("/var/log/nginx/access.log", f"{tmp_path}/requests.log")
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
            "BEHIND_PROXY": "true",
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


def no_address_has_all_connections(proxy: int) -> None:
    """Whoever sends a byte of a body now and then is not given up, but limited in number."""
    told = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    most = int(re.findall(r"limit_conn readerstudy_requests (\d+);", told)[0])
    dribbling = []

    def dribble() -> None:
        dribbling.append(socket.create_connection(("127.0.0.1", proxy), 60, (ANOTHER, 0)))
        dribbling[-1].sendall(
            b"POST /no/such/page/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nx"
        )

    for _ in range(most):
        dribble()
    deadline = time.monotonic() + 120
    while answer(proxy, "/health", ANOTHER) != 429:
        assert time.monotonic() < deadline
        dribble()  # the question itself may have had the place of one of them
    assert answer(proxy, "/health") == 200
    for caller in dribbling:
        caller.close()
    while answer(proxy, "/health", ANOTHER) != 200:
        assert time.monotonic() < deadline + 120


def no_caller_chooses_the_id_of_a_request(proxy: int, site: int) -> None:
    chosen = {"X-Request-ID": "chosen-by-the-caller"}
    # Whoever stands before the site is believed: so the proxy has to say it itself, everywhere.
    assert ask(site, "/health", **chosen).headers["X-Request-ID"] == chosen["X-Request-ID"]
    for path in ("/health", "/accounts/login/"):
        given = ask(proxy, path, ANOTHER, **chosen).headers["X-Request-ID"]
        assert re.fullmatch("[0-9a-f]{32}", given), path


def test_callers_who_are_slow_endless_or_too_many_hold_nobody_up(
    ports: tuple[int, int], tmp_path: Path
) -> None:
    for port in ports:  # read at the end, when all of it is written
        assert answer(port, f"/accounts/invitation/{LINK}/") in {404, 500}
        # A browser that is told nothing else says which page wants the styles.
        page = f"http://localhost/accounts/invitation/{LINK}/"
        ask(port, "/static/css/app.css", Referer=page)
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
    no_caller_chooses_the_id_of_a_request(*ports)
    no_address_has_all_connections(proxy)
    logs = {path.name: path.read_text(errors="replace") for path in tmp_path.glob("*.log")}
    assert "/health" in logs["requests.log"]
    assert "/static/css/app.css" in logs["requests.log"]
    assert "/health" in logs["gunicorn.log"]
    assert "invitation/***" in logs["gunicorn.log"]
    assert ": /accounts/invitation/***" in logs["site.log"]
    assert [name for name, text in logs.items() if LINK in text] == []
