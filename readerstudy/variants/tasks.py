"""Work for the gpu queue: a GPU host where there is one, any worker otherwise."""

from __future__ import annotations

from typing import Any

from readerstudy.jobs.context import JobContext
from readerstudy.jobs.registry import task


@task("variants.derive", queue="gpu")
def derive(context: JobContext, payload: dict[str, Any]) -> dict[str, Any] | None:
    """Fill one derived cell."""
    from .derive import derive as run

    return run(context, int(payload["variant"]), str(payload["source"]))
