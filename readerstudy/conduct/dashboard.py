"""How the reading goes on: progress and pace of readers, jobs, workers, storage. Never a score."""

from __future__ import annotations

import datetime
import itertools
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from django.conf import settings
from django.core.cache import cache
from django.db.models import Count
from django.utils import timezone

from readerstudy.audit.models import Event
from readerstudy.imaging.stored_size import stored_bytes
from readerstudy.jobs.leases import database_now
from readerstudy.jobs.models import Job
from readerstudy.jobs.selectors import queues_without_worker, worker_lines
from readerstudy.reading.models import Item, Session
from readerstudy.studies.models import Study

from .selectors import ReaderLine, reader_lines

# Longer between two items: the reader did something else.
LONGEST_GAP = datetime.timedelta(minutes=30)
SHORTEST_GAP = datetime.timedelta(seconds=1)  # items closed together by a withdrawal
LEAST_GAPS = 2
STORED_COUNTED_EVERY = 120  # seconds
STORED_KNOWN_FOR = 86_400
MAILED = "conduct.reader.mailed"


@dataclass(frozen=True)
class PacedReader:
    line: ReaderLine
    minutes_an_item: float | None = None
    minutes_left: float | None = None
    expected_end: datetime.date | None = None
    last_mail: datetime.datetime | None = None

    @property
    def time_left(self) -> str:
        if self.minutes_left is None:
            return ""
        hours, minutes = divmod(round(self.minutes_left), 60)
        return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


@dataclass(frozen=True)
class Worker:
    name: str
    seen_seconds_ago: int


@dataclass(frozen=True)
class Disk:
    """The one that images lie on."""

    free: int
    total: int

    @property
    def free_percent(self) -> int:
        return round(100 * self.free / self.total) if self.total else 0


@dataclass(frozen=True)
class Dashboard:
    readers: Sequence[PacedReader]
    expected_end: datetime.date | None
    jobs: Sequence[tuple[str, int]]
    failed_jobs: Sequence[Job]
    workers: Sequence[Worker]
    waiting_without_worker: bool
    disk: Disk | None  # none: images lie in an object store, which says nothing of its room
    storage_study: int | None  # None: storage did not say

    @property
    def is_all_read(self) -> bool:
        """Then alone is locking the next thing to do: it ends the study."""
        return bool(self.readers) and all(reader.line.is_done for reader in self.readers)


def dashboard(study: Study) -> Dashboard:
    readers = paced_readers(study)
    open_ends = [r.expected_end for r in readers if not r.line.is_done]
    known = [end for end in open_ends if end is not None]
    counts = dict(
        Job.objects.filter(study_id=study.pk)
        .values_list("state")
        .annotate(n=Count("pk"))
        .order_by()
    )
    workers = workers_seen()
    return Dashboard(
        readers=readers,
        # Only when every reader who is not done has a pace: the slowest one decides.
        expected_end=max(known) if known and len(known) == len(open_ends) else None,
        jobs=[(state.label, counts[state.value]) for state in Job.State if state.value in counts],
        failed_jobs=list(
            Job.objects.filter(study_id=study.pk, state=Job.State.FAILED).order_by("-created_at")[
                :5
            ]
        ),
        workers=workers,
        waiting_without_worker=_waits_without_worker(study, counts),
        disk=_disk(),
        storage_study=_study_bytes(study),
    )


# --- Readers --------------------------------------------------------------------------------------


def paced_readers(study: Study) -> list[PacedReader]:
    submitted: dict[tuple[str, int], list[datetime.datetime]] = {}
    rows = (
        Item.objects.filter(session__study=study, submitted_at__isnull=False)
        .exclude(purpose=Item.Purpose.PRACTICE)
        .order_by("submitted_at")
        .values_list("session__reader_code", "session__occasion", "submitted_at")
    )
    for code, occasion, at in rows:
        if at is not None:
            submitted.setdefault((code, occasion), []).append(at)
    mails = _last_mails(study)
    now = timezone.now()
    return [
        replace(
            _paced(line, submitted.get((line.reader_code, line.occasion), []), now),
            last_mail=mails.get((line.reader_code, line.occasion)),
        )
        for line in reader_lines(study)
    ]


def _paced(
    line: ReaderLine, times: Sequence[datetime.datetime], now: datetime.datetime
) -> PacedReader:
    if line.is_imported:
        return PacedReader(line)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    reading = [gap for gap in gaps if SHORTEST_GAP <= gap <= LONGEST_GAP]
    if len(reading) < LEAST_GAPS:
        return PacedReader(line)
    minutes = statistics.median(gap.total_seconds() for gap in reading) / 60
    left = line.total - line.submitted
    return PacedReader(
        line,
        minutes_an_item=minutes,
        minutes_left=minutes * left,
        expected_end=_expected_end(times, left, minutes, now) if left else None,
    )


def _expected_end(
    times: Sequence[datetime.datetime], left: int, minutes: float, now: datetime.datetime
) -> datetime.date:
    """As many items a day as so far; somebody who began today goes on at the pace of today."""
    elapsed = now - times[0]
    a_day = len(times) / max(elapsed / datetime.timedelta(days=1), 1.0)
    days = left / a_day if elapsed >= datetime.timedelta(days=1) else minutes * left / (60 * 24)
    end = now + datetime.timedelta(days=min(days, 3650))
    return timezone.localtime(end).date()


def _last_mails(study: Study) -> dict[tuple[str, int], datetime.datetime]:
    found: dict[tuple[str, int], datetime.datetime] = {}
    for event in Event.objects.filter(study_id=study.pk, action=MAILED).order_by("sequence"):
        said = event.new or {}
        found[str(said.get("reader")), int(said.get("occasion", 1))] = event.at
    return found


# --- Workers and storage --------------------------------------------------------------------------


def workers_seen() -> list[Worker]:
    """Workers that live, by the row that each keeps fresh, whatever else it waits for; and those
    that only run a job or two and keep none, known by the job's lease."""
    seen = [
        Worker(f"{line.host} {line.pid}", round(line.silent_seconds))
        for line in worker_lines()
        if not line.is_gone
    ]
    busy = Job.objects.filter(state=Job.State.RUNNING, lease_until__gt=database_now()).count()
    return seen or [Worker(f"working on a job ({n + 1})", 0) for n in range(busy)]


def _waits_without_worker(study: Study, counts: Mapping[str, int]) -> bool:
    """Whether a job waits that no worker takes up: one for gpu beside a worker for cpu, too."""
    if not counts.get(Job.State.QUEUED):
        return False
    waiting = Job.objects.filter(study_id=study.pk, state=Job.State.QUEUED)
    return waiting.filter(queue__in=queues_without_worker()).exists()


def _disk() -> Disk | None:
    if settings.S3_BUCKET:
        return None
    try:
        usage = shutil.disk_usage(settings.MEDIA_ROOT)
    except OSError:  # not there until the first image is
        return None
    return Disk(usage.free, usage.total)


def _study_bytes(study: Study) -> int | None:
    """Everything it stores. The page asks every few seconds, so it is counted now and then.

    Storage that is slow or away takes this figure from the page, and nothing else: the last one
    known stands for it.
    """
    key = f"conduct.stored_at.{study.pk}"  # "conduct.stored" held a number, and may still
    known: dict[str, int] | None = cache.get(key)
    if known is not None and time.time() - known["at"] < STORED_COUNTED_EVERY:
        return known["bytes"]
    try:
        counted = stored_bytes(study)
    except OSError:
        return known["bytes"] if known is not None else None
    cache.set(key, {"at": int(time.time()), "bytes": counted}, timeout=STORED_KNOWN_FOR)
    return counted


def open_sessions(study: Study) -> list[Session]:
    """Sessions of people who have items left, in the order of their codes."""
    sessions = (
        Session.objects.filter(study=study, is_imported=False, reader__isnull=False)
        .filter(items__submitted_at=None)
        .distinct()
        .select_related("reader")
    )
    return sorted(sessions, key=lambda s: (len(s.reader_code), s.reader_code, s.occasion))
