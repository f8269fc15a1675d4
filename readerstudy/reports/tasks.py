"""Work of the reports for the cpu queue."""

from __future__ import annotations

from typing import Any

from readerstudy.jobs.context import JobContext
from readerstudy.jobs.registry import task

from .imports import waiting as waiting  # registers its housekeeping


@task("reports.export")
def export(context: JobContext, payload: dict[str, Any]) -> None:
    """Make one export bundle."""
    from .export_services import make_export

    make_export(context, str(payload["export"]))
