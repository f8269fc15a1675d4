"""Finds in an answer what would tell a reader which arm or volunteer an image belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from readerstudy.accounts.models import User
from readerstudy.imaging.models import Series, Upload, Volunteer
from readerstudy.reading.models import Item, Session
from readerstudy.studies.models import Arm, Study
from tests.reading.imaged_study import (
    PLANTED_DESCRIPTION,
    PLANTED_NAME,
    PLANTED_UID,
    tokens_of,
)

UID = re.compile(r"(?<![\d.])(?:2\.25|1\.2\.\d+)\.\d+")
DICOM_WORDS = (
    "SeriesDescription",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "PatientID",
    "ImageType",
    "dicom",
    "dcm",
    "20240314",
    "HOSP-0000",
    "HOSP-0001",
    *PLANTED_DESCRIPTION.split(),
    *PLANTED_NAME.split("^"),
    PLANTED_UID,
)


class Leaks:
    """The words that may not reach the reader of a study."""

    def __init__(self, study: Study, reader: User) -> None:
        words = set(DICOM_WORDS)
        for arm in Arm.objects.filter(study=study):
            words |= {arm.code, arm.name, *_strings(arm.recipe)}
        words |= set(Volunteer.objects.filter(study=study).values_list("code", flat=True))
        for series in Series.objects.filter(volunteer__study=study):
            words |= {str(series.pk), series.pk.hex, series.volume_sha256, series.prefix}
            words |= set(_strings(series.provenance))
        words |= set(Upload.objects.filter(study=study).values_list("name", flat=True))
        words |= set(
            User.objects.exclude(pk=reader.pk)
            .filter(memberships__study=study)
            .values_list("email", flat=True)
        )
        self.words = {word: _word_pattern(word) for word in words if word.strip()}
        # Random by construction (tested apart), so "df" between two hyphens of one says nothing.
        self.tokens = sorted(
            {
                token
                for item in Item.objects.filter(session__study=study)
                for token in tokens_of(item)
            }
            | set(Session.objects.filter(study=study).values_list("token", flat=True))
        )

    def mask(self, text: str) -> str:
        for token in self.tokens:
            text = text.replace(token, "TOKEN")
        return text

    def in_text(self, text: str) -> list[str]:
        masked = self.mask(text)
        # Most words are nowhere in the text; only one that is somewhere is looked at closely.
        folded = masked.lower()
        found = [
            word
            for word, pattern in self.words.items()
            if word.lower() in folded and pattern.search(masked)
        ]
        return found + UID.findall(masked)

    def in_answer(self, answer: Any, *, is_pixels: bool = False) -> list[str]:
        """Of an answer: headers, cookies, the address it leads to, and the body.

        The body of pixels is not text; that it is pixels and nothing else is tested apart.
        """
        parts = [f"{name}: {value}" for name, value in answer.headers.items()]
        parts += [cookie.OutputString() for cookie in answer.cookies.values()]
        if not is_pixels:
            parts.append(answer.content.decode("utf-8", "replace"))
        return self.in_text("\n".join(parts))


def _word_pattern(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", re.IGNORECASE)


def _strings(content: Any) -> Iterator[str]:
    """Every text in a JSON value: model names, versions, hashes."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict):
        yield from _strings(content.values())
    elif isinstance(content, Iterable):
        for value in content:
            yield from _strings(value)
