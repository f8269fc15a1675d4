"""Regions drawn elsewhere: ImageJ's ROI files and a table of places, read into our own terms.

ImageJ counts pixels from the corner of the first one, we from its centre; it counts slices from 1
in the order in which the images were opened, we from 1 in anatomical order (the page offers to
count from the other end). Nothing is written here: `do_place_regions_from_file` places all or
none.
"""

from __future__ import annotations

import csv
import io
import math
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import roifile

from readerstudy.imaging.models import Volunteer
from readerstudy.imaging.selectors import control_series, geometry_of
from readerstudy.studies.models import Study, Tissue

from .errors import MeasurementError

MOST_BYTES = 5 * 1024**2
MOST_ROIS = 500
ROI_BYTES = 64 * 1024
ASPECT_RATIO_AT = 52
COLUMNS = ("tissue", "slice", "row", "column", "width_mm", "height_mm", "angle_deg")
Places = dict[str, dict[str, Any]]  # {tissue code: what do_place_regions_from_file takes}


def read_region_file(
    volunteer: Volunteer, name: str, content: bytes, *, from_the_other_end: bool = False
) -> Places:
    """The regions of one volunteer in an ImageJ .roi, a .zip of them, or a .csv.

    Raises MeasurementError that names the file and the entry.
    """
    control = control_series(volunteer)
    if control is None:
        raise MeasurementError(f"{volunteer.code} has no images of the control to place them on.")
    if not content:
        raise MeasurementError(f"{name}: the file is empty.")
    if len(content) > MOST_BYTES:
        raise MeasurementError(f"{name}: the file is larger than {MOST_BYTES // 1024**2} MB.")
    kind = name.rsplit(".", 1)[-1].lower()
    grid = geometry_of(control)
    spacing = (grid.row_spacing, grid.column_spacing)
    if kind == "csv":
        places = _read_csv(volunteer.study, name, content)
    elif kind in {"roi", "zip"}:
        rois = _rois(name, content) if kind == "zip" else [(name, content)]
        places = {}
        tissues = _tissues(volunteer.study)
        for entry, data in rois:
            code, place = _read_roi(entry, data, tissues, spacing)
            if code in places:
                raise MeasurementError(f"{entry}: a second region of {code} in one file.")
            places[code] = place
    else:
        raise MeasurementError(
            f"{name}: give an ImageJ .roi, a .zip of them as ImageJ's ROI Manager saves it, or a "
            ".csv."
        )
    if not places:
        raise MeasurementError(f"{name}: there is no region in it.")
    for code, place in places.items():
        index = int(place["slice"]) - 1
        if not 0 <= index < grid.slices:
            raise MeasurementError(
                f"{name}, {code}: slice {index + 1} is not among the {grid.slices} of the control."
            )
        place["slice"] = grid.slices - 1 - index if from_the_other_end else index
    return places


def _tissues(study: Study) -> Mapping[str, Tissue]:
    """By code and by name, whatever the letters' case."""
    found: dict[str, Tissue] = {}
    for tissue in study.tissues.all():
        found[_plain(tissue.code)] = found[_plain(tissue.name)] = tissue
    return found


def _plain(text: str) -> str:
    return text.strip().casefold().replace("-", "_").replace(" ", "_")


def _tissue(tissues: Mapping[str, Tissue], name: str, where: str) -> Tissue:
    tissue = tissues.get(_plain(name))
    if tissue is None:
        known = ", ".join(dict.fromkeys(t.code for t in tissues.values()))
        raise MeasurementError(f"{where}: “{name[:40]}” is no tissue of the study ({known}).")
    return tissue


# --- ImageJ ---------------------------------------------------------------------------------------


def _rois(name: str, content: bytes) -> list[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [e for e in archive.infolist() if e.filename.lower().endswith(".roi")]
            if len(entries) > MOST_ROIS or any(e.file_size > ROI_BYTES for e in entries):
                raise MeasurementError(
                    f"{name}: more than {MOST_ROIS} regions, or one far too large for an ellipse."
                )
            return [(entry.filename, archive.read(entry)) for entry in entries]
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError):
        raise MeasurementError(f"{name}: this is not a zip file that can be read.") from None


def _read_roi(
    entry: str, content: bytes, tissues: Mapping[str, Tissue], spacing: tuple[float, float]
) -> tuple[str, dict[str, Any]]:
    if len(content) > ROI_BYTES or content[:4] != b"Iout":
        raise MeasurementError(f"{entry}: this is not an ImageJ ROI file.")
    try:
        roi = roifile.ImagejRoi.frombytes(content)
    except Exception:  # noqa: BLE001 - whatever a damaged file makes of the reader
        raise MeasurementError(f"{entry}: the ROI file is damaged.") from None
    file_name = entry.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    tissue = _tissue(tissues, roi.name or file_name, entry)
    row_spacing, column_spacing = spacing
    if roi.roitype == roifile.ROI_TYPE.OVAL:
        left, top, right, bottom = _box(roi)
        place = {
            "row": (top + bottom) / 2 - 0.5,
            "column": (left + right) / 2 - 0.5,
            "semi_axes_mm": [
                (right - left) / 2 * column_spacing,
                (bottom - top) / 2 * row_spacing,
            ],
            "angle_deg": 0.0,
        }
    elif roi.roitype == roifile.ROI_TYPE.FREEHAND and roi.subtype == roifile.ROI_SUBTYPE.ELLIPSE:
        place = _turned_ellipse(roi, content, spacing)
    else:
        raise MeasurementError(
            f"{entry}: regions are ellipses; this one is a {roi.roitype.name.lower()}. Draw it "
            "with ImageJ's oval or elliptical tool."
        )
    # A hyperstack counts slices apart; a plain stack has one position.
    place["slice"] = roi.z_position if roi.z_position > 0 else max(roi.position, 1)
    return tissue.code, place


def _box(roi: roifile.ImagejRoi) -> tuple[float, float, float, float]:
    """Left, top, right, bottom; with fractions of a pixel where ImageJ wrote them."""
    if roi.subpixelresolution and roi.widthd > 0 and roi.heightd > 0:
        return roi.xd, roi.yd, roi.xd + roi.widthd, roi.yd + roi.heightd
    return float(roi.left), float(roi.top), float(roi.right), float(roi.bottom)


def _turned_ellipse(
    roi: roifile.ImagejRoi, content: bytes, spacing: tuple[float, float]
) -> dict[str, Any]:
    """The ends of its long axis and the ratio of the axes, in pixels.

    ImageJ's ratio is one of pixels; where they are not square, the ellipse in mm is found from the
    quadratic form, which a stretch of the axes turns into another ellipse.
    """
    down, across = spacing
    dx, dy = roi.x2 - roi.x1, roi.y2 - roi.y1
    long = math.hypot(dx, dy) / 2
    # ELLIPSE_ASPECT_RATIO of ImageJ's RoiDecoder, a big-endian float.
    (ratio,) = struct.unpack_from(">f", content, ASPECT_RATIO_AT)
    if not (long > 0 and 0 < ratio <= 1):
        raise MeasurementError(f"{roi.name}: the ellipse has no size.")
    turn = math.atan2(dy, dx)
    a, b = long, long * ratio
    cos, sin = math.cos(turn), math.sin(turn)
    # x'Qx = 1 in pixels; in mm each axis is stretched.
    xx = ((cos / a) ** 2 + (sin / b) ** 2) / across**2
    yy = ((sin / a) ** 2 + (cos / b) ** 2) / down**2
    xy = cos * sin * (1 / a**2 - 1 / b**2) / (across * down)
    middle, spread = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    return {
        "row": (roi.y1 + roi.y2) / 2 - 0.5,
        "column": (roi.x1 + roi.x2) / 2 - 0.5,
        "semi_axes_mm": [1 / math.sqrt(middle - spread), 1 / math.sqrt(middle + spread)],
        # The long axis is the direction of the smaller eigenvalue.
        "angle_deg": math.degrees(0.5 * math.atan2(-2 * xy, yy - xx)),
    }


# --- A table --------------------------------------------------------------------------------------


def _read_csv(study: Study, name: str, content: bytes) -> Places:
    """tissue, slice (from 1), row, column (from 0, may be fractions), width_mm, height_mm and,
    if turned, angle_deg."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise MeasurementError(f"{name}: the file is not UTF-8 text.") from None
    first = text.split("\n", 1)[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=";" if ";" in first else ",")
    headings = {_plain(heading): heading for heading in reader.fieldnames or []}
    missing = [column for column in COLUMNS[:-1] if column not in headings]
    if missing:
        raise MeasurementError(f"{name}: the columns {', '.join(missing)} are missing.")
    tissues = _tissues(study)
    places: Places = {}
    for row in reader:
        where = f"{name}, line {reader.line_num}"
        tissue = _tissue(tissues, row[headings["tissue"]] or "", where)
        if tissue.code in places:
            raise MeasurementError(f"{where}: a second region of {tissue.code}.")
        numbers = {
            column: _number(row[headings[column]], column, where)
            for column in COLUMNS[1:]
            if column in headings and (row[headings[column]] or "").strip()
        }
        lacking = [column for column in COLUMNS[1:-1] if column not in numbers]
        if lacking:
            raise MeasurementError(f"{where}: {', '.join(lacking)} has no value.")
        if numbers["slice"] != int(numbers["slice"]):
            raise MeasurementError(f"{where}: slice is a whole number, counted from 1.")
        places[tissue.code] = {
            "slice": int(numbers["slice"]),
            "row": numbers["row"],
            "column": numbers["column"],
            "semi_axes_mm": [numbers["width_mm"] / 2, numbers["height_mm"] / 2],
            "angle_deg": numbers.get("angle_deg", 0.0),
        }
    return places


def _number(text: str | None, column: str, where: str) -> float:
    try:
        value = float((text or "").strip().replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise MeasurementError(f"{where}, {column}: “{(text or '')[:30]}” is no number.")
    return value
