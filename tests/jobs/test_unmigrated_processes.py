"""A worker on a database that is not of its version says so in plain words, and is not lost."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError
from django.db.migrations.recorder import MigrationRecorder

from readerstudy.jobs import unmigrated
from readerstudy.jobs.stopping import Stop
from tests.jobs.site import ROOT, Site, copy_test_database, running_site, wait_for

SENTENCE = r"The database is not of this version of the platform: (\d+) migrations? waits?\. Run "
TOLD = re.compile(SENTENCE + r"manage\.py migrate first\.")


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path, f"sqlite:///{tmp_path}/site.sqlite3") as site:
        yield site


@pytest.mark.slow
@pytest.mark.django_db
def test_a_worker_waits_for_the_migration_and_then_works(
    empty: Site, django_db_setup: None
) -> None:
    started = time.monotonic()
    worker = empty.start(str(ROOT / "manage.py"), "worker")
    stopped = empty.start(str(ROOT / "manage.py"), "worker")
    wait_for(lambda: bool(TOLD.search(worker.output())), "the worker to say what it waits for")
    wait_for(lambda: bool(TOLD.search(stopped.output())), "the other worker to say so")
    stopped.signal(signal.SIGTERM)
    assert stopped.popen.wait(timeout=60) == 0
    assert "worker started" not in worker.output()
    copy_test_database(empty.home / "site.sqlite3")
    wait_for(lambda: "worker started" in worker.output(), "the worker to start")
    said = worker.output()
    minutes = (time.monotonic() - started) // unmigrated.SAY_SECONDS
    assert len(TOLD.findall(said)) <= 1 + minutes  # not at every look
    assert "OperationalError" not in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_worker_that_is_to_end_by_itself_ends_with_the_sentence(empty: Site) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "manage.py", "worker", "--until-empty"],
        cwd=ROOT,
        env=empty.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert TOLD.search(done.stderr)
    assert "Traceback" not in done.stderr


@pytest.mark.django_db
def test_one_migration_that_waits_is_enough_to_be_told() -> None:
    assert unmigrated.migrations_wait() == ""
    MigrationRecorder.Migration.objects.filter(app="reports").order_by("-pk")[0].delete()
    assert "1 migration waits. Run manage.py migrate first." in unmigrated.migrations_wait()


def test_a_database_that_is_away_is_left_to_the_workers_loop_and_one_that_is_busy_looked_at_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(unmigrated, "LOOK_SECONDS", 0.0)
    answers: list[Any] = []

    def answer() -> str:
        told = answers.pop(0)
        if isinstance(told, Exception):
            raise told
        return str(told)

    monkeypatch.setattr(unmigrated, "migrations_wait", answer)
    answers[:] = [DatabaseError("away")]
    unmigrated.wait_until_migrated(Stop())
    assert caplog.messages == []
    answers[:] = ["Two wait.", DatabaseError("locked"), "One waits.", ""]
    unmigrated.wait_until_migrated(Stop())
    assert answers == []
    assert caplog.messages[0] == "Two wait. The worker waits for it."
    stopping = Stop()
    stopping.set()
    unmigrated.wait_until_migrated(stopping)  # asks nothing more
