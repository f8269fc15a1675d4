"""What a classic MR image of our own says of itself: complete, and with its pixels described."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

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


def complete(target: Dataset) -> None:
    """Attributes that an MR image must have (PS3.3 C.8.3.1), where the upload had none."""
    image_type = [str(v) for v in (target.get("ImageType") or [])]
    if isinstance(target.get("ImageType"), str) or len(image_type) < 2:
        image_type = ["ORIGINAL", "PRIMARY", "OTHER"]
    if image_type[0] not in ("ORIGINAL", "DERIVED"):
        image_type[0] = "ORIGINAL"
    if image_type[1] not in ("PRIMARY", "SECONDARY"):
        image_type[1] = "PRIMARY"
    if len(image_type) < 3 or not image_type[2]:
        image_type = [*image_type[:2], "OTHER", *image_type[3:]]
    target.ImageType = image_type
    if not target.get("ScanningSequence"):
        target.ScanningSequence = "RM"
    if not target.get("SequenceVariant"):
        target.SequenceVariant = "NONE"
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
        if keyword not in target:
            setattr(target, keyword, None)
    if not _has_window(target):
        for keyword in ("WindowCenter", "WindowWidth"):
            if keyword in target:
                delattr(target, keyword)
    # An inversion time belongs to inversion recovery alone (type 2C); it stays in the parameters.
    sequences = target.ScanningSequence
    if "IR" not in ([sequences] if isinstance(sequences, str) else list(sequences)):
        target.pop("InversionTime", None)
    elif "InversionTime" not in target:
        target.InversionTime = None
    # Type 2C: empty where the side of a paired part is not known (PS3.3 C.7.3.1).
    if "Laterality" not in target and "ImageLaterality" not in target:
        part = str(target.get("BodyPartExamined") or "")
        if not part or part in PAIRED_PARTS:
            target.Laterality = ""
    if "RescaleSlope" in target or "RescaleIntercept" in target:
        target.RescaleSlope = target.get("RescaleSlope", 1)
        target.RescaleIntercept = target.get("RescaleIntercept", 0)
        target.RescaleType = "US"  # unspecified


def _has_window(target: Dataset) -> bool:
    if "WindowCenter" not in target or "WindowWidth" not in target:
        return False
    widths = target.WindowWidth
    return all(float(w) >= 1 for w in (widths if isinstance(widths, MultiValue) else [widths]))


def write_pixel_description(target: Dataset, pixels: np.ndarray, stored: int) -> None:
    signed = pixels.dtype == np.int16
    low, high = int(pixels.min()), int(pixels.max())
    # Some scanners write values beyond the bits they announce.
    least, most = (
        (-(1 << (stored - 1)), (1 << (stored - 1)) - 1) if signed else (0, (1 << stored) - 1)
    )
    fits = least <= low and high <= most
    bits = stored if fits else 16
    target.SamplesPerPixel = 1
    target.PhotometricInterpretation = "MONOCHROME2"
    target.Rows, target.Columns = (int(side) for side in pixels.shape)
    target.BitsAllocated = 16
    target.BitsStored = bits
    target.HighBit = bits - 1
    target.PixelRepresentation = 1 if signed else 0
    if "PixelPaddingValue" in target:
        value = int(target.PixelPaddingValue)
        del target.PixelPaddingValue
        bounds = (-(1 << 15), (1 << 15) - 1) if signed else (0, (1 << 16) - 1)
        if bounds[0] <= value <= bounds[1]:
            target.add_new("PixelPaddingValue", "SS" if signed else "US", value)


def pixel_array(stored: Dataset) -> np.ndarray:
    """[rows, columns] of an image that was written here."""
    kind = "<i2" if int(stored.PixelRepresentation) == 1 else "<u2"
    rows, columns = int(stored.Rows), int(stored.Columns)
    return np.frombuffer(stored.PixelData, kind, rows * columns).reshape(rows, columns)
