"""The images of one series in anatomical order; what is no complete single stack is refused.

Slices run right to left, anterior to posterior or inferior to superior, whichever axis their normal
is closest to (LPS coordinates, PS3.3 C.7.6.2.1.1).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from denoise_engine.dicom.frames import Frame
from denoise_engine.errors import DicomError

# Direction cosines are written with 6 digits or fewer; 0.1 degree is far above their rounding.
SAME_DIRECTION_COSINE = math.cos(math.radians(0.1))
# A stack whose slices are shifted sideways by more than this is not a straight stack.
STRAIGHT_STACK_COSINE = math.cos(math.radians(1.0))
SAME_SPACING = 1e-3  # relative
SAME_PLACE_MM = 0.01
UNEVEN_STEP = 0.1  # relative to the usual step between slices

ONE_SERIES = "Give the images of one series alone."


def order_frames(frames: Sequence[Frame]) -> tuple[list[Frame], tuple[float, float, float]]:
    """Sort the images of one series and measure their spacing.

    Parameters
    ----------
    frames : sequence of Frame
        In any order.

    Returns
    -------
    ordered : list of Frame
    spacing : tuple of float
        Slice, row and column spacing, mm. That of a single slice is its thickness.

    Raises
    ------
    DicomError
        Several series, echoes, orientations or sizes; two images at one place; one missing; a
        stack that is not straight. The message names the files.
    """
    if not frames:
        raise DicomError("There is no image in this series.")
    first = frames[0]
    normal = normal_of(first)
    for frame in frames[1:]:
        _check_one_series(first, frame)
    spacing = first.numbers("PixelSpacing", 2)
    if not np.all(spacing > 0):
        raise DicomError(f"PixelSpacing of {first.name} is not above zero.")
    positions = np.array([frame.numbers("ImagePositionPatient", 3) for frame in frames])
    order = np.argsort(positions @ normal, kind="stable")
    ordered = [frames[int(index)] for index in order]
    step = _slice_spacing(ordered, positions[order], normal)
    return ordered, (step, float(spacing[0]), float(spacing[1]))


def normal_of(frame: Frame) -> NDArray[np.float64]:
    """Return the unit normal of a slice, signed so that its largest component points to L, P or S.

    Parameters
    ----------
    frame : Frame

    Returns
    -------
    ndarray of float64
        (3,), LPS.

    Raises
    ------
    DicomError
        The header does not hold two perpendicular directions.
    """
    orientation = frame.numbers("ImageOrientationPatient", 6)
    normal = np.cross(orientation[:3], orientation[3:])
    length = float(np.linalg.norm(normal))
    if abs(length - 1.0) > 1e-2:
        raise DicomError(
            f"ImageOrientationPatient of {frame.name} does not hold two perpendicular directions "
            "of length one."
        )
    normal /= length
    return normal if normal[np.argmax(np.abs(normal))] > 0 else -normal


def _check_one_series(first: Frame, other: Frame) -> None:
    """Refuse two images that do not belong to one stack, naming both and the difference."""
    a, b = (frame.numbers("ImageOrientationPatient", 6) for frame in (first, other))
    _check_equal(first, other, "belong to different series", _uid)
    _check_equal(first, other, "differ in matrix size", _size)
    if min(float(a[:3] @ b[:3]), float(a[3:] @ b[3:])) < SAME_DIRECTION_COSINE:
        raise DicomError(
            f"{first.name} and {other.name} differ in orientation, as the images of a localizer "
            f"do. {ONE_SERIES}"
        )
    one, two = first.numbers("PixelSpacing", 2), other.numbers("PixelSpacing", 2)
    if not np.allclose(one, two, rtol=SAME_SPACING, atol=0):
        raise DicomError(f"{first.name} and {other.name} differ in pixel spacing. {ONE_SERIES}")
    _check_equal(first, other, "differ in echo time", _numeric("EchoTime"))
    _check_equal(first, other, "differ in b-value", _numeric("DiffusionBValue"))
    _check_equal(first, other, "differ in time point", _numeric("TemporalPositionIdentifier"))
    _check_equal(first, other, "differ in image type", lambda frame: frame.kind)


def _check_equal(
    first: Frame, other: Frame, difference: str, value: Callable[[Frame], Any]
) -> None:
    if value(first) != value(other):
        raise DicomError(f"{first.name} and {other.name} {difference}. {ONE_SERIES}")


def _uid(frame: Frame) -> str:
    return str(frame.dataset.get("SeriesInstanceUID") or "")


def _size(frame: Frame) -> tuple[int, int]:
    return int(frame.dataset.Rows), int(frame.dataset.Columns)


def _numeric(keyword: str) -> Callable[[Frame], float | None]:
    def value(frame: Frame) -> float | None:
        number = frame.number_of(keyword)
        return None if number is None else round(number, 3)

    return value


def _slice_spacing(
    ordered: Sequence[Frame], positions: NDArray[np.float64], normal: NDArray[np.float64]
) -> float:
    """Distance from one slice to the next, mm."""
    if len(ordered) == 1:
        thickness = ordered[0].number_of("SpacingBetweenSlices") or ordered[0].number_of(
            "SliceThickness"
        )
        return thickness if thickness and thickness > 0 else 1.0
    steps = np.diff(positions @ normal)
    usual = float(np.median(steps))
    for before, after, step in zip(ordered[:-1], ordered[1:], steps, strict=True):
        if step < SAME_PLACE_MM:
            raise DicomError(f"Two images lie at one place: {before.name} and {after.name}.")
        if abs(step - usual) > UNEVEN_STEP * usual:
            raise DicomError(f"{_gap(step, usual)} between {before.name} and {after.name}.")
    way = positions[-1] - positions[0]
    length = float(np.linalg.norm(way))
    if float(way @ normal) < STRAIGHT_STACK_COSINE * length:
        raise DicomError(
            f"The slices are shifted sideways from {ordered[0].name} to {ordered[-1].name}: they "
            "are not one straight stack."
        )
    return length / (len(ordered) - 1)


def _gap(step: float, usual: float) -> str:
    missing = round(step / usual) - 1
    if missing >= 1 and abs(step / usual - missing - 1) < UNEVEN_STEP:
        return f"{missing} slice{'s are' if missing > 1 else ' is'} missing"
    return f"The slices are unevenly spaced ({step:.2f} mm instead of {usual:.2f} mm)"
