"""Holding a study until the transaction ends: alone, or together with others.

Whoever changes a study, its images or its state holds it alone. Readers at work hold it together,
each beside the row of their own session: a hundred of them save without waiting for one another,
and none beside a lock. On PostgreSQL both wait in one queue (an advisory lock), so that a lock does
not wait for ever while scores keep coming in. SQLite has one writer anyway.

Never ask for a study alone in a transaction that holds it with others: two that do so would wait
for each other.
"""

from __future__ import annotations

import uuid

from django.db import connection

from .models import Study

_QUEUE = 0x5253_5354


def hold_alone(study_id: uuid.UUID) -> None:
    """The row too, against whoever changes it without asking here; nothing if it is gone."""
    _wait("pg_advisory_xact_lock", study_id)
    list(Study.objects.select_for_update().filter(pk=study_id).values_list("pk"))


def hold_together(study_id: uuid.UUID) -> None:
    """What is read of the study afterwards stays so until the transaction ends."""
    _wait("pg_advisory_xact_lock_shared", study_id)


def _wait(function: str, study_id: uuid.UUID) -> None:
    if connection.vendor != "postgresql":
        return
    number = int.from_bytes(study_id.bytes[:4], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}(%s, %s)", [_QUEUE, number])
