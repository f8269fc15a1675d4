"""What other rooms ask of the images."""

from __future__ import annotations

from typing import Any

import numpy as np

from readerstudy.studies.models import Arm

from .display import to_display
from .geometry import Geometry
from .models import Series, Volunteer
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


def display_slice(series: Series, index: int) -> bytes:
    """One slice as rows * columns little-endian uint16 in the volunteer's display convention.

    Raises IndexError for a slice that is not there.
    """
    if not 0 <= index < series.slices:
        raise IndexError(f"Slice {index} of {series.slices}.")
    scale = float(_display(series.volunteer)["scale"])
    return to_display(load_volume(series)[index], series.display_factor, scale).tobytes()


def display_window(volunteer: Volunteer) -> dict[str, float]:
    """The first window, in display units, from the control alone."""
    display = _display(volunteer)
    return {"center": float(display["center"]), "width": float(display["width"])}


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
        "origin": stored["origin"],
    }


def _display(volunteer: Volunteer) -> dict[str, Any]:
    display: dict[str, Any] = volunteer.display
    if "scale" not in display:
        raise LookupError(f"{volunteer.code} has no control series.")
    return display
