"""A store that hangs takes the images away for a while, and nothing else."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from django.conf import settings as django_settings
from django.core.files.storage import default_storage
from django.template.loader import render_to_string
from django.test import Client, RequestFactory

from readerstudy.imaging.store_away import StoreTimeout
from readerstudy.web.slow_store import MARK, Places, SlowStoreMiddleware
from tests.jobs.site import copy_test_database
from tests.object_store import as_storage, object_store, settings_of
from tests.postgresql import free_port
from tests.reading.imaged_study import COLUMNS, ROWS, make_reading_study, reader_of, session_of

ROOT = Path(__file__).resolve().parents[2]
THREADS, CALLERS, WEB_SECONDS = 4, 12, 3
CSRF = "c" * 32


class Browser:
    """What a reader's browser asks of one web process."""

    def __init__(self, address: str, cookie: str) -> None:
        self.address = address
        self.cookies = {"sessionid": cookie, "csrftoken": CSRF}

    def get(self, path: str) -> requests.Response:
        return requests.get(self.address + path, cookies=self.cookies, timeout=60)

    def post(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        answer = requests.post(
            self.address + path,
            json={"id": str(uuid.uuid4()), **content},
            cookies=self.cookies,
            headers={"X-CSRFToken": CSRF},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture
def reader(
    transactional_db: None, front_end: None, settings: Any, tmp_path: Path
) -> Iterator[tuple[Browser, str, subprocess.Popen[bytes]]]:
    """A reader before one gunicorn of four threads, the first item, and the object store."""
    with object_store() as (store, store_process):
        settings.STORAGES = {**settings.STORAGES, "default": as_storage(store, "images")}
        default_storage.connection.create_bucket(Bucket="images")  # type: ignore[attr-defined]
        session = session_of(make_reading_study(volunteers=2, readers=1))
        client = Client()
        client.force_login(reader_of(session))
        port = free_port()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "READERSTUDY_VAR": str(tmp_path / "var"),
            "DATABASE_URL": copy_test_database(tmp_path / "site.sqlite3"),
            "SECRET_KEY": django_settings.SECRET_KEY,
            "S3_WEB_SECONDS": str(WEB_SECONDS),
            **settings_of(store, "images"),
        }
        # A site without them is not ready, whatever its store does.
        collect = [sys.executable, "manage.py", "collectstatic", "--noinput", "-v0"]
        subprocess.run(collect, cwd=ROOT, env=environment, check=True)
        gunicorn = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "readerstudy.wsgi"),
                *("--bind", f"127.0.0.1:{port}", "--worker-class", "gthread"),
                *("--workers", "1", "--threads", str(THREADS)),
            ],
            cwd=ROOT,
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        address = f"http://127.0.0.1:{port}"
        browser = Browser(address, client.cookies["sessionid"].value)
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    browser.get("/health")
                    break
                except requests.ConnectionError:
                    assert gunicorn.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
            page = client.get(f"/reading/session/{session.token}/")
            yield browser, f"{page.headers['Location']}data/", store_process
        finally:
            store_process.send_signal(signal.SIGCONT)
            gunicorn.terminate()
            gunicorn.wait()


def test_scores_are_saved_while_the_store_hangs_and_slices_are_asked_for_beyond_all_threads(
    reader: tuple[Browser, str, subprocess.Popen[bytes]],
) -> None:
    browser, first, store = reader
    item = browser.get(first).json()
    browser.post(item["open_url"], {})
    slices = [
        pane["slices"].replace("{index}", str(index))
        for pane in item["panes"]
        for index in range(item["geometry"]["slices"])
    ]
    assert {len(browser.get(path).content) for path in slices} == {ROWS * COLUMNS * 2}
    thawed = threading.Event()
    answers: list[tuple[str, requests.Response, float]] = []

    def look(number: int) -> None:
        """As the viewer does: asked again until it comes, here at once."""
        for path in itertools.islice(itertools.cycle(slices), number, None):
            began = time.monotonic()
            answer = browser.get(path)
            answers.append((path, answer, time.monotonic() - began))
            if thawed.is_set():
                return
            time.sleep(0.1)

    store.send_signal(signal.SIGSTOP)
    callers = [threading.Thread(target=look, args=(number,)) for number in range(CALLERS)]
    for caller in callers:
        caller.start()
    took: list[float] = []
    began = time.monotonic()
    ready = browser.get("/ready")
    assert ready.status_code == 200  # it stays in the proxy
    assert ready.json()["checks"]["storage"] == "not usable"
    assert time.monotonic() - began < 2
    ends = time.monotonic() + WEB_SECONDS + 1.5  # beyond the first that are given up
    revision = item["criteria"][0]["revision"]
    while time.monotonic() < ends:
        began = time.monotonic()
        sent = {"criterion": item["criteria"][0]["code"], "value": 1 + len(took) % 5}
        revision = browser.post(item["score_url"], {**sent, "revision": revision})["revision"]
        took.append(time.monotonic() - began)
        time.sleep(0.2)
    store.send_signal(signal.SIGCONT)
    thawed.set()
    for caller in callers:
        caller.join(60)
    assert max(took) < WEB_SECONDS * 0.8, took  # none waited for a thread that the store held
    assert revision == len(took) >= 4  # every one of them is stored
    refused = [(path, answer, seconds) for path, answer, seconds in answers if not answer.ok]
    assert len(refused) > 2 * CALLERS
    # Given up once and in time; nobody waits much longer than for the one attempt of another.
    assert max(seconds for *_, seconds in refused) < 2 * WEB_SECONDS
    assert {answer.status_code for _, answer, _ in refused} == {503}
    assert {path for path, *_ in refused} == set(slices)
    own = ("X-Request-ID", "Date")  # all else is the same, whatever was asked for
    assert {
        (answer.text, *(pair for pair in answer.headers.items() if pair[0] not in own))
        for _, answer, _ in refused
    } == {
        (
            '{"error": "The images are slow to come just now.", "code": "images_slow"}',
            *(pair for pair in refused[0][1].headers.items() if pair[0] not in own),
        )
    }
    assert refused[0][1].headers["Retry-After"] == "2"
    assert MARK in refused[0][1].headers
    assert refused[0][1].headers["Cache-Control"] == "private, no-store"
    for path in slices:
        assert len(browser.get(path).content) == ROWS * COLUMNS * 2


class Crowd:
    """Threads of a web process that ask a store by way of one Places."""

    def __init__(self, number: int) -> None:
        self.places = Places(number)
        self.took: list[float] = []
        self.refused: list[float] = []
        self.threads: list[threading.Thread] = []

    def ask(self, until: threading.Event | float, *, is_large: bool = False) -> None:
        began = time.monotonic()
        try:
            with self.places.one(is_large=is_large):
                waited = time.monotonic() - began
                time.sleep(until) if isinstance(until, float) else until.wait(10)
            self.took.append(waited)
        except StoreTimeout:
            self.refused.append(time.monotonic() - began)

    def start(self, until: threading.Event | float, *, is_large: bool = False) -> None:
        """Returns once it is inside or waits, so that the order of asking is that of the test."""
        known = self.inside + self.waiting + len(self.refused)
        thread = threading.Thread(target=self.ask, args=(until,), kwargs={"is_large": is_large})
        self.threads.append(thread)
        thread.start()
        while self.inside + self.waiting + len(self.refused) == known and thread.is_alive():
            time.sleep(0.001)

    def join(self) -> None:
        for thread in self.threads:
            thread.join(10)

    @property
    def inside(self) -> int:
        return len(self.places._inside)

    @property
    def waiting(self) -> int:
        return len(self.places._waiting)


def test_while_the_store_answers_nobody_is_sent_away_whatever_was_fetched_before() -> None:
    crowd = Crowd(2)
    with crowd.places.one(is_large=True):  # a whole volume, longer than a slice ever takes
        for _ in range(2):
            crowd.start(0.05)
        time.sleep(0.7)
        assert not crowd.places.is_hung
        for _ in range(2):
            crowd.start(0.05)
        crowd.join()

    def reader() -> None:
        for _ in range(5):
            crowd.ask(0.12)  # a store of no great speed

    readers = [threading.Thread(target=reader) for _ in range(4)]  # as many as a process has
    for thread in readers:
        thread.start()
    for thread in readers:
        thread.join(10)
    assert crowd.refused == []
    assert len(crowd.took) == 24
    assert max(crowd.took) < 0.4  # in the order they came: none was overtaken for long


def test_while_the_store_hangs_half_a_second_is_waited_once_and_then_no_more() -> None:
    crowd, thawed = Crowd(2), threading.Event()
    for _ in range(4):
        crowd.start(thawed)
    assert (crowd.inside, crowd.waiting) == (2, 2)
    time.sleep(0.7)
    assert crowd.places.is_hung
    assert len(crowd.refused) == 2  # their threads are free
    assert max(crowd.refused) < 0.65
    crowd.start(thawed)
    assert crowd.refused[2] < 0.1
    thawed.set()  # those inside are given up
    crowd.join()
    assert not crowd.places.is_hung
    again = threading.Event()
    for _ in range(4):
        crowd.start(again)
    assert (crowd.inside, len(crowd.refused)) == (2, 5)  # only who finds a place tries
    assert max(crowd.refused[3:]) < 0.1
    again.set()
    crowd.join()
    crowd.ask(0.0)  # quick again: waited for again
    for _ in range(3):
        crowd.start(0.05)
    crowd.join()
    assert len(crowd.refused) == 5


def test_large_files_leave_a_place_to_slices_and_one_of_them_waits() -> None:
    crowd, fetched = Crowd(2), threading.Event()
    for _ in range(3):
        crowd.start(fetched, is_large=True)
    assert (crowd.inside, crowd.waiting, len(crowd.refused)) == (1, 1, 1)
    crowd.ask(0.0)  # a slice overtakes the one that waits: its place is none for large files
    time.sleep(0.6)
    assert (crowd.inside, crowd.waiting, len(crowd.refused)) == (1, 1, 1)
    fetched.set()
    crowd.join()
    assert (len(crowd.took), len(crowd.refused)) == (3, 1)


def test_a_page_says_that_images_are_slow(db: None) -> None:
    request = RequestFactory().get("/studies/")
    request.resolver_match = None  # type: ignore[assignment]
    middleware = SlowStoreMiddleware(lambda _: pytest.fail("no view is asked"))
    assert middleware.process_exception(request, OSError("a fault of its own")) is None
    answer = middleware.process_exception(request, StoreTimeout("secret"))
    assert answer is not None
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert MARK in answer.headers
    assert "scores are saved as ever" in answer.content.decode()
    assert "secret" not in answer.content.decode()
    assert "<h1>The images are slow to come</h1>" in render_to_string("503.html", {})
