"""Where the voxels of a series lie in the patient, and whether two series lie alike.

The centre of voxel (slice k, row r, column c) in LPS millimetres is::

    origin + c * column_spacing * row_direction
           + r * row_spacing * column_direction
           + k * slice_spacing * slice_direction

`row_direction` is the direction in which the column index grows: the first triplet of DICOM's
ImageOrientationPatient (PS3.3 C.7.6.2.1.1). `row_spacing` is PixelSpacing[0], the distance between
neighbouring rows; `column_spacing` is PixelSpacing[1].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import ImagingError

# Direction cosines are written with 6 digits or fewer; 0.1 degree is far above their rounding.
SAME_DIRECTION_COSINE = math.cos(math.radians(0.1))
# A stack whose slices are shifted sideways by more than this is not a straight stack.
STRAIGHT_STACK_COSINE = math.cos(math.radians(1.0))
SAME_SPACING = 1e-3  # relative
SAME_POSITION_MM = 0.1
DUPLICATE_MM = 0.01
UNEVEN_STEP = 0.1  # relative to the usual step between slices

# What to do about a series that is none.
APART = "Send the images that belong together as a series of their own, without the others."
ORIGINAL = "Export the original series from the scanner or the PACS, and send that."

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class SlicePlane:
    """One slice as its header places it."""

    position: Vector  # centre of the first voxel, mm
    orientation: tuple[float, float, float, float, float, float]
    row_spacing: float
    column_spacing: float
    rows: int
    columns: int
    thickness: float | None = None
    name: str = ""  # the file it came from, for messages


@dataclass(frozen=True)
class Geometry:
    rows: int
    columns: int
    slices: int
    row_spacing: float
    column_spacing: float
    slice_spacing: float
    row_direction: Vector
    column_direction: Vector
    slice_direction: Vector
    origin: Vector

    def as_json(self) -> dict[str, Any]:
        """What `Series.geometry` holds."""
        return {
            "origin": list(self.origin),
            "row_direction": list(self.row_direction),
            "column_direction": list(self.column_direction),
            "slice_direction": list(self.slice_direction),
            "row_spacing": self.row_spacing,
            "column_spacing": self.column_spacing,
            "slice_spacing": self.slice_spacing,
        }

    @classmethod
    def from_json(cls, rows: int, columns: int, slices: int, stored: dict[str, Any]) -> Geometry:
        return cls(
            rows=rows,
            columns=columns,
            slices=slices,
            row_spacing=float(stored["row_spacing"]),
            column_spacing=float(stored["column_spacing"]),
            slice_spacing=float(stored["slice_spacing"]),
            row_direction=_vector(stored["row_direction"]),
            column_direction=_vector(stored["column_direction"]),
            slice_direction=_vector(stored["slice_direction"]),
            origin=_vector(stored["origin"]),
        )

    def to_patient(
        self, slice_index: float, row: float, column: float
    ) -> tuple[float, float, float]:
        """The point in LPS mm of a (possibly fractional) voxel index."""
        point = (
            np.asarray(self.origin)
            + column * self.column_spacing * np.asarray(self.row_direction)
            + row * self.row_spacing * np.asarray(self.column_direction)
            + slice_index * self.slice_spacing * np.asarray(self.slice_direction)
        )
        return _vector(point)

    def to_index(self, point: Sequence[float]) -> tuple[float, float, float]:
        """The fractional (slice, row, column) of a point in LPS mm."""
        axes = np.column_stack(
            [
                self.slice_spacing * np.asarray(self.slice_direction),
                self.row_spacing * np.asarray(self.column_direction),
                self.column_spacing * np.asarray(self.row_direction),
            ]
        )
        offset = np.asarray(point, dtype=float) - np.asarray(self.origin)
        return _vector(np.linalg.solve(axes, offset))


def _vector(values: Any) -> Vector:
    x, y, z = (float(value) for value in values)
    return (x, y, z)


def slice_normal(orientation: Sequence[float]) -> np.ndarray:
    """Unit normal of a slice, signed so that its largest component points to L, P or S."""
    normal = np.cross(np.asarray(orientation[:3], float), np.asarray(orientation[3:], float))
    length = float(np.linalg.norm(normal))
    if not math.isfinite(length) or abs(length - 1.0) > 1e-2:
        raise ImagingError(
            "How the slices are turned cannot be told: ImageOrientationPatient in the header does "
            f"not hold two perpendicular directions of length one. {ORIGINAL}"
        )
    normal /= length
    return normal if normal[np.argmax(np.abs(normal))] > 0 else -normal


def stack(planes: Sequence[SlicePlane]) -> tuple[Geometry, list[int]]:
    """The geometry of a series, and the order of its slices along the anatomy.

    Parameters
    ----------
    planes : sequence of SlicePlane
        In any order.

    Returns
    -------
    Geometry
    list of int
        Indices into `planes`: right to left, anterior to posterior or inferior to superior,
        whichever axis the slices' normal is closest to.

    Raises
    ------
    ImagingError
        Slices of different size, spacing or orientation; two at one place; one missing; a stack
        that is not straight. The message names the files.
    """
    if not planes:
        raise ImagingError("The series holds no slice.")
    first = planes[0]
    normal = slice_normal(first.orientation)
    for plane in planes:
        _check_alike(first, plane)
    depths = np.array([float(np.dot(plane.position, normal)) for plane in planes])
    if not np.all(np.isfinite(depths)):
        raise ImagingError(
            "Where the slices lie cannot be told: ImagePositionPatient is not a number in some "
            f"files. {ORIGINAL}"
        )
    order = [int(i) for i in np.argsort(depths, kind="stable")]
    spacing, direction = _steps(planes, order, depths, normal)
    # Rounding in the header must not make the two in-plane axes oblique.
    row = np.asarray(first.orientation[:3], float)
    row /= np.linalg.norm(row)
    column = np.asarray(first.orientation[3:], float)
    column -= row * float(np.dot(row, column))
    column /= np.linalg.norm(column)
    geometry = Geometry(
        rows=first.rows,
        columns=first.columns,
        slices=len(planes),
        row_spacing=first.row_spacing,
        column_spacing=first.column_spacing,
        slice_spacing=spacing,
        row_direction=_vector(row),
        column_direction=_vector(column),
        slice_direction=_vector(direction),
        origin=planes[order[0]].position,
    )
    return geometry, order


def _check_alike(first: SlicePlane, plane: SlicePlane) -> None:
    if (plane.rows, plane.columns) != (first.rows, first.columns):
        raise ImagingError(
            f"The images of the series differ in size: {first.rows} × {first.columns} and "
            f"{plane.rows} × {plane.columns} ({plane.name}). {APART}"
        )
    for spacing in (plane.row_spacing, plane.column_spacing):
        if not (math.isfinite(spacing) and spacing > 0):
            raise ImagingError(
                f"How far apart the pixels lie cannot be told: PixelSpacing is not above zero "
                f"({plane.name}). {ORIGINAL}"
            )
    if not (
        math.isclose(plane.row_spacing, first.row_spacing, rel_tol=SAME_SPACING)
        and math.isclose(plane.column_spacing, first.column_spacing, rel_tol=SAME_SPACING)
    ):
        raise ImagingError(
            f"The images of the series differ in pixel spacing ({plane.name}). {APART}"
        )
    if not same_orientation(first.orientation, plane.orientation):
        raise ImagingError(
            f"The images of the series differ in orientation ({plane.name}). {APART}"
        )


def _steps(
    planes: Sequence[SlicePlane], order: list[int], depths: np.ndarray, normal: np.ndarray
) -> tuple[float, np.ndarray]:
    """Distance and direction from one slice to the next."""
    if len(order) == 1:
        thickness = planes[0].thickness
        return (thickness if thickness and thickness > 0 else 1.0), normal
    steps = np.diff(depths[order])
    usual = float(np.median(steps))
    for index, step in enumerate(steps):
        before, after = planes[order[index]].name, planes[order[index + 1]].name
        if step < DUPLICATE_MM:
            raise ImagingError(
                f"Two images lie at one place: {before} and {after}. If one is a copy or a "
                "repetition, leave it out and send the whole series again; several passes over "
                "one place are sent as a series each."
            )
        if step > usual * (1 + UNEVEN_STEP) or step < usual * (1 - UNEVEN_STEP):
            missing = round(step / usual) - 1
            said = (
                f"{missing} slice{'s are' if missing > 1 else ' is'} missing"
                if missing >= 1 and abs(step / usual - missing - 1) < UNEVEN_STEP
                else f"The slices are unevenly spaced ({step:.2f} mm instead of {usual:.2f} mm)"
            )
            raise ImagingError(
                f"{said} between {before} and {after}, which are neighbours in the body. Export "
                "the series again with all its slices, and send it whole."
            )
    first, last = planes[order[0]].position, planes[order[-1]].position
    way = np.asarray(last) - np.asarray(first)
    length = float(np.linalg.norm(way))
    direction = way / length
    if float(np.dot(direction, normal)) < STRAIGHT_STACK_COSINE:
        raise ImagingError(
            f"The slices are shifted sideways: they are not one straight stack. {APART}"
        )
    return length / (len(order) - 1), direction


def same_orientation(first: Sequence[float], second: Sequence[float]) -> bool:
    return all(
        float(np.dot(first[part], second[part])) > SAME_DIRECTION_COSINE
        for part in (slice(0, 3), slice(3, 6))
    )


def differences(control: Geometry, other: Geometry) -> list[str]:
    """In what `other` does not lie on the grid of the control; empty if it does."""
    found: list[str] = []
    if (other.rows, other.columns) != (control.rows, control.columns):
        found.append(
            f"matrix {other.rows} × {other.columns} instead of {control.rows} × {control.columns}"
        )
    if other.slices != control.slices:
        found.append(f"{other.slices} slices instead of {control.slices}")
    for label, mine, theirs in (
        ("row spacing", other.row_spacing, control.row_spacing),
        ("column spacing", other.column_spacing, control.column_spacing),
        ("slice spacing", other.slice_spacing, control.slice_spacing),
    ):
        if label == "slice spacing" and 1 in (other.slices, control.slices):
            continue
        if not math.isclose(mine, theirs, rel_tol=SAME_SPACING):
            found.append(f"{label} {mine:.4g} mm instead of {theirs:.4g} mm")
    angles = [
        _angle(getattr(other, name), getattr(control, name))
        for name in ("row_direction", "column_direction", "slice_direction")
    ]
    if math.cos(math.radians(max(angles))) < SAME_DIRECTION_COSINE:
        found.append(f"orientation turned by {max(angles):.1f}°")
    shift = math.dist(other.origin, control.origin)
    if not shift <= SAME_POSITION_MM:
        found.append(f"position shifted by {shift:.1f} mm")
    return found


def _angle(first: Vector, second: Vector) -> float:
    return math.degrees(math.acos(max(-1.0, min(1.0, float(np.dot(first, second))))))
