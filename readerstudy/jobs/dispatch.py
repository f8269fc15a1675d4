"""Waking a worker once a job's row is committed. The row is the truth; this only saves waiting.

With TASKS=polling workers look for themselves, and nothing is sent. With TASKS=celery one message,
which names a queue and nothing else, goes to the broker. A message that is lost, or a broker that
is away, loses no job: every worker's sweep (`sweeping`) sends what is missing.
"""

from __future__ import annotations

import logging
import time
from types import SimpleNamespace

from django.conf import settings
from django.db import transaction

log = logging.getLogger("readerstudy.jobs")

# After a failure nothing is sent for so long: a page must not wait for a broker that is away.
PAUSE_SECONDS = 10.0
_pause = SimpleNamespace(until=0.0)


def wake_after_commit(queue: str) -> None:
    """Have a worker of this queue woken when the transaction that wrote the row commits."""
    if settings.TASKS == "celery":
        transaction.on_commit(lambda: _wake(queue))


def _wake(queue: str) -> None:
    if time.monotonic() < _pause.until:
        return
    from .broker import BROKER_ERRORS, kind_of, send_wakeup

    try:
        send_wakeup(queue)
    except BROKER_ERRORS as error:
        _pause.until = time.monotonic() + PAUSE_SECONDS
        # The kind alone: a broker's message may quote its address with the password.
        log.warning(
            "The message broker took no message (%s): the job waits in the database until it does.",
            kind_of(error),
        )
