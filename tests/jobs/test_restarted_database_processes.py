"""PostgreSQL goes away under web and worker as if it had crashed, and comes back: nothing that was
confirmed is lost, no job is done twice, and nobody has to start anything anew."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.jobs.site import Site, lines, running_site, wait_for
from tests.postgresql import Server, create_database, free_port, own_server
from tests.redis_server import redis_server

pytestmark = [pytest.mark.slow, pytest.mark.postgres]
THREADS = 6
MIGRATED = "migrated"
CSRF = "c" * 32
# Prints who reads, and where the first of the images is.
READING = """
from django.test import Client
from tests.reading.imaged_study import make_reading_study, reader_of, session_of
session = session_of(make_reading_study(volunteers=2, readers=1))
client = Client(HTTP_HOST="localhost")
client.force_login(reader_of(session))
first = client.get(f"/reading/session/{session.token}/").headers["Location"]
print(client.cookies["sessionid"].value, first)
"""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of this module's own, with a migrated database to copy."""
    with own_server() as running:
        url = create_database(running.address, MIGRATED)
        home = tmp_path_factory.mktemp(MIGRATED)
        Site(home, url).manage("migrate", "--verbosity=0", "--skip-checks")
        yield running


@pytest.fixture(params=["polling", "redis"])
def site(request: pytest.FixtureRequest, database: Server, tmp_path: Path) -> Iterator[Site]:
    """Its workers look for jobs by themselves, or are woken."""
    if not database.is_running:  # the test before failed
        database.start()
    url = create_database(database.address, f"site_{uuid.uuid4().hex}", MIGRATED)
    if request.param == "polling":
        with running_site(tmp_path, url) as running:
            yield running
    else:
        with (
            redis_server(tmp_path) as broker,
            running_site(tmp_path, url, broker_url=broker) as running,
        ):
            yield running


def test_a_worker_outlives_its_database_and_does_each_job_once(
    site: Site, database: Server, tmp_path: Path
) -> None:
    gate, in_hand, waiting = tmp_path / "gate", tmp_path / "in_hand.txt", tmp_path / "waiting.txt"
    gate.touch()
    worker = site.start_worker("--queue", "cpu")
    first = site.enqueue(0.1, in_hand, gate=gate)
    wait_for(lambda: bool(lines(in_hand)), "the worker to start the job")
    second = site.enqueue(0.1, waiting)

    database.stop(signal.SIGQUIT)  # pg_ctl stop -m immediate
    told = "database not usable, trying again"
    # By the job in hand, and by whoever looks for the next one.
    wait_for(lambda: worker.output().count(told) > 1, "the worker to meet a database that is away")
    assert [word for word, _ in lines(in_hand)] == ["started"]
    database.start()
    gate.unlink()

    for trace in (in_hand, waiting):
        wait_for(
            lambda trace=trace: bool(lines(trace)) and lines(trace)[-1][0] == "published",
            "the worker to go on with its jobs",
        )
    wait_for(lambda: site.job(second)[0] == "succeeded", "the last of them to be noted")
    # Begun anew once its lease had run out: that is an attempt. The one that waited lost nothing.
    assert site.job(first) == ("succeeded", 2)
    assert site.job(second) == ("succeeded", 1)
    assert [word for word, _ in lines(in_hand)] == ["started", "started", "published"]
    assert site.published(in_hand) == site.published(waiting) == [worker.pid]
    assert worker.popen.poll() is None
    assert "is sound" in site.verify_audit()


class Reader:
    """Saves and looks, with a connection for each request, so that every thread gets some."""

    def __init__(self, address: str, cookie: str) -> None:
        self.address = address
        self.cookies = {"sessionid": cookie, "csrftoken": CSRF}

    def get(self, path: str) -> requests.Response:
        return requests.get(self.address + path, cookies=self.cookies, timeout=60)

    def post(self, path: str, **content: Any) -> requests.Response:
        return requests.post(
            self.address + path,
            json=content,
            cookies=self.cookies,
            headers={"X-CSRFToken": CSRF},
            timeout=60,
        )

    def probe(self, path: str) -> requests.Response:
        """Without a cookie, as a proxy or a supervisor asks."""
        return requests.get(self.address + path, timeout=60)

    def is_up(self) -> bool:
        try:
            return self.probe("/health").ok
        except requests.ConnectionError:
            return False


@pytest.mark.parametrize("site", ["polling"], indirect=True)
def test_web_threads_that_keep_their_connections_answer_again_at_the_first_request(
    site: Site, database: Server
) -> None:
    cookie, item = site.console(READING).split()
    port = free_port()
    site.start(
        *("-m", "gunicorn", "readerstudy.wsgi", "--bind", f"127.0.0.1:{port}"),
        *("--worker-class", "gthread", "--threads", str(THREADS), "--env", "PGAPPNAME=web"),
    )
    reader = Reader(f"http://127.0.0.1:{port}", cookie)
    wait_for(reader.is_up, "the web process to answer")

    def everybody_asks() -> int:
        """How many connections the web process keeps, after that."""
        with ThreadPoolExecutor(3 * THREADS) as people:
            answers = list(people.map(reader.get, [f"{item}data/"] * 6 * THREADS))
        assert {answer.status_code for answer in answers} == {200}
        (count,) = site.query(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'web'"
        )[0]
        return int(count)

    wait_for(lambda: everybody_asks() >= THREADS, "every thread to have a connection")
    found = reader.get(f"{item}data/").json()
    assert reader.post(found["open_url"], id=str(uuid.uuid4())).status_code == 200
    score = {"criterion": found["criteria"][0]["code"], "value": 4}
    stored = reader.post(found["score_url"], id=str(uuid.uuid4()), revision=0, **score)
    assert stored.json()["revision"] == 1
    again = {"id": str(uuid.uuid4()), "revision": 1, **score, "value": 2}

    database.stop(signal.SIGQUIT)
    # A fault, upon which the page sends it again; a 4xx would be final.
    assert reader.post(found["score_url"], **again).status_code == 500
    assert reader.probe("/health").status_code == 200
    ready = reader.probe("/ready")
    assert (ready.status_code, ready.json()["checks"]["database"]) == (503, "not usable")
    database.start()

    # The other threads still hold connections of the server that is gone: none gives a fault.
    answer = reader.post(found["score_url"], **again)
    assert answer.status_code == 200, answer.text
    assert answer.json()["revision"] == 2
    wait_for(lambda: everybody_asks() >= THREADS, "every thread to have a new connection")
    kept = reader.get(f"{item}data/").json()["criteria"][0]
    assert (kept["value"], kept["revision"]) == (2, 2)
    assert "is sound" in site.verify_audit()
