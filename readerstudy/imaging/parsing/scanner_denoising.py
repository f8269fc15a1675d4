"""Whether an image had been denoised with a network before it was sent, by the scanner or by us.

Scanners label such images as original ones; values that de-identification drops tell. What is
kept is a word of our own. Headers that say nothing prove nothing. The rules are those of the
engine's `denoise_engine.dicom.acquisition`, which reads folders; a test runs both on the same
headers. They stand here again because the process that parses uploads must not load the engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydicom.dataset import Dataset

from .lookups import Header

# Siemens Deep Resolve Gain, Boost and Sharp, in the image type or its private copy.
DEEP_RESOLVE = {"DRG", "DRB", "DRS"}
# What the denoising engine calls itself in the codes of the series that it derives.
OWN_SCHEME = "99READERSTUDY"
SWITCHED_OFF = {"", "0", "NO", "NONE", "OFF"}


def scanner_denoising(header: Header) -> str:
    """The maker's name for it, or nothing."""
    places = [header, *(Header(place) for place in _places(header))]
    if _is_ours(places):
        return "ReaderStudy"
    values = set(_words(header("ImageType")))
    for place in places:
        values.update(_words(place("FrameType")))
        values.update(_private(place, 0x0021, 0x75, "SIEMENS"))
    if values & DEEP_RESOLVE:
        return "Deep Resolve"
    if set(_private(header, 0x0043, 0xCA, "GEMS")) - SWITCHED_OFF:
        return "AIR Recon DL"
    if any(word.endswith("_AI") for word in _private(header, 0x2005, 0x10, "PHILIPS")):
        return "SmartSpeed AI"
    return ""


def _is_ours(places: Sequence[Header]) -> bool:
    """Whether our own engine made the image: a step of its derivation bears our code."""
    steps = list(places[0]("DerivationCodeSequence") or [])
    for place in places:
        for derivation in place("DerivationImageSequence") or []:
            steps += derivation.get("DerivationCodeSequence") or []
    return any(str(step.get("CodingSchemeDesignator") or "") == OWN_SCHEME for step in steps)


def _places(header: Header) -> Iterator[Dataset]:
    """The first of its shared and per-frame groups."""
    for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for groups in (header(keyword) or [])[:1]:
            yield groups
            yield from (groups.get("MRImageFrameTypeSequence") or [])[:1]


def _private(place: Header, group: int, element: int, creator: str) -> list[str]:
    """A private attribute in whichever block its creator reserved (PS3.5 7.8.1)."""
    found: list[str] = []
    for tag in list(place.tags):
        block = (tag & 0xFFFF) >> 8
        if tag >> 16 != group or not block or tag & 0xFF != element:
            continue
        owner = place.dataset.get((group, block))
        if owner is not None and str(owner.value).strip().upper().startswith(creator):
            found += _words(place.dataset[tag].value)
    return found


def _words(value: Any) -> list[str]:
    if isinstance(value, bytes):
        value = value[:256].decode("ascii", "replace").rstrip("\0")
    if isinstance(value, str):
        return [word.strip().upper() for word in value.split("\\")]
    if isinstance(value, Sequence):
        return [str(word).strip().upper() for word in value]
    return [] if value is None else [str(value).strip().upper()]
