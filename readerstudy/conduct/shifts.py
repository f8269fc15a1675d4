"""The shift of every arm against its control: measured by the workers, kept, and said in mm.

Workers do it between their jobs, a few series at a time: nobody has to ask for it, and a series
that comes anew, or whose control does, is measured again.
"""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections.abc import Iterable

import numpy as np
from django.db.models import Q
from django.db.models.fields.json import KeyTextTransform

from readerstudy.imaging.geometry import differences
from readerstudy.imaging.models import Series
from readerstudy.imaging.selectors import control_series, geometry_of, load_volume

from .models import SeriesShift
from .phase_correlation import measure_shift
from .resampling import on_grid_of

# A region of 30 mm² has a radius of 3 mm: from here on it leaves a part of what it is meant for.
NOTED_SHIFT_MM = 1.0
SECONDS_AT_ONCE = 10.0
UNREADABLE = "The images could not be read from the storage."
log = logging.getLogger("readerstudy.conduct")


def unmeasured_series() -> Iterable[Series]:
    """Series of other arms than the control that have no shift against the control as it is now."""
    with_control = Series.objects.filter(arm__is_control=True).values("volunteer")
    # As text: PostgreSQL does not compare a character column with JSON.
    current = Q(shift__control_sha256=KeyTextTransform("control_sha256", "display"))
    return (
        Series.objects.filter(arm__is_control=False, volunteer__in=with_control)
        .exclude(current)
        .exclude(display={})
        .select_related("volunteer", "arm")
        .order_by("created_at")
    )


def measure_unmeasured(seconds: float = SECONDS_AT_ONCE) -> int:
    """Measure series until the time is up; how many were measured. Safe on several workers."""
    started, done = time.monotonic(), 0
    for series in unmeasured_series():
        if time.monotonic() - started > seconds:
            break
        done += store_shift(series) is not None
    return done


def store_shift(series: Series) -> SeriesShift | None:
    """Measure one series against the control of its volunteer; None without a control, or while
    the storage is away."""
    control = control_series(series.volunteer)
    if control is None:
        return None
    try:
        values = {"control_sha256": control.volume_sha256, **_measured(control, series)}
    except OSError as error:  # the storage is away for a while: measured when it is back
        log.warning("a shift was not measured yet: %s", type(error).__name__)
        return None
    if not Series.objects.filter(pk=series.pk).exists():
        return None  # deleted meanwhile
    shift, _new = SeriesShift.objects.update_or_create(series=series, defaults=values)
    return shift


def _measured(control: Series, series: Series) -> dict[str, object]:
    grid = geometry_of(control)
    nothing: dict[str, object] = {"along_mm": None, "distance_mm": None, "peak": None}
    try:
        first = np.asarray(load_volume(control))
        if differences(grid, geometry_of(series)):
            other = on_grid_of(load_volume(series), geometry_of(series), grid)
            note = "Resampled to the control's grid."
        else:
            other, note = np.asarray(load_volume(series)), ""
    except (FileNotFoundError, ValueError, LookupError):
        return {**nothing, "note": UNREADABLE}
    shift = measure_shift(first, other)
    if not shift.is_certain:
        too_unlike = "The images are too unlike each other: look at them side by side."
        return {**nothing, "peak": shift.peak, "note": too_unlike}
    along = [
        shift.columns * grid.column_spacing,
        shift.rows * grid.row_spacing,
        shift.slices * grid.slice_spacing,
    ]
    return {
        "along_mm": [round(value, 3) for value in along],
        "distance_mm": round(math.hypot(*along), 3),
        "peak": shift.peak,
        "note": note,
    }


def shifts_of(series: Iterable[Series]) -> dict[uuid.UUID, SeriesShift]:
    """By series; only those measured against the control as it is now."""
    wanted = {one.pk: one for one in series}
    return {
        shift.series_id: shift
        for shift in SeriesShift.objects.filter(series__in=wanted)
        if shift.control_sha256 == wanted[shift.series_id].display.get("control_sha256")
    }
