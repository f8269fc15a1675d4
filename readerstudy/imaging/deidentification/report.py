"""What was removed, kept and replaced: by rule, attribute and count, never a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from pydicom.datadict import keyword_for_tag
from pydicom.tag import BaseTag

from .allowlist import VERSION

METHOD = f"ReaderStudy allow-list {VERSION}: default deny, UIDs keyed, dates removed"
METHOD_SHIFTED = f"ReaderStudy allow-list {VERSION}: default deny, UIDs keyed, dates shifted"

# Rules as the report names them.
KEPT = "kept"
UID_REPLACED = "UID replaced by keyed hash"
DATE_SHIFTED = "date shifted by a secret number of days"
IDENTITY_REPLACED = "replaced by study code or emptied"
REWRITTEN_RULE = "written anew from the decoded image"
PRIVATE = "removed: private"
NOT_LISTED = "removed: not on the allow-list"
UNUSABLE = "removed: value not of the allowed form"

# What a count stands for where it is one of an attribute: "rule|attribute".
SEPARATOR = "|"


class Report(Counter[str]):
    """Counts by rule, and by rule and attribute."""

    def note(self, rule: str, attribute: str, times: int = 1) -> None:
        if times:
            self[rule] += times
            self[rule + SEPARATOR + attribute] += times


@lru_cache(maxsize=20_000)
def attribute_name(tag: int) -> str:
    """The keyword of the standard. A private attribute is named by its group alone, since who
    claimed the block is free text."""
    made = BaseTag(tag)
    if made.is_private:
        return f"private attributes of group {made.group:04X}"
    return keyword_for_tag(made) or f"({made.group:04X},{made.element:04X})"


def report_json(report: Mapping[str, int], files: int, *, shifted: bool = False) -> dict[str, Any]:
    """What `Series.deidentification` holds."""
    attributes: dict[str, dict[str, int]] = {}
    for key in sorted(report):
        rule, separator, attribute = key.partition(SEPARATOR)
        if separator and report[key]:
            attributes.setdefault(rule, {})[attribute] = report[key]
    return {
        "method": METHOD_SHIFTED if shifted else METHOD,
        "table_version": VERSION,
        "images": files,
        "rules": {key: report[key] for key in sorted(report) if SEPARATOR not in key},
        "attributes": attributes,
    }


def merged(reports: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The reports of many series as one row for each version, rule and attribute."""
    sums: Counter[tuple[str, str, str]] = Counter()
    for report in reports:
        version = str(report.get("table_version", ""))
        named: Counter[str] = Counter()
        for rule, attributes in report.get("attributes", {}).items():
            for attribute, count in attributes.items():
                sums[version, rule, attribute] += count
                named[rule] += count
        for rule, count in report.get("rules", {}).items():
            # Series that were stored before attributes were counted one by one.
            if count > named[rule]:
                sums[version, rule, "(not counted by attribute)"] += count - named[rule]
    return [
        {"version": version, "rule": rule, "attribute": attribute, "count": count}
        for (version, rule, attribute), count in sorted(sums.items())
    ]
