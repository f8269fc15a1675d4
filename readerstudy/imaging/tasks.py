"""Work on images that no web request may wait for, and the housekeeping of uploads."""

from __future__ import annotations

import uuid
from typing import Any

from readerstudy.jobs.context import JobContext
from readerstudy.jobs.registry import periodic, task

from . import housekeeping
from .assigning import Assigning
from .ingest import Ingest


@task("imaging.ingest", queue="cpu")
def ingest(context: JobContext, payload: dict[str, Any]) -> dict[str, Any] | None:
    """Read one batch of uploads and store its series."""
    return Ingest(context, uuid.UUID(payload["study"]), uuid.UUID(payload["batch"])).run()


@task("imaging.assign", queue="cpu")
def assign(context: JobContext, payload: dict[str, Any]) -> None:
    """Store series of the inbox under the volunteer and arm that were confirmed."""
    Assigning(context, payload).run()


@periodic(600)
def tidy_uploads() -> int:
    """Close abandoned and failed uploads, delete raw bytes and outputs that nobody needs."""
    return housekeeping.tidy()
