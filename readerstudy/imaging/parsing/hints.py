"""What a header suggests of volunteer and arm, as words that the study already knows.

Only a known code, or an identifier that as a whole has the form of the study's codes, leaves the
confined process; nothing else of what a person typed does.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .lookups import Header

IDENTIFIERS = ("PatientID", "PatientName", "StudyID", "StudyDescription", "PatientComments")
SEQUENCE_NAMES = ("SeriesDescription", "ProtocolName", "StudyDescription", "SequenceName")
WORDS = re.compile(r"[a-z0-9]+")
LONGEST = 200  # characters looked at
# What hospitals write where they took the name away, whatever stands between the words: the same
# for everybody.
NOBODY = frozenset(
    {
        *("anon", "anonym", "anonymous", "anonymised", "anonymized", "deidentified", "pseudonym"),
        *("anonymouspatient", "anonymizedpatient", "patient", "removed", "hidden", "unknown"),
        *("none", "noname", "na", "null", "xxx", "xxxx"),
    }
)


@dataclass(frozen=True)
class Known:
    """Codes of volunteers, a pattern of such codes, and each arm's code with its names."""

    volunteers: tuple[str, ...] = ()
    pattern: str = ""
    arms: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, made: Mapping[str, Any]) -> Known:
        return cls(
            volunteers=tuple(made.get("volunteers", ())),
            pattern=str(made.get("pattern", "")),
            arms=dict(made.get("arms", {})),
        )


@dataclass(frozen=True)
class Hints:
    volunteer: str = ""
    arm: str = ""
    person: str = ""


def hints_of(header: Header, known: Known, person: str) -> Hints:
    return Hints(
        volunteer=_volunteer(header, known),
        arm=_arm(header, known),
        person=person,
    )


def person_key(header: Header, key: bytes) -> str:
    """Keyed hash of who the header names; empty where it names nobody: `***`, Anonymous."""
    for keyword in ("PatientID", "PatientName"):
        text = _text(header, keyword)
        words = WORDS.findall(text.casefold())
        if words and "".join(words) not in NOBODY:
            return key_of_person(text, key)
    return ""


def key_of_person(text: str, key: bytes) -> str:
    """Of an identifier or name as it stands in a header."""
    folded = f"person:{text.casefold()}".encode("utf-8", "replace")
    return hmac.new(key, folded, hashlib.sha256).hexdigest()[:32]


def _volunteer(header: Header, known: Known) -> str:
    codes = {code.casefold(): code for code in known.volunteers}
    form = re.compile(known.pattern, re.IGNORECASE) if known.pattern else None
    for keyword in IDENTIFIERS:
        text = _text(header, keyword)
        for part in _parts(text):
            if part.casefold() in codes:
                return codes[part.casefold()]
        for part in _parts(text):
            if form is not None and len(part) <= 30 and form.fullmatch(part):
                return part
    return ""


def _parts(text: str) -> Iterator[str]:
    """The whole text, then its parts between anything but letters, digits, hyphen, underscore."""
    yield text
    yield from re.findall(r"[A-Za-z0-9_-]+", text)


def _arm(header: Header, known: Known) -> str:
    """The arm with the longest name that stands in a description, word for word; none if two do."""
    best: list[tuple[int, str]] = []
    for keyword in SEQUENCE_NAMES:
        words = WORDS.findall(_text(header, keyword).casefold())
        for code, names in known.arms.items():
            lengths = [len(wanted) for name in names if (wanted := _found(name, words))]
            if lengths:
                best.append((max(lengths), code))
        if best:
            break
    longest = max((length for length, _ in best), default=0)
    codes = {code for length, code in best if length == longest}
    return codes.pop() if len(codes) == 1 else ""


def _found(name: str, words: list[str]) -> str:
    """The name without spaces if its words follow one another in `words`, else nothing."""
    wanted = WORDS.findall(name.casefold())
    if not wanted:
        return ""
    joined = "".join(wanted)
    if joined in words:
        return joined
    size = len(wanted)
    runs = (words[at : at + size] for at in range(len(words) - size + 1))
    return joined if any(run == wanted for run in runs) else ""


def _text(header: Header, keyword: str) -> str:
    try:
        value = header(keyword)
        return "" if value is None else str(value).strip(" \0")[:LONGEST]
    except Exception:  # noqa: BLE001 - a damaged value suggests nothing
        return ""
