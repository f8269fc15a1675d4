"""What the reading room refuses, said to people. No message names an arm or a volunteer."""

from __future__ import annotations

from collections.abc import Sequence

from readerstudy.studies.errors import StudyError


class ReadingError(StudyError):
    """An act that the state of the session does not allow."""


class ScoreConflict(ReadingError):
    """The score was changed elsewhere since the page read it; carries what is stored."""

    def __init__(self, value: int | None, revision: int) -> None:
        super().__init__("This score was changed in another window. The stored one is shown now.")
        self.value = value
        self.revision = revision


class ScoresMissing(ReadingError):
    """An item can be submitted when every criterion is scored; carries the codes of the others."""

    def __init__(self, codes: Sequence[str], names: Sequence[str]) -> None:
        super().__init__(f"Not scored yet: {', '.join(names)}.")
        self.codes = list(codes)
