"""The XML header of an ISMRMRD file: what a reconstruction and a Table 1 need, and nothing else.

Fields are picked one by one: subject, study, device and institution are never looked at, so that
none of it can be carried on. Free text (protocol and series names) may hold a name and stays too.
"""

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from typing import Any

from denoise_engine.errors import RawDataError

MAX_BYTES = 4 * 1024**2
MAX_SIDE = 4096
VENDORS = ("SIEMENS", "GE", "PHILIPS", "CANON", "TOSHIBA", "UNITED IMAGING", "UIH", "HITACHI")
PATIENT_POSITIONS = ("HFP", "HFS", "HFDR", "HFDL", "FFP", "FFS", "FFDR", "FFDL")


@dataclass(frozen=True)
class Space:
    """A grid: matrix (readout, phase, partition) over a field of view in mm."""

    matrix: tuple[int, int, int]
    fov: tuple[float, float, float]


@dataclass(frozen=True)
class Encoding:
    """One encoding of the header: the grids, and the line and partition of the centre."""

    encoded: Space
    wanted: Space
    trajectory: str
    centre_line: int
    centre_partition: int
    separate_calibration: bool

    @property
    def is_3d(self) -> bool:
        return self.encoded.matrix[2] > 1


@dataclass(frozen=True)
class Header:
    encodings: tuple[Encoding, ...]
    acquired: dict[str, Any] = field(default_factory=dict)
    noise_bandwidth: float = 1.0  # of the receiver, relative: scales noise scans to the image


def read_header(text: bytes) -> Header:
    """Read the header. Raises RawDataError."""
    if len(text) > MAX_BYTES:
        raise RawDataError("The header of the raw data is larger than any scanner writes.")
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise RawDataError("The header of the raw data declares its own entities: it is refused.")
    try:
        root = ET.fromstring(text.strip(b"\0 \r\n\t"))  # noqa: S314 - no entities: see above
    except (ET.ParseError, ValueError, LookupError):
        raise RawDataError("The header of the raw data is no XML that can be read.") from None
    if _name(root) != "ismrmrdHeader":
        raise RawDataError("The header of the raw data is not an ISMRMRD header.")
    encodings = tuple(_encoding(item) for item in root if _name(item) == "encoding")
    if not encodings:
        raise RawDataError("The header of the raw data describes no encoding: matrix and field.")
    bandwidth = _number(root, "acquisitionSystemInformation/relativeReceiverNoiseBandwidth")
    usable = bandwidth is not None and 0.1 <= bandwidth <= 10
    return Header(encodings, _acquired(root, encodings[0]), float(bandwidth or 1) if usable else 1)


def _encoding(item: ET.Element) -> Encoding:
    encoded, wanted = _space(item, "encodedSpace"), _space(item, "reconSpace")
    limits = "encodingLimits/kspace_encoding_step_"
    line = _number(item, f"{limits}1/center")
    partition = _number(item, f"{limits}2/center")
    mode = (_text(item, "parallelImaging/calibrationMode") or "").lower()
    return Encoding(
        encoded=encoded,
        wanted=wanted,
        trajectory=(_text(item, "trajectory") or "").lower(),
        centre_line=encoded.matrix[1] // 2 if line is None else int(line),
        centre_partition=encoded.matrix[2] // 2 if partition is None else int(partition),
        separate_calibration=mode in ("separate", "external"),
    )


def _space(item: ET.Element, name: str) -> Space:
    sides = [_number(item, f"{name}/matrixSize/{axis}") for axis in "xyz"]
    fov = [_number(item, f"{name}/fieldOfView_mm/{axis}") for axis in "xyz"]
    if any(n is None or not 1 <= n <= MAX_SIDE or n != int(n) for n in sides):
        raise RawDataError(
            f"The matrix in the header of the raw data ({name}) is missing or impossible."
        )
    if any(v is None or not 0 < v < 5000 for v in fov):
        raise RawDataError(
            f"The field of view in the header of the raw data ({name}) is missing or impossible."
        )
    x, y, z = (int(n or 0) for n in sides)
    a, b, c = (float(v or 0) for v in fov)
    return Space((x, y, z), (a, b, c))


def _acquired(root: ET.Element, encoding: Encoding) -> dict[str, Any]:
    """Parameters under the names that DICOM has for them."""
    said: dict[str, Any] = {}
    for keyword, path in (
        ("MagneticFieldStrength", "acquisitionSystemInformation/systemFieldStrength_T"),
        ("RepetitionTime", "sequenceParameters/TR"),
        ("InversionTime", "sequenceParameters/TI"),
        ("FlipAngle", "sequenceParameters/flipAngle_deg"),
    ):
        value = _number(root, path)
        if value is not None and 0 <= value < 1e6:
            said[keyword] = value
    times = [
        value
        for item in root.findall("{*}sequenceParameters/{*}TE")
        if (value := _as_number(item.text)) is not None
    ]
    if times:
        said["EchoTimes"] = times
    vendor = (_text(root, "acquisitionSystemInformation/systemVendor") or "").upper()
    known = next((name for name in VENDORS if vendor.startswith(name)), None)
    if known:
        said["Manufacturer"] = known
    position = (_text(root, "measurementInformation/patientPosition") or "").upper()
    if position in PATIENT_POSITIONS:
        said["PatientPosition"] = position
    factors = [
        _number(root, f"encoding/parallelImaging/accelerationFactor/kspace_encoding_step_{n}")
        for n in (1, 2)
    ]
    if any(f is not None and f > 1 for f in factors):
        said["AccelerationFactors"] = [int(f) if f else 1 for f in factors]
    said["MRAcquisitionType"] = "3D" if encoding.is_3d else "2D"
    return said


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: ET.Element, path: str) -> str | None:
    found = element.find("/".join(f"{{*}}{part}" for part in path.split("/")))
    return None if found is None or found.text is None else found.text.strip()


def _number(element: ET.Element, path: str) -> float | None:
    return _as_number(_text(element, path))


def _as_number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
