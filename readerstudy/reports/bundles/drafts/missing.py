"""What is missing from the primary analysis, counted from the frozen data and the locked answers.

A score can be missing in three ways: its item was never submitted, the reader could not assess it,
or the imported table does not hold it. A summary over the readers that are left hides all three.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from readerstudy.reading.frames import primary_rows
from readerstudy.reports.report import Report
from readerstudy.studies.models import Study


@dataclass(frozen=True)
class Missing:
    """Answers: scores, choices or ranks, whichever the readers gave."""

    answers: int  # of the answers that a complete reading has, how many are not there
    complete: int
    by_reader: dict[str, int]
    not_assessable: int  # of those, marked so by the reader
    never_submitted: int  # items
    regions: int
    complete_regions: int
    lacking_tests: int
    tests: int
    most_lacking: int
    rule: str

    @property
    def is_nothing(self) -> bool:
        return not (self.answers or self.never_submitted or self.regions or self.lacking_tests)

    @property
    def sentences(self) -> list[str]:
        """What a paper says of it; one sentence where nothing is missing."""
        if self.is_nothing:
            return ["No value is missing from the primary analysis."]
        said = []
        if self.never_submitted:
            said.append(f"{_items(self.never_submitted)} never submitted; their scores lack.")
        if self.answers:
            by = ", ".join(f"{reader}: {count}" for reader, count in self.by_reader.items())
            text = f"{self.answers} of {self.complete} answers of a complete reading lack ({by})"
            if self.not_assessable:
                text += f"; {self.not_assessable} of them the readers marked “Cannot assess”"
            said.append(f"{text}.")
        if self.regions:
            said.append(
                f"{self.regions} of {self.complete_regions} region measurements of a complete "
                "table lack."
            )
        said.append(
            f"{self.lacking_tests} of {self.tests} tests lack pairs"
            + (f", {self.most_lacking} at most" if self.lacking_tests else "")
            + ": see n and n_missing in tests.csv. Rule of the plan: "
            + (
                "a volunteer counts wherever a value can be formed, from the readers that scored."
                if self.rule == "available"
                else "a volunteer lacking any value is left out of the table row."
            )
        )
        return said


def _items(count: int) -> str:
    return "1 item was" if count == 1 else f"{count} items were"


def missing_from(study: Study, report: Report) -> Missing:
    tests = report.results.tests
    lost = tests[tests["n_missing"] > 0]
    gone = _missing_answers(report)
    tissues, regions = report.data["tissues"], report.frames[1]
    complete = len(report.volunteers) * len(report.data["arms"]) * len(tissues)
    complete_regions = 0 if regions.empty else complete
    return Missing(
        answers=sum(gone.values()),
        complete=len(_pairs(report)) * _answers_a_pair(report),
        by_reader=dict(sorted(gone.items())),
        not_assessable=_not_assessable(study),
        never_submitted=report.data["never_submitted"],
        regions=complete_regions - len(regions.dropna(subset=["mean"])) if complete_regions else 0,
        complete_regions=complete_regions,
        lacking_tests=len(lost),
        tests=len(tests),
        most_lacking=int(lost["n_missing"].max()) if len(lost) else 0,
        rule=report.plan.missing,
    )


def _pairs(report: Report) -> list[tuple[str, str]]:
    """Every volunteer and reader who is to score that volunteer: local readers their site's."""
    of_reader: dict[str, str] = report.data.get("reader_sites", {})
    return [
        (volunteer, reader)
        for reader in report.readers
        for volunteer in report.volunteers
        if of_reader.get(reader, report.site_of.get(volunteer)) == report.site_of.get(volunteer)
    ]


def _answers_a_pair(report: Report) -> int:
    criteria = len(report.data["criteria"])
    if "choices" in report.data:
        return criteria * len(report.plan.comparisons)
    return criteria * len(report.data["arms"])


def _missing_answers(report: Report) -> Counter[str]:
    """By reader. Nobody's answers lack where there is no reading."""
    frame = report.answers[-1]
    value = {"choices": "chosen", "rankings": "rank"}
    column = next((value[name] for name in value if name in report.data), "score")
    given: dict[Any, int] = frame[frame[column].notna()].groupby("reader").size().to_dict()
    expected = Counter(reader for _, reader in _pairs(report))
    each = _answers_a_pair(report)
    gone = {reader: count * each - given.get(reader, 0) for reader, count in expected.items()}
    return Counter({reader: count for reader, count in gone.items() if count > 0})


def _not_assessable(study: Study) -> int:
    """Answers, not rows: a ranking that could not be made has a row an arm."""
    return len(
        {
            (row["reader"], row["position"], row["criterion"], row.get("arm"))
            for row in primary_rows(study, unassessed=True)
        }
    )
