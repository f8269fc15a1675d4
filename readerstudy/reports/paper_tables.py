"""Tables 2 and 3 as a page shows them: text cells, each a way to what stands behind it.

A warning stands at the number that it concerns, in a few words, and whole below the table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from analysis.tables import fixed, format_mean_sd, format_q

from .pages.notes import Footnotes, Note, together
from .report import Report
from .wording import BOLD, method_text, ratio_legend, score_legend


@dataclass(frozen=True)
class Cell:
    text: str
    exact: str = ""  # every digit, shown on hover
    notes: tuple[Note, ...] = ()  # said in words at the number
    strong: bool = False
    link: str = ""  # query of the page with what stands behind it
    column_notes: tuple[Note, ...] = ()  # said in words at the heading


@dataclass(frozen=True)
class Heading:
    text: str
    letter: str = ""
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Row:
    label: str
    values: list[Cell]
    tests: list[Cell]


@dataclass(frozen=True)
class Group:
    label: str
    rows: list[Row]


@dataclass
class PaperTable:
    name: str
    title: str
    values_are: str  # "Mean ± SD"
    arms: list[Heading]
    comparisons: list[tuple[Heading, Heading]]
    groups: list[Group]
    legend: str
    method: str
    footnotes: list[str] = field(default_factory=list)

    @property
    def columns(self) -> int:
        return 1 + len(self.arms) + len(self.comparisons)


def ratio_table(report: Report) -> PaperTable | None:
    """Table 2: SNR and CNR; None when nothing was measured."""
    purposes = {t["code"]: t["purpose"] for t in report.data["tissues"]}
    reference = report.row_names.get(next((c for c, p in purposes.items() if p == "reference"), ""))
    measured = report.frames[1]["volunteer"].nunique()
    return _table(
        report,
        "table2",
        ("SNR", "CNR"),
        "Table 2. Signal-to-noise and contrast-to-noise ratios",
        ratio_legend(report.plan, measured, reference or ""),
    )


def score_table(report: Report, *, medians: bool = False) -> PaperTable | None:
    """Table 3: scores; None when there are none."""
    scores = report.frames[0]
    legend = score_legend(
        report.plan,
        scores["volunteer"].nunique(),
        len(report.readers),
        relative="mode" not in report.data,
    )
    title = "Table 3. Image quality scores"
    if medians:
        legend = "Median [quartiles]" + legend.removeprefix("Mean ± SD (divisor n − 1)")
    return _table(report, "table3", ("score",), title, legend, medians=medians)


def _table(
    report: Report,
    table: str,
    metrics: tuple[str, ...],
    title: str,
    legend: str,
    *,
    medians: bool = False,
) -> PaperTable | None:
    results, plan = report.results, report.plan
    cells = results.descriptives[results.descriptives["metric"].isin(metrics)]
    tests = results.tests[results.tests["metric"].isin(metrics)]
    if cells.empty:
        return None
    notes = Footnotes(report.warnings, metrics)
    arms = [
        Heading(report.arm_names[arm], _letter(report, arm), notes.at(arm=arm)) for arm in plan.arms
    ]
    comparisons = [
        (
            Heading(report.arm_names[a], _letter(report, a)),
            Heading(
                report.arm_names[b],
                _letter(report, b),
                together(notes.at(pair=f"{a} v {b}"), notes.at(arm=a), notes.at(arm=b)),
            ),
        )
        for a, b in plan.comparisons
    ]
    groups: dict[str, list[Row]] = {}
    for (metric, row, reader), group in cells.groupby(["metric", "row", "reader"], sort=False):
        here = tests[
            (tests["metric"] == metric) & (tests["row"] == row) & (tests["reader"] == reader)
        ]
        name = report.row_names[str(row)]
        groups.setdefault(str(metric), []).append(
            Row(
                label=f"{name}, {reader}" if reader else name,
                values=[
                    _value_cell(
                        cell,
                        notes.at(str(metric), str(row), arm=cell["arm"]),
                        notes.at(arm=cell["arm"]),
                        medians,
                    )
                    for cell in group.to_dict("records")
                ],
                tests=[
                    _test_cell(
                        test,
                        plan.alpha,
                        notes.at(str(metric), str(row), pair=f"{test['a']} v {test['b']}"),
                        notes.at(pair=f"{test['a']} v {test['b']}"),
                    )
                    for test in here.to_dict("records")
                ],
            )
        )
    return PaperTable(
        name=table,
        title=title,
        values_are="Median [quartiles]" if medians else "Mean ± SD",
        arms=arms,
        comparisons=comparisons,
        groups=[Group("" if name == "score" else name, rows) for name, rows in groups.items()],
        legend=legend,
        method=f"{method_text(plan, tests)} {BOLD}",
        footnotes=notes.texts,
    )


def _letter(report: Report, arm: str) -> str:
    return "" if report.is_masked else report.letters[arm]


def _value_cell(
    cell: dict[Any, Any], notes: tuple[Note, ...], column: tuple[Note, ...], medians: bool
) -> Cell:
    exact = f"n = {cell['n']}, mean {cell['mean']!r}, SD {cell['sd']!r}" if cell["n"] else "n = 0"
    text = format_mean_sd(cell["mean"], cell["sd"])
    if medians and cell["n"]:
        text = median_text(cell)
        exact = f"n = {cell['n']}, median {cell['median']!r}, quartiles {cell['q1']!r} and "
        exact += f"{cell['q3']!r}, lowest {cell['min']!r}, highest {cell['max']!r}"
    return Cell(text, exact, notes, link=behind(cell, arm=cell["arm"]), column_notes=column)


def median_text(cell: dict[Any, Any]) -> str:
    median, low, high = (fixed(cell[name], 1) for name in ("median", "q1", "q3"))
    return f"{median} [{low}–{high}]"


def _test_cell(
    test: dict[Any, Any], alpha: float, notes: tuple[Note, ...], column: tuple[Note, ...]
) -> Cell:
    exact = f"{test['n']} pairs, {test['n_nonzero']} not tied, p {test['p']!r}, q {test['q']!r}"
    return Cell(
        format_q(test["q"], alpha),
        exact,
        notes,
        bool(test["significant"]),
        behind(test, a=test["a"], b=test["b"]),
        column,
    )


def behind(row: dict[Any, Any], **place: str) -> str:
    """The query of the page with the values behind a cell."""
    reader = {"reader": row["reader"]} if row.get("reader") else {}
    return urlencode({"metric": row["metric"], "row": row["row"], **place, **reader})
