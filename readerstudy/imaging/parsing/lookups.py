"""Values of one slice by keyword: of a classic image, or of one frame of an enhanced one."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.values import convert_value

from readerstudy.imaging.deidentification.allowlist import FUNCTIONAL_GROUPS
from readerstudy.imaging.deidentification.copier import Lookup, tag_and_vr

MISSING = object()
# Representations that one look at the bytes converts.
TEXT = frozenset({"CS", "DA", "DS", "IS", "LO", "LT", "PN", "SH", "TM", "UI"})
NUMBERS = frozenset({"FD", "US"})


class Header:
    """What a data set says, by keyword; None where it says nothing.

    Most of what is asked for is absent, and much is asked for twice: the library would look up
    each anew, which takes longer than to read the file.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        # As they were read: iterating a data set itself would convert every value.
        self._elements = {int(tag): element for tag, element in dataset.items()}
        self._values: dict[str, Any] = {}

    def __contains__(self, keyword: str) -> bool:
        return number_of(keyword) in self._elements

    @property
    def tags(self) -> Iterable[int]:
        return self._elements.keys()

    def __call__(self, keyword: str) -> Any:
        value = self._values.get(keyword, MISSING)
        if value is MISSING:
            element = self._elements.get(number_of(keyword))
            value = None if element is None else self._read(keyword, element)
            self._values[keyword] = value
        return value

    def _read(self, keyword: str, element: RawDataElement | DataElement) -> Any:
        """Through the library's data set, unless the bytes alone tell the value."""
        tag, vr = tag_and_vr(keyword)
        if isinstance(element, RawDataElement) and element.value:
            kind = element.VR or vr
            if kind in NUMBERS or (kind in TEXT and _is_plain(element.value)):
                try:
                    return convert_value(kind, element)
                except Exception:  # noqa: BLE001 - the library has its own ways out
                    return self.dataset[tag].value
        return self.dataset[tag].value


@lru_cache(maxsize=1000)
def number_of(keyword: str) -> int:
    return int(tag_and_vr(keyword)[0])


def _is_plain(value: bytes) -> bool:
    """Whether it reads the same in every character set: no escape switches to another."""
    return value.isascii() and b"\x1b" not in value


def frame_lookup(header: Header, index: int) -> Lookup:
    """Values of one frame: its own functional groups, then the shared ones, then the top level."""
    places: list[Dataset] = []
    own = header("PerFrameFunctionalGroupsSequence")
    if own is not None and index < len(own):
        places.append(own[index])
    shared = header("SharedFunctionalGroupsSequence")
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
        return header(keyword)

    return lookup
