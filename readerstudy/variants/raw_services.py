"""What is done to raw data: kept, listed, deleted. Each act validates, writes and audits."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.files.storage import default_storage
from django.db import transaction
from pydicom.uid import generate_uid

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.imaging.errors import ImagingError
from readerstudy.imaging.models import Series, Upload, Volunteer
from readerstudy.imaging.readings import Readings, having_read
from readerstudy.imaging.refreshing import refresh_display, want_refresh
from readerstudy.imaging.services import delete_series_row
from readerstudy.imaging.volumes import delete_after_commit
from readerstudy.jobs.locks import hold_open_jobs
from readerstudy.jobs.services import do_cancel
from readerstudy.studies.access import require_role
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Arm, Role, Study
from readerstudy.studies.services import check_is_draft, lock_study

from .models import RawData, Variant

if TYPE_CHECKING:
    from denoise_engine.rawdata import RawData as Samples

COPIED = 1024**2


def do_keep_raw(
    study: Study,
    volunteer: Volunteer,
    arm: Arm,
    actor: User | None,
    *,
    raw_id: uuid.UUID,
    prefix: str,
    sha256: str,
    description: dict[str, Any],
    upload: Upload | None = None,
) -> RawData:
    """Make the row of stored raw data, and have their images made.

    Inside a transaction that holds the study's row; the caller has authorised the act.
    Raises ImagingError.
    """
    # Services ask for each other: raw data for their images, images for what they were made from.
    from .services import request_from_raw

    if arm.is_derived:
        raise ImagingError(f"{arm.name} is a derived arm: the platform makes its images.")
    if RawData.objects.filter(volunteer=volunteer, arm=arm).exists():
        raise ImagingError(
            f"{arm.name} of {volunteer.code} already has raw data: these are a second set. Delete "
            "the stored ones first if these are to take their place."
        )
    raw = RawData.objects.create(
        id=raw_id,
        volunteer=volunteer,
        arm=arm,
        upload=upload,
        prefix=prefix,
        sha256=sha256,
        description=description,
        study_uid=generate_uid(prefix=None),
        frame_uid=generate_uid(prefix=None),
    )
    record(
        "variants.raw.stored",
        actor,
        study_id=study.pk,
        subject=raw,
        new={
            "volunteer": volunteer.code,
            "arm": arm.code,
            "kspace_sha256": sha256,
            **{key: description[key] for key in ("planes", "coils", "acceleration")},
        },
    )
    request_from_raw(raw, study, actor)
    return raw


def check_delete_raw(raw: RawData, actor: User | None) -> None:
    require_role(actor, raw.volunteer.study, Role.COORDINATOR)
    check_is_draft(raw.volunteer.study)


def do_delete_raw(raw: RawData, actor: User | None) -> None:
    """Delete raw data of a draft, with every series that was made from them."""
    having_read(partial(_delete_raw, raw, actor))


def _delete_raw(raw: RawData, actor: User | None, readings: Readings) -> None:
    prefixes: list[str] = []
    with transaction.atomic():
        study = lock_study(raw.volunteer.study)
        hold_open_jobs(study.pk)
        found = RawData.objects.filter(pk=raw.pk).select_related("volunteer__study", "arm").first()
        if found is None:
            raise StudyError("These raw data were deleted meanwhile.")
        found.volunteer.study = study
        check_delete_raw(found, actor)
        if not found.arm.is_control:  # without one, nothing can be shown
            want_refresh(found.volunteer, readings)
            readings.demand()
        delete_raw_row(found, actor, prefixes)
        refresh_display(Volunteer.objects.get(pk=found.volunteer_id), readings)
        delete_after_commit(prefixes)


def delete_raw_row(raw: RawData, actor: User | None, prefixes: list[str], why: str = "") -> None:
    """Delete the row, the series made from it and the jobs that would read it.

    Files are the caller's to delete once the transaction has committed.
    """
    for variant in Variant.objects.filter(raw=raw).select_related("job"):
        if variant.job is not None:
            do_cancel(variant.job, actor=actor, why=why or "raw data deleted")
    made = Series.objects.filter(variant__raw=raw).select_related("volunteer", "arm")
    # Those made first take what was derived from them along.
    for series in made.order_by("arm__kind", "arm__position"):
        if Series.objects.filter(pk=series.pk).exists():
            delete_series_row(series, actor, prefixes, why=why or "raw data deleted")
    forget_raw(raw, actor, prefixes, why)


def forget_raw(raw: RawData, actor: User | None, prefixes: list[str], why: str = "") -> None:
    """Delete the row of raw data whose series are gone, or are going."""
    if not RawData.objects.filter(pk=raw.pk).exists():
        return
    record(
        "variants.raw.deleted",
        actor,
        study_id=raw.volunteer.study_id,
        subject=raw,
        old={
            "volunteer": raw.volunteer.code,
            "arm": raw.arm.code,
            "kspace_sha256": raw.sha256,
        },
        why=why,
    )
    prefixes.append(raw.prefix)
    Variant.objects.filter(raw=raw).delete()
    raw.delete()


def delete_raw_of(volunteer: Volunteer, actor: User | None, prefixes: list[str], why: str) -> None:
    """Everything raw of one volunteer, for whoever erases the volunteer."""
    for raw in RawData.objects.filter(volunteer=volunteer).select_related("volunteer", "arm"):
        delete_raw_row(raw, actor, prefixes, why)


@contextmanager
def samples_of(raw: RawData) -> Iterator[Samples]:
    """The samples, mapped from storage where that is a local folder, else fetched for a while."""
    from denoise_engine.rawdata import load_raw

    try:
        local: Path | None = Path(default_storage.path(raw.prefix))
    except NotImplementedError:  # an object store: no folder of this host
        local = None
    if local is not None:
        yield load_raw(local)
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in default_storage.listdir(raw.prefix)[1]:
            with (
                default_storage.open(f"{raw.prefix}/{name}") as source,
                Path(folder, name).open("wb") as target,
            ):
                while block := source.read(COPIED):
                    target.write(block)
        yield load_raw(Path(folder))


def find_raw(study: Study, raw_id: uuid.UUID) -> RawData | None:
    return (
        RawData.objects.filter(pk=raw_id, volunteer__study=study)
        .select_related("volunteer__study", "arm")
        .first()
    )
