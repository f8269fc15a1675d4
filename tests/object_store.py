"""A small real S3 server on loopback: it speaks the protocol and keeps its objects in memory."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.postgresql import free_port

KEY, SECRET = "key", "secret"


@contextlib.contextmanager
def object_store() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Its address and its process."""
    port = free_port()
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS": "true"},
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, "the S3 server did not start"
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


class Quota(ThreadingHTTPServer):
    """Stands before a store and answers, once so many objects were written, that it is full."""

    daemon_threads = True

    def __init__(self, store: str) -> None:
        super().__init__(("127.0.0.1", 0), _Forwarding)
        self.store = store.removeprefix("http://")
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.left = float("inf")  # objects that may still be written
        self.refused = 0
        self.refusal = (507, "XMinioStorageFull")
        self.counting = threading.Lock()

    def takes_one(self) -> bool:
        with self.counting:
            if self.left < 1:
                self.refused += 1
                return False
            self.left -= 1
            return True


class _Forwarding(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Quota

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.command == "PUT" and not self.server.takes_one():
            status, code = self.server.refusal
            told = f"<Error><Code>{code}</Code><Message>No room.</Message></Error>".encode()
            self._send(status, {"Content-Type": "application/xml"}, told)
            return
        store = http.client.HTTPConnection(self.server.store, timeout=60)
        with contextlib.closing(store):
            store.request(self.command, self.path, body, dict(self.headers))
            answer = store.getresponse()
            self._send(answer.status, dict(answer.getheaders()), answer.read())

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        if self.command != "HEAD":
            headers = {**headers, "Content-Length": str(len(content))}
        for name, value in headers.items():
            if name not in ("Connection", "Transfer-Encoding"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


@contextlib.contextmanager
def quota_before(store: str) -> Iterator[Quota]:
    """A full store is answered by HTTP, as by one that is: the server keeps no such limit."""
    with Quota(store) as quota:
        thread = threading.Thread(target=quota.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield quota
        finally:
            quota.shutdown()
            thread.join()


def as_storage(address: str, bucket: str, **options: Any) -> dict[str, Any]:
    """The same as an entry of STORAGES."""
    return {
        "BACKEND": "readerstudy.web.object_storage.ObjectStorage",
        "OPTIONS": {
            "bucket_name": bucket,
            "endpoint_url": address,
            "region_name": "us-east-1",
            "access_key": KEY,
            "secret_key": SECRET,
            **options,
        },
    }


def settings_of(address: str, bucket: str) -> dict[str, str]:
    """The environment of a site whose images lie there."""
    return {
        "S3_BUCKET": bucket,
        "S3_ENDPOINT": address,
        "S3_ACCESS_KEY": KEY,
        "S3_SECRET_KEY": SECRET,
    }
