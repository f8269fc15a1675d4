"""One file of the bundle at a time, without making the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from readerstudy.accounts.models import User
from readerstudy.reports.report import Report
from readerstudy.studies.models import Study

from .acquisition import acquisition_frame
from .contents import data_files, labelled_files, script_files, table_parts
from .descriptions import describe
from .drafts.files import draft_files
from .paper import IMAGE_FORMATS, figures

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


def _parts(
    study: Study, report: Report, user: User | None
) -> dict[str, Callable[[], Iterator[tuple[str, bytes]]]]:
    return {
        "data": lambda: data_files(study, report, user),
        "labelled": lambda: labelled_files(study, report),
        "tables": lambda: table_parts(report, acquisition_frame(study, report)),
        "scripts": lambda: script_files(report),
        "drafts": lambda: draft_files(study, report),
    }


def single_file(study: Study, report: Report, user: User | None, name: str) -> bytes | None:
    """The file as it stands in the bundle; None where the bundle has none of that name."""
    folder, _, rest = name.rpartition("/")
    if folder == "figures":
        stem, _, kind = rest.rpartition(".")
        drawn = figures(report)
        known = next((image for image in IMAGE_FORMATS if image == kind), None)
        return drawn[stem](known) if stem in drawn and known else None
    parts = _parts(study, report, user)
    if folder in parts:
        wanted = [folder]
    elif rest.endswith((".sav", ".dta", ".xlsx")):
        wanted = ["labelled"]
    else:
        wanted = ["data", "tables"]
    for part in wanted:
        for found, content in parts[part]():
            if found == name:
                return content
    return None


def single_names(study: Study, report: Report, user: User | None) -> list[tuple[str, str]]:
    """Data, tables and figures with what they are, for a list of links."""
    names = [name for name, _ in data_files(study, report, user)]
    names += [f"figures/{name}.{kind}" for name in figures(report) for kind in IMAGE_FORMATS]
    return [(name, describe(name)) for name in names]
