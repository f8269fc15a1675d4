"""How derived images say who made them, from what, and how.

PS3.3 C.7.6.1.1.3 (derivation), C.12.1 (contributing equipment), C.12.1.1.1 (coding schemes).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydicom.dataset import Dataset

from denoise_engine.dicom.acquisition import SCHEME
from denoise_engine.errors import DicomError

DESCRIPTION_LENGTH = 1024  # ST
# CID 7203 has no code for noise reduction by a learned network: a private scheme, declared below.
DERIVATION = ("DLR", SCHEME, "Deep learning reconstruction, noise reduction")
NOISE_REDUCTION = ("NR", SCHEME, "Noise reduction")
# Slices that were never scanned: whoever finds them in an archive must be able to tell.
TRANSFER = ("IQT", SCHEME, "Image quality transfer, slices synthesized")
# And images that look as no scanner made them, slice by slice where the scan lay.
HIGHER_FIELD = ("IQTHF", SCHEME, "Image quality transfer, look of a higher field")
TRANSFER_KIND = "transfer"
NOT_SCANNED_SO = "made to look as from a higher field; nothing was scanned at 7 T"
SOURCE_PURPOSE = ("121322", "DCM", "Source image for image processing operation")
EQUIPMENT_PURPOSE = ("109102", "DCM", "Processing Equipment")

# What the description holds, the most important first: without the first four it is worth nothing.
DESCRIBED = (
    "method",
    "model",
    "model_version",
    "weights_sha256",
    "strength",
    "factor",
    "appearance",
    "thick",
    "thick_spacing",
    "simulated",
    "sampled_on",
    "uncertainty",
    "blend",
    "target_gain",
    "achieved_gain",
    "sigma",
    "sigma_method",
    "sigma_confidence",
    "sigma_trusted",
    "bias",
    "native_grid",
    "air_gain",
    "grid",
    "backend",
)
ESSENTIAL = 4


def derivation_description(record: Mapping[str, Any]) -> str:
    """Compact JSON of at most 1024 characters; numbers to six digits.

    Where the record is longer, its least important parts are left out and ``"shortened":true`` says
    so.

    Parameters
    ----------
    record : mapping
        Plain JSON values, as `DenoiseResult.record()` returns them; see `DESCRIBED`.

    Raises
    ------
    DicomError
        Method, version and weights alone are too long.
    """
    return description_of(record, DESCRIBED)


def description_of(record: Mapping[str, Any], described: Sequence[str]) -> str:
    """The same of other keys, the most important first."""
    content = {
        key: _short(record[key])
        for key in described
        if key in record and record[key] not in (None, "", [], {})
    }
    text = _compact(content)
    while len(text) > DESCRIPTION_LENGTH:
        removable = [key for key in list(content)[ESSENTIAL:] if key != "shortened"]
        if not removable:
            raise DicomError(
                f"The record of the derivation has {len(text)} characters; a DICOM header holds "
                f"{DESCRIPTION_LENGTH}."
            )
        del content[removable[-1]]
        content["shortened"] = True
        text = _compact(content)
    return text


def _compact(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"), ensure_ascii=True)


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {str(key): _short(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_short(item) for item in value]
    return value


def derivation_code(record: Mapping[str, Any]) -> Dataset:
    """The code of the derivation: by a learned network where there are weights, else without."""
    if record.get("kind") == TRANSFER_KIND:
        return code(HIGHER_FIELD if keeps_slices(record) else TRANSFER)
    return code(DERIVATION if record.get("weights_sha256") else NOISE_REDUCTION)


def keeps_slices(record: Mapping[str, Any]) -> bool:
    """Whether an image quality transfer changed the look of a scan and made no slices: factor 1.

    Parameters
    ----------
    record : mapping
        Plain JSON values, as `TransferResult.record()` returns them.
    """
    return record.get("factor") == 1


def equipment(record: Mapping[str, Any]) -> Dataset:
    """The item of ContributingEquipmentSequence: what was done by which version and weights."""
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code(EQUIPMENT_PURPOSE)]
    item.Manufacturer = "ReaderStudy"
    method = _ascii(record.get("method") or record.get("model") or "unknown")
    model = _ascii(record.get("model") or method)
    item.ManufacturerModelName = (method if model == method else f"{method}: {model}")[:64]
    version = _ascii(record.get("model_version") or "")
    if version:
        item.SoftwareVersions = version[:64]
    weights = _ascii(record.get("weights_sha256") or "")
    said = [
        *_what_was_done(record, f" {version}" if version else ""),
        *([f"weights SHA-256 {weights}"] if weights else []),
    ]
    item.ContributionDescription = f"{'; '.join(said)}. Research use only, not for diagnosis."[
        :DESCRIPTION_LENGTH
    ]
    return item


def _what_was_done(record: Mapping[str, Any], version: str) -> list[str]:
    """What was made by which network, and how strongly or by which factor."""
    method = _ascii(record.get("method") or record.get("model") or "unknown")
    if record.get("kind") != TRANSFER_KIND:
        return [f"Noise reduction by {method}{version}", f"strength {strength_said(record)}"]
    model = _ascii(record.get("model") or method)
    if keeps_slices(record):
        made, _, caution = NOT_SCANNED_SO.partition("; ")
        return [f"Scan {made} by {model}{version}", caution]
    return [
        f"Thin slices made from thick ones by {model}{version}",
        f"factor {record.get('factor')}",
    ]


def strength_said(record: Mapping[str, Any]) -> str:
    """The strength in a few words, from what the record has of it."""
    words = []
    blend, target = record.get("blend"), record.get("target_gain")
    achieved = record.get("achieved_gain")
    if isinstance(target, (int, float)):
        words.append(f"for an SNR gain of {target:.3g}")
    if isinstance(blend, (int, float)):
        words.append("full" if blend == 1 else f"blend {blend:.3g}")
    if isinstance(achieved, (int, float)):
        words.append(f"SNR gain achieved {achieved:.3g}")
    return ", ".join(words) or "not recorded"


def _ascii(value: object) -> str:
    return str(value).encode("ascii", "replace").decode().replace("\\", "/")


def code(triplet: tuple[str, str, str]) -> Dataset:
    """An item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = triplet
    return item


def coding_scheme() -> Dataset:
    """The declaration of the private coding scheme (PS3.3 C.12.1.1.1)."""
    item = Dataset()
    item.CodingSchemeDesignator = SCHEME
    item.CodingSchemeName = "ReaderStudy codes for derived images"
    item.CodingSchemeResponsibleOrganization = "ReaderStudy"
    return item
