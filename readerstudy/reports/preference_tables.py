"""Forced choices and rankings as a page shows them: one line a comparison, the criterion first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.tables import fixed, format_q

from .report import Report


@dataclass(frozen=True)
class PreferenceTable:
    title: str
    headings: list[str]  # after criterion and comparison
    lines: list[PreferenceLine]
    legend: str


@dataclass(frozen=True)
class PreferenceLine:
    criterion: str
    what: str
    cells: list[str]
    strong: bool = False  # the last cell


def preference_tables(report: Report) -> list[PreferenceTable]:
    """The tables that the study's mode of reading asks for; none where points were given."""
    tables = []
    if not report.results.choices.empty:
        tables.append(_choices(report))
    if not report.results.rankings.empty:
        tables.append(_rankings(report))
    return tables


def _choices(report: Report) -> PreferenceTable:
    lines = [
        PreferenceLine(
            _criterion(report, row),
            f"{report.arm_names[row['a']]} v {report.arm_names[row['b']]}",
            [
                f"{row['chosen_a']:g} : {row['chosen_b']:g}",
                f"{row['n_split']:g}",
                _estimate(row["share_b"], row["low"], row["high"]),
                format_q(row["p"], report.plan.alpha),
                format_q(row["q"], report.plan.alpha),
            ],
            bool(row["significant"]),
        )
        for row in report.results.choices.to_dict("records")
    ]
    return PreferenceTable(
        "Forced choices",
        ["a : b", "Split", "Share of b (95 %)", "p", "q"],
        lines,
        "Volunteers in which the majority of the readers chose a or b; split where they were "
        "divided equally. p: exact binomial test; q: Benjamini–Hochberg, bold at or below α.",
    )


def _rankings(report: Report) -> PreferenceTable:
    lines = []
    for row in report.results.rankings.to_dict("records"):
        arms = [report.arm_names[code] for code in (row["a"], row["b"]) if code]
        lines.append(
            PreferenceLine(
                _criterion(report, row),
                " v ".join(arms) or "All arms",
                [
                    str(row["statistic"]).replace("_", " "),
                    _estimate(row["value"], row["low"], row["high"]),
                    "" if pd.isna(row["p"]) else format_q(row["p"], report.plan.alpha),
                    "" if pd.isna(row["q"]) else format_q(row["q"], report.plan.alpha),
                ],
            )
        )
    return PreferenceTable(
        "Rankings",
        ["Statistic", "Value (95 %)", "p", "q"],
        lines,
        "Rank 1 is the best. Mean ranks over the volunteers, Friedman's test over all arms, and "
        "each pair of arms.",
    )


def _criterion(report: Report, row: dict[Any, Any]) -> str:
    name = report.row_names[row["criterion"]]
    return f"{name}, {row['reader']}" if row["reader"] else name


def _estimate(value: float, low: float, high: float) -> str:
    if pd.isna(value):
        return "–"
    text = fixed(value, 2).replace("-", "−")
    if pd.isna(low):
        return text
    return f"{text} ({fixed(low, 2)} to {fixed(high, 2)})".replace("-", "−")
