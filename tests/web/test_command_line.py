"""What people can mend is told on the command line in a sentence, without a trace."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_DRIVER = (
    "import sys; sys.modules.update(psycopg=None, psycopg2=None); sys.argv[0] = 'manage.py'\n"
    "from readerstudy.web.command_line import run; run(sys.argv)"
)


@pytest.mark.parametrize(
    ("program", "url", "told"),
    [
        (["manage.py"], "", "The database is not of this version of the platform"),
        (["-c", WITHOUT_DRIVER], "postgres://a@127.0.0.1:1/b", "requirements-postgres.txt"),
    ],
    ids=["not_migrated", "no_driver"],
)
def test_a_database_that_cannot_be_used_is_told_in_a_sentence(
    program: list[str], url: str, told: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, *program, "verify_audit"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "readerstudy.settings",
            "READERSTUDY_VAR": str(tmp_path),
            **({"DATABASE_URL": url} if url else {}),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr  # 1 would say that the trail is broken
    assert told in done.stderr
    assert "Traceback" not in done.stderr
