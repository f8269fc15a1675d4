"""One uploaded file: checked, decoded, and copied slice by slice into new, de-identified files."""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

from readerstudy.imaging.deidentification.allowlist import FUNCTIONAL_GROUPS
from readerstudy.imaging.deidentification.copier import (
    Lookup,
    copy_allowed,
    count_removed,
    tag_and_vr,
)
from readerstudy.imaging.deidentification.report import Report
from readerstudy.imaging.deidentification.uids import replace_uid

from .encoding import encode
from .errors import Damaged, Refused
from .hints import Hints, Known, hints_of, person_key
from .pixels import TRANSFER_SYNTAXES, decode
from .scanner_denoising import scanner_denoising
from .suspicion import suspicions_of
from .writing import complete, write_pixel_description

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4.1"
ACCEPTED_CLASSES = {MR_IMAGE, ENHANCED_MR_IMAGE}
DICOMDIR = "1.2.840.10008.1.3.10"
MEDIA_SOP_CLASS, TRANSFER_SYNTAX = 0x0002, 0x0010  # elements of group 0002
MAX_FRAMES = 2000


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


def check_file_meta(data: bytes) -> tuple[str, str]:
    """SOP class and transfer syntax, from the file meta information alone."""
    if not data:
        raise Refused("The file is empty.")
    if len(data) < 132 and not data[:128].strip(b"\0") and b"DICM".startswith(data[128:]):
        raise Damaged("The file is damaged or truncated: it ends before its header.")
    if len(data) < 132 or data[128:132] != b"DICM":
        raise Refused("This is not a DICOM file.")
    meta = file_meta(data)
    syntax, sop_class = meta.get(TRANSFER_SYNTAX, ""), meta.get(MEDIA_SOP_CLASS, "")
    if sop_class == DICOMDIR:
        raise Refused("This is the directory of a disc (DICOMDIR), not an image.")
    if sop_class and sop_class not in ACCEPTED_CLASSES:
        raise Refused(_wrong_class(sop_class))
    if not syntax:
        raise Damaged("The file is damaged or truncated: it does not say how it is encoded.")
    if syntax not in TRANSFER_SYNTAXES:
        name = UID(syntax).name if UID(syntax).is_transfer_syntax else "an unknown one"
        raise Refused(f"The encoding (transfer syntax) is not accepted: {name}.")
    return sop_class, syntax


def file_meta(data: bytes) -> dict[int, str]:
    """The UIDs of group 0002 by element number.

    Read here rather than by the library, which would unpack a deflated data set on the way. The
    group always is explicit VR little endian (PS3.10 7.1).
    """
    found: dict[int, str] = {}
    at = 132
    while at + 8 <= len(data):
        group, element = struct.unpack_from("<HH", data, at)
        if group != 0x0002:
            break
        kind = data[at + 4 : at + 6]
        if kind in (b"OB", b"UN", b"OW", b"SQ", b"UT"):
            if at + 12 > len(data):
                break
            (length,) = struct.unpack_from("<I", data, at + 8)
            at += 12
        else:
            (length,) = struct.unpack_from("<H", data, at + 6)
            at += 8
        if at + length > len(data):
            break
        if kind == b"UI":
            found[element] = data[at : at + length].rstrip(b"\0 ").decode("ascii", "replace")
        at += length
    return found


def _wrong_class(sop_class: str) -> str:
    name = UID(sop_class).name
    if name == sop_class:
        name = "an unknown kind"
    return f"Only MR images are taken; this is {name}."


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
        raise Damaged("The header is nested too deeply.") from None
    except Exception:  # noqa: BLE001
        raise Damaged("The file is damaged or truncated: its header cannot be read.") from None
    try:
        return _parse_dataset(dataset, reading)
    except Refused as refusal:
        _place(refusal, dataset, reading)
        raise
    except RecursionError:
        raise Damaged("The header is nested too deeply.") from None
    except MemoryError:
        raise Damaged("The file needs more memory than is allowed.") from None
    except Exception:  # noqa: BLE001
        raise Damaged("The header is damaged: it cannot be read.") from None


def parse_dataset(dataset: Dataset, *, patient_code: str, key: bytes) -> ParsedFile:
    """The same for a data set made by ourselves; it needs a file_meta with a transfer syntax."""
    return _parse_dataset(dataset, Reading(patient_code, key))


def _parse_dataset(dataset: Dataset, reading: Reading) -> ParsedFile:
    _check_kind(dataset)
    report = Report()
    count_removed(dataset, report, shifted=reading.date_shift is not None)
    enhanced = str(dataset.SOPClassUID) == ENHANCED_MR_IMAGE
    frames = _frame_count(dataset)
    _check_geometry_present(dataset, enhanced, frames)
    pixels = decode(dataset)
    if _is_mosaic(dataset):
        raise Refused(
            "This is a Siemens mosaic: several slices tiled into one image. Export the series "
            "as single images or as enhanced MR, and upload it again."
        )
    slices = []
    for index in range(frames):
        lookup = _frame_lookup(dataset, index) if enhanced else _lookup(dataset)
        target = copy_allowed(
            lookup,
            patient_code=reading.patient_code,
            key=reading.key,
            report=report,
            date_shift=reading.date_shift,
        )
        if enhanced:
            _single_frame(target, dataset, index, reading.key)
        slices.append(_slice(target, pixels[index], dataset, reading.key))
    hints = hints_of(dataset, reading.known, reading.key)
    return ParsedFile(slices, report, hints, suspicions_of(dataset))


def _place(refusal: Refused, dataset: Dataset, reading: Reading) -> None:
    """Note which slice is lost, where a classic header still says so."""
    try:
        # What names series, echo and place stands before the matrix: a header that was cut before
        # it may have lost half of that.
        if "Rows" not in dataset or "PixelData" not in dataset:
            return
        target = copy_allowed(
            dataset.get, patient_code=reading.patient_code, key=reading.key, report=Report()
        )
        position = [float(value) for value in target.ImagePositionPatient]
        complete(target)
        refusal.group = _group(target, person_key(dataset, reading.key))
        refusal.position = position
    except Exception:  # noqa: BLE001 - a damaged header may say nothing at all
        refusal.group = refusal.position = None


def _check_kind(dataset: Dataset) -> None:
    sop_class = str(dataset.get("SOPClassUID") or "")
    whole = "PixelData" in dataset
    # The end of a value may be cut off: half a UID names no other kind of file.
    if sop_class not in ACCEPTED_CLASSES and (whole or UID(sop_class).name != sop_class):
        if not sop_class:
            raise Damaged("The file is damaged or truncated: it does not say what it is.")
        raise Refused(_wrong_class(sop_class))
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        raise Refused("The pixels are floating-point numbers, which MR images never are.")
    if not whole:
        raise Damaged("The file is damaged or truncated: it holds no pixels.")
    modality = str(dataset.get("Modality") or "")
    if modality and modality != "MR":
        raise Refused("The modality is not MR.")
    for keyword in ("SeriesInstanceUID", "SOPInstanceUID"):
        if not str(dataset.get(keyword) or "").strip():
            raise Damaged(f"The header has no {keyword}: its series cannot be told.")


def _frame_count(dataset: Dataset) -> int:
    try:
        frames = int(dataset.get("NumberOfFrames") or 1)
    except (ValueError, TypeError):
        raise Damaged("NumberOfFrames is not a number.") from None
    if not 1 <= frames <= MAX_FRAMES:
        raise Refused(f"The image has more than {MAX_FRAMES} frames.")
    if frames > 1 and str(dataset.SOPClassUID) != ENHANCED_MR_IMAGE:
        raise Refused("Several frames in a classic MR image: their positions are unknown.")
    return frames


def _check_geometry_present(dataset: Dataset, enhanced: bool, frames: int) -> None:
    """Named one by one, before any decoding, so that the reason is the right one."""
    for index in range(frames):
        lookup = _frame_lookup(dataset, index) if enhanced else _lookup(dataset)
        for keyword, count in (
            ("PixelSpacing", 2),
            ("ImagePositionPatient", 3),
            ("ImageOrientationPatient", 6),
        ):
            value = lookup(keyword)
            if value is None or value == "":
                raise Damaged(f"The header has no {keyword}: the slice cannot be placed.")
            try:
                numbers = [float(item) for item in value]
            except (ValueError, TypeError):
                numbers = []
            if len(numbers) != count or not all(math.isfinite(n) for n in numbers):
                raise Damaged(f"{keyword} does not hold {count} numbers.")
        for keyword in ("RescaleSlope", "RescaleIntercept"):
            value = lookup(keyword)
            if value is not None and value != "":
                _rescale(keyword, value)


def _rescale(keyword: str, value: Any) -> float:
    try:
        number = float(value)
    except (ValueError, TypeError):
        raise Damaged(f"{keyword} is not a number.") from None
    if not math.isfinite(number) or (keyword == "RescaleSlope" and number == 0):
        raise Damaged(f"{keyword} is not a usable number.")
    return number


def _is_mosaic(dataset: Dataset) -> bool:
    image_type = dataset.get("ImageType") or []
    values = [image_type] if isinstance(image_type, str) else list(image_type)
    return any(str(value).upper() == "MOSAIC" for value in values)


def _lookup(dataset: Dataset) -> Lookup:
    """Values by keyword. Most of what is asked for is absent: that is told without the library."""
    present = {int(tag) for tag in dataset.keys()}  # noqa: SIM118 - values stay unread

    def lookup(keyword: str) -> Any:
        tag, _vr = tag_and_vr(keyword)
        return dataset[tag].value if int(tag) in present else None

    return lookup


def _frame_lookup(dataset: Dataset, index: int) -> Lookup:
    """Values of one frame: its own functional groups, then the shared ones, then the top level."""
    places: list[Dataset] = []
    own = dataset.get("PerFrameFunctionalGroupsSequence")
    if own is not None and index < len(own):
        places.append(own[index])
    shared = dataset.get("SharedFunctionalGroupsSequence")
    if shared:
        places.append(shared[0])

    def lookup(keyword: str) -> Any:
        for group, name in FUNCTIONAL_GROUPS.get(keyword, ()):
            for place in places:
                items = place.get(group)
                if items:
                    value = items[0].get(name)
                    if value is not None and value != "":
                        return value
        return dataset.get(keyword)

    return lookup


def _single_frame(target: Dataset, dataset: Dataset, index: int, key: bytes) -> None:
    """What one frame needs to stand alone as a classic image."""
    target.SOPInstanceUID = replace_uid(f"{dataset.SOPInstanceUID}#{index + 1}", key)
    target.InstanceNumber = index + 1
    value = target.get("InPlanePhaseEncodingDirection")
    if value == "COLUMN":  # enhanced says COLUMN where classic says COL
        target.InPlanePhaseEncodingDirection = "COL"
    if "EchoTrainLength" not in target:
        target.EchoTrainLength = None


def _slice(target: Dataset, pixels: np.ndarray, source: Dataset, key: bytes) -> ParsedSlice:
    series_uid = str(source.SeriesInstanceUID)
    target.SOPClassUID = MR_IMAGE
    target.Modality = "MR"
    if "StudyInstanceUID" not in target:
        target.StudyInstanceUID = replace_uid(f"study of {series_uid}", key)
    if "FrameOfReferenceUID" not in target:
        target.FrameOfReferenceUID = replace_uid(f"frame of {series_uid}", key)
    given = _lookup(target)
    parameters = {name: _plain(value) for name in PARAMETERS if (value := given(name)) is not None}
    denoising = scanner_denoising(source)
    if denoising:
        parameters["VendorDenoising"] = denoising
    complete(target)
    # Measured or computed from others: what the header says of the grid depends on it.
    parameters["ImageType"] = str(target.ImageType[0])
    write_pixel_description(target, pixels, int(source.BitsStored))
    content, offset = encode(target, pixels)
    spacing = [float(v) for v in target.PixelSpacing]
    orientation = tuple(float(v) for v in target.ImageOrientationPatient)
    thickness = _float_or_none(target.get("SpacingBetweenSlices")) or _float_or_none(
        target.get("SliceThickness")
    )
    return ParsedSlice(
        content=content,
        pixel_offset=offset,
        pixel_dtype="<i2" if pixels.dtype == np.int16 else "<u2",
        rows=int(target.Rows),
        columns=int(target.Columns),
        position=tuple(float(v) for v in target.ImagePositionPatient),
        orientation=orientation,
        row_spacing=spacing[0],
        column_spacing=spacing[1],
        thickness=thickness,
        slope=float(target.get("RescaleSlope", 1.0)),
        intercept=float(target.get("RescaleIntercept", 0.0)),
        group=_group(target, person_key(source, key)),
        sop_uid=str(target.SOPInstanceUID),
        parameters=parameters,
    )


def _group(target: Dataset, person: str) -> str:
    """Slices of one person, series, echo, b-value, time and image kind belong together."""
    image_type = list(target.get("ImageType") or [])
    return "|".join(
        [
            person,
            str(target.SeriesInstanceUID),
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
