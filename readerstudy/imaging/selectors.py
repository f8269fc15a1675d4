"""What other rooms ask of the images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from readerstudy.studies.access import Reach
from readerstudy.studies.models import Arm, Study

from .display import named_presets, preset_limits, presets_as_json, to_display
from .geometry import Geometry, differences
from .models import Series, Volunteer
from .volumes import read_slice, read_volume


def get_series(volunteer: Volunteer, arm: Arm) -> Series | None:
    """The series of one cell of the grid volunteer × arm, if it is there."""
    return (
        Series.objects.select_related("volunteer", "arm")
        .filter(volunteer=volunteer, arm=arm)
        .first()
    )


def series_to_show(volunteer: Volunteer, arm_id: int) -> Series | None:
    """The series of one cell, with what its pixels need and no more: it is asked for at each."""
    needed = ("prefix", "volume_sha256", "slices", "rows", "columns", "display_factor")
    series = Series.objects.filter(volunteer=volunteer, arm=arm_id).only(*needed).first()
    if series is not None:
        series.volunteer = volunteer
    return series


def control_series(volunteer: Volunteer) -> Series | None:
    return (
        Series.objects.select_related("volunteer", "arm")
        .filter(volunteer=volunteer, arm__is_control=True)
        .first()
    )


def load_volume(series: Series) -> np.ndarray:
    """float32 [slices, rows, columns], rescaled, in anatomical order; memory-mapped where local."""
    return read_volume(series)


def load_slice(series: Series, index: int) -> np.ndarray:
    """float32 [rows, columns] of one slice, rescaled; no more is read from an object store."""
    return read_slice(series, index)


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
    return shown_values(series, read_slice(series, index)).tobytes()


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
    first = display_window(volunteer)
    kept = volunteer.display.get("presets")
    if kept is None:
        series = control_series(volunteer)
        if series is None:
            raise LookupError(f"{volunteer.code} has no control series.")
        kept = _presets_of(str(series.pk), series.volume_sha256, *_scale_and_offset(volunteer))
    return [{"code": "initial", "name": "Initial", **first}, *named_presets(kept)]


@lru_cache(maxsize=512)
def _presets_of(
    series_id: str, _sha256: str, scale: float, offset: float
) -> tuple[dict[str, Any], ...]:
    """Of volunteers whose images were stored before windows were kept with them, until a worker has
    added them (`housekeeping`): read once a process, by series and content, not at every item."""
    volume = load_volume(Series.objects.get(pk=series_id))
    return tuple(presets_as_json(preset_limits(volume), scale, offset))


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
