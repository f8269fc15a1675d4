"""One radiologist at a time, thirty times over: what each browser sends while its reader scores.

Locust runs this file; `benchmarks/reading_load.py` starts Locust and compares what was sent with
what the database holds. Every request leaves a line in LOAD_LOG, every score that the server has
confirmed another.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import time
import uuid
from typing import Any

import gevent
from gevent.pool import Pool
from geventhttpclient.response import HTTPConnectionClosed
from locust import FastHttpUser, events, task
from locust.env import Environment
from locust.exception import StopUser

LOG = os.environ["LOAD_LOG"]
EMAILS = os.environ["LOAD_EMAILS"].split()
PASSWORD = os.environ["LOAD_PASSWORD"]
SECONDS = float(os.environ["LOAD_SECONDS"])
# 0: no reader ever thinks, so that the site and not the readers set the pace.
THINKING = float(os.environ.get("LOAD_THINKING", "1"))

# A brisk reader, by the clock of a hand on keys; most look longer.
LOOKING = (4.0, 8.0)  # seconds before the first score of an item
BETWEEN_SCORES = (0.6, 2.0)
BEFORE_SUBMITTING = (0.5, 1.5)
CHANGED = 0.10  # of scores are changed once more
SENT_TWICE = 0.05  # of scores are sent again, as after a receipt that was lost on its way
COMMENTED = 0.10  # of items get a comment
# As in frontend/src/js/viewer/store.js: requests of one browser at once, for the item on the screen
# and for those fetched ahead.
AT_ONCE, AHEAD_AT_ONCE = 6, 3
# How an idle connection that the server has just closed shows, sooner or later in the sending.
GIVEN_UP = (HTTPConnectionClosed, ConnectionResetError, BrokenPipeError)

numbers = itertools.count()
log = open(LOG, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - open for the whole run
started = time.monotonic()


def write(**line: Any) -> None:
    log.write(json.dumps(line) + "\n")


@events.request.add_listener
def on_request(
    name: str, response_time: float, response_length: int, exception: Any, **_: Any
) -> None:
    write(
        request=name,
        ms=response_time,
        bytes=response_length,
        at=time.monotonic() - started,
        error=str(exception) if exception else "",
    )


left: set[object] = set()


@events.init.add_listener
def on_init(environment: Environment, **_: Any) -> None:
    environment.events.user_error.add_listener(
        lambda exception, **_: write(fault=f"{type(exception).__name__}: {exception}")
    )


class Radiologist(FastHttpUser):
    host = os.environ["LOAD_HOST"]
    insecure = True

    def on_start(self) -> None:
        number = next(numbers)
        if number >= len(EMAILS):  # Locust replaces who has stopped; a reader reads once
            raise StopUser
        self.random = random.Random(number)  # noqa: S311 - think times and scores
        self.pool, self.ahead_pool = Pool(AT_ONCE), Pool(AHEAD_AT_ONCE)
        self.ahead: dict[str, gevent.Greenlet] = {}
        self.get("/accounts/login/", "sign-in page")
        answer = self.client.post(
            "/accounts/login/",
            data={
                "login": EMAILS[number],
                "password": PASSWORD,
                "csrfmiddlewaretoken": self.cookie("csrftoken"),
            },
            headers={"Referer": f"{self.host}/accounts/login/"},
            name="sign in",
        )
        if "/accounts/login/" in answer.url:
            write(fault=f"{EMAILS[number]} could not sign in")
            raise StopUser
        page = self.get("/reading/", "sessions").text
        session = re.search(r"/reading/session/[\w-]+/", page)
        if session is None:
            write(fault=f"{EMAILS[number]} has no session")
            raise StopUser
        self.page = self.get(session[0], "session").text
        self.data_url = re.search(r"/reading/item/[\w-]+/data/", self.page)[0]

    def on_stop(self) -> None:
        left.add(self)
        if len(left) == len(EMAILS):  # nobody is reading any more
            gevent.spawn_later(0.5, self.environment.runner.quit)

    @task
    def read_item(self) -> None:
        """Images, scores, submission; the images of the next two while the reader looks."""
        if time.monotonic() - started > SECONDS:
            raise StopUser
        fetched = self.ahead.pop(self.data_url, None)
        item = fetched.get() if fetched is not None else self.fetch(self.data_url, "", self.pool)
        self.post(item["open_url"], "open", {})
        # An item that was fetched ahead knew of fewer next ones than may be fetched now.
        fresh = self.get(self.data_url, "data ahead").json() if fetched is not None else item
        for one in fresh["ahead"]:
            if one["data"] not in self.ahead:
                self.ahead[one["data"]] = gevent.spawn(
                    self.fetch, one["data"], " ahead", self.ahead_pool
                )
        self.rest(LOOKING)
        for criterion in item["criteria"]:
            self.score(item, criterion)
            self.rest(BETWEEN_SCORES)
        if self.random.random() < COMMENTED:
            text = f"Seen {self.random.random():.6f}"
            self.post(item["comment_url"], "comment", {"revision": 0, "text": text})
        self.rest(BEFORE_SUBMITTING)
        shown = [pane["number"] for pane in item["panes"]]
        self.post(item["visit_url"], "visit", self.visit(item))
        gone_on = self.post(item["submit_url"], "submit", {"shown": shown})
        write(submitted=item["token"])
        if gone_on["next_data"] is None:
            raise StopUser
        self.data_url = gone_on["next_data"]

    def fetch(self, data_url: str, when: str, pool: Pool) -> dict[str, Any]:
        """An item's data once all its slices are here."""
        item: dict[str, Any] = self.get(data_url, f"data{when}").json()
        slices = item["geometry"]["slices"]
        length = item["geometry"]["rows"] * item["geometry"]["columns"] * 2

        def fetch_slice(url: str) -> None:
            content = self.get(url, f"pixels{when}").content
            if len(content) != length:
                write(fault=f"a slice came with {len(content)} bytes instead of {length}")

        urls = [
            pane["slices"].replace("{index}", str(index))
            for index in range(slices)
            for pane in item["panes"]
        ]
        pool.map(fetch_slice, urls)
        return item

    def score(self, item: dict[str, Any], criterion: dict[str, Any]) -> None:
        value, revision = self.random.randint(1, 5), criterion["revision"]
        revision = self.send_score(item, criterion["code"], value, revision)
        if self.random.random() < CHANGED:
            self.rest(BETWEEN_SCORES)
            other = 1 + value % 5
            self.send_score(item, criterion["code"], other, revision)

    def send_score(self, item: dict[str, Any], code: str, value: int, revision: int) -> int:
        content = {"id": str(uuid.uuid4()), "criterion": code, "value": value, "revision": revision}
        receipt = self.post(item["score_url"], "score", content)
        write(score=[item["token"], code, receipt["revision"], value])
        if self.random.random() < SENT_TWICE:
            again = self.post(item["score_url"], "score sent twice", content)
            if again["revision"] != receipt["revision"] or not again["repeated"]:
                write(fault=f"the same score got another receipt: {again}")
        return int(receipt["revision"])

    def visit(self, item: dict[str, Any]) -> dict[str, Any]:
        """The record of a visit, of the size that a browser sends."""
        slices = list(range(item["geometry"]["slices"]))
        window = item["window"]
        return {
            "active_ms": 15000,
            "images_ms": 40,
            "interruptions": [],
            "panes": [{"number": pane["number"], "slices": slices} for pane in item["panes"]],
            "slice_changes": 2 * len(slices),
            "windows": [{"center": window["center"], "width": window["width"], "ms": 15000}],
            "zoom": {"least": 1.0, "most": 1.0, "last": 1.0},
            "used": [],
            "display": {
                "viewport": [1920, 1080],
                "screen": [1920, 1080],
                "device_pixel_ratio": 1.0,
                "colour_depth": 24,
                "browser_zoom": 1.0,
            },
        }

    # --- Requests ---

    def cookie(self, name: str) -> str:
        return next(cookie.value for cookie in self.client.cookiejar if cookie.name == name)

    def get(self, url: str, name: str) -> Any:
        answer = self.client.get(url, name=name)
        if answer.status_code != 200:
            write(fault=f"{name} answered {answer.status_code}")
            raise StopUser
        return answer

    def post(self, url: str, name: str, content: dict[str, Any]) -> dict[str, Any]:
        sending = {
            "json": {"id": str(uuid.uuid4()), **content},
            "headers": {"Accept": "application/json", "X-CSRFToken": self.cookie("csrftoken")},
        }
        with self.client.post(url, name=name, catch_response=True, **sending) as answer:
            # The server gave up a connection that had been idle just when it was used again: a
            # browser then sends the request anew on another one. Counted under a name of its own.
            was_idle = isinstance(getattr(answer, "error", None), GIVEN_UP)
            if was_idle:
                answer.request_meta["name"] = "idle connection closed"
                answer.success()
        if was_idle:
            answer = self.client.post(url, name=name, **sending)
        if answer.status_code != 200:
            write(fault=f"{name} answered {answer.status_code}: {(answer.text or '')[:300]}")
            raise StopUser
        receipt: dict[str, Any] = answer.json()
        return receipt

    def rest(self, seconds: tuple[float, float]) -> None:
        gevent.sleep(THINKING * self.random.uniform(*seconds))
