"""A small server that keeps the pages' JSON contracts in memory, for tests of the pages alone.

It serves the built front end, the real templates under the real content security policy, and slices
of a real lumbar spine: the control as stored, the other arms with noise added.
"""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from django.conf import settings
from django.contrib.auth import get_user_model
from django.template import Context, Engine
from django.template.loader import render_to_string
from django.test import RequestFactory

from readerstudy.demo import __file__ as demo_file
from readerstudy.web.middleware import CONTENT_SECURITY_POLICY

from .reading_room import NOTICE, ReadingRoom

STATIC = Path(settings.BASE_DIR) / "static_build"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def lumbar_slices() -> np.ndarray:
    """uint16 [slices, rows, columns] of a real T2 lumbar spine."""
    with np.load(Path(demo_file).parent / "data" / "lumbar" / "V01.npz") as stored:
        volume = next(stored[name] for name in stored if stored[name].ndim == 3)
    return (volume.astype(np.float64) * (4000.0 / volume.max())).astype("<u2")


def geometry_of(volume: np.ndarray) -> dict[str, Any]:
    """Sagittal: columns run to posterior, rows to the feet, slices to the left."""
    return {
        "slices": volume.shape[0],
        "rows": volume.shape[1],
        "columns": volume.shape[2],
        "row_spacing": 0.47,
        "column_spacing": 0.47,
        "slice_spacing": 4.0,
        "row_direction": [0.0, 1.0, 0.0],
        "column_direction": [0.0, 0.0, -1.0],
        "slice_direction": [1.0, 0.0, 0.0],
        "origin": [-30.0, -110.0, 140.0],
    }


@dataclass
class Site:
    """What the server knows; a test may look and meddle."""

    volumes: dict[str, np.ndarray]
    address: str = ""
    room: ReadingRoom = field(default_factory=ReadingRoom)
    posts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    regions: dict[str, dict[str, Any]] = field(default_factory=dict)
    suggestions: list[dict[str, Any]] = field(default_factory=list)
    locked: bool = False
    figures: bool = True  # mean, SD … and the other arms are open
    break_pixels: str = ""  # answer slices whose address ends so with 500
    uploads: dict[str, dict[str, Any]] = field(default_factory=dict)
    slow_pieces: float = 0.0  # seconds that a piece of an upload takes
    finished: list[dict[str, Any]] = field(default_factory=list)
    places: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def volume(self, name: str) -> np.ndarray:
        return self.volumes[name]

    @property
    def control(self) -> np.ndarray:
        return self.volumes["control"]

    # --- Uploads ---

    def upload_records(self) -> list[dict[str, Any]]:
        """A record a batch, as its first upload says it."""
        batches: dict[str, list[dict[str, Any]]] = {}
        for upload in self.uploads.values():
            batches.setdefault(upload["metadata"]["batch"], []).append(upload)
        hidden = {"data", "metadata", "length", "id"}
        return [
            {name: value for name, value in mine[0].items() if name not in hidden}
            | {
                "batch": batch,
                "uploads": [upload["id"] for upload in mine],
                "name": mine[0]["metadata"]["filename"],
                "files": len(mine),
                "arrived": sum(len(upload["data"]) == upload["length"] for upload in mine),
                "size": sum(upload["length"] for upload in mine),
                "received": sum(len(upload["data"]) for upload in mine),
            }
            for batch, mine in batches.items()
        ]

    # --- Measuring ---

    def measuring_data(self) -> dict[str, Any]:
        arms = [("standard", "Standard", True)]
        arms += [
            (name, name.replace("-", " "), False) for name in self.volumes if name != "control"
        ]
        tissues = ["fat", "CSF", "vertebra", "disc", "cord", "muscle", "background air"]
        colours = ["#e6b84c", "#4cc3e6", "#e67e4c", "#8fd16a", "#d678d6", "#e65c6b", "#a8b3ba"]
        return {
            "volunteer": "V01",
            "notice": NOTICE,
            "geometry": geometry_of(self.control),
            "window": {"center": 1000, "width": 2000},
            "arms": [
                {"code": c, "name": n, "is_control": k, "slices": f"/pixels/arm-{c}/{{index}}"}
                for c, n, k in arms
                if k or self.figures
            ],
            "tissues": [
                {
                    "code": name.replace(" ", "-"),
                    "name": name,
                    "colour": colour,
                    "area_mm2": 30.0,
                    "rule": "Paramedian slice",
                    "suggested_slice": 4 if name == "muscle" else None,
                }
                for name, colour in zip(tissues, colours, strict=True)
            ],
            "regions": list(self.regions.values()),
            "save_url": "/regions/save/",
            "suggest_url": "/regions/suggestions/",
            "shows_figures": self.figures,
            "locked": self.locked,
            "volunteers": [
                {"code": "V01", "url": "/measuring/", "placed": len(self.regions), "total": 7},
                {"code": "V02", "url": "/measuring/?v=2", "placed": 0, "total": 7},
            ],
        }

    def pixels_of(self, token: str) -> np.ndarray:
        if token.startswith("arm-"):
            name = token.removeprefix("arm-")
            return self.volumes["control" if name == "standard" else name]
        names = list(self.volumes)
        return self.volumes[names["abcdefgh".index(token[-1])]]

    def save_region(self, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        stored = self.regions.get(sent["tissue"], {"revision": 0})
        if sent["revision"] != stored["revision"]:
            return 409, {
                "error": "This region was moved elsewhere.",
                "revision": stored["revision"],
            }
        geometry = geometry_of(self.control)
        offset = np.subtract(sent["centre"], geometry["origin"])
        column, row = offset[1] / 0.47, -offset[2] / 0.47
        rows, columns = np.mgrid[: geometry["rows"], : geometry["columns"]]
        a, b = np.divide(sent["semi_axes_mm"], 0.47)
        inside = ((columns - column) / a) ** 2 + ((rows - row) / b) ** 2 <= 1
        record = {**sent, "revision": stored["revision"] + 1, "measurements": []}
        for name, volume in self.volumes.items() if self.figures else ():
            values = volume[sent["slice_index"]][inside].astype(float)
            record["measurements"].append(
                {
                    "arm": "standard" if name == "control" else name,
                    "n_pixels": int(values.size),
                    "mean": float(values.mean()),
                    "sd": float(values.std(ddof=1)),
                    "area_mm2": float(np.pi * np.prod(sent["semi_axes_mm"])),
                    "counted_area_mm2": float(values.size * 0.47**2),
                    "snr": 12.5,
                    "cnr": None,
                    "warnings": [],
                }
            )
        self.regions[sent["tissue"]] = record
        return 200, record


def render(template: str, path: str, context: dict[str, Any]) -> bytes:
    request = RequestFactory().get(path)
    request.user = get_user_model()(email="reader@example.org")
    return render_to_string(template, context, request=request).encode()


def upload_page() -> bytes:
    """The upload script on the site's own frame, with the contract's attributes."""
    volunteers = '["V01", "V02"]'
    arms = '[{"code": "standard", "name": "Standard"}, {"code": "fast", "name": "Double fast"}]'
    template = Engine.get_default().from_string(
        """{% extends "base.html" %}{% load static %}
        {% block scripts %}<script type="module" src="{% static 'js/upload.js' %}"></script>
        {% endblock %}
        {% block content %}<h1>Uploads</h1><section class="card"><div class="card-body">
        <div id="upload" data-tus-url="/tus/" data-status-url="/upload/status/"
        data-finish-url="/upload/finish/" data-places-url="/upload/places/"
        data-max-files="20" data-max-bytes="1073741824"
        data-inbox-url="/inbox/" data-volunteers="{{ volunteers }}"
        data-arms="{{ arms }}"></div></div></section>
        <p id="stored" data-fresh>@STORED@ stored</p>{% endblock %}"""
    )
    context = Context({"volunteers": volunteers, "arms": arms, "csrf_token": "x" * 64})
    return template.render(context).encode()


def measuring_page() -> bytes:
    named = {"study": SimpleNamespace(slug="lumbar"), "volunteer": SimpleNamespace(code="V01")}
    context = {**named, "data_url": "/measuring/data/", "templates": ["V07"], "observer": 1}
    context["placing"] = SimpleNamespace(unblinded=True)
    return render("measurements/volunteer.html", "/m/", context)


class Handler(BaseHTTPRequestHandler):
    site: Site
    pages: dict[str, bytes]
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def reply(
        self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def json(self, status: int, data: Any) -> None:
        self.reply(status, json.dumps(data).encode(), "application/json")

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        self.site.requests.append(f"GET {path}")
        parts = path.strip("/").split("/")
        match parts:
            case ["static", *rest]:
                target = STATIC.joinpath(*rest)
                if not target.is_file():
                    return self.reply(404, b"", "text/plain")
                return self.reply(200, target.read_bytes(), TYPES.get(target.suffix, "text/plain"))
            case ["item", token]:
                self.site.room.opened.append(token)
                page = self.pages["item"].replace(b"@DATA@", f"/item/{token}/data/".encode())
                return self.reply(200, page, "text/html; charset=utf-8")
            case ["item", token, "data"]:
                return self.json(*self.site.room.data(token, geometry_of(self.site.control)))
            case ["signin"] | ["reading", "signin"]:
                return self.json(*self.site.room.who())
            case ["session"]:
                number = self.site.room.open_number()
                if number <= self.site.room.items:
                    return self.reply(302, b"", "text/plain", {"Location": f"/item/item{number}/"})
                return self.reply(200, b"<!doctype html><title>Done</title>Done", "text/html")
            case ["pixels", token, index]:
                if self.site.break_pixels and path.endswith(self.site.break_pixels):
                    return self.json(500, {"error": "storage"})
                body = self.site.pixels_of(token)[int(index)].tobytes()
                cache = {"Cache-Control": "private, max-age=31536000, immutable"}
                return self.reply(200, body, "application/octet-stream", cache)
            case ["measuring"]:
                return self.reply(200, self.pages["measuring"], "text/html; charset=utf-8")
            case ["regions", "suggestions"]:
                return self.json(200, {"regions": self.site.suggestions})
            case ["measuring", "data"]:
                return self.json(200, self.site.measuring_data())
            case ["upload"]:
                done = sum(one["state"] == "done" for one in self.site.uploads.values())
                page = self.pages["upload"].replace(b"@STORED@", str(done).encode())
                return self.reply(200, page, "text/html; charset=utf-8")
            case ["upload", "status"]:
                return self.json(200, {"uploads": self.site.upload_records()})
            case ["home"]:
                return self.reply(200, self.pages["home"], "text/html; charset=utf-8")
        return self.reply(404, b"", "text/plain")

    def do_POST(self) -> None:
        path = self.path.split("?")[0]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = path.strip("/").split("/")
        if parts[0] == "tus":
            return self.create_upload()
        if path == "/accounts/logout/":
            self.site.requests.append(f"POST {path}")
            return self.reply(200, b"<!doctype html><title>Signed out</title>", "text/html")
        sent = json.loads(body or b"{}")
        self.site.posts.append((path, sent))
        if not self.headers.get("X-CSRFToken"):
            return self.json(403, {"error": "No CSRF token."})
        match parts:
            case ["room", token, kind]:
                answer = self.site.room.post(token, kind, sent)
                if answer is None:
                    return self.break_off()
                return self.json(*answer)
            case ["signin"]:
                return self.json(*self.site.room.sign_in(sent))
            case ["faults"]:
                self.site.room.faults.append(sent)
                return self.json(200, {"noted": True})
            case ["regions", "save"]:
                return self.json(*self.site.save_region(sent))
            case ["upload", "places"]:
                self.site.places.append(sent)
                if sent["mapping"] and "volunteer" not in sent["mapping"]:
                    return self.json(422, {"error": "The first line names its columns."})
                if " " in sent["volunteer"]:
                    return self.json(422, {"error": "That cannot be a volunteer's code."})
                return self.json(200, {"lines": 1})
            case ["upload", "finish"]:
                self.site.finished.append(sent)
                return self.json(200, {})
        return self.reply(404, b"", "text/plain")

    def break_off(self) -> None:
        """As a server that is killed before it answers."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    # --- tus 1.0: creation, HEAD, PATCH, DELETE ---

    def create_upload(self) -> None:
        number = str(len(self.site.uploads) + 1)
        self.site.uploads[number] = {
            "id": number,
            "metadata": {
                name: base64.b64decode(encoded).decode()
                for name, _, encoded in (
                    pair.strip().partition(" ")
                    for pair in self.headers.get("Upload-Metadata", "").split(",")
                )
            },
            "length": int(self.headers["Upload-Length"]),
            "data": bytearray(),
            "state": "receiving",
            "message": "",
            "accepted": 0,
            "refusals": [],
        }
        headers = {"Location": f"/tus/{number}", "Tus-Resumable": "1.0.0"}
        self.reply(201, b"", "text/plain", headers)

    def do_HEAD(self) -> None:
        upload = self.site.uploads.get(self.path.rsplit("/", 1)[1])
        if upload is None:
            return self.reply(404, b"", "text/plain")
        headers = {
            "Upload-Offset": str(len(upload["data"])),
            "Upload-Length": str(upload["length"]),
            "Tus-Resumable": "1.0.0",
            "Cache-Control": "no-store",
        }
        return self.reply(200, b"", "text/plain", headers)

    def do_PATCH(self) -> None:
        self.site.requests.append(f"PATCH {self.headers['Upload-Offset']}")
        piece = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.site.slow_pieces)
        upload = self.site.uploads.get(self.path.rsplit("/", 1)[1])
        if upload is None:
            return self.reply(404, b"", "text/plain")
        if int(self.headers["Upload-Offset"]) != len(upload["data"]):
            return self.reply(409, b"", "text/plain")  # tus 1.0: a piece that another overtook
        upload["data"] += piece
        headers = {"Upload-Offset": str(len(upload["data"])), "Tus-Resumable": "1.0.0"}
        self.reply(204, b"", "text/plain", headers)

    def do_DELETE(self) -> None:
        self.site.uploads.pop(self.path.rstrip("/").rsplit("/", 1)[1], None)
        self.reply(204, b"", "text/plain", {"Tus-Resumable": "1.0.0"})


@contextmanager
def serve(site: Site, pages: dict[str, bytes]) -> Iterator[Site]:
    handler = type("SiteHandler", (Handler,), {"site": site, "pages": pages})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    site.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
