"""A small server for tests of the viewer alone: its source modules, one page, made-up slices.

No template and no database: a page opens `/?case=NAME` and the module `viewer_page.js` shows that
case. The content security policy is the product's, so that nothing works here that would not there.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from readerstudy.web.middleware import CONTENT_SECURITY_POLICY
from readerstudy.web.slow_store import MARK

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "frontend" / "src"
TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass
class Case:
    """One item: its panes' pixels, uint16 [slices, rows, columns], and how it is shown."""

    volumes: list[np.ndarray]
    mode: str = "relative"
    labels: list[str] = field(default_factory=lambda: ["Control", "Candidate"])
    spacing: tuple[float, float] = (0.5, 0.5)  # rows, columns
    center: float = 1000
    width: float = 2000

    def data(self, name: str) -> dict[str, Any]:
        slices, rows, columns = self.volumes[0].shape
        first = {"center": self.center, "width": self.width}
        return {
            "key": name,
            "mode": self.mode,
            "geometry": {
                "slices": slices,
                "rows": rows,
                "columns": columns,
                "row_spacing": self.spacing[0],
                "column_spacing": self.spacing[1],
                "slice_spacing": 4.0,
                "row_direction": [0.0, 1.0, 0.0],
                "column_direction": [0.0, 0.0, -1.0],
                "slice_direction": [1.0, 0.0, 0.0],
                "origin": [-30.0, -110.0, 140.0],
            },
            "window": first,
            "presets": [
                {
                    "code": "standard",
                    "name": "Standard",
                    "center": self.center,
                    "width": self.width,
                },
                {"code": "full", "name": "Full range", "center": 1900, "width": 3800},
                {"code": "dark", "name": "Dark tissue", "center": 400, "width": 800},
                {"code": "bright", "name": "Bright tissue", "center": 2500, "width": 2400},
            ],
            "panes": [
                {
                    "id": index + 1,
                    "label": self.labels[index],
                    "slices": f"/pixels/{name}/{index}/{{index}}",
                }
                for index in range(len(self.volumes))
            ],
        }


@dataclass
class ViewerSite:
    """What the server knows; a test may look and meddle."""

    cases: dict[str, Case]
    address: str = ""
    fail: dict[str, int] = field(default_factory=dict)  # ending of an address -> status
    images_slow: set[str] = field(default_factory=set)  # endings that the product says are slow
    fail_once: set[str] = field(default_factory=set)  # addresses that fail the first time only
    held: set[int] = field(default_factory=set)  # slices that are answered after `go` alone
    go: threading.Event = field(default_factory=threading.Event)
    requests: list[tuple[str, str]] = field(default_factory=list)  # (address, Purpose)


class Handler(BaseHTTPRequestHandler):
    site: ViewerSite
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def reply(self, status: int, body: bytes, kind: str, mark: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        if mark:
            self.send_header(mark, "1")
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        match path.strip("/").split("/"):
            case [""]:
                return self.send_file(HERE / "viewer_page.html")
            case ["viewer_page.js"]:
                return self.send_file(HERE / "viewer_page.js")
            case ["src", *rest]:
                return self.send_file(SOURCES.joinpath(*rest))
            case ["case", name]:
                body = json.dumps(self.site.cases[name].data(name)).encode()
                return self.reply(200, body, "application/json")
            case ["pixels", name, pane, index]:
                return self.send_pixels(path, name, int(pane), int(index))
        return self.reply(404, b"", "text/plain")

    def send_file(self, path: Path) -> None:
        if not path.is_file():
            return self.reply(404, b"", "text/plain")
        return self.reply(200, path.read_bytes(), TYPES.get(path.suffix, "text/plain"))

    def send_pixels(self, path: str, name: str, pane: int, index: int) -> None:
        site = self.site
        site.requests.append((path, self.headers.get("Purpose", "")))
        if index in site.held:
            site.go.wait(timeout=60)
        if any(path.endswith(ending) for ending in site.images_slow):
            return self.reply(503, b"", "text/plain", MARK)
        for ending, status in list(site.fail.items()):
            if path.endswith(ending):
                return self.reply(status, b"", "text/plain")
        if path in site.fail_once:
            site.fail_once.discard(path)
            return self.reply(500, b"", "text/plain")
        body = site.cases[name].volumes[pane][index].astype("<u2").tobytes()
        return self.reply(200, body, "application/octet-stream")


@contextmanager
def serve(site: ViewerSite) -> Iterator[ViewerSite]:
    handler = type("SiteHandler", (Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    site.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
