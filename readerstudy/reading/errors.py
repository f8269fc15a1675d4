"""What the reading room refuses, said to people. No message names an arm or a volunteer.

`code` tells the page which refusal it is; `details` is what the page needs beside the sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from readerstudy.studies.errors import StudyError


class ReadingError(StudyError):
    """An act that the state of the session does not allow."""

    code = "refused"
    status = 422

    @property
    def details(self) -> Mapping[str, Any]:
        return {}


class Malformed(ReadingError):
    """A request that no page of ours sends."""

    code = "malformed"
    status = 400


class Closed(ReadingError):
    """The study is locked, or the session is not open yet."""

    code = "closed"


class NotOpen(ReadingError):
    """The item lies further on."""

    code = "not_open"

    def __init__(self) -> None:
        super().__init__("This item is not open yet: score the open one first.")


class NoGoingBack(ReadingError):
    code = "no_going_back"

    def __init__(self) -> None:
        super().__init__("This item has been submitted: in this study it cannot be changed.")


class OffScale(ReadingError):
    """An answer that the mode does not know."""

    code = "scale"


class UnknownCriterion(ReadingError):
    code = "criterion"

    def __init__(self) -> None:
        super().__init__("There is no such criterion in this study.")


class ReasonNeeded(ReadingError):
    code = "reason_needed"

    def __init__(self) -> None:
        super().__init__("This change needs a reason: say in a few words why.")


class TooLong(ReadingError):
    code = "too_long"


class MarksRefused(ReadingError):
    code = "marks"


class Conflict(ReadingError):
    """Changed elsewhere since the page read it; carries what is stored."""

    code = "conflict"
    status = 409

    def __init__(self, stored: Mapping[str, Any]) -> None:
        super().__init__("This was changed in another window. What is stored is shown now.")
        self.stored = stored

    @property
    def details(self) -> Mapping[str, Any]:
        return self.stored


class IdReused(ReadingError):
    code = "id_reused"
    status = 409

    def __init__(self) -> None:
        super().__init__("This was sent under a number that another act had: send it anew.")


class ScoresMissing(ReadingError):
    """An item can be submitted when every criterion is answered; carries the others' codes."""

    code = "missing"

    def __init__(self, codes: Sequence[str], names: Sequence[str]) -> None:
        super().__init__(f"Not scored yet: {', '.join(names)}.")
        self.codes = list(codes)

    @property
    def details(self) -> Mapping[str, Any]:
        return {"missing": self.codes}


class Unseen(ReadingError):
    """An item can be submitted when each image was shown; carries the panes that were not."""

    code = "unseen"

    def __init__(self, panes: Sequence[int]) -> None:
        super().__init__("Not every image was shown: the item cannot be submitted unseen.")
        self.panes = list(panes)

    @property
    def details(self) -> Mapping[str, Any]:
        return {"unseen": self.panes}


class PauseRunning(ReadingError):
    code = "early"

    def __init__(self, until: datetime, minutes: int) -> None:
        super().__init__(f"The pause is not over yet: {minutes} more minutes.")
        self.until = until

    @property
    def details(self) -> Mapping[str, Any]:
        return {"until": self.until.isoformat()}


class RecordFull(ReadingError):
    """So much is recorded already that no more is taken, now or later; nothing of the answers."""

    code = "record_full"


class TooManyRequests(ReadingError):
    """Carries after how many seconds it may be tried again."""

    code = "too_many"
    status = 429

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds
