"""The de-identification of a whole study, added up from its series: rules and counts, no value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from readerstudy.audit.models import Event
from readerstudy.studies.models import Arm, Study

from .deidentification.report import merged
from .models import InboxSeries, Series
from .rules import rules_of


@dataclass(frozen=True)
class Summary:
    title: str
    methods: list[str]
    series: int
    waiting: int
    images: int
    dates: str
    text_decisions: dict[str, int]
    rows: list[dict[str, Any]]

    @property
    def by_rule(self) -> list[dict[str, Any]]:
        """The rows under their rule, most frequent rule first."""
        rules: dict[tuple[str, str], dict[str, Any]] = {}
        for row in self.rows:
            rule = rules.setdefault(
                (row["version"], row["rule"]),
                {"version": row["version"], "rule": row["rule"], "count": 0, "rows": []},
            )
            rule["count"] += row["count"]
            rule["rows"].append(row)
        return list(rules.values())


def summary_of(study: Study) -> Summary:
    """Acquired series and what waits in the inbox; derived series descend from them."""
    stored = list(
        Series.objects.filter(volunteer__study=study, arm__kind=Arm.Kind.ACQUIRED).values_list(
            "deidentification", flat=True
        )
    )
    waiting = list(
        InboxSeries.objects.filter(study=study).values_list("deidentification", flat=True)
    )
    reports = [report for report in [*stored, *waiting] if report]
    events = Event.objects.filter(study_id=study.pk)
    suspected = events.filter(action="imaging.inbox.received").values_list("new", flat=True)
    discarded = events.filter(action="imaging.inbox.discarded").values_list("old", flat=True)
    return Summary(
        title=study.title,
        methods=sorted({str(report["method"]) for report in reports}),
        series=len(stored),
        waiting=len(waiting),
        images=sum(int(report.get("images", 0)) for report in reports),
        dates=rules_of(study).get_dates_display(),
        text_decisions={
            "suspected of showing text": sum(bool(new and new["suspicions"]) for new in suspected),
            "looked at and cleared": events.filter(action="imaging.inbox.text_cleared").count(),
            "deleted": sum(bool(old and old["suspicions"]) for old in discarded),
        },
        rows=merged(reports),
    )
