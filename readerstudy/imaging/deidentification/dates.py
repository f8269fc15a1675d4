"""Dates moved by whole days, so that intervals stay and the days themselves are gone."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import re

# PS3.15 E.3.6: retained with modified dates, where the study asks for it.
SHIFTED_DATES = ("StudyDate", "AcquisitionDate")
DATE = re.compile(r"\d{8}")
SHIFT_DAYS = (-3650, -31)  # into the past: no date lies ahead of the day it is read


class NoDate(ValueError):
    """A value that is no date of the calendar."""


def shift_date(value: str, days: int) -> str:
    """YYYYMMDD, `days` later. Raises NoDate; nothing but eight digits passes."""
    text = value.strip(" \0")
    if not DATE.fullmatch(text):
        raise NoDate
    try:
        day = datetime.date(int(text[:4]), int(text[4:6]), int(text[6:]))
        return (day + datetime.timedelta(days=days)).strftime("%Y%m%d").zfill(8)
    except (ValueError, OverflowError):
        raise NoDate from None


def drawn_shift(secret: str, who: str) -> int:
    """The days of one volunteer: as good as drawn at random for whoever lacks the secret."""
    digest = hmac.new(secret.encode(), f"dates:{who.casefold()}".encode(), hashlib.sha256).digest()
    least, most = SHIFT_DAYS
    return least + int.from_bytes(digest[:8], "big") % (most - least + 1)
