"""How the jobs and the workers stand, for operators: counts and ages, nothing of any study."""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass

from django.db.models import Count, Min

from .heart import GONE_SECONDS
from .leases import database_now
from .models import Job, WorkerProcess


@dataclass(frozen=True)
class QueueLine:
    """Jobs of one queue in one state; the age in seconds of the one that was asked for first."""

    queue: str
    state: str
    label: str
    count: int
    oldest_seconds: float


def queue_lines() -> list[QueueLine]:
    """Every queue and state, also those with no job; ages for what waits or runs."""
    now = database_now()
    rows = {
        (row["queue"], row["state"]): row
        for row in Job.objects.order_by()
        .values("queue", "state")
        .annotate(count=Count("pk"), first=Min("created_at"))
    }
    lines = []
    for queue in Job.Queue.values:
        for state in Job.State:
            row = rows.get((queue, state.value))
            is_open = state in {Job.State.QUEUED, Job.State.RUNNING}
            age = (now - row["first"]).total_seconds() if row and is_open else 0.0
            lines.append(
                QueueLine(queue, state.value, state.label, row["count"] if row else 0, max(0, age))
            )
    return lines


@dataclass(frozen=True)
class WorkerLine:
    host: str
    pid: int
    queues: str
    device: str
    is_busy: bool
    started_at: datetime.datetime
    silent_seconds: float
    is_gone: bool
    is_replaced: bool  # gone, and another was started in its place


def worker_lines() -> list[WorkerLine]:
    now = database_now()
    rows = list(WorkerProcess.objects.all())
    gone = [row for row in rows if (now - row.seen_at).total_seconds() > GONE_SECONDS]
    replaced = _replaced(gone, rows)
    lines = []
    for row in rows:
        silent = max(0.0, (now - row.seen_at).total_seconds())
        lines.append(
            WorkerLine(
                row.host,
                row.pid,
                row.queues,
                row.device,
                row.job_id is not None,
                row.started_at,
                silent,
                row in gone,
                row.pk in replaced,
            )
        )
    return lines


def _replaced(gone: list[WorkerProcess], rows: list[WorkerProcess]) -> set[uuid.UUID]:
    """Those in whose place one of the same host, queues and card was started since, each by one of
    its own: what a supervisor does after a kill, once or again and again."""
    free = {row.pk: row for row in rows}
    found = set()
    # From the one last seen: whoever may stand for it may stand for those before it too.
    for row in sorted(gone, key=lambda row: row.seen_at, reverse=True):
        for other in free.values():
            if _place(other) == _place(row) and other.started_at > row.seen_at:
                found.add(row.pk)
                del free[other.pk]
                break
    return found


def _place(row: WorkerProcess) -> tuple[str, str, str]:
    return row.host, row.queues, row.device


NO_WORKER = "Waiting: no worker for this kind of work is running. Tell whoever runs the server."


def queues_without_worker() -> list[str]:
    """Queues that no living worker serves. One that only runs a job or two (`worker --once`) keeps
    no row of its own: it is known by the lease of the job in its hand."""
    served = {name for line in worker_lines() if not line.is_gone for name in line.queues.split()}
    if not served.issuperset(Job.Queue.values):
        at_work = Job.objects.filter(state=Job.State.RUNNING, lease_until__gt=database_now())
        served.update(at_work.order_by().values_list("queue", flat=True).distinct())
    return [name for name in Job.Queue.values if name not in served]


def why_waiting(job: Job, *, names_work: bool) -> str:
    """Why a job of some study has not begun, for its people; nothing of another study's work.

    `names_work`: for whoever reaches the whole study. Labels name volunteers, perhaps of a site
    that the person who reads this knows nothing of.
    """
    if job.state != Job.State.QUEUED:
        return ""
    if job.queue in queues_without_worker():
        return NO_WORKER
    running = Job.objects.filter(state=Job.State.RUNNING)
    own = running.filter(study_id=job.study_id).exclude(label="").first() if names_work else None
    before = Job.objects.filter(
        state=Job.State.QUEUED, queue=job.queue, created_at__lt=job.created_at
    ).count()
    if own is not None:
        busy = f"the worker is busy with “{own.label}”"
    elif running.exists():
        busy = "the worker is busy with other work"
    else:
        busy = "the worker takes it up in a moment"
    queue = f"; {before} {'jobs come' if before > 1 else 'job comes'} first" if before else ""
    return f"Waiting: {busy}{queue}."
