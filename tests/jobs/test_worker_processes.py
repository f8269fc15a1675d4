"""Real worker processes that are killed, frozen and stopped: each job is done once, whole."""

from __future__ import annotations

import http.cookiejar
import json
import re
import signal
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.site import (
    LEASE_SECONDS,
    Process,
    Site,
    copy_test_database,
    lines,
    running_site,
    wait_for,
)
from tests.postgresql import create_database, free_port

# The database of this test run is what the site's is copied from.
pytestmark = [pytest.mark.slow, pytest.mark.django_db]
DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(scope="module", params=DATABASES)
def site(
    request: pytest.FixtureRequest,
    django_db_setup: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """One for all tests on a database: to start processes takes longer than what they show."""
    home = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        url = copy_test_database(home / "site.sqlite3")
    else:
        address = request.getfixturevalue("postgresql_address")
        url = create_database(address, f"site_{uuid.uuid4().hex}")
        Site(home, url).manage("migrate", "--verbosity=0", "--skip-checks")
    with running_site(home, url) as running:
        yield running


@pytest.fixture
def workers(site: Site) -> list[Process]:
    """Two that wait for work: those of the test before, and others for those that it ended."""
    living = [worker for worker in site.workers if worker.popen.poll() is None]
    return living + [site.start_worker() for _ in range(2 - len(living))]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "trace.txt"


def who_runs(workers: list[Process], trace: Path) -> tuple[Process, Process]:
    """The worker that started the job, and the other one."""
    wait_for(lambda: bool(lines(trace)), "a worker to start the job")
    pid = int(lines(trace)[-1][1])
    (busy,) = [worker for worker in workers if worker.pid == pid]
    (idle,) = [worker for worker in workers if worker.pid != pid]
    return busy, idle


def wait_until_published(trace: Path) -> None:
    wait_for(lambda: lines(trace)[-1][0] == "published", "the job to be published")


def test_a_job_whose_worker_is_killed_in_mid_job_is_retried_and_finishes_once(
    site: Site, workers: list[Process], trace: Path
) -> None:
    job = site.enqueue(2.0, trace)
    killed, other = who_runs(workers, trace)
    killed.signal(signal.SIGKILL)
    killed.popen.wait()
    died = time.monotonic()
    wait_until_published(trace)
    # Found when the lease ran out, not before; then the whole task again.
    assert time.monotonic() - died < LEASE_SECONDS + 2.0 + 15.0
    assert [word for word, _ in lines(trace)] == ["started", "started", "published"]
    assert site.job(job) == ("succeeded", 2)
    assert site.published(trace) == [other.pid]
    assert "is sound" in site.verify_audit()


@pytest.mark.parametrize("quiet", [False, True], ids=["noting_progress", "publishing_only"])
def test_a_worker_that_was_frozen_and_thaws_finds_its_writes_refused(
    site: Site, workers: list[Process], trace: Path, quiet: bool
) -> None:
    job = site.enqueue(1.5, trace, quiet=quiet)
    frozen, other = who_runs(workers, trace)
    noticed = frozen.output().count("taken over")
    frozen.signal(signal.SIGSTOP)
    wait_until_published(trace)
    frozen.signal(signal.SIGCONT)
    wait_for(lambda: frozen.output().count("taken over") > noticed, "the thawed worker to notice")
    assert site.published(trace) == [other.pid]
    assert site.job(job) == ("succeeded", 2)
    assert frozen.popen.poll() is None  # it goes on with the next job


def test_a_job_longer_than_its_lease_runs_once_while_its_worker_lives(
    site: Site, workers: list[Process], trace: Path
) -> None:
    job = site.enqueue(1.5 * LEASE_SECONDS, trace, quiet=True)
    wait_for(lambda: bool(lines(trace)), "a worker to start the job")
    wait_until_published(trace)
    assert [word for word, _ in lines(trace)] == ["started", "published"]
    assert site.job(job) == ("succeeded", 1)


def test_a_worker_asked_to_stop_hands_its_job_back_at_once(
    site: Site, workers: list[Process], trace: Path
) -> None:
    job = site.enqueue(2.0, trace)
    stopped, other = who_runs(workers, trace)
    stopped.signal(signal.SIGTERM)
    assert stopped.popen.wait(timeout=20) == 0
    wait_until_published(trace)
    assert [word for word, _ in lines(trace)] == ["started", "started", "published"]
    assert site.published(trace) == [other.pid]
    assert site.job(job) == ("succeeded", 1)  # being asked to stop is no failed attempt


@pytest.mark.parametrize(
    "site", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
def test_web_and_worker_share_only_the_database_on_postgresql(
    site: Site, workers: list[Process], trace: Path
) -> None:
    site.console(
        "from readerstudy.accounts.models import User\n"
        "User.objects.create_superuser('head@example.org', 'a long enough pass phrase')"
    )
    address = f"http://127.0.0.1:{free_port()}"
    bind = address.removeprefix("http://")
    site.start("-m", "gunicorn", "readerstudy.wsgi", "--bind", bind, "--threads", "2")
    browser = _Browser(address)
    wait_for(browser.is_up, "the web process to answer")
    browser.sign_in("head@example.org", "a long enough pass phrase")

    job = site.enqueue(1.0, trace)
    worker, _ = who_runs(workers, trace)
    states = [browser.get_json(f"/jobs/{job}/status/")]
    while states[-1]["state"] in {"queued", "running"}:
        time.sleep(0.1)
        states.append(browser.get_json(f"/jobs/{job}/status/"))
    assert states[-1] == {
        "state": "succeeded",
        "done": states[-1]["total"],
        "total": 20,
        "message": "working",
        "error": "",
    }
    assert site.published(trace) == [worker.pid]
    assert "is sound" in site.verify_audit()


class _Browser:
    """Cookies and a form, over real HTTP."""

    def __init__(self, address: str) -> None:
        self.address = address
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.opener = urllib.request.build_opener(cookies)

    def is_up(self) -> bool:
        try:
            self.get("/accounts/login/")
        except urllib.error.HTTPError:
            raise
        except OSError:
            return False
        return True

    def get(self, path: str) -> str:
        with self.opener.open(self.address + path, timeout=20) as answer:
            return str(answer.read().decode())

    def get_json(self, path: str) -> dict[str, object]:
        answer: dict[str, object] = json.loads(self.get(path))
        return answer

    def sign_in(self, email: str, password: str) -> None:
        page = self.get("/accounts/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token
        form = {"login": email, "password": password, "csrfmiddlewaretoken": token.group(1)}
        request = urllib.request.Request(  # noqa: S310 - a loopback address of our own
            self.address + "/accounts/login/",
            data=urllib.parse.urlencode(form).encode(),
            headers={"Referer": self.address + "/accounts/login/"},
        )
        with self.opener.open(request, timeout=20) as answer:
            assert "/accounts/login/" not in answer.url, answer.read()[:2000]
