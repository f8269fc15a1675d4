"""A migration that is killed half-way leaves a database that the next run takes to its end. Run on
SQLite, and on PostgreSQL by `test_on_postgresql`."""

from __future__ import annotations

import signal
import uuid
from pathlib import Path

import pytest
from django.db import connection

from tests.jobs.site import copy_test_database, running_site, wait_for
from tests.postgresql import create_database

# Nothing is built on the tables of these: so much of a database can be taken back at once.
LAST = ("reading", "reports")
COMMAND = "from django.core.management import call_command\ncall_command({})"
# `manage.py migrate`, but a moment longer over each migration: a test on a busy machine looks too
# seldom to see the one that takes the others' few milliseconds.
SLOWED = """
import os, time
from django.core.management import execute_from_command_line
from django.db.migrations.recorder import MigrationRecorder
at_once = MigrationRecorder.record_applied
def record_applied(self, app, name):
    at_once(self, app, name)
    time.sleep(2)
MigrationRecorder.record_applied = record_applied
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "readerstudy.settings")
execute_from_command_line(["manage.py", "migrate", "--verbosity=0"])
"""


def copy_of_database(path: Path) -> str:
    """The migrated database of this test run, copied; its address."""
    if connection.vendor == "sqlite":
        return copy_test_database(path)
    own = connection.settings_dict
    connection.close()  # PostgreSQL copies what nobody uses
    server = f"postgres://{own['USER']}@{own['HOST']}:{own['PORT']}"
    return create_database(server, f"migrated_{uuid.uuid4().hex}", str(own["NAME"]))


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_migration_killed_half_way_is_finished_by_the_next(tmp_path: Path) -> None:
    with running_site(tmp_path, copy_of_database(tmp_path / "site.sqlite3")) as site:

        def applied() -> int:
            return int(site.query("SELECT count(*) FROM django_migrations")[0][0])

        complete = applied()
        for app in LAST:
            site.console(COMMAND.format(f"'migrate', '{app}', 'zero', verbosity=0"))
        earlier = applied()
        assert complete - earlier > 5
        migrating = site.start("-c", SLOWED)
        wait_for(lambda: applied() > earlier, "the first of the migrations")
        migrating.popen.kill()  # kill -9
        assert migrating.popen.wait() == -signal.SIGKILL, migrating.output()
        assert earlier < applied() < complete
        if connection.vendor == "sqlite":
            assert site.query("PRAGMA integrity_check") == [("ok",)]
        site.console(COMMAND.format("'migrate', verbosity=0"))
        site.console(COMMAND.format("'migrate', check_unapplied=True, verbosity=0"))
        assert site.query("SELECT count(*) FROM django_migrations") == [(complete,)]
        assert "is sound" in site.verify_audit()
