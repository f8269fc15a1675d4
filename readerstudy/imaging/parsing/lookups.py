"""Values of one slice by keyword: of a classic image, or of one frame of an enhanced one."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset

from readerstudy.imaging.deidentification.allowlist import FUNCTIONAL_GROUPS
from readerstudy.imaging.deidentification.copier import Lookup, tag_and_vr


def lookup_in(dataset: Dataset) -> Lookup:
    """Values by keyword. Most of what is asked for is absent: that is told without the library."""
    present = {int(tag) for tag in dataset.keys()}  # noqa: SIM118 - values stay unread

    def lookup(keyword: str) -> Any:
        tag, _vr = tag_and_vr(keyword)
        return dataset[tag].value if int(tag) in present else None

    return lookup


def frame_lookup(dataset: Dataset, index: int) -> Lookup:
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
