"""Receiving uploads: created, filled piece by piece, cancelled, or handed to the worker."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, F, Q, Sum
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.jobs.models import Job
from readerstudy.jobs.services import do_cancel, do_enqueue
from readerstudy.studies.access import require_reach, require_site
from readerstudy.studies.models import Arm, Site, Study
from readerstudy.studies.services import check_is_draft

from .errors import ImagingError
from .ingest import delete_raw, raw_path
from .mapping import arms_by_name, compile_pattern, read_mapping
from .models import BatchRules, Upload, UploadedFile
from .parsing.archives import shown_name
from .services import check_is_of_site, check_volunteer_code, find_volunteer

PIECE = 256 * 1024  # what a slow line that breaks loses at most
NAME_LENGTH = 255
OVER = (Upload.State.DONE, Upload.State.FAILED)


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class OffsetConflict(Exception):
    """A piece that does not start where the last one ended."""


class UploadBusy(Exception):
    """Another request is writing to the same upload."""


def check_place(
    study: Study,
    actor: User | None,
    *,
    volunteer: str,
    arm: Arm | None,
    site: Site | None = None,
) -> None:
    """What was chosen for files, before any of them is sent."""
    require_site(actor, study, site.pk if site else None)
    check_is_draft(study)
    if site is not None and site.study_id != study.pk:
        raise ImagingError("That is no site of this study.")
    known = find_volunteer(study, volunteer) if volunteer else None
    if known is not None:
        check_is_of_site(known, site)
    if volunteer:
        check_volunteer_code(volunteer)
    if arm is not None and arm.is_derived:
        raise ImagingError(
            f"{arm.name} is a derived arm: the platform makes its images. Choose an acquired arm."
        )


def check_create_uploads(
    study: Study,
    actor: User | None,
    *,
    sizes: Sequence[int],
    batch: uuid.UUID,
    volunteer: str,
    arm: Arm | None,
    site: Site | None = None,
) -> None:
    check_place(study, actor, volunteer=volunteer, arm=arm, site=site)
    if any(size < 0 or size > settings.UPLOAD_MAX_TOTAL_BYTES for size in sizes):
        raise ImagingError(
            f"A file may hold up to {settings.UPLOAD_MAX_TOTAL_BYTES // 1024**3} GB: split it."
        )
    handed_over = Q(state__in=[Upload.State.QUEUED, Upload.State.READING, *OVER])
    receiving = Q(state=Upload.State.RECEIVING)
    sums = Upload.objects.filter(study=study, batch=batch).aggregate(
        over=Count("id", filter=handed_over),
        n=Count("id", filter=receiving),
        b=Sum("size", filter=receiving),
    )
    if sums["over"]:
        raise ImagingError("These files were already handed to the worker: start a new upload.")
    if sums["n"] + len(sizes) > settings.UPLOAD_MAX_FILES:
        raise ImagingError(f"Send up to {settings.UPLOAD_MAX_FILES} files together.")
    if (sums["b"] or 0) + sum(sizes) > settings.UPLOAD_MAX_TOTAL_BYTES:
        raise ImagingError(f"Send up to {settings.UPLOAD_MAX_TOTAL_BYTES // 1024**3} GB together.")


def do_create_upload(
    study: Study,
    actor: User | None,
    *,
    name: str,
    size: int,
    batch: uuid.UUID,
    volunteer: str = "",
    arm: Arm | None = None,
    site: Site | None = None,
    upload_id: uuid.UUID | None = None,
) -> Upload:
    """Make room for a file whose bytes will follow.

    `upload_id`: the sender's own name for it. Asking again under it, because the answer was lost,
    finds the upload that was made the first time: another one, empty for ever, would hold up the
    batch.
    """
    known = None
    if upload_id is not None:
        require_site(actor, study, site.pk if site else None)
        sent = {"study": study, "batch": batch, "created_by": actor, "size": size, "site": site}
        known = _created_before(upload_id, sent)
        if known is None:
            with contextlib.suppress(IntegrityError), transaction.atomic():
                (upload,) = _create_uploads(
                    *(study, actor, [(name, size)], batch, volunteer, arm, site), ids=[upload_id]
                )
                return upload
            known = _created_before(upload_id, sent)  # by a request that came at the same time
    if known is not None and known.state == Upload.State.RECEIVING:
        raw_path(known.pk).touch(mode=0o600)  # where the first request ended before it did
        return known
    # One that was cancelled, or not finished within a day, begins anew under another id.
    (upload,) = do_create_uploads(
        study, actor, [(name, size)], batch=batch, volunteer=volunteer, arm=arm, site=site
    )
    return upload


def _created_before(upload_id: uuid.UUID, sent: dict[str, Any]) -> Upload | None:
    found = Upload.objects.filter(pk=upload_id).first()
    if found is not None and any(getattr(found, name) != value for name, value in sent.items()):
        raise ImagingError("These files were sent otherwise before: choose them again.")
    return found


def do_create_uploads(
    study: Study,
    actor: User | None,
    files: Sequence[tuple[str, int]],
    *,
    batch: uuid.UUID,
    volunteer: str = "",
    arm: Arm | None = None,
    site: Site | None = None,
) -> list[Upload]:
    """Make room for files, by name and size, whose bytes will follow.

    `site`: whose volunteers their images are of; a site coordinator sends for the own site alone.
    """
    return _create_uploads(study, actor, files, batch, volunteer, arm, site)


def _create_uploads(
    study: Study,
    actor: User | None,
    files: Sequence[tuple[str, int]],
    batch: uuid.UUID,
    volunteer: str,
    arm: Arm | None,
    site: Site | None,
    ids: Sequence[uuid.UUID] = (),
) -> list[Upload]:
    """`ids`: one for each file; without, they are drawn."""
    sizes = [size for _name, size in files]
    check_create_uploads(
        study, actor, sizes=sizes, batch=batch, volunteer=volunteer, arm=arm, site=site
    )
    made = []
    for (name, size), pk in zip(files, ids or [uuid.uuid4() for _ in files], strict=True):
        shown = shown_name(name.strip().lstrip("/\\"))[-NAME_LENGTH:]
        if not shown:
            raise ImagingError("The file has no name.")
        made.append(
            Upload(
                id=pk,
                study=study,
                batch=batch,
                site=site,
                created_by=actor,
                name=shown,
                size=size,
                volunteer_code=volunteer,
                arm=arm,
            )
        )
    Upload.objects.bulk_create(made, batch_size=500)
    raw_path(made[0].pk).parent.mkdir(parents=True, exist_ok=True)
    for upload in made:
        raw_path(upload.pk).touch(mode=0o600)
    return made


@transaction.atomic
def do_set_batch_rules(
    study: Study,
    actor: User | None,
    batch: uuid.UUID,
    *,
    mapping: str = "",
    pattern: str = "",
    mapping_name: str = "",
) -> int:
    """Say how the files of a batch find their places, before it is handed to the worker.

    `mapping` is the text of the CSV file `mapping_name`, `pattern` a path with {volunteer} and
    {arm}. Returns the number of lines. Raises ImagingError naming file and line that are wrong.
    """
    reach = require_reach(actor, study)
    check_is_draft(study)
    if mapping and pattern:
        raise ImagingError("Give a mapping file or a pattern, not both.")
    if not mapping and not pattern:
        raise ImagingError("Give a mapping file or a pattern.")
    name = shown_name(mapping_name)[:100] or "the mapping file"
    rows = read_mapping(mapping, study, name) if mapping else []
    if pattern:
        compile_pattern(pattern, arms_by_name(study))
    of_batch = Upload.objects.filter(batch=batch)
    if of_batch.exclude(study=study, **reach.within()).exists() or (
        BatchRules.objects.filter(batch=batch).exclude(study=study).exists()
    ):
        raise ImagingError("These files belong to another study or site.")
    taken = Upload.objects.filter(study=study, batch=batch).exclude(
        state__in=[Upload.State.RECEIVING, Upload.State.CANCELLED]
    )
    if taken.exists():
        raise ImagingError("These files were already handed to the worker: start a new upload.")
    BatchRules.objects.update_or_create(
        study=study,
        batch=batch,
        defaults={
            "mapping": [[row.path, row.volunteer, row.arm] for row in rows],
            "pattern": pattern,
        },
    )
    return len(rows)


def do_receive(upload: Upload, offset: int, stream: Readable) -> int:
    """Append a piece; returns how many bytes are there now.

    The caller has authorised the act. A connection that breaks keeps what had arrived, so that the
    browser goes on from there. Raises OffsetConflict, UploadBusy, ImagingError, or OSError where
    the disk is full.
    """
    with _exclusive(upload.pk) as descriptor:
        upload.refresh_from_db()
        if upload.state != Upload.State.RECEIVING:
            raise ImagingError("This upload no longer takes bytes.")
        if offset != upload.received:
            raise OffsetConflict
        # Bytes that a killed request had written but not noted are written again.
        os.ftruncate(descriptor, offset)
        os.lseek(descriptor, offset, os.SEEK_SET)
        received = offset
        try:
            while received < upload.size:
                piece = stream.read(min(PIECE, upload.size - received))
                if not piece:
                    break
                _write(descriptor, piece)
                received += len(piece)
        finally:
            Upload.objects.filter(pk=upload.pk).update(received=received, updated_at=timezone.now())
    return received


def _write(descriptor: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]


@contextlib.contextmanager
def _exclusive(upload_id: uuid.UUID) -> Iterator[int]:
    """The file of an upload, locked against other processes of this storage."""
    try:
        descriptor = os.open(raw_path(upload_id), os.O_RDWR)
    except FileNotFoundError:
        raise ImagingError("This upload was cancelled: start again.") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UploadBusy from None
        yield descriptor
    finally:
        os.close(descriptor)


def do_cancel_upload(upload: Upload, actor: User | None) -> None:
    """Stop an upload that is not read yet and delete what had arrived.

    Files that wait together are one piece of work: cancelling one that the worker has not begun
    leaves the others.
    """
    require_site(actor, upload.study, upload.site_id)
    with transaction.atomic():
        # The upload alone is locked: PostgreSQL cannot lock the side of a join that may be empty.
        upload = (
            Upload.objects.select_for_update(of=("self",)).select_related("job").get(pk=upload.pk)
        )
        if upload.state not in (Upload.State.RECEIVING, Upload.State.QUEUED):
            raise ImagingError("This upload is being read or is over: it cannot be cancelled.")
        Upload.objects.filter(pk=upload.pk).update(state=Upload.State.CANCELLED)
        record(
            "imaging.upload.cancelled",
            actor,
            study_id=upload.study_id,
            subject=upload,
            new={"received": upload.received, "size": upload.size},
        )
        left = Upload.objects.filter(
            study=upload.study, batch=upload.batch, state=Upload.State.QUEUED
        )
        if upload.job is not None and not left.exists():
            do_cancel(upload.job, actor=actor, why="upload cancelled")
    delete_raw(upload.pk)


@transaction.atomic
def do_finish_batch(study: Study, batch: uuid.UUID, actor: User | None) -> Job:
    """Hand the files sent together to the worker, as one job. Asking twice makes one job."""
    check_is_draft(study)
    uploads = list(
        Upload.objects.select_for_update()
        .filter(study=study, batch=batch)
        .exclude(state=Upload.State.CANCELLED)
    )
    for site_id in {upload.site_id for upload in uploads} or {None}:
        require_site(actor, study, site_id)
    if not uploads:
        raise ImagingError("Nothing was sent.")
    for upload in uploads:
        if upload.job_id is not None:
            return Job.objects.get(pk=upload.job_id)
    missing = [upload for upload in uploads if upload.received != upload.size]
    if missing:
        raise ImagingError(
            f"{len(missing)} of {len(uploads)} files have not fully arrived, "
            f"{missing[0].name} among them. Wait for them, or cancel them."
        )
    count = len(uploads)
    job = do_enqueue(
        "imaging.ingest",
        {"study": str(study.pk), "batch": str(batch)},
        actor=actor,
        study_id=study.pk,
        label=f"Reading {count} uploaded file{'s' if count != 1 else ''}",
    )
    Upload.objects.filter(pk__in=[upload.pk for upload in uploads]).update(
        state=Upload.State.QUEUED, job=job
    )
    record(
        "imaging.upload.finished",
        actor,
        study_id=study.pk,
        subject=job,
        new={"files": count, "bytes": sum(upload.size for upload in uploads)},
    )
    return job


def do_take_files(
    study: Study,
    paths: list[tuple[str, Path]],
    actor: User | None,
    *,
    volunteer: str = "",
    arm: Arm | None = None,
    site: Site | None = None,
    mapping: str = "",
    mapping_name: str = "",
    pattern: str = "",
    left_out: Sequence[tuple[str, str]] = (),
    ids: Sequence[uuid.UUID] = (),
) -> Job:
    """Files on this machine, by the same way as a browser's; they are copied, not moved.

    `left_out`: names and reasons of what is not sent along, for the history. `ids`: what the
    uploads are called, one for each path; without, they are drawn. Where one cannot be taken (a
    full disk, too many), none is.
    """
    batch = uuid.uuid4()
    if mapping or pattern:
        do_set_batch_rules(
            study, actor, batch, mapping=mapping, pattern=pattern, mapping_name=mapping_name
        )
    try:
        named = [(name, path.stat().st_size) for name, path in paths]
        uploads = _create_uploads(study, actor, named, batch, volunteer, arm, site, ids)
        for upload, (_name, path) in zip(uploads, paths, strict=True):
            shutil.copyfile(path, raw_path(upload.pk))
        Upload.objects.filter(study=study, batch=batch).update(
            received=F("size"), updated_at=timezone.now()
        )
        with transaction.atomic():
            UploadedFile.objects.bulk_create(
                UploadedFile(upload=uploads[0], name=name, accepted=False, reason=reason)
                for name, reason in left_out
            )
            return do_finish_batch(study, batch, actor)
    except BaseException:
        do_drop_batch(study, batch)
        raise


def do_drop_batch(study: Study, batch: uuid.UUID) -> None:
    """Take back a batch that was not handed to the worker, bytes included."""
    with transaction.atomic():
        uploads = list(
            Upload.objects.filter(study=study, batch=batch, state=Upload.State.RECEIVING)
        )
        Upload.objects.filter(pk__in=[u.pk for u in uploads]).update(state=Upload.State.CANCELLED)
        BatchRules.objects.filter(study=study, batch=batch).delete()
    for upload in uploads:
        delete_raw(upload.pk)
