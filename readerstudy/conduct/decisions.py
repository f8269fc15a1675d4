"""What was decided on the series of a study."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from readerstudy.imaging.models import Series

from .models import SeriesCheck

# What an acceptance says of itself that nobody opened the series for.
TOGETHER = "Accepted together with others, from the grid."


@dataclass(frozen=True)
class Decision:
    accepted: bool
    reason: str
    by: str
    at: datetime.datetime

    @property
    def is_together(self) -> bool:
        return self.accepted and self.reason == TOGETHER


def decisions_of(series: Iterable[Series]) -> dict[uuid.UUID, Decision]:
    """The counting decision of each series that has one: the latest."""
    checks = SeriesCheck.objects.filter(series__in=list(series)).select_related("decided_by")
    return {
        check.series_id: Decision(
            accepted=check.decision == SeriesCheck.Decision.ACCEPTED,
            reason=check.reason,
            by=str(check.decided_by) if check.decided_by else "the platform",
            at=check.decided_at,
        )
        for check in checks.order_by("pk")
    }
