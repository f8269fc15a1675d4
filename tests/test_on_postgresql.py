"""The rooms whose SQL differs between databases pass their own tests on PostgreSQL too."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.postgresql import create_database

ROOT = Path(__file__).resolve().parents[1]
IMAGING = ("test_tus.py", "test_inbox.py", "test_ingest.py", "test_receiver.py", "on_postgresql.py")


@pytest.mark.postgres
@pytest.mark.slow
def test_rooms_that_lock_rows_hold_on_postgresql(postgresql_address: str) -> None:
    url = create_database(postgresql_address, f"suite_{uuid.uuid4().hex}")
    rooms = ["tests/audit", "tests/jobs", "tests/accounts"]
    rooms += ["tests/reading/test_scoring.py", "tests/reading/test_acts.py"]
    rooms += ["tests/conduct/test_launch_and_lock.py", "tests/reports/test_verifying.py"]
    rooms += ["tests/conduct/on_postgresql.py"]  # two launches at once, clocks that differ
    rooms += ["tests/reports/on_postgresql.py"]  # a backup while people work
    rooms += ["tests/conduct/test_images_and_decisions.py"]  # shifts are found by their JSON
    rooms += [f"tests/imaging/{name}" for name in IMAGING]
    # Those start processes with databases of their own.
    own = [f"--ignore=tests/jobs/test_{kind}_processes.py" for kind in ("broker", "worker")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *rooms, *own, "-q", "-m", "not postgres"],
        cwd=ROOT,
        env={**os.environ, "TEST_DATABASE_URL": url, "PYTEST_ADDOPTS": "-p no:cacheprovider"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
