"""Whether an uploaded file is an MR image that can be used, told from its header alone."""

from __future__ import annotations

import math
import struct
from typing import Any

from pydicom.uid import UID

from .errors import AGAIN, LEAVE_OUT, ORIGINAL, Damaged, Refused
from .lookups import Header, frame_lookup
from .pixels import TRANSFER_SYNTAXES

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4.1"
ACCEPTED_CLASSES = {MR_IMAGE, ENHANCED_MR_IMAGE}
DICOMDIR = "1.2.840.10008.1.3.10"
MEDIA_SOP_CLASS, TRANSFER_SYNTAX = 0x0002, 0x0010  # elements of group 0002
MAX_FRAMES = 2000
# What places a slice in the patient: attribute, how many numbers, what it says.
PLACING = (
    ("PixelSpacing", 2, "how far apart the pixels lie"),
    ("ImagePositionPatient", 3, "where the slice lies in the body"),
    ("ImageOrientationPatient", 6, "how the slice is turned in the body"),
)


def check_file_meta(data: bytes) -> tuple[str, str]:
    """SOP class and transfer syntax, from the file meta information alone."""
    if not data:
        raise Refused("The file is empty.")
    if len(data) < 132 and not data[:128].strip(b"\0") and b"DICM".startswith(data[128:]):
        raise Damaged(f"The file is damaged or truncated: it ends before its header. {AGAIN}")
    if len(data) < 132 or data[128:132] != b"DICM":
        raise Refused("This is not a DICOM file.")
    meta = file_meta(data)
    syntax, sop_class = meta.get(TRANSFER_SYNTAX, ""), meta.get(MEDIA_SOP_CLASS, "")
    if sop_class == DICOMDIR:
        raise Refused(f"This is the directory of a disc (DICOMDIR), not an image. {LEAVE_OUT}")
    if sop_class and sop_class not in ACCEPTED_CLASSES:
        raise Refused(_wrong_class(sop_class))
    if not syntax:
        raise Damaged(
            f"The file is damaged or truncated: it does not say how it is encoded. {AGAIN}"
        )
    if syntax not in TRANSFER_SYNTAXES:
        name = UID(syntax).name if UID(syntax).is_transfer_syntax else "unknown to DICOM"
        raise Refused(
            f"The file is compressed in a way that is not taken ({name}). Export it again "
            "uncompressed, or with JPEG Lossless or JPEG 2000 compression."
        )
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
    return f"Only MR images are taken; this is {name}. {LEAVE_OUT}"


def check_kind(header: Header) -> None:
    sop_class = str(header("SOPClassUID") or "")
    whole = "PixelData" in header
    # The end of a value may be cut off: half a UID names no other kind of file.
    if sop_class not in ACCEPTED_CLASSES and (whole or UID(sop_class).name != sop_class):
        if not sop_class:
            raise Damaged(f"The file is damaged or truncated: it does not say what it is. {AGAIN}")
        raise Refused(_wrong_class(sop_class))
    if "FloatPixelData" in header or "DoubleFloatPixelData" in header:
        raise Refused(
            f"The pixels are floating-point numbers, which a scanner's images never are. {ORIGINAL}"
        )
    if not whole:
        raise Damaged(f"The file is damaged or truncated: it holds no pixels. {AGAIN}")
    modality = str(header("Modality") or "")
    if modality and modality != "MR":
        raise Refused(
            f"The header says that this is no MR image: its modality is not MR. {LEAVE_OUT}"
        )
    for keyword, what in (
        ("SeriesInstanceUID", "which series the image belongs to"),
        ("SOPInstanceUID", "which image of its series this is"),
    ):
        if not str(header(keyword) or "").strip():
            raise Damaged(f"The header does not say {what} (no {keyword}). {ORIGINAL}")


def frame_count(header: Header) -> int:
    try:
        frames = int(header("NumberOfFrames") or 1)
    except (ValueError, TypeError):
        raise Damaged(
            f"The header does not say how many images the file holds (NumberOfFrames). {ORIGINAL}"
        ) from None
    if not 1 <= frames <= MAX_FRAMES:
        raise Refused(
            f"The file holds more than {MAX_FRAMES} images. Export the series as single images."
        )
    if frames > 1 and str(header("SOPClassUID")) != ENHANCED_MR_IMAGE:
        raise Refused(
            "The file holds several images without saying where each lies. Export the series as "
            "single images or as enhanced MR."
        )
    return frames


def check_geometry_present(header: Header, enhanced: bool, frames: int) -> None:
    """Named one by one, before any decoding, so that the reason is the right one."""
    for index in range(frames):
        lookup = frame_lookup(header, index) if enhanced else header
        for keyword, count, what in PLACING:
            value = lookup(keyword)
            if value is None or value == "":
                raise Damaged(f"The header does not say {what} (no {keyword}). {ORIGINAL}")
            try:
                numbers = [float(item) for item in value]
            except (ValueError, TypeError):
                numbers = []
            if len(numbers) != count or not all(math.isfinite(n) for n in numbers):
                raise Damaged(
                    f"The header does not say {what}: {keyword} does not hold {count} numbers. "
                    f"{ORIGINAL}"
                )
        for keyword in ("RescaleSlope", "RescaleIntercept"):
            value = lookup(keyword)
            if value is not None and value != "":
                _rescale(keyword, value)


def _rescale(keyword: str, value: Any) -> float:
    try:
        number = float(value)
    except (ValueError, TypeError):
        raise Damaged(_unusable(keyword)) from None
    if not math.isfinite(number) or (keyword == "RescaleSlope" and number == 0):
        raise Damaged(_unusable(keyword))
    return number


def _unusable(keyword: str) -> str:
    return (
        f"What the grey values mean cannot be told: {keyword} in the header is not a usable "
        f"number. {ORIGINAL}"
    )


def is_mosaic(header: Header) -> bool:
    image_type = header("ImageType") or []
    values = [image_type] if isinstance(image_type, str) else list(image_type)
    return any(str(value).upper() == "MOSAIC" for value in values)
