"""What every chart of the results is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from analysis.tables import fixed
from readerstudy.reports.report import Report
from readerstudy.reports.wording import method_text


@dataclass(frozen=True)
class Filters:
    """What of a figure is shown; empty: all of it."""

    row: str = ""
    reader: str = ""
    volunteer: str = ""
    pair: str = ""  # "a v b", of arms' codes as they are shown


@dataclass
class Chart:
    title: str
    spec: dict[str, Any]
    frame: pd.DataFrame
    legend: list[str]
    offers: tuple[str, ...]  # which filters it knows
    rows: list[tuple[str, str]] = field(default_factory=list)  # criteria or tissues to choose from


def plan_sentence(report: Report, metrics: tuple[str, ...]) -> str:
    tests = report.results.tests
    return f"q: {method_text(report.plan, tests[tests['metric'].isin(metrics)])}"


def letters(report: Report, test: dict[Any, Any]) -> list[str]:
    if report.is_masked:
        return []
    return [f"{report.letters[test['a']]} v {report.letters[test['b']]}"]


def number(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def two(value: float) -> str:
    return fixed(value, 2).replace("-", "−")
