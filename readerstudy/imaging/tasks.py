"""Work on images that no web request may wait for, and the housekeeping of uploads."""

from __future__ import annotations

import errno
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from readerstudy.jobs.context import JobContext, JobError
from readerstudy.jobs.registry import periodic, task

from . import housekeeping
from . import trial_files as trial_files  # registers its housekeeping
from .assigning import Assigning
from .ingest import Ingest


@task("imaging.ingest", queue="cpu")
def ingest(context: JobContext, payload: dict[str, Any]) -> dict[str, Any] | None:
    """Read one batch of uploads and store its series."""
    with _full_disk_said():
        return Ingest(context, uuid.UUID(payload["study"]), uuid.UUID(payload["batch"])).run()


@task("imaging.assign", queue="cpu")
def assign(context: JobContext, payload: dict[str, Any]) -> None:
    """Store series of the inbox under the volunteer and arm that were confirmed."""
    with _full_disk_said():
        Assigning(context, payload).run()


@contextmanager
def _full_disk_said() -> Iterator[None]:
    """Trying again would not help: whoever waits is told, and nothing was stored."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise JobError(
            "The server's disk is full: tell its administrator. Nothing of this was stored; "
            "send it again when there is room."
        ) from None


@periodic(600)
def tidy_uploads() -> int:
    """Close abandoned and failed uploads, delete raw bytes and outputs that nobody needs."""
    return housekeeping.tidy()
