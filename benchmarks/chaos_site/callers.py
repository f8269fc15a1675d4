"""Readers who score and a coordinator who uploads, and who try again until they are answered.

Each does what its page does: an act has an id of its own, and is sent again under the same id until
the server has confirmed it; an upload asks how far it is and goes on from there.
"""

from __future__ import annotations

import abc
import base64
import itertools
import random
import threading
import time
import uuid
from typing import Any

import requests

CSRF = "c" * 32
PIECE = 16 * 1024
# An answer that no trying again would change: the run has found a fault.
FINAL = {400, 403, 404, 405, 409, 410, 422}


class Fault(Exception):
    """An answer that must not come, whatever was killed."""


class Caller(threading.Thread, abc.ABC):
    """One person's browser, on whichever web process answers."""

    def __init__(self, webs: list[str], cookie: str, over: threading.Event, seed: int) -> None:
        super().__init__(daemon=True)
        self.webs = webs
        self.over = over
        self.random = random.Random(seed)  # noqa: S311 - think times and scores
        self.turn = itertools.cycle(webs)
        self.http = requests.Session()
        self.cookies = {"sessionid": cookie, "csrftoken": CSRF}
        self.lines: list[dict[str, Any]] = []
        self.tries = self.repeats = 0
        self.longest = 0.0
        self.fault = ""

    def run(self) -> None:
        try:
            self.act()
        except Fault as fault:
            self.fault = str(fault)
        except Exception as error:  # noqa: BLE001 - told at the end of the run
            self.fault = f"{type(error).__name__}: {error}"

    @abc.abstractmethod
    def act(self) -> None:
        """One after the other what this person does, until it is over."""

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        """Until it is answered, by the other web process if need be."""
        began = time.monotonic()
        headers = {"X-CSRFToken": CSRF, **options.pop("headers", {})}
        allowed = options.pop("allowed", set())
        while True:
            self.tries += 1
            try:
                answer = self.http.request(
                    method,
                    next(self.turn) + path,
                    headers=headers,
                    cookies=self.cookies,
                    timeout=20,
                    allow_redirects=False,
                    **options,
                )
            except requests.RequestException:
                answer = None
            if answer is not None:
                if answer.status_code < 300 or answer.status_code in allowed:
                    self.longest = max(self.longest, time.monotonic() - began)
                    return answer
                if answer.status_code in FINAL or answer.status_code in {301, 302, 401}:
                    raise Fault(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
            self.repeats += 1
            if time.monotonic() - began > 300:
                raise Fault(f"{method} {path}: no answer for five minutes")
            time.sleep(self.random.uniform(0.2, 0.6))


class Reader(Caller):
    def __init__(self, *args: Any, first: str) -> None:
        super().__init__(*args)
        self.data_url: str | None = first

    def act(self) -> None:
        while self.data_url is not None and not self.over.is_set():
            self.read_item(self.send("GET", self.data_url).json())

    def read_item(self, item: dict[str, Any]) -> None:
        self.post(item["open_url"], {})
        for pane in item["panes"]:
            for index in range(item["geometry"]["slices"]):
                self.send("GET", pane["slices"].replace("{index}", str(index)))
        for criterion in item["criteria"]:
            self.score(item, criterion["code"], criterion["revision"])
        shown = [pane["number"] for pane in item["panes"]]
        following = self.post(item["submit_url"], {"shown": shown})["next_data"]
        self.lines.append({"submitted": item["token"]})
        self.data_url = following

    def score(self, item: dict[str, Any], code: str, revision: int) -> None:
        value = self.random.randint(1, 5)
        for change in range(2 if self.random.random() < 0.1 else 1):
            value = 1 + (value + change) % 5
            sent = {"criterion": code, "value": value, "revision": revision}
            revision = self.post(item["score_url"], sent)["revision"]
            self.lines.append({"score": [item["token"], code, revision, value]})
            time.sleep(self.random.uniform(0.05, 0.3))

    def post(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        sent = {"id": str(uuid.uuid4()), **content}
        return dict(self.send("POST", path, json=sent).json())


class Coordinator(Caller):
    """Sends one volunteer after the other, in pieces, and has each read by a worker."""

    piece = PIECE
    first = 0.0  # seconds until the first volunteer
    pause = (0.5, 2.0)  # seconds between two volunteers

    def __init__(self, *args: Any, slug: str, archives: list[tuple[str, bytes]]) -> None:
        super().__init__(*args)
        self.base = f"/studies/{slug}/uploads"
        self.archives = archives
        self.sent: list[str] = []

    def act(self) -> None:
        self.over.wait(self.first)
        for volunteer, archive in self.archives:
            if self.over.is_set():
                return
            self.upload(volunteer, archive)
            self.sent.append(volunteer)
            self.over.wait(self.random.uniform(*self.pause))

    def upload(self, volunteer: str, archive: bytes) -> None:
        batch = str(uuid.uuid4())
        facts = {"filename": f"{volunteer}.zip", "batch": batch, "id": str(uuid.uuid4())}
        facts |= {"volunteer": volunteer, "arm": "STD"}
        told = ",".join(
            f"{name} {base64.b64encode(text.encode()).decode()}" for name, text in facts.items()
        )
        tus = {"Tus-Resumable": "1.0.0"}
        created = {**tus, "Upload-Length": str(len(archive)), "Upload-Metadata": told}
        place = self.send("POST", f"{self.base}/tus/", headers=created).headers["Location"]
        offset = 0
        while offset < len(archive):
            piece = archive[offset : offset + self.piece]
            head = {**tus, "Upload-Offset": str(offset)}
            head["Content-Type"] = "application/offset+octet-stream"
            # 409: a piece had arrived although its answer was lost.
            self.send("PATCH", place, headers=head, data=piece, allowed={409, 423})
            offset = int(self.send("HEAD", place, headers=tus).headers["Upload-Offset"])
        self.send("POST", f"{self.base}/finish/", json={"batch": batch})
