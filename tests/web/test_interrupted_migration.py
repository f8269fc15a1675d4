"""A migration that is killed half-way leaves a database that the next run takes to its end."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.jobs.site import ROOT, Site, wait_for

SOME, ALL = 25, 50  # migrations; there are more


@pytest.mark.slow
def test_a_migration_killed_half_way_is_finished_by_the_next(tmp_path: Path) -> None:
    site = Site(tmp_path, f"sqlite:///{tmp_path}/site.sqlite3")

    def applied() -> int:
        try:
            return int(site.query("SELECT count(*) FROM django_migrations")[0][0])
        except sqlite3.OperationalError:  # not there yet
            return 0

    migrating = site.start(str(ROOT / "manage.py"), "migrate", "--verbosity=0")
    try:
        wait_for(lambda: applied() >= SOME, "some migrations")
    finally:
        site.stop()  # kill -9
    assert migrating.popen.returncode == -9, "it was over before it was killed"
    half = applied()
    assert site.query("PRAGMA integrity_check") == [("ok",)]
    said = site.python(
        "from django.core.management import call_command\n"
        "call_command('migrate', verbosity=0)\n"
        "call_command('verify_audit')"
    )
    assert "is sound" in said
    assert applied() > max(half, ALL)
