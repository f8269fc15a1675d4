"""An object store that keeps what it has confirmed over a kill -9.

moto's server keeps its objects in memory. Here each request that changes something is written to a
journal, and that to the disk, before it is answered; at the start the journal is read into memory
again. A record that a kill cut off was never confirmed, and is dropped.

    python -m benchmarks.chaos_site.lasting_store PORT JOURNAL
"""

from __future__ import annotations

import io
import json
import os
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import run_simple

Environ = dict[str, Any]
LENGTHS = struct.Struct("<QQ")


class LastingStore:
    """moto's application with a journal."""

    def __init__(self, journal: Path) -> None:
        self.application = DomainDispatcherApplication(create_backend_app)
        self.lock = threading.Lock()  # what changes is done and noted in one order
        if journal.exists():
            whole = 0
            for environ, body, ends in records(journal):
                self.answer(environ, body)
                whole = ends
            os.truncate(journal, whole)
        self.journal = journal.open("ab")

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in {"GET", "HEAD"}:
            return self.application(environ, start_response)  # type: ignore[no-any-return]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        with self.lock:
            status, headers, content = self.answer(environ, body)
            if status.startswith("2"):
                self.note(environ, body)
        start_response(status, headers)
        return [content]

    def answer(self, environ: Environ, body: bytes) -> tuple[str, list[tuple[str, str]], bytes]:
        said: list[Any] = []
        asked = {**environ, "wsgi.input": io.BytesIO(body), "wsgi.errors": sys.stderr}
        asked.setdefault("wsgi.url_scheme", "http")
        parts = self.application(asked, lambda *args: said.extend(args[:2]))
        return said[0], said[1], b"".join(parts)

    def note(self, environ: Environ, body: bytes) -> None:
        kept = {name: value for name, value in environ.items() if isinstance(value, str)}
        head = json.dumps(kept).encode()
        self.journal.write(LENGTHS.pack(len(head), len(body)) + head + body)
        self.journal.flush()
        os.fsync(self.journal.fileno())


def records(journal: Path) -> Iterator[tuple[Environ, bytes, int]]:
    """(request, body, where the record ends) of each that is whole."""
    content = journal.read_bytes()
    at = 0
    while at + LENGTHS.size <= len(content):
        head, body = LENGTHS.unpack_from(content, at)
        start = at + LENGTHS.size
        at = start + head + body
        if at > len(content):
            return
        yield json.loads(content[start : start + head]), content[start + head : at], at


if __name__ == "__main__":
    run_simple(
        "127.0.0.1",
        int(sys.argv[1]),
        LastingStore(Path(sys.argv[2])),
        threaded=True,
        request_handler=MotoRequestHandler,
    )
