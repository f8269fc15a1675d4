"""Copying what the table allows into a new data set, and counting what was left out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import DSfloat

from .allowlist import ALLOWED, REPLACED, REWRITTEN, Kind
from .dates import SHIFTED_DATES, shift_date
from .report import (
    DATE_SHIFTED,
    IDENTITY_REPLACED,
    KEPT,
    METHOD,
    METHOD_SHIFTED,
    NOT_LISTED,
    PRIVATE,
    REWRITTEN_RULE,
    UID_REPLACED,
    UNUSABLE,
    Report,
    attribute_name,
)
from .uids import replace_uid
from .vocabulary import IMAGE_TYPE, IMAGE_TYPES, VOCABULARIES

Lookup = Callable[[str], Any]
# What one slice is to say, by keyword. A number of which the digits matter is a DSfloat; items of
# a sequence are a list of the same. No data set of the library: making one takes longer than
# everything that is done with it.
Values = dict[str, Any]

CODE = re.compile(r"[A-Z0-9_ ]{0,16}")
TEXT = re.compile(r"[A-Za-z0-9 .,:/()+_-]{1,64}")
MAX_VALUES = 16
# Whole numbers, and what each representation can hold (PS3.5 6.2).
WHOLE = {
    "IS": (-(2**31), 2**31 - 1),
    "US": (0, 2**16 - 1),
    "SS": (-(2**15), 2**15 - 1),
    "US or SS": (-(2**15), 2**16 - 1),
}

# PS3.16 CID 7050, methods of de-identification.
BASIC_PROFILE = ("113100", "Basic Application Confidentiality Profile")
MODIFIED_DATES = (
    "113107",
    "Retain Longitudinal Temporal Information Modified Dates Option",
)


class NotAllowed(Exception):
    """A value that does not have the form its kind requires."""


def copy_allowed(
    lookup: Lookup,
    *,
    patient_code: str,
    key: bytes,
    report: Report,
    date_shift: int | None = None,
) -> Values:
    """The allowed attributes of one slice, without pixels.

    Parameters
    ----------
    lookup : callable
        Gives the value of an attribute by keyword, or None. May raise for a value that cannot be
        read: that attribute is left out.
    patient_code : str
        The study code that stands for name and identifier.
    key : bytes
        Key of the UID hash.
    report : Report
        Counts by rule and attribute are added; it never holds a value.
    date_shift : int, optional
        Days by which the dates of study and acquisition are moved; None drops them.
    """
    target: Values = {}
    for keyword, kind in ALLOWED.items():
        _tag, vr = tag_and_vr(keyword)
        try:
            value = lookup(keyword)
            if value is None or value == "":
                continue
            cleaned = _cleaned(value, kind, vr, key)
            if keyword == IMAGE_TYPE:
                cleaned = _known_image_types(cleaned, report)
            elif keyword in VOCABULARIES:
                cleaned = _known(cleaned, keyword, report)
        except (NotAllowed, ValueError, TypeError, OverflowError, AttributeError, KeyError):
            report.note(UNUSABLE, keyword)
            continue
        if cleaned is None:
            continue
        target[keyword] = cleaned
        report.note(UID_REPLACED if kind is Kind.UID else KEPT, keyword)
    _write_identity(target, patient_code)
    if date_shift is not None:
        _write_dates(target, lookup, date_shift, report)
    return target


@lru_cache(maxsize=1000)
def tag_and_vr(keyword: str) -> tuple[BaseTag, str]:
    """Of an attribute of the standard. Asking the library's dictionary for every file is slow."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return Tag(tag), dictionary_VR(tag)


def count_removed(tags: Iterable[int], report: Report, *, shifted: bool = False) -> None:
    """Count what the upload held and the copy does not; no value is looked at.

    With `shifted`, dates that are moved are counted where that is done.
    """
    for tag in tags:
        if shifted and attribute_name(tag) in SHIFTED_DATES:
            continue
        rule = rule_of(tag)
        if rule not in (KEPT, UID_REPLACED):  # those are counted as they are copied
            report.note(rule, attribute_name(tag))


@lru_cache(maxsize=20_000)
def rule_of(tag: int) -> str:
    if BaseTag(tag).is_private:
        return PRIVATE
    keyword = keyword_for_tag(tag)
    if keyword in ALLOWED:
        return UID_REPLACED if ALLOWED[keyword] is Kind.UID else KEPT
    if keyword in REPLACED:
        return IDENTITY_REPLACED
    if keyword in REWRITTEN:
        return REWRITTEN_RULE
    return NOT_LISTED


def _cleaned(value: Any, kind: Kind, vr: str, key: bytes) -> Any:
    values = list(value) if isinstance(value, (MultiValue, list, tuple)) else [value]
    if len(values) > MAX_VALUES:
        raise NotAllowed
    cleaned = [_one(item, kind, vr, key) for item in values]
    if all(item in ("", None) for item in cleaned):
        return None
    return cleaned if len(cleaned) > 1 else cleaned[0]


def _known(cleaned: Any, keyword: str, report: Report) -> Any:
    """The values of a closed vocabulary; raises NotAllowed where none is left."""
    vocabulary = VOCABULARIES[keyword]
    values = cleaned if isinstance(cleaned, list) else [cleaned]
    known = [value for value in values if value in vocabulary or value in ("", None)]
    if not any(known) and any(values):
        raise NotAllowed
    report.note(UNUSABLE, keyword, len(values) - len(known))
    return known if len(known) > 1 else known[0]


def _known_image_types(cleaned: Any, report: Report) -> Any:
    """Their positions have a meaning: one that is not known gives its place to OTHER."""
    if cleaned is None:
        return None
    values = cleaned if isinstance(cleaned, list) else [cleaned]
    known = [value if value in IMAGE_TYPES or value in ("", None) else "OTHER" for value in values]
    unknown = sum(a != b for a, b in zip(values, known, strict=True))
    report.note(UNUSABLE, IMAGE_TYPE, unknown)
    return known if len(known) > 1 else known[0]


def _one(value: Any, kind: Kind, vr: str, key: bytes) -> Any:
    if kind is Kind.NUMBER:
        return _number(value, vr)
    text = str(value).strip(" \0")
    if kind is Kind.UID:
        if not text:
            return None
        return replace_uid(text, key)
    pattern = CODE if kind is Kind.CODE else TEXT
    if not pattern.fullmatch(text):
        raise NotAllowed
    return text


def _number(value: Any, vr: str) -> Any:
    """The number alone: what else a decimal string might carry does not pass."""
    if isinstance(value, (str, bytes)) and not str(value).strip():
        return None
    number = float(value)
    if not math.isfinite(number):
        raise NotAllowed
    if vr in WHOLE:
        least, most = WHOLE[vr]
        if number != int(number) or not least <= number <= most:
            raise NotAllowed
        return int(number)
    return DSfloat(number, auto_format=True) if vr == "DS" else number


def _write_identity(target: Values, patient_code: str) -> None:
    target.update(
        PatientName=patient_code,
        PatientID=patient_code,
        PatientBirthDate="",
        PatientSex="",
        StudyDate="",
        StudyTime="",
        StudyID="",
        AccessionNumber="",
        ReferringPhysicianName="",
        PositionReferenceIndicator="",
        PatientIdentityRemoved="YES",
        DeidentificationMethod=METHOD[:64],
        DeidentificationMethodCodeSequence=[_method_code(*BASIC_PROFILE)],
        LongitudinalTemporalInformationModified="REMOVED",
    )


def _write_dates(target: Values, lookup: Lookup, days: int, report: Report) -> None:
    for keyword in SHIFTED_DATES:
        try:
            value = lookup(keyword)
            if value is None or str(value).strip() == "":
                continue
            target[keyword] = shift_date(str(value), days)
        except (ValueError, TypeError, AttributeError, KeyError):
            report.note(UNUSABLE, keyword)
            continue
        report.note(DATE_SHIFTED, keyword)
    target.update(
        DeidentificationMethod=METHOD_SHIFTED[:64],
        DeidentificationMethodCodeSequence=[
            _method_code(*BASIC_PROFILE),
            _method_code(*MODIFIED_DATES),
        ],
        LongitudinalTemporalInformationModified="MODIFIED",
    )


def _method_code(value: str, meaning: str) -> Values:
    return {"CodeValue": value, "CodingSchemeDesignator": "DCM", "CodeMeaning": meaning}
