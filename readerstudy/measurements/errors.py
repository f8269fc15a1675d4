"""What measuring refuses, said to people."""

from __future__ import annotations

from readerstudy.studies.errors import StudyError


class MeasurementError(StudyError):
    """A region that cannot be placed or measured."""


class RegionConflict(MeasurementError):
    """The region was moved elsewhere since the page read it."""

    def __init__(self, revision: int) -> None:
        super().__init__(
            "This region was moved in another window. Load the page again before moving it."
        )
        self.revision = revision
