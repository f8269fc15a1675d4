"""Tables 2 and 3, the tests and the agreement as a page shows them: text cells with footnotes.

A warning stands as a footnote at the number that it concerns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from analysis import PlanWarning
from analysis.tables import fixed, format_mean_sd, format_q

from .report import Report
from .wording import method_text, ratio_legend, score_legend


@dataclass(frozen=True)
class Cell:
    text: str
    exact: str = ""  # every digit, shown on hover
    notes: tuple[int, ...] = ()
    strong: bool = False


@dataclass(frozen=True)
class Heading:
    text: str
    letter: str = ""
    notes: tuple[int, ...] = ()


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
    title: str
    arms: list[Heading]
    comparisons: list[tuple[Heading, Heading]]
    groups: list[Group]
    legend: str
    method: str
    footnotes: list[str] = field(default_factory=list)

    @property
    def columns(self) -> int:
        return 1 + len(self.arms) + len(self.comparisons)


class _Footnotes:
    """Numbers the warnings of one table; a text that comes again keeps its number."""

    def __init__(self, warnings: list[PlanWarning], metrics: tuple[str, ...]) -> None:
        self.texts: list[str] = []
        ratios = "score" not in metrics
        self._warnings = [w for w in warnings if w.metric in metrics or (ratios and not w.metric)]

    def at(self, metric: str = "", row: str = "", arm: str = "", pair: str = "") -> tuple[int, ...]:
        """The notes of exactly this place: a heading has no row, a cell has both."""
        found = [
            warning.text
            for warning in self._warnings
            if (warning.row, warning.arm, warning.comparison) == (row, arm, pair)
            and (warning.metric == metric or not row)
        ]
        numbers = []
        for text in dict.fromkeys(found):
            if text not in self.texts:
                self.texts.append(text)
            numbers.append(self.texts.index(text) + 1)
        return tuple(sorted(numbers))


def ratio_table(report: Report) -> PaperTable | None:
    """Table 2: SNR and CNR; None when nothing was measured."""
    purposes = {t["code"]: t["purpose"] for t in report.data["tissues"]}
    reference = report.row_names.get(next((c for c, p in purposes.items() if p == "reference"), ""))
    measured = report.frames[1]["volunteer"].nunique()
    return _table(
        report,
        ("SNR", "CNR"),
        "Table 2. Signal-to-noise and contrast-to-noise ratios",
        ratio_legend(report.plan, measured, reference or ""),
    )


def score_table(report: Report) -> PaperTable | None:
    """Table 3: scores; None when there are none."""
    scores = report.frames[0]
    return _table(
        report,
        ("score",),
        "Table 3. Image quality scores",
        score_legend(
            report.plan,
            scores["volunteer"].nunique(),
            len(report.readers),
            relative="mode" not in report.data,
        ),
    )


def _table(report: Report, metrics: tuple[str, ...], title: str, legend: str) -> PaperTable | None:
    results, plan = report.results, report.plan
    cells = results.descriptives[results.descriptives["metric"].isin(metrics)]
    tests = results.tests[results.tests["metric"].isin(metrics)]
    if cells.empty:
        return None
    notes = _Footnotes(report.warnings, metrics)
    arms = [
        Heading(report.arm_names[arm], _letter(report, arm), notes.at(arm=arm)) for arm in plan.arms
    ]
    comparisons = [
        (
            Heading(report.arm_names[a], _letter(report, a)),
            Heading(report.arm_names[b], _letter(report, b), notes.at(pair=f"{a} v {b}")),
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
                    _value_cell(cell, notes.at(str(metric), str(row), arm=cell["arm"]))
                    for cell in group.to_dict("records")
                ],
                tests=[
                    _test_cell(
                        test,
                        plan.alpha,
                        notes.at(str(metric), str(row), pair=f"{test['a']} v {test['b']}"),
                    )
                    for test in here.to_dict("records")
                ],
            )
        )
    return PaperTable(
        title=title,
        arms=arms,
        comparisons=comparisons,
        groups=[Group("" if name == "score" else name, rows) for name, rows in groups.items()],
        legend=legend,
        method=method_text(plan, tests),
        footnotes=notes.texts,
    )


def _letter(report: Report, arm: str) -> str:
    return "" if report.is_masked else report.letters[arm]


def _value_cell(cell: dict[Any, Any], notes: tuple[int, ...]) -> Cell:
    exact = f"n = {cell['n']}, mean {cell['mean']!r}, SD {cell['sd']!r}" if cell["n"] else "n = 0"
    return Cell(format_mean_sd(cell["mean"], cell["sd"]), exact, notes)


def _test_cell(test: dict[Any, Any], alpha: float, notes: tuple[int, ...]) -> Cell:
    exact = f"{test['n']} pairs, {test['n_nonzero']} not tied, p {test['p']!r}, q {test['q']!r}"
    return Cell(format_q(test["q"], alpha), exact, notes, bool(test["significant"]))


@dataclass(frozen=True)
class ComparisonRow:
    """One test in full."""

    metric: str
    row: str
    comparison: str
    n: str
    n_nonzero: int
    rank_sums: str
    p: Cell
    q: Cell
    m: int
    hodges_lehmann: str
    rank_biserial: str
    counts: str


def test_rows(report: Report) -> list[ComparisonRow]:
    """Every test, with the direction "second minus first"."""
    rows = []
    for test in report.results.tests.to_dict("records"):
        missing = f" ({test['n_missing']} left out)" if test["n_missing"] else ""
        name = report.row_names[test["row"]]
        alpha = report.plan.alpha
        rows.append(
            ComparisonRow(
                metric="Scores" if test["metric"] == "score" else test["metric"],
                row=f"{name}, {test['reader']}" if test["reader"] else name,
                comparison=f"{report.arm_names[test['a']]} v {report.arm_names[test['b']]}",
                n=f"{test['n']}{missing}",
                n_nonzero=test["n_nonzero"],
                rank_sums=f"{_plain(test['w_plus'])} / {_plain(test['w_minus'])}",
                p=Cell(format_q(test["p"], alpha), repr(test["p"])),
                q=Cell(format_q(test["q"], alpha), repr(test["q"]), (), bool(test["significant"])),
                m=test["m"],
                hodges_lehmann=_interval(test, "hodges_lehmann"),
                rank_biserial=_interval(test, "rank_biserial"),
                counts=f"{test['wins']} / {test['ties']} / {test['losses']}",
            )
        )
    return rows


@dataclass(frozen=True)
class AgreementRow:
    criterion: str
    statistic: str
    value: str
    interval: str
    n: int
    readers: int


def agreement_rows(report: Report) -> list[AgreementRow]:
    return [
        AgreementRow(
            criterion=report.row_names[row["criterion"]],
            statistic=row["statistic"],
            value=_rounded(row["value"]),
            interval=f"{_rounded(row['low'])} to {_rounded(row['high'])}"
            if pd.notna(row["low"])
            else row["method"],
            n=row["n"],
            readers=row["readers"],
        )
        for row in report.results.agreement.to_dict("records")
    ]


def _interval(test: dict[Any, Any], name: str) -> str:
    if pd.isna(test[name]):
        return "–"
    value = _rounded(test[name])
    if pd.isna(test[f"{name}_low"]):
        return value
    return f"{value} ({_rounded(test[f'{name}_low'])} to {_rounded(test[f'{name}_high'])})"


def _rounded(value: float) -> str:
    return "–" if pd.isna(value) else fixed(value, 2).replace("-", "−")


def _plain(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:g}"
