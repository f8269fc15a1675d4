"""Results by reader and by volunteer: descriptive, with a choice of what is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pandas as pd

from analysis.tables import format_mean_sd
from readerstudy.reports.report import Report

from .listing import Column, ListCell, ListTable
from .lists import pair_text

VOLUNTEERS_A_PAGE = 60
_NO_TEST = "Descriptive: no test, no family, no α."


@dataclass(frozen=True)
class Subject:
    """What a page is about: a metric of a tissue, or the scores of a criterion."""

    metric: str
    row: str
    name: str

    @property
    def code(self) -> str:
        return f"{self.metric}:{self.row}"


def subjects(report: Report) -> list[Subject]:
    """Everything that has values, in the order of the tables."""
    cells = report.results.descriptives
    pairs = dict.fromkeys(zip(cells["metric"], cells["row"], strict=True))
    found = [
        Subject(metric, row, report.row_names[row] + ("" if metric == "score" else f", {metric}"))
        for metric, row in pairs
    ]
    scores = [one for one in found if one.metric == "score"]
    return [*scores, *(one for one in found if one.metric != "score")]


def values_of(report: Report, subject: Subject, reader: str = "") -> pd.DataFrame:
    """Volunteers by arms: the readers' summary, or one reader's own scores."""
    if subject.metric != "score":
        derived = report.results.derived
        part = derived[(derived["metric"] == subject.metric) & (derived["tissue"] == subject.row)]
        wide = part.pivot(index="volunteer", columns="arm", values="value")
    elif reader or report.plan.reader_summary == "each":
        scores = report.frames[0]
        part = scores.loc[report.rows_of_readers.get((subject.row, reader), [])]
        wide = part.pivot(index="volunteer", columns="arm", values="score")
    else:
        summaries = report.results.summaries
        part = summaries[summaries["criterion"] == subject.row]
        wide = part.pivot(index="volunteer", columns="arm", values="score")
    everyone = sorted(wide.index, key=str)
    return wide.reindex(index=everyone, columns=list(report.plan.arms)).astype(float)


def reader_list(report: Report, criterion: str = "") -> ListTable | None:
    """Each reader's own mean ± SD in each arm; all criteria, or one."""
    scores = report.frames[0]
    if scores.empty:
        return None
    plan = report.plan
    rows = []
    for code in plan.criteria:
        if criterion and code != criterion:
            continue
        for reader in report.readers:
            values = values_of(report, Subject("score", code, ""), reader)
            cells = [ListCell(report.row_names[code]), ListCell(reader)]
            for arm in plan.arms:
                given = values[arm].dropna()
                spread = given.std(ddof=1) if len(given) > 1 else float("nan")
                mean = given.mean() if len(given) else float("nan")
                place = {"metric": "score", "row": code, "arm": arm, "reader": reader}
                cells.append(
                    ListCell(
                        format_mean_sd(mean, spread),
                        link=urlencode(place),
                        exact=f"n = {len(given)}, mean {mean!r}, SD {spread!r}",
                    )
                )
            cells += [change_cell(values[a], values[b]) for a, b in plan.comparisons]
            rows.append(cells)
    columns = [
        Column("Criterion", False),
        Column("Reader", False),
        *arm_columns(report),
        *(
            Column(pair_text(report, a, b), letter=_letters(report, a, b))
            for a, b in plan.comparisons
        ),
    ]
    n = scores["volunteer"].nunique()
    legend = [
        f"Mean ± SD (divisor n − 1) of each reader's own scores over up to {n} volunteers; n "
        "stands with each value. Comparisons: mean difference, second minus first, and in how "
        f"many volunteers the second was higher / equal / lower. {_NO_TEST}"
    ]
    return ListTable("readers", "Scores by reader", columns, rows, legend)


def change_cell(first: pd.Series, second: pd.Series) -> ListCell:
    apart = (second - first).dropna()
    if apart.empty:
        return ListCell("–", exact="no volunteer scored in both arms")
    counts = f"{int((apart > 0).sum())} / {int((apart == 0).sum())} / {int((apart < 0).sum())}"
    mean = f"{apart.mean():+.2f}".replace("-", "−")
    if not float(f"{apart.mean():.2f}"):
        mean = "0.00"
    return ListCell(f"{mean} ({counts})", exact=f"n = {len(apart)}, mean {apart.mean()!r}")


def arm_columns(report: Report) -> list[Column]:
    return [
        Column(report.arm_names[arm], letter="" if report.is_masked else report.letters[arm])
        for arm in report.plan.arms
    ]


def _letters(report: Report, a: str, b: str) -> str:
    return "" if report.is_masked else f"{report.letters[a]} v {report.letters[b]}"


@dataclass(frozen=True)
class Page:
    """Where in a long list of volunteers one is."""

    number: int
    count: int

    @property
    def before(self) -> int:
        return self.number - 1

    @property
    def after(self) -> int:
        return self.number + 1 if self.number < self.count else 0


def paged(codes: list[str], number: int) -> tuple[list[str], Page]:
    count = max(1, -(-len(codes) // VOLUNTEERS_A_PAGE))
    number = min(max(number, 1), count)
    start = (number - 1) * VOLUNTEERS_A_PAGE
    return codes[start : start + VOLUNTEERS_A_PAGE], Page(number, count)


def volunteer_list(
    report: Report, subject: Subject, reader: str, number: int, addresses: dict[str, str]
) -> tuple[ListTable, Page]:
    """One line a volunteer; `addresses` lead to the images of those that have them."""
    plan = report.plan
    values = values_of(report, subject, reader)
    shown, page = paged([str(code) for code in values.index], number)
    rows = []
    for code in shown:
        own = values.loc[code]
        cells = [ListCell(code, href=addresses.get(code, ""))]
        for arm in plan.arms:
            place = {"metric": subject.metric, "row": subject.row, "arm": arm, "volunteer": code}
            cells.append(
                ListCell(number_text(own[arm]), link=urlencode(place), exact=exact_text(own[arm]))
            )
        for a, b in plan.comparisons:
            cells.append(ListCell(signed_text(own[b] - own[a]), exact=exact_text(own[b] - own[a])))
        rows.append(cells)
    columns = [
        Column("Volunteer", False),
        *arm_columns(report),
        *(
            Column(pair_text(report, a, b), letter=_letters(report, a, b))
            for a, b in plan.comparisons
        ),
    ]
    what = f"{reader}'s own scores" if reader else _summary_words(report, subject)
    legend = [
        f"{what}; {len(values)} volunteers (n), {page.number} of {page.count} pages. Comparisons: "
        f"second minus first. A dash: missing. {_NO_TEST}"
    ]
    return ListTable("volunteers", f"{subject.name}, by volunteer", columns, rows, legend), page


def _summary_words(report: Report, subject: Subject) -> str:
    if subject.metric != "score":
        return f"{subject.metric} under the plan's noise estimate ({report.plan.noise_estimate})"
    if report.plan.reader_summary == "each":
        return "Each reader is analysed alone: choose one"
    return f"The {report.plan.reader_summary} of the readers"


def number_text(value: Any) -> str:
    return "–" if pd.isna(value) else f"{value:.4g}".replace("-", "−")


def signed_text(value: Any) -> str:
    if pd.isna(value):
        return "–"
    return f"{value:+.3g}".replace("-", "−") if value else "0"


def exact_text(value: Any) -> str:
    return "missing" if pd.isna(value) else repr(float(value))
