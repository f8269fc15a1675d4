"""In which order rows are locked, so that two transactions never wait for each other.

A study's row comes first, then its jobs, then the trail. Whoever deletes images holds the study and
cancels jobs; a worker that publishes holds its job and changes the study: both begin with the
study. PostgreSQL would break one of them off after a second; SQLite has one writer anyway.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

from .models import Job

HoldStudy = Callable[[uuid.UUID], None]

_hold: list[HoldStudy] = []


def register(function: HoldStudy) -> HoldStudy:
    """`function(study_id)` locks the study's row: jobs do not know what a study is."""
    if function not in _hold:
        _hold.append(function)
    return function


def hold_study(study_id: uuid.UUID) -> None:
    """Until the transaction ends. A study that is gone is nobody's any more."""
    for function in _hold:
        function(study_id)


def hold_open_jobs(study_id: uuid.UUID) -> None:
    """Lock the jobs of a study that are not over, for whoever may cancel several of them.

    Inside a transaction that holds the study and has written nothing to the trail yet.
    """
    open_states = [Job.State.QUEUED, Job.State.RUNNING]
    rows = Job.objects.filter(study_id=study_id, state__in=open_states).order_by("pk")
    list(rows.select_for_update().values_list("pk"))
