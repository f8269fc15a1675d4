"""One uploaded file: checked, decoded, and copied slice by slice into new, de-identified files."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from readerstudy.imaging.deidentification.copier import (
    Values,
    copy_allowed,
    count_removed,
)
from readerstudy.imaging.deidentification.report import Report
from readerstudy.imaging.deidentification.uids import replace_uid

from .checks import (
    ENHANCED_MR_IMAGE,
    MR_IMAGE,
    check_file_meta,
    check_geometry_present,
    check_kind,
    frame_count,
    is_mosaic,
)
from .encoding import encode_values
from .errors import AGAIN, LEAVE_OUT, Damaged, Refused
from .hints import Hints, Known, hints_of, person_key
from .lookups import Header, frame_lookup
from .pixels import decode
from .scanner_denoising import scanner_denoising
from .suspicion import suspicions_of
from .writing import complete, write_pixel_description

PARAMETERS = (
    "Manufacturer",
    "ManufacturerModelName",
    "MagneticFieldStrength",
    "BodyPartExamined",
    "MRAcquisitionType",
    "ScanningSequence",
    "SequenceVariant",
    "ScanOptions",
    "RepetitionTime",
    "EchoTime",
    "InversionTime",
    "FlipAngle",
    "EchoTrainLength",
    "NumberOfAverages",
    "AcquisitionMatrix",
    "NumberOfPhaseEncodingSteps",
    "PercentSampling",
    "PercentPhaseFieldOfView",
    "ReconstructionDiameter",
    "PixelBandwidth",
    "SliceThickness",
    "SpacingBetweenSlices",
    "PixelSpacing",
    "InPlanePhaseEncodingDirection",
    "AcquisitionDuration",
    "ParallelAcquisition",
    "ParallelAcquisitionTechnique",
    "ParallelReductionFactorInPlane",
    "PartialFourier",
    "DiffusionBValue",
    "LossyImageCompression",
)


@dataclass
class ParsedSlice:
    """A de-identified slice, ready to be stored, and what the grouping needs to know of it."""

    content: bytes
    pixel_offset: int
    pixel_dtype: str
    rows: int
    columns: int
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    row_spacing: float
    column_spacing: float
    thickness: float | None
    slope: float
    intercept: float
    group: str
    sop_uid: str
    parameters: dict[str, Any]


@dataclass
class ParsedFile:
    slices: list[ParsedSlice]
    report: Report = field(default_factory=Report)
    hints: Hints = field(default_factory=Hints)
    suspicions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Reading:
    """How a file is read: under which code and key, dates moved by how many days or dropped, and
    what is known of the study for guesses."""

    patient_code: str
    key: bytes
    date_shift: int | None = None
    known: Known = field(default_factory=Known)


def parse_image(
    data: bytes,
    *,
    patient_code: str,
    key: bytes,
    date_shift: int | None = None,
    known: Known | None = None,
) -> ParsedFile:
    """Check one file and make its de-identified slices.

    Raises
    ------
    Refused
        With the reason. Everything that the reading library raises is caught: its messages may
        quote the header.
    """
    check_file_meta(data)
    reading = Reading(patient_code, key, date_shift, known or Known())
    try:
        dataset = dcmread(io.BytesIO(data))
    except (RecursionError, MemoryError):
        raise Damaged(f"The header is nested too deeply. {LEAVE_OUT}") from None
    except Exception:  # noqa: BLE001
        raise Damaged(
            f"The file is damaged or truncated: its header cannot be read. {AGAIN}"
        ) from None
    try:
        return _parse_dataset(dataset, reading)
    except Refused as refusal:
        _place(refusal, dataset, reading)
        raise
    except RecursionError:
        raise Damaged(f"The header is nested too deeply. {LEAVE_OUT}") from None
    except MemoryError:
        raise Damaged("The file needs more memory than is allowed.") from None
    except Exception:  # noqa: BLE001
        raise Damaged("The header is damaged: it cannot be read.") from None


def parse_dataset(dataset: Dataset, *, patient_code: str, key: bytes) -> ParsedFile:
    """The same for a data set made by ourselves; it needs a file_meta with a transfer syntax."""
    return _parse_dataset(dataset, Reading(patient_code, key))


def _parse_dataset(dataset: Dataset, reading: Reading) -> ParsedFile:
    header = Header(dataset)
    check_kind(header)
    report = Report()
    count_removed(header.tags, report, shifted=reading.date_shift is not None)
    enhanced = str(header("SOPClassUID")) == ENHANCED_MR_IMAGE
    frames = frame_count(header)
    check_geometry_present(header, enhanced, frames)
    pixels = decode(header)
    if is_mosaic(header):
        raise Refused(
            "This is a Siemens mosaic: several slices tiled into one image. Export the series "
            "as single images or as enhanced MR, and upload it again."
        )
    source = _source(header, reading.key)
    slices = []
    for index in range(frames):
        lookup = frame_lookup(header, index) if enhanced else header
        target = copy_allowed(
            lookup,
            patient_code=reading.patient_code,
            key=reading.key,
            report=report,
            date_shift=reading.date_shift,
        )
        if enhanced:
            _single_frame(target, source, index, reading.key)
        slices.append(_slice(target, pixels[index], source, reading.key))
    hints = hints_of(header, reading.known, source.person)
    return ParsedFile(slices, report, hints, suspicions_of(header))


@dataclass(frozen=True)
class _Source:
    """What all slices of one file have from its header, beside what is copied."""

    series_uid: str
    sop_uid: str
    bits_stored: int
    person: str
    denoising: str


def _source(header: Header, key: bytes) -> _Source:
    return _Source(
        series_uid=str(header("SeriesInstanceUID")),
        sop_uid=str(header("SOPInstanceUID")),
        bits_stored=int(header("BitsStored")),
        person=person_key(header, key),
        denoising=scanner_denoising(header),
    )


def _place(refusal: Refused, dataset: Dataset, reading: Reading) -> None:
    """Note which slice is lost, where a classic header still says so."""
    try:
        # What names series, echo and place stands before the matrix: a header that was cut before
        # it may have lost half of that.
        header = Header(dataset)
        if "Rows" not in header or "PixelData" not in header:
            return
        target = copy_allowed(
            header, patient_code=reading.patient_code, key=reading.key, report=Report()
        )
        position = [float(value) for value in target["ImagePositionPatient"]]
        complete(target)
        refusal.group = _group(target, person_key(header, reading.key))
        refusal.position = position
    except Exception:  # noqa: BLE001 - a damaged header may say nothing at all
        refusal.group = refusal.position = None


def _single_frame(target: Values, source: _Source, index: int, key: bytes) -> None:
    """What one frame needs to stand alone as a classic image."""
    target["SOPInstanceUID"] = replace_uid(f"{source.sop_uid}#{index + 1}", key)
    target["InstanceNumber"] = index + 1
    if target.get("InPlanePhaseEncodingDirection") == "COLUMN":  # COL in a classic image
        target["InPlanePhaseEncodingDirection"] = "COL"
    target.setdefault("EchoTrainLength", None)


def _slice(target: Values, pixels: np.ndarray, source: _Source, key: bytes) -> ParsedSlice:
    target["SOPClassUID"] = MR_IMAGE
    target["Modality"] = "MR"
    if "StudyInstanceUID" not in target:
        target["StudyInstanceUID"] = replace_uid(f"study of {source.series_uid}", key)
    if "FrameOfReferenceUID" not in target:
        target["FrameOfReferenceUID"] = replace_uid(f"frame of {source.series_uid}", key)
    parameters = {
        name: _plain(value) for name in PARAMETERS if (value := target.get(name)) is not None
    }
    if source.denoising:
        parameters["VendorDenoising"] = source.denoising
    complete(target)
    # Measured or computed from others: what the header says of the grid depends on it.
    parameters["ImageType"] = str(target["ImageType"][0])
    write_pixel_description(target, pixels, source.bits_stored)
    content, offset = encode_values(target, pixels)
    spacing = [float(v) for v in target["PixelSpacing"]]
    orientation = tuple(float(v) for v in target["ImageOrientationPatient"])
    thickness = _float_or_none(target.get("SpacingBetweenSlices")) or _float_or_none(
        target.get("SliceThickness")
    )
    return ParsedSlice(
        content=content,
        pixel_offset=offset,
        pixel_dtype="<i2" if pixels.dtype == np.int16 else "<u2",
        rows=target["Rows"],
        columns=target["Columns"],
        position=tuple(float(v) for v in target["ImagePositionPatient"]),
        orientation=orientation,
        row_spacing=spacing[0],
        column_spacing=spacing[1],
        thickness=thickness,
        slope=float(target.get("RescaleSlope", 1.0)),
        intercept=float(target.get("RescaleIntercept", 0.0)),
        group=_group(target, source.person),
        sop_uid=target["SOPInstanceUID"],
        parameters=parameters,
    )


def _group(target: Values, person: str) -> str:
    """Slices of one person, series, echo, b-value, time and image kind belong together."""
    image_type = target["ImageType"]
    return "|".join(
        [
            person,
            target["SeriesInstanceUID"],
            str(target.get("EchoTime") or ""),
            str(target.get("DiffusionBValue") or ""),
            str(target.get("TemporalPositionIdentifier") or ""),
            str(image_type[2] if len(image_type) > 2 else ""),
        ]
    )


def _float_or_none(value: Any) -> float | None:
    try:
        return float(value)
    except (ValueError, TypeError):
        return None


def _plain(value: Any) -> Any:
    """Header values as JSON takes them."""
    if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue":
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        return int(value)
    return str(value)
