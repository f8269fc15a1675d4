"""Every table of data and results that leaves as CSV, as it leaves.

The files, the workbook and the dictionary are made of these, so that none of them lacks what
another has. A table is made when it is asked for, and once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import pandas as pd

from analysis.tables import result_tables
from readerstudy.accounts.models import User
from readerstudy.reports.exclusions import exclusions_of, without
from readerstudy.reports.exports import arms_frame, csv_frame, csv_names, finished, named_frame
from readerstudy.reports.models import Exclusion
from readerstudy.reports.reading_files import reading_files, reading_frame
from readerstudy.reports.report import Report
from readerstudy.studies.models import Study

from .dictionary import ratings_wide
from .paper import results_of

Frames = dict[str, Callable[[], pd.DataFrame]]


def csv_frames(study: Study, report: Report, user: User | None = None) -> Frames:
    """The data and what was read, by file name. `user` decides whose record of the reading."""
    found: Frames = {name: partial(csv_frame, report, name) for name in csv_names(report)}
    found["ratings_wide.csv"] = lambda: named_frame(report, ratings_wide(report))
    for name in reading_files(study, user):
        found[name] = partial(_read, study, report, name)
    if not report.is_masked:
        found["arms.csv"] = lambda: finished(report, arms_frame(report))
    left_out = exclusions_of(study)
    if left_out:
        found["exclusions.csv"] = lambda: finished(report, _exclusions(left_out))
        found["tests_without_excluded.csv"] = lambda: csv_frame(
            without(report, left_out), "tests.csv"
        )
    return {name: cache(make) for name, make in found.items()}


def result_frames(report: Report) -> Frames:
    """The results that have no table of their own above, where there are any."""
    standing = set(csv_names(report))
    return {
        name: cache(partial(named_frame, report, frame))
        for name, frame in result_tables(results_of(report)).items()
        if name not in standing and not frame.empty
    }


def _read(study: Study, report: Report, name: str) -> pd.DataFrame:
    return named_frame(report, reading_frame(study, report, name))


def _exclusions(left_out: list[Exclusion]) -> pd.DataFrame:
    """Who is left out and why."""
    rows = [
        {
            "kind": one.kind,
            "code": one.code,
            "reason": one.reason,
            "decided_at": one.at.isoformat(),
            "post_hoc": one.is_post_hoc,
        }
        for one in left_out
    ]
    return pd.DataFrame(rows)
