"""Derived images as proper DICOM: who made them, from what, how.

PS3.3 C.7.6.1 (General Image: derivation, source images) and C.12.1 (contributing equipment). The
de-identified source slices are copied: patient, study, frame of reference and geometry stay, the
other UIDs are new.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import generate_uid

from readerstudy.imaging.geometry import SlicePlane
from readerstudy.imaging.parsing.writing import encode
from readerstudy.imaging.storing import StoredSlice

DESCRIPTION_LENGTH = 1024  # ST
SCHEME = "99READERSTUDY"
# CID 7203 has no code for noise reduction by a learned network: a private scheme, declared below.
DERIVATION = ("DLR", SCHEME, "Deep learning reconstruction, noise reduction")
SOURCE_PURPOSE = ("121322", "DCM", "Source image for image processing operation")
EQUIPMENT_PURPOSE = ("109102", "DCM", "Processing Equipment")
SERIES_NUMBER_STEP = 1000
STALE = (
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "PixelPaddingValue",
    "IconImageSequence",
    "DigitalSignaturesSequence",
)
DESCRIBED = (
    "method",
    "model",
    "model_version",
    "weights_sha256",
    "strength",
    "sigma",
    "sigma_method",
    "sigma_confidence",
    "blend",
    "target_gain",
    "achieved_gain",
    "air_gain",
    "grid",
    "backend",
)


def derive_slices(
    sources: Sequence[Dataset], volume: np.ndarray, provenance: Mapping[str, Any]
) -> list[StoredSlice]:
    """The slices of a derived series, in the order of its source.

    Parameters
    ----------
    sources : sequence of Dataset
        De-identified source slices in anatomical order.
    volume : ndarray
        [slices, rows, columns], rescaled values as the engine returned them.
    provenance : mapping
        What goes into the derivation description; see `DESCRIBED`.
    """
    if len(sources) != len(volume):
        raise ValueError(f"{len(sources)} source slices, {len(volume)} derived ones.")
    slope, intercept, signed = scaling(volume, sources[0])
    series_uid = generate_uid(prefix=None)
    description = derivation_description(provenance)
    slices = []
    for source, values in zip(sources, volume, strict=True):
        stored = np.rint((values.astype(np.float64) - intercept) / slope)
        limits = (-32768, 32767) if signed else (0, 65535)
        pixels = np.clip(stored, *limits).astype(np.int16 if signed else np.uint16)
        target = _derived(source, series_uid, description, provenance)
        _describe_pixels(target, pixels, slope, intercept)
        content, offset = encode(target, pixels)
        slices.append(_stored(target, content, offset, pixels, slope, intercept))
    return slices


def scaling(volume: np.ndarray, source: Dataset) -> tuple[float, float, bool]:
    """Slope, intercept and sign of the derived integers.

    The source's slope divided by a power of two: as fine as 16 bits allow, so that rounding adds
    nothing to what a region measures, and still an exact fraction of the source's steps.
    """
    slope = float(source.get("RescaleSlope", 1) or 1)
    intercept = float(source.get("RescaleIntercept", 0) or 0)
    low = (float(volume.min()) - intercept) / slope
    high = (float(volume.max()) - intercept) / slope
    signed = min(low, high) < -0.5
    room = 32767.0 if signed else 65535.0
    reach = max(abs(low), abs(high), 1e-12)
    power = math.floor(math.log2(room / reach))
    return slope / 2.0**power, intercept, signed


def derivation_description(provenance: Mapping[str, Any]) -> str:
    """Compact JSON of at most 1024 characters; numbers to six digits."""
    content = {
        key: _short(provenance[key])
        for key in DESCRIBED
        if key in provenance and provenance[key] is not None
    }
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True)
    if len(text) > DESCRIPTION_LENGTH:
        raise ValueError(f"The derivation description has {len(text)} characters.")
    return text


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    return value


def _derived(
    source: Dataset, series_uid: str, description: str, provenance: Mapping[str, Any]
) -> Dataset:
    target = Dataset()
    for element in source:
        if element.keyword != "PixelData" and element.keyword not in STALE:
            target.add(deepcopy(element))  # elements are mutable, and the source's must stay
    target.SOPInstanceUID = generate_uid(prefix=None)
    target.SeriesInstanceUID = series_uid
    number = source.get("SeriesNumber")
    target.SeriesNumber = (int(number) if number not in (None, "") else 0) + SERIES_NUMBER_STEP
    image_type = source.get("ImageType")
    values = [str(v) for v in image_type] if isinstance(image_type, MultiValue) else []
    target.ImageType = ["DERIVED", "SECONDARY", *(values[2:] or ["OTHER"])]
    target.DerivationDescription = description
    target.DerivationCodeSequence = DicomSequence([_code(DERIVATION)])
    target.CodingSchemeIdentificationSequence = DicomSequence([_scheme()])
    reference = Dataset()
    reference.ReferencedSOPClassUID = source.SOPClassUID
    reference.ReferencedSOPInstanceUID = source.SOPInstanceUID
    reference.PurposeOfReferenceCodeSequence = DicomSequence([_code(SOURCE_PURPOSE)])
    target.SourceImageSequence = DicomSequence([reference])
    target.ContributingEquipmentSequence = DicomSequence(
        [*source.get("ContributingEquipmentSequence", []), _equipment(provenance)]
    )
    return target


def _equipment(provenance: Mapping[str, Any]) -> Dataset:
    equipment = Dataset()
    equipment.PurposeOfReferenceCodeSequence = DicomSequence([_code(EQUIPMENT_PURPOSE)])
    equipment.Manufacturer = "ReaderStudy"
    equipment.ManufacturerModelName = str(provenance.get("model", ""))[:64]
    equipment.SoftwareVersions = str(provenance.get("model_version", ""))[:64]
    equipment.ContributionDescription = "Derived images: research use only, not for diagnosis"
    return equipment


def _code(code: tuple[str, str, str]) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return item


def _scheme() -> Dataset:
    scheme = Dataset()
    scheme.CodingSchemeDesignator = SCHEME
    scheme.CodingSchemeName = "ReaderStudy codes for derived images"
    scheme.CodingSchemeResponsibleOrganization = "ReaderStudy"
    return scheme


def _describe_pixels(target: Dataset, pixels: np.ndarray, slope: float, intercept: float) -> None:
    target.BitsAllocated = target.BitsStored = 16
    target.HighBit = 15
    target.PixelRepresentation = 1 if pixels.dtype == np.int16 else 0
    target.RescaleSlope = _decimal(slope)
    target.RescaleIntercept = _decimal(intercept)
    target.RescaleType = "US"


def _decimal(value: float) -> str:
    """A decimal string of at most 16 characters (DS)."""
    for digits in range(15, 0, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    raise ValueError(f"{value} does not fit into a decimal string.")


def _stored(
    target: Dataset,
    content: bytes,
    offset: int,
    pixels: np.ndarray,
    slope: float,
    intercept: float,
) -> StoredSlice:
    x, y, z = (float(v) for v in target.ImagePositionPatient)
    a, b, c, d, e, f = (float(v) for v in target.ImageOrientationPatient)
    rows, columns = (float(v) for v in target.PixelSpacing)
    thickness = target.get("SpacingBetweenSlices") or target.get("SliceThickness")
    return StoredSlice(
        content=content,
        plane=SlicePlane(
            position=(x, y, z),
            orientation=(a, b, c, d, e, f),
            row_spacing=rows,
            column_spacing=columns,
            rows=int(pixels.shape[0]),
            columns=int(pixels.shape[1]),
            thickness=float(thickness) if thickness else None,
        ),
        pixel_offset=offset,
        pixel_dtype="<i2" if pixels.dtype == np.int16 else "<u2",
        # What the header says to the last digit, so that file and volume agree.
        slope=float(_decimal(slope)),
        intercept=float(_decimal(intercept)),
    )
