"""One file of the bundle at a time, without making the rest."""

from __future__ import annotations

from readerstudy.accounts.models import User
from readerstudy.reports.report import Report
from readerstudy.studies.models import Study

from .contents import parts_of
from .descriptions import describe

TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "html": "text/html; charset=utf-8",
    "tex": "application/x-tex; charset=utf-8",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
    "sav": "application/x-spss-sav",
    "dta": "application/x-stata-dta",
}


def content_type(name: str) -> str:
    return TYPES.get(name.rpartition(".")[2], "text/plain; charset=utf-8")


def single_file(study: Study, report: Report, user: User | None, name: str) -> bytes | None:
    """The file as it stands in the bundle; None where the bundle has none of that name."""
    for makers in parts_of(study, report, user).values():
        if name in makers:
            return makers[name]()
    return None


Listed = list[tuple[str, str]]


def single_names(study: Study, report: Report, user: User | None) -> list[tuple[str, Listed]]:
    """Every file with what it is, under its part of the bundle; none of them is made for that."""
    return [
        (part, [(name, describe(name)) for name in makers])
        for part, makers in parts_of(study, report, user).items()
        if makers
    ]
