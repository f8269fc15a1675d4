"""A migration that is killed half-way leaves a database that the next run takes to its end. Run on
SQLite, and on PostgreSQL by `test_on_postgresql`."""

from __future__ import annotations

import signal
import uuid
from pathlib import Path

import pytest
from django.db import connection

from tests.jobs.site import ROOT, Site, copy_test_database, running_site, wait_for
from tests.postgresql import create_database

# Nothing is built on the tables of these: so much of a database can be taken back at once.
LAST = ("reading", "reports")
COMMAND = "from django.core.management import call_command\ncall_command({})"
ATTEMPTS = 5


def copy_of_database(path: Path) -> str:
    """The migrated database of this test run, copied; its address."""
    if connection.vendor == "sqlite":
        return copy_test_database(path)
    own = connection.settings_dict
    connection.close()  # PostgreSQL copies what nobody uses
    server = f"postgres://{own['USER']}@{own['HOST']}:{own['PORT']}"
    return create_database(server, f"migrated_{uuid.uuid4().hex}", str(own["NAME"]))


def migrate_and_kill(site: Site) -> tuple[int, int, int]:
    """Take migrations back, and kill the process that makes them again after the first of them.
    How many were applied before that, after the kill, and in the beginning.

    The kill may come too late: this process may be off the processor while the others are made.
    """

    def applied() -> int:
        return int(site.query("SELECT count(*) FROM django_migrations")[0][0])

    complete = applied()
    for app in LAST:
        site.console(COMMAND.format(f"'migrate', '{app}', 'zero', verbosity=0"))
    earlier = applied()
    assert complete - earlier > 5
    migrating = site.start(str(ROOT / "manage.py"), "migrate", "--verbosity=0")
    wait_for(lambda: applied() > earlier, "the first of the migrations", every=0.002)
    migrating.popen.kill()  # kill -9
    assert migrating.popen.wait() in (-signal.SIGKILL, 0), migrating.output()
    return earlier, applied(), complete


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_migration_killed_half_way_is_finished_by_the_next(tmp_path: Path) -> None:
    for attempt in range(ATTEMPTS):
        home = tmp_path / str(attempt)
        home.mkdir()
        with running_site(home, copy_of_database(home / "site.sqlite3")) as site:
            earlier, half, complete = migrate_and_kill(site)
            if half == complete:
                continue
            assert earlier < half < complete
            if connection.vendor == "sqlite":
                assert site.query("PRAGMA integrity_check") == [("ok",)]
            site.console(COMMAND.format("'migrate', verbosity=0"))
            site.console(COMMAND.format("'migrate', check_unapplied=True, verbosity=0"))
            assert site.query("SELECT count(*) FROM django_migrations") == [(complete,)]
            assert "is sound" in site.verify_audit()
            return
    pytest.fail(f"{ATTEMPTS} times the migrations were over before they were killed")
