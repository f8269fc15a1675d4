"""Whether the scanner had denoised an image with a network before it was sent.

Scanners label such images as original ones; values that de-identification drops tell. What is
kept is a word of our own. Headers that say nothing prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydicom.dataset import Dataset

# Siemens Deep Resolve Gain, Boost and Sharp, in the image type or its private copy.
DEEP_RESOLVE = {"DRG", "DRB", "DRS"}
SWITCHED_OFF = {"", "0", "NO", "NONE", "OFF"}


def scanner_denoising(dataset: Dataset) -> str:
    """The maker's name for it, or nothing."""
    values = set(_words(dataset.get("ImageType")))
    for place in _places(dataset):
        values.update(_words(place.get("FrameType")))
        values.update(_private(place, 0x0021, 0x75, "SIEMENS"))
    if values & DEEP_RESOLVE:
        return "Deep Resolve"
    if set(_private(dataset, 0x0043, 0xCA, "GEMS")) - SWITCHED_OFF:
        return "AIR Recon DL"
    return ""


def _places(dataset: Dataset) -> Iterator[Dataset]:
    """The image itself, and the first of its shared and per-frame groups."""
    yield dataset
    for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for groups in (dataset.get(keyword) or [])[:1]:
            yield groups
            yield from (groups.get("MRImageFrameTypeSequence") or [])[:1]


def _private(place: Dataset, group: int, element: int, creator: str) -> list[str]:
    """A private attribute in whichever block its creator reserved (PS3.5 7.8.1)."""
    found: list[str] = []
    for tag in list(place.keys()):
        if tag.group != group or tag.element <= 0xFF or tag.element & 0xFF != element:
            continue
        owner = place.get((group, tag.element >> 8))
        if owner is not None and str(owner.value).strip().upper().startswith(creator):
            found += _words(place[tag].value)
    return found


def _words(value: Any) -> list[str]:
    if isinstance(value, bytes):
        value = value[:256].decode("ascii", "replace").rstrip("\0")
    if isinstance(value, str):
        return [word.strip().upper() for word in value.split("\\")]
    if isinstance(value, Sequence):
        return [str(word).strip().upper() for word in value]
    return [] if value is None else [str(value).strip().upper()]
