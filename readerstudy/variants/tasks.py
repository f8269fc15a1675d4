"""Work for the gpu queue: a GPU host where there is one, any worker otherwise."""

from __future__ import annotations

from typing import Any

from readerstudy.imaging.housekeeping import delete_lost_outputs
from readerstudy.jobs.context import JobContext
from readerstudy.jobs.registry import periodic, task

from .models import RawData


@task("variants.derive", queue="gpu")
def derive(context: JobContext, payload: dict[str, Any]) -> dict[str, Any] | None:
    """Fill one derived cell."""
    from .derive import derive as run

    return run(context, int(payload["variant"]), str(payload["source"]))


@periodic(600)
def tidy_raw_data() -> int:
    """Delete raw data that a killed worker stored and nobody knows of."""
    return delete_lost_outputs("raw", RawData.objects.values_list("prefix", flat=True))
