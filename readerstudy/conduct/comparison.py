"""The arms of one volunteer side by side, under their names: for the coordinator's eyes alone."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from django.urls import reverse
from PIL import Image

from readerstudy.imaging.geometry import Geometry, differences
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.selectors import (
    control_series,
    display_geometry,
    display_presets,
    display_slice,
    display_window,
    geometry_of,
    load_volume,
    shown_values,
)
from readerstudy.variants.evidence import FLAGGED, has_map, read_map

from .resampling import slice_on_grid

THUMBNAIL_SIDE = 112
FLAGS_MEANING = "not to be relied on: where the method that made the images is least sure"
# A thumbnail without a control, from the series' own values.
OWN_PERCENTILES = (1.0, 99.5)


def named_series(volunteer: Volunteer) -> list[Series]:
    """The control first, then in protocol order."""
    found = Series.objects.filter(volunteer=volunteer).select_related("arm", "volunteer")
    return list(found.order_by("-arm__is_control", "arm__position", "pk"))


def comparison_data(
    volunteer: Volunteer, address: str = "readiness_pixels", flags: str = ""
) -> dict[str, Any]:
    """What a page opens that compares all arms; `address` is the one that gives it the pixels.

    `flags` is the address that gives it the warning maps, where the page shows them.
    Raises LookupError without a control.
    """
    control = control_series(volunteer)
    if control is None:
        raise LookupError(f"{volunteer.code} has no control series.")
    grid = geometry_of(control)
    slug = volunteer.study.slug
    panes = []
    for series in named_series(volunteer):
        resampled = bool(differences(grid, geometry_of(series)))
        panes.append(
            {
                "id": series.arm.code,
                "label": series.arm.name + (" (resampled)" if resampled else ""),
                "slices": _template(address, slug, series),
                "flags": _template(flags, slug, series)
                if flags and not resampled and has_map(series, FLAGGED)
                else None,
            }
        )
    return {
        "key": volunteer.code,
        "geometry": display_geometry(volunteer),
        "window": display_window(volunteer),
        "presets": display_presets(volunteer),
        "panes": panes,
        "flags_meaning": FLAGS_MEANING,
    }


def _template(address: str, slug: str, series: Series) -> str:
    return reverse(address, args=[slug, series.pk, 0]).removesuffix("0") + "{index}"


def comparison_flags(series: Series, index: int) -> bytes:
    """Where a series is not to be relied on, on one slice: a bit a pixel, row after row.

    Raises LookupError for a slice that is not there, or a series without a warning map.
    """
    if not 0 <= index < series.slices:
        raise LookupError(f"Slice {index} of {series.slices}.")
    return np.packbits(np.asarray(read_map(series, FLAGGED)[index], dtype=bool)).tobytes()


def comparison_slice(series: Series, index: int) -> bytes:
    """One slice on the control's grid, in the volunteer's display convention.

    Raises IndexError for a slice that is not there, LookupError without a control.
    """
    control = control_series(series.volunteer)
    if control is None:
        raise LookupError(f"{series.volunteer.code} has no control series.")
    own, grid = geometry_of(series), geometry_of(control)
    if not 0 <= index < grid.slices:
        raise IndexError(f"Slice {index} of {grid.slices}.")
    if not differences(grid, own):
        return display_slice(series, index)
    values = slice_on_grid(load_volume(series), own, grid, index)
    return shown_values(series, values).tobytes()


def thumbnail(series: Series) -> bytes:
    """The middle slice as a small PNG, in the window of the volunteer."""
    index = (series.slices - 1) // 2
    values = np.asarray(load_volume(series)[index], dtype=np.float64)
    display = series.volunteer.display
    if "scale" in display:
        values = shown_values(series, values).astype(np.float64)
        low = float(display["center"]) - float(display["width"]) / 2
        high = low + float(display["width"])
    else:
        low, high = (float(v) for v in np.percentile(values, OWN_PERCENTILES))
    grey = np.rint(np.clip((values - low) / max(high - low, 1e-9), 0, 1) * 255).astype(np.uint8)
    image = Image.fromarray(grey).resize(_size(geometry_of(series)), Image.Resampling.BOX)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _size(grid: Geometry) -> tuple[int, int]:
    width, height = grid.columns * grid.column_spacing, grid.rows * grid.row_spacing
    scale = THUMBNAIL_SIDE / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))
