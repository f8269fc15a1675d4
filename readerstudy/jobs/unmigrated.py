"""A database that is not of this version yet: told in a sentence, and waited for."""

from __future__ import annotations

import logging
import time

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from .stopping import Stop

log = logging.getLogger("readerstudy.worker")
LOOK_SECONDS = 2.0
SAY_SECONDS = 60.0


def migrations_wait() -> str:
    """What to do about migrations that wait; empty if none does. DatabaseError if none can tell."""
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not waiting:
        return ""
    number = "1 migration waits" if len(waiting) == 1 else f"{len(waiting)} migrations wait"
    return (
        f"The database is not of this version of the platform: {number}. "
        "Run manage.py migrate first."
    )


def wait_until_migrated(stopping: Stop) -> None:
    """For a worker that starts a moment before the migration: it waits, and says why once a minute.

    A database that is away at the first look is the worker's own loop's matter; one that is busy
    or away later is looked at again.
    """
    said_at = float("-inf")
    has_waited = False
    while not stopping.is_set():
        try:
            sentence = migrations_wait()
        except DatabaseError:
            if not has_waited:
                return
            sentence = "The database cannot be used at the moment."
        finally:
            connection.close()
        if not sentence:
            if has_waited:
                log.info("the database is migrated")
            return
        if time.monotonic() - said_at >= SAY_SECONDS:
            said_at = time.monotonic()
            log.error("%s The worker waits for it.", sentence)
        has_waited = True
        stopping.wait(LOOK_SECONDS)
