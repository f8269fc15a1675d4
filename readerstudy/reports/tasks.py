"""Work of the reports for the cpu queue."""

from __future__ import annotations

import errno
from typing import Any

from readerstudy.imaging.housekeeping import delete_lost_outputs
from readerstudy.jobs.context import JobContext, JobError
from readerstudy.jobs.registry import periodic, task

from .export_models import Export
from .imports import waiting as waiting  # registers its housekeeping


@task("reports.export")
def export(context: JobContext, payload: dict[str, Any]) -> None:
    """Make one export bundle."""
    from .export_services import make_export

    try:
        make_export(context, str(payload["export"]))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise JobError(
            "The storage is full: tell its administrator. No bundle was stored; ask for it again "
            "when there is room."
        ) from None


@periodic(3600)
def tidy_exports() -> int:
    """Delete bundles that no row names: of a killed worker, or refused when they were deleted."""
    return delete_lost_outputs("exports", Export.objects.values_list("path", flat=True))
