"""What is left over is deleted: abandoned uploads, bytes already read, outputs of lost attempts.

Safe to run at any time and on several workers at once.
"""

from __future__ import annotations

import random
import shutil
import time
import uuid
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from pathlib import Path

from django.core.files.storage import default_storage, storages
from django.db import transaction
from django.utils import timezone

from readerstudy.audit.services import record
from readerstudy.jobs.models import Job
from readerstudy.studies.services import lock_study

from .ingest import delete_raw
from .models import (
    ARCHIVE_NAME,
    FILE_NAME,
    BatchRules,
    InboxSeries,
    Series,
    Upload,
    UploadedFile,
    Volunteer,
)
from .publishing import mark_failed
from .readings import Readings, having_read
from .refreshing import keep_presets
from .volumes import delete_files

ABANDONED_AFTER = timedelta(hours=23)  # with the pauses of housekeeping, within a day
LOST_AFTER = timedelta(hours=1)
NAMES_KEPT = timedelta(days=30)
PRESETS_SECONDS = 10.0
LOOK_SECONDS = 10.0
FORGOTTEN = "Refused; name and reason were deleted after 30 days."
OVER = {Upload.State.DONE, Upload.State.FAILED, Upload.State.CANCELLED}


def tidy() -> int:
    """The number of things deleted or closed."""
    return (
        _close_uploads()
        + _free_inbox()
        + _delete_bytes()
        + delete_lost_outputs("series", Series.objects.values_list("prefix", flat=True))
        + delete_lost_outputs("inbox", InboxSeries.objects.values_list("prefix", flat=True))
        + _forget_names()
        + _keep_presets()
    )


def _close_uploads() -> int:
    before = timezone.now() - ABANDONED_AFTER
    closed = 0
    for upload in Upload.objects.filter(state=Upload.State.RECEIVING, updated_at__lt=before):
        with transaction.atomic():
            expired = Upload.objects.filter(
                pk=upload.pk, state=Upload.State.RECEIVING, updated_at__lt=before
            ).update(
                state=Upload.State.CANCELLED,
                error="The upload was not finished within a day; what had arrived was deleted.",
            )
            if expired:
                record("imaging.upload.expired", None, study_id=upload.study_id, subject=upload)
        if expired:
            delete_raw(upload.pk)
        closed += expired
    waiting = [Upload.State.QUEUED, Upload.State.READING]
    ended = [Job.State.FAILED, Job.State.CANCELLED]
    for upload in Upload.objects.filter(state__in=waiting, job__state__in=ended).select_related(
        "job"
    ):
        reason = upload.job.error if upload.job else ""
        closed += mark_failed(upload, reason or "The upload could not be read.")
        delete_raw(upload.pk)
    old = BatchRules.objects.filter(created_at__lt=timezone.now() - 2 * ABANDONED_AFTER)
    living = Upload.objects.exclude(state__in=OVER).values("batch")
    return closed + old.exclude(batch__in=living).delete()[0]


def _free_inbox() -> int:
    """Series whose assignment came to nothing wait again."""
    return InboxSeries.objects.filter(
        state=InboxSeries.State.ASSIGNING,
        job__state__in=[Job.State.FAILED, Job.State.CANCELLED],
    ).update(
        state=InboxSeries.State.WAITING,
        job=None,
        problem="Storing was broken off: assign the series again.",
    )


def _delete_bytes() -> int:
    """Raw bytes of uploads that are over or unknown, and scratch folders of lost attempts."""
    root = Path(storages["uploads"].path(""))
    deleted = 0
    if not root.is_dir():
        return 0
    old = time.time() - ABANDONED_AFTER.total_seconds()
    for entry in root.iterdir():
        is_old = entry.stat().st_mtime < old
        if entry.is_dir() and entry.name.startswith("scratch-"):
            token = entry.name.removeprefix("scratch-")
            if token not in _running_tokens():
                shutil.rmtree(entry, ignore_errors=True)
                deleted += 1
        elif entry.suffix == ".part":
            known = _uuid(entry.stem)
            upload = Upload.objects.filter(pk=known).first() if known else None
            if (upload is None and is_old) or (upload is not None and upload.state in OVER):
                entry.unlink(missing_ok=True)
                deleted += 1
    return deleted


def _forget_names() -> int:
    """Names of files that were refused or not read: whoever sent them has seen them by then.

    A reason may name a file too and goes with it.
    """
    before = timezone.now() - NAMES_KEPT
    files = UploadedFile.objects.filter(
        upload__created_at__lt=before, upload__state__in=OVER, accepted=False
    ).exclude(name=FILE_NAME)
    uploads = Upload.objects.filter(created_at__lt=before, state__in=OVER).exclude(
        name__in=[FILE_NAME, ARCHIVE_NAME]
    )
    return files.update(name=FILE_NAME, reason=FORGOTTEN) + uploads.update(name=FILE_NAME)


def _keep_presets() -> int:
    """Windows to choose from, of volunteers whose images were stored before these were kept with
    them: a reading page that works them out reads the control, and nothing of the other arms."""
    lacking = Volunteer.objects.filter(display__has_key="scale")
    lacking = lacking.exclude(display__has_key="presets")
    kept = 0
    until = time.monotonic() + PRESETS_SECONDS
    for volunteer in lacking.select_related("study"):
        try:
            kept += having_read(partial(_keep_presets_of, volunteer))
        except FileNotFoundError:  # images that are gone keep nobody else's waiting
            continue
        except OSError:  # storage is away: it would be waited for once for each
            break
        if time.monotonic() > until:  # the rest at the next time: other housekeeping waits
            break
    return kept


def _keep_presets_of(volunteer: Volunteer, readings: Readings) -> int:
    with transaction.atomic():
        lock_study(volunteer.study)
        found = Volunteer.objects.filter(pk=volunteer.pk).first()
        return int(found is not None and keep_presets(found, readings))


def delete_lost_outputs(root: str, prefixes: Iterable[str]) -> int:
    """Outputs that no row names: of attempts that were killed, and what could not be deleted.

    What one attempt wrote lies under ROOT/STUDY/TOKEN, each series in a folder of its own there:
    one may be gone while its neighbours are read. Folders are listed first, then running jobs, then
    published series: whatever publishes in between is seen in one of the two.
    """
    if not default_storage.exists(root):
        return 0
    found = [
        (study, token)
        for study in default_storage.listdir(root)[0]
        for token in default_storage.listdir(f"{root}/{study}")[0]
    ]
    running = _running_tokens()
    named = {"/".join(prefix.split("/")[:4]) for prefix in prefixes}
    within = {"/".join(prefix.split("/")[:3]) for prefix in named}
    attempts = [f"{root}/{study}/{token}" for study, token in found if token not in running]
    deleted = sum(_delete_if_old(attempt) for attempt in attempts if attempt not in named | within)
    shared = [attempt for attempt in attempts if attempt in within - named]
    # A large study has thousands, each a request to an object store, and other housekeeping waits:
    # some at a time, others the next time.
    random.shuffle(shared)
    until = time.monotonic() + LOOK_SECONDS
    for attempt in shared:
        if time.monotonic() > until:
            break
        lost = {f"{attempt}/{name}" for name in _folders(attempt)} - named
        deleted += sum(_delete_if_old(prefix) for prefix in lost)
    return deleted


def _folders(attempt: str) -> list[str]:
    try:
        return default_storage.listdir(attempt)[0]
    except FileNotFoundError:  # its last series was deleted since
        return []


def _delete_if_old(prefix: str) -> bool:
    try:
        if not _is_old(prefix):
            return False
        delete_files(prefix)
    except FileNotFoundError:  # another worker is deleting it too
        return False
    return True


def _running_tokens() -> set[str]:
    running = Job.objects.filter(state=Job.State.RUNNING)
    return {str(token) for token in running.values_list("token", flat=True)}


def _is_old(prefix: str) -> bool:
    """Written more than an hour ago: images that a command stores have no job to speak for them."""
    folders, files = default_storage.listdir(prefix)
    before = timezone.now() - LOST_AFTER
    if any(default_storage.get_modified_time(f"{prefix}/{name}") > before for name in files):
        return False
    return all(_is_old(f"{prefix}/{name}") for name in folders)


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
