"""Sending files the way a browser does, and having them read."""

from __future__ import annotations

import io
import uuid
import zipfile
from collections.abc import Mapping

from readerstudy.imaging.models import UploadedFile
from readerstudy.imaging.uploads import do_create_upload, do_finish_batch, do_receive
from readerstudy.jobs.models import Job
from readerstudy.jobs.worker import run_pending
from readerstudy.studies.models import Arm, Site, Study


def zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def send(
    study: Study,
    files: Mapping[str, bytes],
    *,
    volunteer: str = "",
    arm: Arm | None = None,
    site: Site | None = None,
    run: bool = True,
) -> Job:
    """One batch; read at once unless `run` is false."""
    batch = uuid.uuid4()
    for name, content in files.items():
        upload = do_create_upload(
            *(study, None),
            name=name,
            size=len(content),
            batch=batch,
            volunteer=volunteer,
            arm=arm,
            site=site,
        )
        do_receive(upload, 0, io.BytesIO(content))
    job = do_finish_batch(study, batch, None)
    if run:
        run_pending("cpu")
        job.refresh_from_db()
    return job


def send_zip(study: Study, files: Mapping[str, bytes], **options: object) -> Job:
    return send(study, {"images.zip": zipped(files)}, **options)  # type: ignore[arg-type]


def refusals(study: Study) -> dict[str, str]:
    return dict(
        UploadedFile.objects.filter(upload__study=study, accepted=False).values_list(
            "name", "reason"
        )
    )
