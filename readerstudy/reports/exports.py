"""The files that leave the platform: CSV tables, figures, and one bundle of them all.

Everything here is a function of a report, so that the same frozen data give the same bytes on
another day. Before unblinding, letters stand for arms throughout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from analysis.tables import csv_bytes
from readerstudy.studies.models import Study

from .bundles.spreadsheet_text import safe_frame
from .by_site import site_frame
from .reading_files import READING_DESCRIPTIONS, reading_frame
from .report import Report
from .selectors import PIXEL_COUNTS


def csv_names(report: Report) -> list[str]:
    """The CSV files that the report has."""
    asked = [name for name, (table, _) in PREFERENCE_FILES.items() if table in report.data]
    return [*CSV_FILES, *asked, *(SITE_FILES if report.sites else [])]


def csv_file(report: Report, name: str) -> bytes:
    """One CSV file of the report, by its name."""
    return as_csv(csv_frame(report, name))


def csv_frame(report: Report, name: str) -> pd.DataFrame:
    """The table of one CSV file of the report."""
    if name in SITE_FILES:
        return finished(report, SITE_FILES[name](report))
    made = CSV_FILES[name] if name in CSV_FILES else PREFERENCE_FILES[name][1]
    return finished(report, made(report))


def reading_file(study: Study, report: Report, name: str) -> bytes:
    """One CSV file of what was read beside the primary analysis."""
    return as_csv(named_frame(report, reading_frame(study, report, name)))


def named_frame(report: Report, frame: pd.DataFrame) -> pd.DataFrame:
    """A table by arms as it leaves: names and letters beside codes, sites, the notice."""
    return finished(report, _named(report, frame))


def finished(report: Report, frame: pd.DataFrame) -> pd.DataFrame:
    """A table as it leaves: the site beside each volunteer, the study's notice in each row."""
    frame = with_sites(report, frame)
    return frame.assign(notice=report.notice) if report.notice else frame


def as_csv(frame: pd.DataFrame) -> bytes:
    """The bytes of a table of which no cell is a formula to a spreadsheet."""
    return csv_bytes(safe_frame(frame))


def with_sites(report: Report, frame: pd.DataFrame) -> pd.DataFrame:
    """The volunteer's site beside each volunteer, in a study that has sites."""
    if not report.sites or "volunteer" not in frame.columns or "site" in frame.columns:
        return frame
    frame = frame.copy()
    at = int(frame.columns.get_loc("volunteer")) + 1  # type: ignore[arg-type]
    frame.insert(at, "site", [report.site_of.get(code, "") for code in frame["volunteer"]])
    return frame


def _named(report: Report, frame: pd.DataFrame) -> pd.DataFrame:
    """After unblinding, name and letter beside each arm's code; before, the letter alone."""
    if report.is_masked:
        return frame
    frame = frame.copy()
    for column in ("a", "b", "first", "second", "chosen", "arm", "image_arm"):
        if column not in frame.columns:
            continue
        at = int(frame.columns.get_loc(column)) + 1  # type: ignore[arg-type]
        prefix = "" if column == "arm" else f"{column}_"
        # A warning that concerns no single arm has an empty code.
        frame.insert(at, f"{prefix}letter", [report.letters.get(c, "") for c in frame[column]])
        frame.insert(
            at, f"{prefix}name" if prefix else "arm_name", _names(report, frame[column].tolist())
        )
    return frame


def _names(report: Report, codes: list[str]) -> list[str]:
    return [report.arm_names.get(code, "") for code in codes]


def _wide(report: Report, metrics: tuple[str, ...]) -> pd.DataFrame:
    """A published table with every digit: n, mean and SD of each arm, pairs, p and q of each
    comparison, one row a table row."""
    results, plan = report.results, report.plan
    cells = results.descriptives[results.descriptives["metric"].isin(metrics)]
    records = []
    for (metric, row, reader), group in cells.groupby(["metric", "row", "reader"], sort=False):
        record: dict[str, Any] = {"metric": metric, "row": row, "reader": reader}
        for cell in group.to_dict("records"):
            for name in ("n", "mean", "sd"):
                record[f"{cell['arm']}_{name}"] = cell[name]
        tests = results.tests
        here = tests[
            (tests["metric"] == metric) & (tests["row"] == row) & (tests["reader"] == reader)
        ]
        for test in here.to_dict("records"):
            for name in ("n", "p", "q"):
                record[f"{test['a']}_v_{test['b']}_{name}"] = test[name]
        records.append(record)
    columns = ["metric", "row", "reader"]
    columns += [f"{arm}_{name}" for arm in plan.arms for name in ("n", "mean", "sd")]
    columns += [f"{a}_v_{b}_{name}" for a, b in plan.comparisons for name in ("n", "p", "q")]
    return pd.DataFrame(records, columns=columns)


def _regions(report: Report) -> pd.DataFrame:
    frame = report.frames[1].copy()
    for column in PIXEL_COUNTS:
        if column in frame.columns:  # whole numbers that may be missing
            frame[column] = frame[column].astype("Int64")
    return _named(report, frame)


def _warnings(report: Report) -> pd.DataFrame:
    columns = ["metric", "row", "arm", "comparison", "text"]
    rows = [[w.metric, w.row, w.arm, w.comparison, w.text] for w in report.warnings]
    return _named(report, pd.DataFrame(rows, columns=columns))


def arms_frame(report: Report) -> pd.DataFrame:
    """The arms of an unblinded study. Stored JSON may come back with its keys in another order."""
    columns = ["code", "name", "letter", "kind", "is_control"]
    return pd.DataFrame(report.data["arms"], columns=columns)


CSV_FILES: dict[str, Callable[[Report], pd.DataFrame]] = {
    "table2.csv": lambda report: _wide(report, ("SNR", "CNR")),
    "table3.csv": lambda report: _wide(report, ("score",)),
    "descriptives.csv": lambda report: _named(report, report.results.descriptives),
    "tests.csv": lambda report: _named(report, report.results.tests),
    "agreement.csv": lambda report: report.results.agreement,
    "warnings.csv": _warnings,
    "ratings_long.csv": lambda report: _named(report, report.frames[0]),
    "roi_long.csv": _regions,
    "derived_long.csv": lambda report: _named(report, report.results.derived),
}
# Where the readers chose between two images, or ranked them.
PREFERENCE_FILES: dict[str, tuple[str, Callable[[Report], pd.DataFrame]]] = {
    "choices.csv": ("choices", lambda report: _named(report, report.results.choices)),
    "abilities.csv": ("choices", lambda report: _named(report, report.results.abilities)),
    "choices_long.csv": ("choices", lambda report: _named(report, report.answers[1])),
    "rankings.csv": ("rankings", lambda report: _named(report, report.results.rankings)),
    "rankings_long.csv": ("rankings", lambda report: _named(report, report.answers[1])),
}
SITE_FILES: dict[str, Callable[[Report], pd.DataFrame]] = {
    "by_site.csv": lambda report: _named(report, site_frame(report)),
}
DESCRIPTIONS = {
    "by_site.csv": "Scores, SNR and CNR of each site: n, mean, SD, median of each arm",
    "choices.csv": "Forced choices: counts, share, exact p and q of each comparison",
    "abilities.csv": "Bradley–Terry: odds of each arm against the first, by criterion",
    "choices_long.csv": "Every forced choice: volunteer, reader, criterion, pair, chosen",
    "rankings.csv": "Friedman's test, mean ranks and each pair of arms, by criterion",
    "rankings_long.csv": "Every rank: volunteer, reader, criterion, arm, rank",
    **READING_DESCRIPTIONS,
    "table2.csv": "SNR and CNR: n, mean and SD of each arm; pairs, p and q of each comparison",
    "table3.csv": "Scores: n, mean and SD of each arm; pairs, p and q of each comparison",
    "descriptives.csv": "n, mean, SD, median, quartiles and range of every cell",
    "tests.csv": "Every test: n, W, p, q, family, effect sizes with 95 % intervals",
    "agreement.csv": "Agreement between readers, by criterion, with 95 % intervals",
    "warnings.csv": "What a reader of the numbers must know, and which number it concerns",
    "ratings_long.csv": "Every score: volunteer, arm, reader, criterion, score",
    "roi_long.csv": "Every region measurement: mean, SD (ddof 1), pixels, area",
    "derived_long.csv": "SNR and CNR of every volunteer, arm and tissue",
    "arms.csv": "The arms: code, name, the letter that stood for each, control",
    "data.json": "The data, canonical: its SHA-256 is the data hash",
    "plan.json": "The analysis plan, for python -m analysis run and for Plan, From a file",
    "plan_canonical.json": "The entries of the plan, canonical: its SHA-256 is the plan hash",
}


def file_name(report: Report, name: str) -> str:
    """The name of a download: which study, whether arms are masked, which plan if post hoc."""
    kind = "_masked" if report.is_masked else ""
    if report.post_hoc:
        kind += f"_post-hoc-plan-{report.plan_version}"
    return f"{report.slug}{kind}_{name}"
