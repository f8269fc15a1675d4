"""Real workers woken by real brokers: killed, frozen, stopped, and a broker killed under them."""

from __future__ import annotations

import signal
import time
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
from tests.rabbitmq import broker
from tests.redis_server import redis_server

# The database of this test run is what the site's is copied from.
pytestmark = [pytest.mark.slow, pytest.mark.django_db]


@pytest.fixture
def database(django_db_setup: None, tmp_path: Path) -> str:
    return copy_test_database(tmp_path / "site.sqlite3")


@pytest.fixture
def site(database: str, tmp_path: Path) -> Iterator[Site]:
    with (
        redis_server(tmp_path) as address,
        running_site(tmp_path, database, broker_url=address) as running,
    ):
        yield running


def runner(workers: list[Process], trace: Path) -> Process:
    wait_for(lambda: bool(lines(trace)), "a worker to start the job")
    (busy,) = [worker for worker in workers if worker.pid == int(lines(trace)[-1][1])]
    return busy


def begin(site: Site, seconds: float, trace: Path, *, quiet: bool = False) -> None:
    """Write a job's row without a message, so that the workers' sweep alone finds it."""
    payload = {"seconds": seconds, "trace": str(trace), "quiet": quiet}
    site.console(
        "from django.test import override_settings\n"
        "from readerstudy.jobs.services import do_enqueue\n"
        "with override_settings(TASKS='polling'):\n"
        f"    do_enqueue('probe.slow', {payload!r})"
    )


def outcome(site: Site, trace: Path) -> tuple[str, int]:
    """State and attempts of the job of this trace."""
    ((state, attempts),) = site.query(
        f"SELECT state, attempts FROM jobs_job WHERE payload LIKE '%{trace.name}%'"
    )
    return state, attempts


def published(trace: Path) -> bool:
    return bool(lines(trace)) and lines(trace)[-1][0] == "published"


def test_workers_on_redis_killed_frozen_and_stopped_do_each_job_once(
    site: Site, tmp_path: Path
) -> None:
    workers = [site.start_worker("--queue", "cpu"), site.start_worker("--queue", "cpu")]
    wait_for(lambda: len(site.query("SELECT 1 FROM jobs_workerprocess")) == 2, "two heartbeats")

    # Frozen until its lease has run out and another has published; then thawed.
    trace = tmp_path / "frozen.txt"
    begin(site, 3.0, trace, quiet=True)
    frozen = runner(workers, trace)
    frozen.signal(signal.SIGSTOP)
    wait_for(lambda: published(trace), "the other worker to publish")
    frozen.signal(signal.SIGCONT)
    wait_for(lambda: "taken over" in frozen.output(), "the thawed worker to notice")
    assert outcome(site, trace) == ("succeeded", 2)
    assert len(site.published()) == 1

    # Asked to stop: the job is handed back at once and goes on elsewhere, no attempt counted.
    trace = tmp_path / "stopped.txt"
    begin(site, 3.0, trace)
    stopped = runner(workers, trace)
    asked = time.monotonic()
    stopped.signal(signal.SIGTERM)
    assert stopped.popen.wait(timeout=20) == 0
    wait_for(lambda: published(trace), "the job to go on")
    assert time.monotonic() - asked < 3.0 + 20.0
    assert outcome(site, trace) == ("succeeded", 1)

    # Killed: its lease runs out, and the sweep of the worker that is left wakes that worker.
    trace = tmp_path / "killed.txt"
    workers.remove(stopped)
    workers.append(site.start_worker("--queue", "cpu"))
    begin(site, 2.0, trace)
    killed = runner(workers, trace)
    killed.signal(signal.SIGKILL)
    killed.popen.wait()
    died = time.monotonic()
    wait_for(lambda: published(trace), "the job to be done again")
    assert time.monotonic() - died < LEASE_SECONDS + 2.0 + 20.0
    assert outcome(site, trace) == ("succeeded", 2)
    assert len(site.published()) == 3


def test_a_storage_that_hangs_silences_no_worker_and_holds_up_no_wake_up(
    site: Site, tmp_path: Path
) -> None:
    gate = tmp_path / "var" / "hang"
    gate.parent.mkdir(exist_ok=True)
    gate.touch()
    worker = site.start_worker("--queue", "cpu")
    wait_for(gate.with_name("hangs").exists, "housekeeping to wait for the storage")

    def seen() -> list[tuple[object, ...]]:
        return site.query("SELECT seen_at FROM jobs_workerprocess")

    for _ in range(3):
        before = seen()
        wait_for(lambda before=before: len(seen()) == 1 and seen() != before, "a sign of life")
    # A job whose message was lost is found by the sweep.
    trace = tmp_path / "swept.txt"
    begin(site, 0.1, trace)
    wait_for(lambda: published(trace), "the worker to be woken")
    # Asked to stop, it waits for no storage and takes its row away.
    worker.signal(signal.SIGTERM)
    assert worker.popen.wait(timeout=60) == 0
    assert seen() == []
    assert gate.exists()


def test_rabbitmq_killed_under_web_and_worker_loses_no_job(database: str, tmp_path: Path) -> None:
    with broker() as rabbit, running_site(tmp_path, database, broker_url=rabbit.url) as site:
        site.start_worker()
        first = tmp_path / "first.txt"
        job = site.enqueue(0.2, first)
        wait_for(lambda: published(first), "a job woken by RabbitMQ")
        assert site.job(job) == ("succeeded", 1)

        running = tmp_path / "running.txt"
        in_hand = site.enqueue(1.0, running)
        wait_for(lambda: bool(lines(running)), "the worker to start the job")
        rabbit.kill()
        # Down: what was begun is published, and what is asked for now waits in the database.
        wait_for(lambda: published(running), "the job in hand to be published without a broker")
        waiting = tmp_path / "waiting.txt"
        took, queued = site.console(
            "import time\nfrom readerstudy.jobs.services import do_enqueue\n"
            "began = time.monotonic()\n"
            f"job = do_enqueue('probe.slow', {{'seconds': 0.2, 'trace': {str(waiting)!r}}})\n"
            "print(time.monotonic() - began, job.pk)"
        ).split()[-2:]
        assert float(took) < 10  # who asks does not wait for a broker that is away
        assert site.job(queued) == ("queued", 0)
        rabbit.start()
        wait_for(lambda: published(waiting), "the worker to come back to the broker")
        assert site.job(in_hand) == ("succeeded", 1)
        assert site.job(queued) == ("succeeded", 1)
        assert len(site.published()) == 3
