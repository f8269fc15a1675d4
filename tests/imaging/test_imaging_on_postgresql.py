"""What locks rows, or asks the database in ways of its own, passes on PostgreSQL too."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.postgresql import create_database

ROOT = Path(__file__).resolve().parents[2]
FILES = ("test_tus.py", "test_inbox.py", "test_ingest.py", "test_receiver.py", "on_postgresql.py")


@pytest.mark.postgres
@pytest.mark.slow
def test_uploads_inbox_and_receiver_hold_on_postgresql(postgresql_address: str) -> None:
    url = create_database(postgresql_address, f"suite_{uuid.uuid4().hex}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *(f"tests/imaging/{name}" for name in FILES), "-q"],
        cwd=ROOT,
        env={**os.environ, "TEST_DATABASE_URL": url, "PYTEST_ADDOPTS": "-p no:cacheprovider"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
