"""The display convention of a volunteer, worked out anew when series came or went.

What it takes of the volumes is read before the transaction: see `readings`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from .display import (
    Display,
    Limits,
    body_median,
    display_of_control,
    match_factor,
    preset_limits,
    presets_as_json,
    sampled_body,
)
from .models import Series, Volunteer
from .readings import Readings
from .selectors import control_series
from .volumes import read_volume


@dataclass(frozen=True)
class ControlFigures:
    """What the display of a volunteer needs of the control's volume."""

    display: Display
    limits: Limits
    shape: tuple[int, ...]
    inside: np.ndarray  # the `sampled_body`
    median: float


def want_display(
    volunteer: Volunteer, control: Series, series: Sequence[Series], readings: Readings
) -> None:
    """Ask for what `refresh_display` will need once these are the volunteer's series."""
    if not _is_shown_by(volunteer, control):
        readings.want(*_of_control(control))
    for one in series:
        if not _is_matched(one, control):
            readings.want(*_of_pair(control, one, readings))


def want_refresh(volunteer: Volunteer, readings: Readings) -> None:
    """The same of the series that stand."""
    control = control_series(volunteer)
    if control is not None:
        want_display(volunteer, control, list(Series.objects.filter(volunteer=volunteer)), readings)


def refresh_display(volunteer: Volunteer, readings: Readings) -> None:
    """Work out scale, windows and factors of a volunteer anew. Inside a transaction.

    Without a control nothing can be shown, so the convention is emptied.
    """
    control = control_series(volunteer)
    if control is None:
        volunteer.display = {}
        volunteer.save(update_fields=["display"])
        return
    if volunteer.display.get("control_sha256") != control.volume_sha256:
        volunteer.display = readings.of(*_of_control(control)).display.as_json()
    keep_presets(volunteer, readings)
    matched = [
        one for one in Series.objects.filter(volunteer=volunteer) if not _is_matched(one, control)
    ]
    for series in matched:
        control_median, own_median = readings.of(*_of_pair(control, series, readings))
        factor, limited = match_factor(control_median, own_median)
        if series.pk == control.pk:
            factor, limited = 1.0, False
        series.display_factor = factor
        series.display = {
            "control_sha256": control.volume_sha256,
            "control_body_median": control_median,
            "body_median": own_median,
            "limited": limited,
        }
    Series.objects.bulk_update(matched, ["display_factor", "display"])


def keep_presets(volunteer: Volunteer, readings: Readings) -> bool:
    """Add the windows to choose from to a convention that lacks them; whether it did.

    Inside a transaction. Scale, offset and first window, which people read by, stay as they are.
    """
    control = control_series(volunteer)
    if control is None or _is_shown_by(volunteer, control):
        return False
    if volunteer.display.get("control_sha256") != control.volume_sha256:
        return False
    limits = readings.of(*_of_control(control)).limits
    scale, offset = volunteer.display["scale"], volunteer.display.get("offset", 0.0)
    volunteer.display["presets"] = presets_as_json(limits, scale, offset)
    volunteer.save(update_fields=["display"])
    return True


def _is_shown_by(volunteer: Volunteer, control: Series) -> bool:
    display = volunteer.display
    return display.get("control_sha256") == control.volume_sha256 and "presets" in display


def _is_matched(series: Series, control: Series) -> bool:
    return series.display.get("control_sha256") == control.volume_sha256


def _of_control(control: Series) -> tuple[tuple[str, str], partial[ControlFigures]]:
    return ("control", control.volume_sha256), partial(_read_control, control)


def _of_pair(
    control: Series, series: Series, readings: Readings
) -> tuple[tuple[str, str, str], partial[tuple[float, float]]]:
    key = ("medians", control.volume_sha256, series.volume_sha256)
    return key, partial(_read_pair, control, series, readings)


def _read_control(control: Series) -> ControlFigures:
    volume = np.asarray(read_volume(control))
    inside = sampled_body(volume)
    return ControlFigures(
        display=display_of_control(volume, control.volume_sha256),
        limits=preset_limits(volume),
        shape=volume.shape,
        inside=inside,
        median=body_median(volume, inside),
    )


def _read_pair(control: Series, series: Series, readings: Readings) -> tuple[float, float]:
    """The median of the control's body, and of the same voxels in the series."""
    found = readings.of(*_of_control(control))
    if series.volume_sha256 == control.volume_sha256:
        return found.median, found.median
    own = np.asarray(read_volume(series))
    # One on another grid waits for its deletion: it is shown by its own body until then.
    inside = found.inside if own.shape == found.shape else sampled_body(own)
    return found.median, body_median(own, inside)
