"""The trail cannot be changed unseen: triggers refuse, and the chain names what was changed."""

from __future__ import annotations

import datetime
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.audit import selectors, triggers
from readerstudy.audit.models import Event
from readerstudy.audit.services import GENESIS, event_hash, record, verify_chain

pytestmark = pytest.mark.django_db

AWKWARD = {
    "float": 0.1,
    "whole": 3.0,
    "large": 1e23,
    "tiny": 5e-324,
    "minus_zero": -0.0,
    "integer": 2**70,
    "text": "fünf ≥ 4 \u2028",
    "nested": [{"b": None, "a": True}, (1, 2)],
    7: "a key that is a number",
}


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for statement in statements:
            cursor.execute(statement)


def behind_its_back(*statements: str) -> None:
    """As someone with the database's password would: triggers off, change, triggers on."""
    execute(*triggers.drop_statements(), *statements)
    triggers.install()


def fill(rows: int = 5) -> None:
    for n in range(rows):
        record("tests.thing.done", None, new={"n": n})


def refused(statement: str) -> None:
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        execute(statement)


def test_an_event_can_be_neither_changed_nor_deleted_nor_replaced() -> None:
    fill()
    refused("UPDATE audit_event SET why = 'another reason' WHERE sequence = 3")
    refused("DELETE FROM audit_event WHERE sequence = 3")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        Event.objects.filter(sequence=3).update(why="x")
    if connection.vendor == "postgresql":
        refused("TRUNCATE audit_event")
    else:
        columns = "id, sequence, at, action, subject_type, subject_id, why, previous_hash, hash"
        refused(
            f"INSERT OR REPLACE INTO audit_event ({columns}) "
            f"SELECT {columns.replace('why', repr('forged'))} FROM audit_event WHERE sequence = 3"
        )
    assert verify_chain().count == 5


def test_what_was_recorded_has_the_same_hash_after_a_round_trip_through_the_database() -> None:
    actor = User.objects.create_user("actor@example.org")
    for old in (AWKWARD, [], "text", 0, None, False):
        event = record("tests.odd", actor, subject=actor, old=old, new={"x": old}, why="Größe")
        stored = Event.objects.get(pk=event.pk)
        assert event_hash(stored) == stored.hash == event.hash
    assert verify_chain().is_sound


def test_a_time_without_microseconds_hashes_alike_in_any_time_zone() -> None:
    event = record("tests.time", None)
    event.at = datetime.datetime(2026, 3, 1, 12, 0, 0, tzinfo=datetime.UTC)
    here = event_hash(event)
    event.at = event.at.astimezone(datetime.timezone(datetime.timedelta(hours=2)))
    assert event_hash(event) == here
    event.at += datetime.timedelta(microseconds=1)
    assert event_hash(event) != here


def test_nan_is_refused_because_json_has_none() -> None:
    with pytest.raises(ValueError, match="JSON"):
        record("tests.nan", None, new={"mean": float("nan")})
    assert not Event.objects.exists()


def test_verify_audit_prints_count_and_head_of_a_sound_trail(capsys: Any) -> None:
    fill(3)
    call_command("verify_audit")
    out = capsys.readouterr().out
    head = selectors.head()
    assert "3 rows" in out
    assert head["hash"] in out
    assert head["sequence"] == 3


def test_an_empty_trail_is_sound() -> None:
    assert (verify_chain().count, verify_chain().head) == (0, GENESIS)
    assert selectors.head() == {"sequence": 0, "hash": GENESIS}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE audit_event SET why = 'x' WHERE sequence = 3", "row 3 (tests.thing.done) was"),
        ("UPDATE audit_event SET action = 'tests.x' WHERE sequence = 2", "row 2 (tests.x) was"),
        ("DELETE FROM audit_event WHERE sequence = 4", "row 4 is missing before row 5"),
        ("DELETE FROM audit_event WHERE sequence < 3", "rows 1 to 2 are missing before row 3"),
        ("UPDATE audit_event SET sequence = 9 WHERE sequence = 5", "missing before row 9"),
    ],
)
def test_verify_audit_names_the_row_that_was_changed_behind_its_back(
    change: str, named: str, capsys: Any
) -> None:
    fill()
    behind_its_back(change)
    with pytest.raises(SystemExit) as stopped:
        call_command("verify_audit")
    assert stopped.value.code == 1
    assert named in capsys.readouterr().err


def test_a_forged_row_with_a_matching_hash_of_its_own_breaks_the_next_row(capsys: Any) -> None:
    fill()
    forged = Event.objects.get(sequence=3)
    forged.why = "never happened"
    behind_its_back(
        f"UPDATE audit_event SET why = '{forged.why}', hash = '{event_hash(forged)}' "
        "WHERE sequence = 3"
    )
    assert "row 4 (tests.thing.done) does not continue" in verify_chain().fault


def test_a_trail_cut_off_at_its_end_is_found_by_the_anchor_kept_outside(capsys: Any) -> None:
    fill()
    head = selectors.head()
    anchor = f"{head['sequence']}:{head['hash']}"
    call_command("verify_audit")
    assert f"--anchor {anchor}\n" in capsys.readouterr().out
    call_command("verify_audit", anchor=anchor)
    behind_its_back("DELETE FROM audit_event WHERE sequence = 5")
    call_command("verify_audit")  # a shorter chain is a sound chain
    with pytest.raises(SystemExit):
        call_command("verify_audit", anchor=anchor)
    assert "row 5 is missing" in capsys.readouterr().err


@pytest.mark.parametrize("at", [0, -1])
def test_verify_audit_fails_when_a_trigger_is_missing_and_migrate_puts_it_back(at: int) -> None:
    fill()
    execute(triggers.drop_statements()[at])
    assert "trigger" in verify_chain().fault
    call_command("migrate", verbosity=0)
    assert verify_chain().is_sound
    refused("DELETE FROM audit_event")


def test_a_trigger_that_was_rewritten_to_refuse_nothing_counts_as_missing() -> None:
    if connection.vendor == "postgresql":
        execute(
            "CREATE OR REPLACE FUNCTION audit_event_append_only() RETURNS trigger "
            "LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$"
        )
    else:
        execute(
            "DROP TRIGGER audit_event_no_delete",
            "CREATE TRIGGER audit_event_no_delete BEFORE DELETE ON audit_event BEGIN SELECT 1; END",
        )
    assert triggers.missing()


def test_the_trail_keeps_the_server_time() -> None:
    before = timezone.now()
    event = record("tests.time", None)
    assert before <= Event.objects.get(pk=event.pk).at <= timezone.now()


@pytest.mark.django_db(transaction=True)
def test_appends_from_many_threads_leave_no_gap() -> None:
    errors: list[BaseException] = []

    def append() -> None:
        try:
            for _ in range(25):
                record("tests.parallel", None)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=append) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert verify_chain().count == 150
    assert verify_chain().is_sound


@pytest.mark.parametrize(("level", "name"), [(4, "SERIALIZABLE"), ("3", "REPEATABLE READ")])
def test_another_isolation_level_is_refused_before_a_command_begins(
    level: object, name: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {"ENGINE": "django.db.backends.postgresql", "OPTIONS": {"isolation_level": level}}
    monkeypatch.setitem(settings.DATABASES, "other", other)
    with pytest.raises(SystemCheckError, match=f"isolation level {name}") as refused:
        call_command("check")
    assert "Take isolation_level out of DATABASE_URL" in str(refused.value)
    monkeypatch.setitem(other, "OPTIONS", {"isolation_level": 2})
    call_command("check")


def test_the_administration_site_shows_events_and_offers_no_change(client: Any) -> None:
    fill(1)
    client.force_login(User.objects.create_superuser("root@example.org"))
    event = Event.objects.get(action="tests.thing.done")
    assert client.get("/admin/audit/event/").status_code == 200
    page = client.get(f"/admin/audit/event/{event.pk}/change/")
    assert page.status_code == 200
    assert b'type="submit" value="Save"' not in page.content
    assert client.post(f"/admin/audit/event/{event.pk}/change/", {"why": "x"}).status_code == 403
    assert client.post(f"/admin/audit/event/{event.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.get("/admin/audit/event/add/").status_code == 403


def test_a_database_without_triggers_is_refused_in_words() -> None:
    table = triggers.guarded_tables()[0]
    with pytest.raises(ImproperlyConfigured, match=r"no triggers for oracle: use SQLite or"):
        triggers._wanted(SimpleNamespace(vendor="oracle"), table)  # type: ignore[arg-type]
