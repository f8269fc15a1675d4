"""What was sent to a study, as its coordinators see it: a folder of many files is one line."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Max, Min, Q, QuerySet, Sum
from django.utils import timezone

from readerstudy.jobs.models import Job
from readerstudy.jobs.selectors import why_waiting
from readerstudy.studies.access import Reach
from readerstudy.studies.models import Study

from .models import ARCHIVE_NAME, ERASED_NAME, FILE_NAME, Upload, UploadedFile

SHOWN_BATCHES = 50
SHOWN_REFUSALS = 200
NAMED_FILES = 3  # with one reason; more are counted

State = Upload.State
OPEN = (State.RECEIVING, State.QUEUED, State.READING)
NOT_READ = "The files could not be read."


def sent_together(reach: Reach, batch: uuid.UUID | None = None) -> list[dict[str, Any]]:
    """The last batches, newest first, and every one that is not over, however old.

    With `batch`, that one alone, with the uploads that were begun of it.
    """
    uploads = Upload.objects.filter(study=reach.study, **reach.within())
    if batch is not None:
        rows = _groups(uploads.filter(batch=batch))
        shown = list(rows)
    else:
        rows = _groups(uploads)
        shown = list(rows.order_by("-sent")[:SHOWN_BATCHES])
        known = {row["batch"] for row in shown}
        shown += [row for row in rows.filter(open__gt=0) if row["batch"] not in known]
        shown.sort(key=lambda row: row["sent"], reverse=True)
    keys = [row["batch"] for row in shown]
    jobs = _jobs(uploads, keys)
    errors = _errors(uploads, keys)
    files = _files(reach.study, keys)
    sees_all = reach.site is None
    records = [
        _record(row, jobs.get(row["batch"]), errors, files[row["batch"]], names_work=sees_all)
        for row in shown
    ]
    if batch is None:
        numbers = upload_numbers(reach.study)
        for record in records:
            record["number"] = numbers[uuid.UUID(record["batch"])]
    else:
        begun = uploads.filter(batch=batch, state=State.RECEIVING)
        for record in records:
            record["uploads"] = [str(pk) for pk in begun.values_list("pk", flat=True)]
    return records


def upload_numbers(study: Study) -> dict[uuid.UUID, int]:
    """What people call an upload: its number in the study, by when it was begun."""
    batches = Upload.objects.filter(study=study).order_by().values("batch")
    begun = batches.annotate(sent=Min("created_at")).order_by("sent", "batch")
    return {row["batch"]: number for number, row in enumerate(begun, start=1)}


def said_of(upload: Upload, numbers: Mapping[uuid.UUID, int]) -> str:
    """`upload 12, sent 2026-11-21 20:31`: names are forgotten, this tells one from another."""
    return f"upload {numbers[upload.batch]}, sent {minute(upload.created_at)}"


def minute(at: datetime) -> str:
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M}"


def _groups(uploads: QuerySet[Upload]) -> QuerySet[Any, Any]:
    living = ~Q(state=State.CANCELLED)
    return (
        uploads.order_by()
        .values("batch")
        .annotate(
            sent=Min("created_at"),
            all=Count("pk"),
            living=Count("pk", filter=living),
            bytes=Sum("size", filter=living),
            come=Sum("received", filter=living),
            arrived=Count("pk", filter=living & Q(received=F("size"))),
            first_name=Min("name"),
            last_name=Max("name"),
            open=Count("pk", filter=Q(state__in=OPEN)),
            receiving=Count("pk", filter=Q(state=State.RECEIVING)),
            reading=Count("pk", filter=Q(state=State.READING)),
            failed=Count("pk", filter=Q(state=State.FAILED)),
        )
    )


def _jobs(uploads: QuerySet[Upload], batches: Collection[uuid.UUID]) -> dict[uuid.UUID, Job]:
    """The job that reads, or read, each batch."""
    pairs = dict(
        uploads.filter(batch__in=batches, job__isnull=False)
        .order_by()
        .values_list("batch", "job")
        .distinct()
    )
    found = Job.objects.in_bulk(pairs.values())
    return {batch: found[job] for batch, job in pairs.items() if job in found}


def _errors(uploads: QuerySet[Upload], batches: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    with_error = uploads.filter(batch__in=batches).exclude(error="").order_by("-created_at")
    return dict(with_error.values_list("batch", "error"))


@dataclass
class Files:
    """What became of the files of a batch."""

    taken: int = 0
    erased: int = 0  # of those: their volunteer withdrew
    refused: dict[str, list[str]] = field(default_factory=dict)  # names by reason

    @property
    def n_refused(self) -> int:
        return sum(map(len, self.refused.values()))


def _files(study: Study, batches: Collection[uuid.UUID]) -> defaultdict[uuid.UUID, Files]:
    found: defaultdict[uuid.UUID, Files] = defaultdict(Files)
    files = UploadedFile.objects.filter(upload__study=study, upload__batch__in=batches)
    counted = files.filter(accepted=True).order_by().values_list("upload__batch")
    for batch, taken, erased in counted.annotate(
        taken=Count("pk"), erased=Count("pk", filter=Q(name=ERASED_NAME))
    ):
        found[batch].taken, found[batch].erased = taken, erased
    refused = files.filter(accepted=False).order_by("name")
    for batch, name, reason in refused.values_list("upload__batch", "name", "reason"):
        found[batch].refused.setdefault(reason, []).append(name)
    return found


def _record(
    row: dict[str, Any],
    job: Job | None,
    errors: dict[uuid.UUID, str],
    files: Files,
    *,
    names_work: bool,
) -> dict[str, Any]:
    state = _state(row, job)
    read = stored = 1.0 if state == State.DONE else 0.0
    message = errors.get(row["batch"], "")
    if job is not None and state in (State.QUEUED, State.READING):
        read, stored = _stages(job)
        message = job.message or why_waiting(job, names_work=names_work) or state.label
    elif state == State.FAILED:
        message = message or (job.error if job is not None else "") or NOT_READ
    outcome, tone = _outcome(state, files)
    result = job.result if job is not None else {}
    return {
        "batch": str(row["batch"]),
        "name": _name(row),
        "state": str(state),
        "outcome": outcome,
        "tone": tone,
        "files": row["living"],
        "arrived": row["arrived"],
        "size": row["bytes"] or 0,
        "received": row["come"] or 0,
        "read": round(read, 4),
        "stored": round(stored, 4),
        # Series that wait in the inbox.
        "waiting": len(result.get("inbox", [])),
        # Series that do not lie on their control's grid.
        "differs": list(result.get("differs", [])),
        # Paths of the mapping that no file of it lay under.
        "unmatched": list(result.get("unmatched", [])),
        "message": message,
        "accepted": files.taken,
        "erased": files.erased,
        "refused": files.n_refused,
        "refusals": _said(files.refused),
        "created_at": row["sent"].isoformat(),
        "sent": minute(row["sent"]),
    }


def _state(row: dict[str, Any], job: Job | None) -> Upload.State:
    if not row["living"]:
        return State.CANCELLED
    if row["receiving"]:
        return State.RECEIVING
    if row["open"]:
        if job is not None and job.state in (Job.State.FAILED, Job.State.CANCELLED):
            return State.FAILED
        return State.READING if row["reading"] else State.QUEUED
    return State.FAILED if row["failed"] == row["living"] else State.DONE


def _outcome(state: Upload.State, files: Files) -> tuple[str, str]:
    """In a word or two, and how it is coloured."""
    if state == State.DONE:
        if files.taken == files.erased and (files.erased or not files.n_refused):
            return "erased: withdrawn", "mute"  # older ones have no rows left
        if not files.n_refused:
            return "all taken", "ok"
        return ("partly taken", "warn") if files.taken else ("nothing taken", "bad")
    words = {
        State.RECEIVING: "not finished",
        State.QUEUED: "waiting",
        State.READING: "being read",
        State.FAILED: "failed",
        State.CANCELLED: "cancelled",
    }
    return words[state], "bad" if state == State.FAILED else "mute"


def _stages(job: Job) -> tuple[float, float]:
    """What is read and what is stored, 0 to 1: a job counts its files twice, then publishes."""
    files = (job.progress_total - 1) // 2
    if files <= 0:
        return 0.0, 0.0
    return min(job.progress_done / files, 1.0), max(0.0, (job.progress_done - files) / files)


def _name(row: dict[str, Any]) -> str:
    """Names are forgotten once read: how many files it were, and when, tells it from others."""
    first, last, files = row["first_name"], row["last_name"], row["all"]
    forgotten = {first, last} <= {ARCHIVE_NAME, FILE_NAME}
    if files == 1:
        return f"{first}, sent {minute(row['sent'])}" if forgotten else str(first)
    if forgotten:
        return f"{files} files, sent {minute(row['sent'])}"
    folder, between, _rest = first.partition("/")
    shared = between and last.startswith(f"{folder}/")
    return f"{folder}: {files} files" if shared else f"{files} files"


def _said(refused: dict[str, list[str]]) -> list[dict[str, str]]:
    """Refused files; many with one reason are said once."""
    shown = []
    for reason, names in refused.items():
        if names[0] == ERASED_NAME:
            count = f"{len(names)} file{'s' if len(names) > 1 else ''}"
            shown.append({"name": count, "reason": reason})
        elif len(names) > NAMED_FILES:
            shown.append({"name": f"{names[0]} and {len(names) - 1} others", "reason": reason})
        else:
            shown += [{"name": name, "reason": reason} for name in names]
    return shown[:SHOWN_REFUSALS]
