"""Where the regions of a volunteer may lie, told from a former volunteer of the study.

The bodies of both are framed in the middle slices of their controls; a region keeps its place
relative to that frame. It is a suggestion: nothing is placed until somebody places it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from readerstudy.imaging.display import body_mask
from readerstudy.imaging.geometry import Geometry
from readerstudy.imaging.models import Volunteer
from readerstudy.imaging.selectors import control_series, geometry_of, load_volume

from .errors import MeasurementError
from .models import FIRST_OBSERVER, Region
from .selectors import latest_regions

# Rows and columns of the frame: what lies farther out (noise, an arm) does not move it.
FRAME_PERCENTILES = (2.0, 98.0)


@dataclass(frozen=True)
class _Frame:
    """Of the body in the plane of the slices, in mm from the first pixel."""

    top: float
    left: float
    height: float
    width: float


def templates_for(volunteer: Volunteer) -> list[str]:
    """Codes of volunteers whose regions are placed in full, the latest first."""
    tissues = volunteer.study.tissues.count()
    placed: dict[str, set[int]] = {}
    latest: dict[str, int] = {}
    regions = Region.objects.filter(volunteer__study=volunteer.study_id, observer=FIRST_OBSERVER)
    for code, tissue, key in regions.exclude(volunteer=volunteer).values_list(
        "volunteer__code", "tissue_id", "pk"
    ):
        placed.setdefault(code, set()).add(tissue)
        latest[code] = max(latest.get(code, 0), key)
    full = [code for code, found in placed.items() if len(found) == tissues]
    return sorted(full, key=lambda code: -latest[code])


def suggested_regions(volunteer: Volunteer, template: Volunteer) -> list[dict[str, Any]]:
    """The template's regions on this volunteer's control, as the measuring page draws them."""
    own, theirs = control_series(volunteer), control_series(template)
    if own is None or theirs is None:
        raise MeasurementError("Both volunteers need images of the control.")
    grid, their_grid = geometry_of(own), geometry_of(theirs)
    frame = _frame(np.asarray(load_volume(own)), grid)
    their_frame = _frame(np.asarray(load_volume(theirs)), their_grid)
    return [
        suggestion
        for region in latest_regions(template)
        if (suggestion := _moved(region, grid, their_grid, frame, their_frame)) is not None
    ]


def _frame(volume: np.ndarray, grid: Geometry) -> _Frame:
    mask = body_mask(volume)[(grid.slices - 1) // 2]
    rows, columns = np.nonzero(mask if mask.any() else np.ones_like(mask))
    top, bottom = np.percentile(rows, FRAME_PERCENTILES) * grid.row_spacing
    left, right = np.percentile(columns, FRAME_PERCENTILES) * grid.column_spacing
    return _Frame(
        float(top), float(left), max(float(bottom - top), 1.0), max(float(right - left), 1.0)
    )


def _moved(
    region: Region, grid: Geometry, their_grid: Geometry, frame: _Frame, theirs: _Frame
) -> dict[str, Any] | None:
    _slice, row, column = their_grid.to_index(region.centre)
    down = (row * their_grid.row_spacing - theirs.top) / theirs.height
    across = (column * their_grid.column_spacing - theirs.left) / theirs.width
    y, x = frame.top + down * frame.height, frame.left + across * frame.width
    reach = max(region.semi_axes_mm)
    height, width = grid.rows * grid.row_spacing, grid.columns * grid.column_spacing
    if 2 * reach > min(height, width):
        return None
    # Air lies outside the body: its place may fall off a tighter image.
    y = min(max(y, reach), height - grid.row_spacing - reach)
    x = min(max(x, reach), width - grid.column_spacing - reach)
    off_centre = (region.slice_index - (their_grid.slices - 1) // 2) * their_grid.slice_spacing
    steps = math.floor(off_centre / grid.slice_spacing + 0.5)
    index = min(max((grid.slices - 1) // 2 + steps, 0), grid.slices - 1)
    centre = grid.to_patient(index, y / grid.row_spacing, x / grid.column_spacing)
    return {
        "tissue": region.tissue.code,
        "slice_index": index,
        "centre": [round(value, 3) for value in centre],
        "semi_axes_mm": list(region.semi_axes_mm),
        "angle_deg": region.angle_deg,
    }
