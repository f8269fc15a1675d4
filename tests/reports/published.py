"""The golden tables as a study: imported through the service that people use."""

from __future__ import annotations

import csv
from pathlib import Path

from readerstudy.accounts.models import User
from readerstudy.conduct.imports import ImportReport, do_import_study_tables
from readerstudy.conduct.services import do_lock
from readerstudy.reports.models import Unblinding
from readerstudy.reports.plan_services import do_sign_plan
from readerstudy.reports.services import do_unblind
from readerstudy.studies.models import PlanVersion, Study
from readerstudy.studies.tables import TableFile
from tests.factories import make_study

FOLDER = Path(__file__).parents[2] / "readerstudy/demo/data/published"
SCORES = "table3_reader_scores_long.csv"
REGIONS = "table2_roi_long.csv"
ARMS = {
    "STD": "standard",
    "DF": "double-fast",
    "DLR_DF": "DLR-double-fast",
    "TF": "triple-fast",
    "DLR_TF": "DLR-triple-fast",
}


def golden_file(name: str) -> TableFile:
    return TableFile(name, (FOLDER / name).read_bytes())


def golden_rows(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def import_golden(study: Study, actor: User | None = None) -> ImportReport:
    return do_import_study_tables(
        study, actor, scores=golden_file(SCORES), regions=golden_file(REGIONS)
    )


def make_published_study(
    slug: str = "published", *, locked: bool = True, notice: str = ""
) -> Study:
    study = make_study(slug, "Published tables", notice=notice)
    import_golden(study)
    if locked:
        lock(study)
    study.refresh_from_db()
    return study


def lock(study: Study) -> None:
    do_lock(study, None)


def sign(study: Study, actor: User | None = None, **said: str) -> PlanVersion:
    return do_sign_plan(study, actor, **said)


def unblind(study: Study, actor: User | None = None, reason: str = "reviewed") -> Unblinding:
    """Sign the plan, unless somebody has, and open the key."""
    if not PlanVersion.objects.filter(study=study).exists():
        sign(study)
    return do_unblind(study, actor, reason)
