"""The end of the trail held by one appender at a time. Run on PostgreSQL alone
(`tests/test_on_postgresql`): SQLite has one writer."""

from __future__ import annotations

import threading
import time

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection, transaction

from readerstudy.audit.models import Event
from readerstudy.audit.services import record, verify_chain
from tests.conduct.on_postgresql import void, wait_until_queued
from tests.imaging.on_postgresql import Thread

pytestmark = pytest.mark.django_db(transaction=True)


def test_whoever_waited_for_the_end_of_the_trail_continues_what_came_there_meanwhile() -> None:
    """Lock and look in one statement would look before they wait, and two would continue one."""
    record("tests.first", None)
    with transaction.atomic():
        record("tests.second", None)
        waiting = Thread(lambda: void(record("tests.third", None)))
        wait_until_queued(1)
    assert waiting.over() is None
    actions = list(Event.objects.order_by("sequence").values_list("action", flat=True))
    assert actions == ["tests.first", "tests.second", "tests.third"]
    assert verify_chain().is_sound


def test_an_event_at_another_isolation_level_is_refused_and_the_act_undone() -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        with pytest.raises(ImproperlyConfigured, match="is REPEATABLE READ") as refused:
            record("tests.refused", None)
        assert "Take isolation_level out of DATABASE_URL" in str(refused.value)
        assert connection.needs_rollback
    assert not Event.objects.exists()


def test_the_servers_own_default_level_does_not_matter() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_isolation TO 'serializable'")
    try:
        record("tests.any", None)
    finally:
        connection.close()
    assert verify_chain().count == 1


def test_whoever_is_frozen_in_a_transaction_does_not_hold_the_trail_for_long() -> None:
    held = threading.Event()

    def freeze() -> None:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SHOW idle_in_transaction_session_timeout")
                assert cursor.fetchone() == ("30s",)  # as it is set for web and workers
                cursor.execute("SET idle_in_transaction_session_timeout = '500ms'")
            record("tests.frozen", None)
            held.set()
            time.sleep(2)
            record("tests.thawed", None)

    frozen = Thread(freeze)
    assert held.wait(10)
    began = time.monotonic()
    record("tests.saved", None)
    assert time.monotonic() - began < 1.8
    assert isinstance(frozen.over(), DatabaseError)
    assert list(Event.objects.values_list("action", flat=True)) == ["tests.saved"]
    assert verify_chain().is_sound
