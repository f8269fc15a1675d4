"""Table 1 as the analysis takes it: parameter, arm, value."""

from __future__ import annotations

import pandas as pd

from analysis.publication import ACQUISITION_COLUMNS
from readerstudy.imaging.models import Series
from readerstudy.reports.report import Report
from readerstudy.studies.models import Study


def acquisition_frame(study: Study, report: Report) -> pd.DataFrame | None:
    """None where the study has no images, and while arms are masked: it would tell them."""
    if report.is_masked:
        return None
    rows = report.data.get("acquisition")
    if rows is None:
        rows = acquisition_rows(study)
    return pd.DataFrame(rows, columns=list(ACQUISITION_COLUMNS)) if rows else None


def acquisition_rows(study: Study) -> list[list[str]]:
    """[parameter, arm, text]; what was entered by hand says so."""
    from readerstudy.conduct.acquisition import acquisition_table

    if not Series.objects.filter(volunteer__study=study).exists():
        return []
    table = acquisition_table(study)
    rows = []
    for line in table.lines:
        if not any(entry.text for entry in line.entries):
            continue
        for arm, entry in zip(table.arms, line.entries, strict=True):
            entered = " (entered)" if entry.is_entered and entry.text else ""
            note = f" ({entry.note})" if entry.note else ""
            rows.append([line.label, arm.code, f"{entry.text or '–'}{entered}{note}"])
    return rows
