"""Every file of the bundle by its place in it.

All of it is a function of the frozen data, the plan and the software, so that the same snapshot
gives the same bytes on another day. Before unblinding, letters stand for arms throughout, and what
would tell the letters (Table 1, recipes, arms.csv, plan.json) is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from typing import IO

import pandas as pd

from analysis.r_scripts import imrmc_layout, mixed_model_script, recompute_script
from analysis.results_document import write_results
from analysis.tables import csv_bytes, result_tables
from readerstudy.accounts.models import User
from readerstudy.reports.exclusions import exclusions_of, without
from readerstudy.reports.exports import csv_file, csv_names, file_name, reading_file
from readerstudy.reports.post_hoc import marked
from readerstudy.reports.reading_files import reading_files
from readerstudy.reports.report import Report
from readerstudy.studies.models import Study
from readerstudy.studies.protocol import canonical_json

from .acquisition import acquisition_frame
from .archive import checksums, write_zip
from .descriptions import readme
from .dictionary import dictionary_document, dictionary_frame, ratings_wide, variables
from .drafts.files import draft_files
from .labelled import dta_file, sav_file
from .manifest import manifest
from .paper import IMAGE_FORMATS, figures, results_of, table_files, tables
from .spreadsheet_text import safe_frame
from .spss_script import spss_script
from .stata_script import stata_script
from .workbook import workbook

Progress = Callable[[int, int, str], None]


def no_progress(_done: int, _total: int, _message: str) -> None:
    """For whoever waits in front of the command line."""


def bundle_files(
    study: Study, report: Report, user: User | None = None, progress: Progress = no_progress
) -> dict[str, bytes]:
    """The files by name: readme first, manifest and checksums last.

    `user` decides whether the statistician's own files of the reading are there; None is the
    platform itself, which has them all.
    """
    acquisition = acquisition_frame(study, report)
    drawn = figures(report)
    makers: list[tuple[str, Callable[[], Iterator[tuple[str, bytes]]]]] = [
        ("Data", lambda: data_files(study, report, user)),
        ("SPSS, Stata and spreadsheet files", lambda: labelled_files(study, report)),
        ("Tables", lambda: table_parts(report, acquisition)),
        ("Scripts", lambda: script_files(report)),
        *((f"Figure {name}", _figure_maker(drawn, name)) for name in drawn),
        ("Drafts", lambda: draft_files(study, report)),
    ]
    total = len(makers) + 1
    files: dict[str, bytes] = {}
    for done, (message, make) in enumerate(makers):
        progress(done, total, message)
        files.update(make())
    progress(total - 1, total, "Manifest and checksums")
    names = ["readme.txt", *files, "manifest.json", "SHA256SUMS"]
    files = {"readme.txt": readme(report, names).encode("utf-8"), **files}
    text = json.dumps(manifest(study, report, files), indent=2, sort_keys=True, ensure_ascii=False)
    files["manifest.json"] = f"{text}\n".encode()
    files["SHA256SUMS"] = checksums(files)
    return files


def write_bundle(
    target: IO[bytes],
    study: Study,
    report: Report,
    user: User | None = None,
    progress: Progress = no_progress,
) -> dict[str, bytes]:
    """The bundle as one zip; its files are returned."""
    files = bundle_files(study, report, user, progress)
    write_zip(target, file_name(report, "results"), files)
    return files


def bundle(study: Study, report: Report, user: User | None = None) -> bytes:
    """The zip as bytes, for a download at once."""
    target = BytesIO()
    write_bundle(target, study, report, user)
    return target.getvalue()


def data_files(study: Study, report: Report, user: User | None) -> Iterator[tuple[str, bytes]]:
    for name in csv_names(report):
        yield name, csv_file(report, name)
    yield "ratings_wide.csv", csv_bytes(safe_frame(ratings_wide(report)))
    for name in reading_files(study, user):
        yield name, reading_file(study, report, name)
    if not report.is_masked:
        yield "arms.csv", csv_bytes(safe_frame(pd.DataFrame(report.data["arms"])))
        yield "plan.json", canonical_json(report.plan.to_dict()).encode("ascii")
    yield "data.json", canonical_json(report.data).encode("ascii")
    found = variables(study, report)
    dictionary = json.dumps(dictionary_document(found), indent=1, ensure_ascii=False)
    yield "dictionary.json", f"{dictionary}\n".encode()
    yield "dictionary.csv", csv_bytes(safe_frame(dictionary_frame(found)))
    yield "results.json", _results_document(report).encode("utf-8")
    yield from _exclusion_files(study, report)


def _results_document(report: Report) -> str:
    hashes = {"data": report.data_sha256, "plan": report.plan_sha256}
    text = write_results(results_of(report), hashes)
    if not report.post_hoc:
        return text
    document = {"post_hoc": report.post_hoc, **json.loads(text)}
    return json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _exclusion_files(study: Study, report: Report) -> Iterator[tuple[str, bytes]]:
    """Who is left out and why, and the tests without them; nothing where nobody is."""
    left_out = exclusions_of(study)
    if not left_out:
        return
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
    yield "exclusions.csv", csv_bytes(safe_frame(pd.DataFrame(rows)))
    yield "tests_without_excluded.csv", csv_file(without(report, left_out), "tests.csv")


def labelled_files(study: Study, report: Report) -> Iterator[tuple[str, bytes]]:
    found = variables(study, report)
    frames: Mapping[str, pd.DataFrame] = {
        "ratings_long": report.frames[0],
        "ratings_wide": ratings_wide(report),
        "roi_long": report.frames[1],
        "derived_long": report.results.derived,
    }
    title = f"{report.title} – {report.notice}" if report.notice else report.title
    for name, frame in frames.items():
        if frame.empty:
            continue
        own = [variable for variable in found if variable.table == name]
        yield f"{name}.sav", sav_file(frame, own, title)
        yield f"{name}.dta", dta_file(frame, own, title)
    results = results_of(report)
    sheets = {
        "ratings": report.frames[0],
        "ratings wide": frames["ratings_wide"],
        "roi": report.frames[1],
        "descriptives": marked(results.descriptives, report.notice),
        "tests": marked(results.tests, report.notice),
        "agreement": marked(results.agreement, report.notice),
        "warnings": marked(results.warning_frame(), report.notice),
        "dictionary": dictionary_frame(found),
    }
    yield "results.xlsx", workbook(sheets, readme(report, []), title)


def table_parts(report: Report, acquisition: pd.DataFrame | None) -> Iterator[tuple[str, bytes]]:
    yield from table_files(tables(report, acquisition), report.notice)
    standing = set(csv_names(report))
    for name, frame in result_tables(results_of(report)).items():
        if name not in standing and not frame.empty:
            yield name, csv_bytes(safe_frame(marked(frame, report.notice)))


def script_files(report: Report) -> Iterator[tuple[str, bytes]]:
    """The scripts with the plain tables that they read, so that the folder runs by itself."""
    plan, (scores, regions) = report.plan, report.frames
    yield "scripts/ratings_long.csv", csv_bytes(scores)
    yield "scripts/roi_long.csv", csv_bytes(regions)
    head = f"# {' '.join(report.notice.split())}\n" if report.notice else ""
    yield "scripts/recompute_tables.R", (head + recompute_script(plan)).encode("utf-8")
    yield "scripts/recompute_tables.sps", spss_script(report).encode("utf-8")
    yield "scripts/recompute_tables.do", stata_script(report).encode("utf-8")
    if not scores.empty:
        yield "scripts/mixed_models.R", (head + mixed_model_script(plan)).encode("utf-8")
        for criterion in plan.criteria:
            text = imrmc_layout(scores, plan, criterion)
            yield f"scripts/imrmc_{criterion}.csv", text.encode("utf-8")


def _figure_maker(
    drawn: Mapping[str, Callable[..., bytes]], name: str
) -> Callable[[], Iterator[tuple[str, bytes]]]:
    def make() -> Iterator[tuple[str, bytes]]:
        for kind in IMAGE_FORMATS:
            yield f"figures/{name}.{kind}", drawn[name](kind)

    return make
