"""From a region in patient space to the pixels of a slice, and what they measure.

The region's centre is given in LPS millimetres; `analysis` wants it in the plane of the slice, from
the centre of the first pixel: x along the rows, y down the columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.noise import noise_estimate, noise_warnings
from analysis.regions import EllipseRegion, RegionStatistics, ellipse_region, region_statistics
from readerstudy.imaging.geometry import Geometry

from .errors import MeasurementError

# Positions travel through a browser's single precision: a twentieth of a slice is still the slice.
SLICE_SLACK = 0.05
EDGE_SLACK_MM = 1e-3
AREA_SLACK = 0.01  # relative, from the area that the protocol asks for


@dataclass(frozen=True)
class Ellipse:
    """Where a region is: one slice, centre in mm (LPS), semi-axes in mm, angle in degrees."""

    slice_index: int
    centre: tuple[float, float, float]
    semi_axes_mm: tuple[float, float]
    angle_deg: float

    @classmethod
    def from_values(
        cls,
        slice_index: object,
        centre: object,
        semi_axes_mm: object,
        angle_deg: object,
    ) -> Ellipse:
        """Checked for kind and finiteness alone; the message names the field."""
        if isinstance(slice_index, bool) or not isinstance(slice_index, int):
            raise MeasurementError("slice_index must be a whole number.")
        x, y, z = _numbers("centre", centre, 3)
        a, b = _numbers("semi_axes_mm", semi_axes_mm, 2)
        (angle,) = _numbers("angle_deg", [angle_deg], 1)
        if not (a > 0 and b > 0):
            raise MeasurementError("The region needs two semi-axes above zero.")
        return cls(slice_index, (x, y, z), (a, b), angle)

    @property
    def area_mm2(self) -> float:
        return math.pi * self.semi_axes_mm[0] * self.semi_axes_mm[1]


def _numbers(name: str, values: object, count: int) -> list[float]:
    if isinstance(values, list | tuple) and len(values) == count:
        numbers = [
            float(value)
            for value in values
            if isinstance(value, int | float) and not isinstance(value, bool)
        ]
        if len(numbers) == count and all(math.isfinite(number) for number in numbers):
            return numbers
    raise MeasurementError(f"{name} must hold {count} finite numbers.")


def pixels_of(ellipse: Ellipse, grid: Geometry) -> EllipseRegion:
    """The pixels of the slice that belong to the region. Raises MeasurementError, for people."""
    if not 0 <= ellipse.slice_index < grid.slices:
        raise MeasurementError(
            f"There is no slice {ellipse.slice_index + 1}: the case has {grid.slices} slices."
        )
    slice_at, row, column = grid.to_index(ellipse.centre)
    if abs(slice_at - ellipse.slice_index) > SLICE_SLACK:
        raise MeasurementError("The centre of the region does not lie on the slice it names.")
    x, y = column * grid.column_spacing, row * grid.row_spacing
    _check_inside(x, y, ellipse, grid)
    try:
        region = ellipse_region(
            (grid.rows, grid.columns),
            (grid.row_spacing, grid.column_spacing),
            (x, y),
            ellipse.semi_axes_mm,
            ellipse.angle_deg,
        )
    except ValueError as error:
        raise MeasurementError(str(error)) from None
    if region.n_pixels < 2:
        raise MeasurementError(
            "The region holds a single pixel: no SD can be measured. Enlarge it."
        )
    return region


def _check_inside(x: float, y: float, ellipse: Ellipse, grid: Geometry) -> None:
    """The whole ellipse lies on the image; pixels reach half a spacing beyond their centres."""
    (a, b), turn = ellipse.semi_axes_mm, math.radians(ellipse.angle_deg)
    reach_x = math.hypot(a * math.cos(turn), b * math.sin(turn))
    reach_y = math.hypot(a * math.sin(turn), b * math.cos(turn))
    for at, reach, count, spacing in (
        (x, reach_x, grid.columns, grid.column_spacing),
        (y, reach_y, grid.rows, grid.row_spacing),
    ):
        low, high = -spacing / 2 - EDGE_SLACK_MM, (count - 0.5) * spacing + EDGE_SLACK_MM
        if at - reach < low or at + reach > high:
            raise MeasurementError("The region reaches over the edge of the image. Move it inside.")


def measure(image: np.ndarray, region: EllipseRegion) -> RegionStatistics:
    """Statistics from stored values of [rows, columns], rescale applied, never display values.

    Pixels as bright as the brightest of the slice count as clipped.
    """
    values = np.asarray(image)
    return region_statistics(values, region, limits=(-math.inf, float(values.max())))


def warnings_for(
    measured: RegionStatistics, *, is_air: bool, processed: bool, estimate: str, wanted_mm2: float
) -> list[str]:
    """What whoever uses these figures must know, under the plan's noise estimate."""
    found: list[str] = []
    if is_air:
        found += noise_warnings(
            estimate,
            processed=processed,
            air_mean=measured.mean,
            air_sd=measured.sd,
            air_n_pixels=measured.n_pixels,
            air_n_zero=measured.n_zero,
            air_n_at_limits=measured.n_at_limits,
        )
    elif not noise_estimate(estimate).from_air:
        found += noise_warnings(estimate, processed=processed)
    if abs(measured.area_ellipse_mm2 - wanted_mm2) > AREA_SLACK * wanted_mm2:
        found.append(
            f"The region covers {measured.area_ellipse_mm2:.1f} mm² instead of the protocol's "
            f"{wanted_mm2:g} mm²."
        )
    return found


def centre_of_pixel(grid: Geometry, slice_index: int, row: float, column: float) -> Sequence[float]:
    """The centre in LPS mm of a pixel index, rounded to a micrometre."""
    return [round(value, 3) for value in grid.to_patient(slice_index, row, column)]
