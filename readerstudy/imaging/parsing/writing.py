"""What a classic MR image of our own says of itself: complete, and with its pixels described."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.valuerep import DSfloat

from readerstudy.imaging.deidentification.copier import Values

# Body parts that come in pairs, for which a side is to be said (PS3.16 CID 4031).
PAIRED_PARTS = frozenset(
    {
        "ANKLE",
        "ARM",
        "BREAST",
        "CLAVICLE",
        "ELBOW",
        "EXTREMITY",
        "FEMUR",
        "FINGER",
        "FOOT",
        "FOREARM",
        "HAND",
        "HIP",
        "HUMERUS",
        "KNEE",
        "LEG",
        "ORBIT",
        "SHOULDER",
        "THIGH",
        "THUMB",
        "TOE",
        "WRIST",
    }
)


def complete(target: Values) -> None:
    """Attributes that an MR image must have (PS3.3 C.8.3.1), where the upload had none."""
    given = target.get("ImageType") or []
    image_type = [] if isinstance(given, str) else [str(value) for value in given]
    if len(image_type) < 2:
        image_type = ["ORIGINAL", "PRIMARY", "OTHER"]
    if image_type[0] not in ("ORIGINAL", "DERIVED"):
        image_type[0] = "ORIGINAL"
    if image_type[1] not in ("PRIMARY", "SECONDARY"):
        image_type[1] = "PRIMARY"
    if len(image_type) < 3 or not image_type[2]:
        image_type = [*image_type[:2], "OTHER", *image_type[3:]]
    target["ImageType"] = image_type
    if not target.get("ScanningSequence"):
        target["ScanningSequence"] = "RM"
    if not target.get("SequenceVariant"):
        target["SequenceVariant"] = "NONE"
    for keyword in (
        "Manufacturer",
        "SeriesNumber",
        "InstanceNumber",
        "ScanOptions",
        "MRAcquisitionType",
        "RepetitionTime",
        "EchoTime",
        "EchoTrainLength",
        "SliceThickness",
        "PatientPosition",
    ):
        target.setdefault(keyword, None)
    if not _has_window(target):
        for keyword in ("WindowCenter", "WindowWidth"):
            target.pop(keyword, None)
    # An inversion time belongs to inversion recovery alone (type 2C); it stays in the parameters.
    sequences = target["ScanningSequence"]
    if "IR" not in ([sequences] if isinstance(sequences, str) else sequences):
        target.pop("InversionTime", None)
    else:
        target.setdefault("InversionTime", None)
    # Type 2C: empty where the side of a paired part is not known (PS3.3 C.7.3.1).
    if "Laterality" not in target and "ImageLaterality" not in target:
        part = str(target.get("BodyPartExamined") or "")
        if not part or part in PAIRED_PARTS:
            target["Laterality"] = ""
    if "RescaleSlope" in target or "RescaleIntercept" in target:
        target.setdefault("RescaleSlope", DSfloat(1))
        target.setdefault("RescaleIntercept", DSfloat(0))
        target["RescaleType"] = "US"  # unspecified


def _has_window(target: Values) -> bool:
    if "WindowCenter" not in target or "WindowWidth" not in target:
        return False
    widths = target["WindowWidth"]
    return all(float(w) >= 1 for w in (widths if isinstance(widths, list) else [widths]))


def write_pixel_description(target: Values, pixels: np.ndarray, stored: int) -> None:
    signed = pixels.dtype == np.int16
    low, high = int(pixels.min()), int(pixels.max())
    # Some scanners write values beyond the bits they announce.
    least, most = (
        (-(1 << (stored - 1)), (1 << (stored - 1)) - 1) if signed else (0, (1 << stored) - 1)
    )
    fits = least <= low and high <= most
    bits = stored if fits else 16
    rows, columns = (int(side) for side in pixels.shape)
    target.update(
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        Rows=rows,
        Columns=columns,
        BitsAllocated=16,
        BitsStored=bits,
        HighBit=bits - 1,
        PixelRepresentation=1 if signed else 0,
    )
    padding = target.get("PixelPaddingValue")
    bounds = (-(1 << 15), (1 << 15) - 1) if signed else (0, (1 << 16) - 1)
    if padding is not None and not bounds[0] <= int(padding) <= bounds[1]:
        del target["PixelPaddingValue"]


def pixel_array(stored: Dataset) -> np.ndarray:
    """[rows, columns] of an image that was written here."""
    kind = "<i2" if int(stored.PixelRepresentation) == 1 else "<u2"
    rows, columns = int(stored.Rows), int(stored.Columns)
    return np.frombuffer(stored.PixelData, kind, rows * columns).reshape(rows, columns)
