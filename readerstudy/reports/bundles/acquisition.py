"""Table 1 as the analysis takes it: parameter, arm, value."""

from __future__ import annotations

import pandas as pd

from analysis.publication import ACQUISITION_COLUMNS
from readerstudy.conduct.acquisition import acquisition_rows
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
