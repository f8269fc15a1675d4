"""What other rooms ask of the images."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
from django.db.models import Count, Min, Q, QuerySet
from django.utils import timezone

from readerstudy.jobs.models import Job
from readerstudy.studies.access import Reach
from readerstudy.studies.models import Arm, Study

from .display import presets_of_control, to_display
from .geometry import Geometry, differences
from .models import ARCHIVE_NAME, FILE_NAME, Series, Upload, UploadedFile, Volunteer
from .volumes import read_volume


def get_series(volunteer: Volunteer, arm: Arm) -> Series | None:
    """The series of one cell of the grid volunteer × arm, if it is there."""
    return (
        Series.objects.select_related("volunteer", "arm")
        .filter(volunteer=volunteer, arm=arm)
        .first()
    )


def control_series(volunteer: Volunteer) -> Series | None:
    return (
        Series.objects.select_related("volunteer", "arm")
        .filter(volunteer=volunteer, arm__is_control=True)
        .first()
    )


def load_volume(series: Series) -> np.ndarray:
    """float32 [slices, rows, columns], rescaled, in anatomical order; memory-mapped where local."""
    return read_volume(series)


def geometry_of(series: Series) -> Geometry:
    return Geometry.from_json(series.rows, series.columns, series.slices, series.geometry)


def off_the_control(series: Series) -> list[str]:
    """In what a series does not lie on the grid of its volunteer's control; empty if it does, or
    while there is no control."""
    control = control_series(series.volunteer)
    return differences(geometry_of(control), geometry_of(series)) if control is not None else []


def on_the_controls_grid(volunteer: Volunteer) -> list[Series]:
    """The series that lie as the control does, itself among them; none without a control."""
    control = control_series(volunteer)
    if control is None:
        return []
    grid = geometry_of(control)
    found = Series.objects.filter(volunteer=volunteer).select_related("arm")
    return [series for series in found if not differences(grid, geometry_of(series))]


def display_slice(series: Series, index: int) -> bytes:
    """One slice as rows * columns little-endian uint16 in the volunteer's display convention.

    Raises IndexError for a slice that is not there.
    """
    if not 0 <= index < series.slices:
        raise IndexError(f"Slice {index} of {series.slices}.")
    return shown_values(series, load_volume(series)[index]).tobytes()


def shown_values(series: Series, values: np.ndarray) -> np.ndarray:
    """Stored values of a series as uint16 in its volunteer's display convention."""
    scale, offset = _scale_and_offset(series.volunteer)
    return to_display(values, series.display_factor, scale, offset)


def display_window(volunteer: Volunteer) -> dict[str, float]:
    """The first window, in display units, from the control alone."""
    display = _display(volunteer)
    return {"center": float(display["center"]), "width": float(display["width"])}


def display_presets(volunteer: Volunteer) -> list[dict[str, Any]]:
    """Windows to choose from, in display units, the first one included: from the control alone."""
    series = control_series(volunteer)
    if series is None:
        raise LookupError(f"{volunteer.code} has no control series.")
    first = display_window(volunteer)
    others = _presets_of(str(series.pk), series.volume_sha256, *_scale_and_offset(volunteer))
    return [{"code": "initial", "name": "Initial", **first}, *others]


@lru_cache(maxsize=512)
def _presets_of(
    series_id: str, _sha256: str, scale: float, offset: float
) -> tuple[dict[str, Any], ...]:
    """Kept by series and content: a volume is read once for them, not at every item."""
    volume = load_volume(Series.objects.get(pk=series_id))
    return tuple(presets_of_control(volume, scale, offset))


def display_geometry(volunteer: Volunteer) -> dict[str, Any]:
    """The grid that all arms of a volunteer share, without a trace of where it came from."""
    series = control_series(volunteer)
    if series is None:
        raise LookupError(f"{volunteer.code} has no control series.")
    stored = series.geometry
    return {
        "rows": series.rows,
        "columns": series.columns,
        "slices": series.slices,
        "row_spacing": stored["row_spacing"],
        "column_spacing": stored["column_spacing"],
        "slice_spacing": stored["slice_spacing"],
        "row_direction": stored["row_direction"],
        "column_direction": stored["column_direction"],
        # Slices are stored in anatomical order, which may run against the normal of the plane.
        "slice_direction": stored["slice_direction"],
        "origin": stored["origin"],
    }


def _display(volunteer: Volunteer) -> dict[str, Any]:
    display: dict[str, Any] = volunteer.display
    if "scale" not in display:
        raise LookupError(f"{volunteer.code} has no control series.")
    return display


def _scale_and_offset(volunteer: Volunteer) -> tuple[float, float]:
    display = _display(volunteer)
    return float(display["scale"]), float(display.get("offset", 0.0))


# --- The upload page ------------------------------------------------------------------------------

SHOWN_UPLOADS = 100
SHOWN_BATCHES = 50
SHOWN_REFUSALS = 200


def acquired_arms(study: Study) -> list[Arm]:
    return [arm for arm in study.arms.all() if not arm.is_derived]


def volunteer_codes(reach: Reach) -> list[str]:
    found = Volunteer.objects.filter(study=reach.study, **reach.within())
    return list(found.values_list("code", flat=True))


@dataclass(frozen=True)
class StoredRow:
    """A stored series, and in what it is not on the grid of its control."""

    item: Series
    differs: list[str]


def series_of(reach: Reach) -> list[StoredRow]:
    stored = list(
        Series.objects.filter(volunteer__study=reach.study, **reach.within("volunteer__site"))
        .select_related("volunteer", "arm", "arm__source")
        .order_by("volunteer__code", "arm__position")
    )
    controls = {one.volunteer_id: geometry_of(one) for one in stored if one.arm.is_control}
    return [
        StoredRow(
            one,
            differences(controls[one.volunteer_id], geometry_of(one))
            if one.volunteer_id in controls
            else [],
        )
        for one in stored
    ]


def upload_history(reach: Reach, batch: uuid.UUID | None = None) -> list[dict[str, Any]]:
    """The last uploads, newest first: state, progress from 0 to 1, and refused files by name.

    With `batch`, all files that were sent together, however many.
    """
    uploads = (
        Upload.objects.filter(study=reach.study, **reach.within())
        .select_related("job")
        .annotate(taken=Count("files", filter=Q(files__accepted=True)))
        .order_by("-created_at")
    )
    shown = uploads[:SHOWN_UPLOADS] if batch is None else uploads.filter(batch=batch)
    return [_upload_record(upload) for upload in shown]


def sent_together(reach: Reach) -> list[dict[str, Any]]:
    """The last uploads as they were sent, newest first: a folder of many files is one of them."""
    batches = (
        Upload.objects.filter(study=reach.study, **reach.within())
        .order_by()
        .values("batch")
        .annotate(
            n=Count("pk"),
            sent=Min("created_at"),
            failed=Count("pk", filter=Q(state=Upload.State.FAILED)),
        )
        .order_by("-sent")[:SHOWN_BATCHES]
    )
    return [_batch_record(reach.study, dict(row)) for row in batches]


def _batch_record(study: Study, row: dict[str, Any]) -> dict[str, Any]:
    uploads = Upload.objects.filter(study=study, batch=row["batch"]).select_related("job")
    if row["failed"]:
        uploads = uploads.filter(state=Upload.State.FAILED)
    files = UploadedFile.objects.filter(upload__study=study, upload__batch=row["batch"])
    record = _upload_record(uploads[0])
    if row["n"] > 1:
        record["name"] = f"{row['n']} files, sent {_minute(row['sent'])}"
    return {
        **record,
        "accepted": files.filter(accepted=True).count(),
        "refusals": _refusals(files),
    }


def _upload_record(upload: Upload) -> dict[str, Any]:
    state, message, progress = upload.state, upload.get_state_display(), 0.0
    read = stored = 0.0
    job = upload.job
    if state == Upload.State.RECEIVING:
        progress = upload.received / upload.size if upload.size else 1.0
    elif state in (Upload.State.QUEUED, Upload.State.READING) and job is not None:
        if job.state in (Job.State.FAILED, Job.State.CANCELLED):
            state, message = Upload.State.FAILED, job.error or "The upload could not be read."
        else:
            progress = job.progress_done / job.progress_total if job.progress_total else 0.0
            read, stored = _stages(job)
            message = job.message or message
    elif state == Upload.State.DONE:
        progress = read = stored = 1.0
    if upload.error:
        message = upload.error
    taken: int = getattr(upload, "taken", 0)
    return {
        "id": str(upload.pk),
        "batch": str(upload.batch),
        "name": _shown_name(upload),
        "state": str(state),
        "size": upload.size,
        "received": upload.received,
        "progress": round(progress, 4),
        "read": round(read, 4),
        "stored": round(stored, 4),
        # Series of the same batch that wait in the inbox.
        "waiting": len(job.result.get("inbox", [])) if job is not None else 0,
        # Series that do not lie on their control's grid.
        "differs": list(job.result.get("differs", [])) if job is not None else [],
        "message": message,
        "accepted": taken,
        "refusals": _refusals(upload.files.all()),
        "created_at": upload.created_at.isoformat(),
    }


def _stages(job: Job) -> tuple[float, float]:
    """What is read and what is stored, 0 to 1: a job counts its files twice, then publishes."""
    files = (job.progress_total - 1) // 2
    if files <= 0:
        return 0.0, 0.0
    return min(job.progress_done / files, 1.0), max(0.0, (job.progress_done - files) / files)


def _shown_name(upload: Upload) -> str:
    """An upload that was read has lost its name; when it was sent tells it from others."""
    if upload.name not in (ARCHIVE_NAME, FILE_NAME):
        return upload.name
    return f"{upload.name}, sent {_minute(upload.created_at)}"


def _minute(at: datetime) -> str:
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M}"


def _refusals(files: QuerySet[UploadedFile]) -> list[dict[str, str]]:
    """Refused files; many with one reason are said once."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in files.filter(accepted=False).values_list("name", "reason"):
        by_reason.setdefault(reason, []).append(name)
    shown = []
    for reason, names in by_reason.items():
        if len(names) > 3:
            shown.append({"name": f"{names[0]} and {len(names) - 1} others", "reason": reason})
        else:
            shown += [{"name": name, "reason": reason} for name in names]
    return shown[:SHOWN_REFUSALS]
