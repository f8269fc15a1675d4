"""Results beside the planned tests as the draft says them: non-inferiority and sensitivity."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.tables import fixed, format_q

from .document import Section
from .facts import Facts

_ANALYSES = {
    "vgc": "Visual grading characteristics",
    "ordinal_regression": "Ordinal regression",
    "ordinal_gee": "Ordinal regression by estimating equations",
    "friedman": "Friedman test with pairwise comparisons",
}
# More are in sensitivity.csv; a draft that lists hundreds is read by nobody.
_MOST_LISTED = 12


def beside_the_tests(facts: Facts) -> list[Section]:
    sections = []
    decided = _decisions(facts)
    if decided:
        sections.append(Section("Non-inferiority", decided))
    beside = _sensitivity(facts)
    if beside:
        sections.append(Section("Sensitivity analyses", beside))
    return sections


def _decisions(facts: Facts) -> list[str]:
    """One sentence a comparison and criterion. Letters have no direction before unblinding."""
    frame = facts.report.results.non_inferiority
    if frame.empty:
        return []
    if facts.report.is_masked:
        return ["Which arm is held against which is said after the unblinding: see Table 5."]
    lines = []
    for a, b in facts.report.plan.comparisons:
        found = frame[(frame["a"] == a) & (frame["b"] == b)]
        said = [_decision(facts, row) for row in found.to_dict("records")]
        if said:
            lines.append(f"{facts.name(b)} against {facts.name(a)}: {'; '.join(said)}.")
    return lines


def _decision(facts: Facts, row: dict[str, Any]) -> str:
    name = facts.report.row_names.get(row["row"], row["row"])
    reader = f", {row['reader']}" if row["reader"] else ""
    if np.isnan(row["low"]):
        return f"{name}{reader}: no decision, the data give no interval (n = {row['n']})"
    verdict = "non-inferior" if row["non_inferior"] else "non-inferiority not shown"
    return (
        f"{name}{reader}: {verdict}, mean difference {_interval(row, 'difference')}, "
        f"margin {row['margin']:g}, n = {row['n']}"
    )


def _sensitivity(facts: Facts) -> list[str]:
    frame = facts.report.results.sensitivity
    lines = []
    for analysis in dict.fromkeys(frame["analysis"]):
        rows = frame[frame["analysis"] == analysis].to_dict("records")
        said = [_row(facts, row) for row in rows[:_MOST_LISTED]]
        further = len(rows) - len(said)
        tail = f"; {further} further in sensitivity.csv" if further else ""
        lines.append(f"{_ANALYSES.get(analysis, analysis)}. {'; '.join(said)}{tail}.")
    return lines


def _row(facts: Facts, row: dict[str, Any]) -> str:
    name = facts.report.row_names.get(row["row"], row["row"])
    pair = f", {facts.name(row['a'])} v {facts.name(row['b'])}" if row["a"] and row["b"] else ""
    text = f"{name}{pair}: {row['statistic']} {_interval(row, 'value')}"
    for mark in ("p", "q"):
        if not np.isnan(row[mark]):
            shown = format_q(row[mark], facts.report.plan.alpha)
            text += f", {mark} {shown}" if shown.startswith("<") else f", {mark} = {shown}"
    return text


def _interval(row: dict[str, Any], value: str) -> str:
    text = signed_number(row[value])
    if np.isnan(row["low"]):
        return text
    return f"{text} ({signed_number(row['low'])} to {signed_number(row['high'])})"


def signed_number(value: float) -> str:
    return fixed(value, 2).replace("-", "−")
