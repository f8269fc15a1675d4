"""Every file of the bundle by its place in it.

All of it is a function of the frozen data, the plan and the software, so that the same snapshot
gives the same bytes on another day. Before unblinding, letters stand for arms throughout, and what
would tell the letters (Table 1, recipes, arms.csv, plan.json) is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache, partial
from io import BytesIO
from typing import IO

import pandas as pd

from analysis.r_scripts import imrmc_layout, mixed_model_script, recompute_script
from analysis.results_document import write_results
from analysis.tables import csv_bytes, result_tables
from readerstudy.accounts.models import User
from readerstudy.reports.exclusions import exclusions_of, without
from readerstudy.reports.exports import csv_file, csv_names, file_name, reading_file, with_sites
from readerstudy.reports.post_hoc import marked
from readerstudy.reports.reading_files import reading_files
from readerstudy.reports.report import Report
from readerstudy.studies.models import Study
from readerstudy.studies.protocol import canonical_json

from .acquisition import acquisition_frame
from .archive import checksums, write_zip
from .descriptions import readme
from .dictionary import (
    Variable,
    dictionary_document,
    dictionary_frame,
    ratings_wide,
    variables,
)
from .drafts.files import draft_makers
from .labelled import dta_file, sav_file
from .making import Makers
from .manifest import manifest
from .paper import IMAGE_FORMATS, figures, results_of, table_makers, tables
from .spreadsheet_text import safe_frame
from .spss_script import spss_script
from .stata_script import stata_script
from .workbook import workbook

Progress = Callable[[int, int, str], None]


def no_progress(_done: int, _total: int, _message: str) -> None:
    """For whoever waits in front of the command line."""


def parts_of(study: Study, report: Report, user: User | None = None) -> dict[str, Makers]:
    """Every file of the bundle under what it is, each made when it is asked for.

    `user` decides whether the statistician's own files of the reading are there; None is the
    platform itself, which has them all.
    """
    return {
        "Data": data_makers(study, report, user),
        "SPSS, Stata and spreadsheet files": labelled_makers(study, report),
        "Tables": publication_makers(report, acquisition_frame(study, report)),
        "Scripts": script_makers(report),
        "Figures": figure_makers(report),
        "Drafts": draft_makers(study, report),
    }


def bundle_files(
    study: Study, report: Report, user: User | None = None, progress: Progress = no_progress
) -> dict[str, bytes]:
    """The files by name: readme first, manifest and checksums last."""
    making = [
        (part, name, make)
        for part, makers in parts_of(study, report, user).items()
        for name, make in makers.items()
    ]
    files: dict[str, bytes] = {}
    for done, (part, name, make) in enumerate(making):
        progress(done, len(making) + 1, f"{part}: {name.rpartition('/')[2]}")
        files[name] = make()
    progress(len(making), len(making) + 1, "Manifest and checksums")
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


def data_makers(study: Study, report: Report, user: User | None) -> Makers:
    found = variables(study, report)
    makers: Makers = {name: partial(csv_file, report, name) for name in csv_names(report)}
    makers["ratings_wide.csv"] = lambda: csv_bytes(safe_frame(_wide(report)))
    makers |= {
        name: partial(reading_file, study, report, name) for name in reading_files(study, user)
    }
    if not report.is_masked:
        makers["arms.csv"] = lambda: csv_bytes(safe_frame(pd.DataFrame(report.data["arms"])))
        makers["plan.json"] = lambda: canonical_json(report.plan.to_dict()).encode("ascii")
    makers["data.json"] = lambda: canonical_json(report.data).encode("ascii")
    makers["dictionary.json"] = lambda: (
        f"{json.dumps(dictionary_document(found), indent=1, ensure_ascii=False)}\n".encode()
    )
    makers["dictionary.csv"] = lambda: csv_bytes(safe_frame(dictionary_frame(found)))
    makers["results.json"] = lambda: _results_document(report).encode("utf-8")
    return makers | _exclusion_makers(study, report)


def _wide(report: Report) -> pd.DataFrame:
    return with_sites(report, ratings_wide(report))


def _results_document(report: Report) -> str:
    hashes = {"data": report.data_sha256, "plan": report.plan_sha256}
    text = write_results(results_of(report), hashes)
    if not report.post_hoc:
        return text
    document = {"post_hoc": report.post_hoc, **json.loads(text)}
    return json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _exclusion_makers(study: Study, report: Report) -> Makers:
    """Who is left out and why, and the tests without them; nothing where nobody is."""
    left_out = exclusions_of(study)
    if not left_out:
        return {}
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
    return {
        "exclusions.csv": lambda: csv_bytes(safe_frame(pd.DataFrame(rows))),
        "tests_without_excluded.csv": lambda: csv_file(without(report, left_out), "tests.csv"),
    }


def labelled_makers(study: Study, report: Report) -> Makers:
    found = variables(study, report)
    wide = cache(lambda: _wide(report))
    scores, regions = (with_sites(report, frame) for frame in report.frames)
    derived = with_sites(report, report.results.derived)
    frames: Mapping[str, Callable[[], pd.DataFrame]] = {
        **({} if scores.empty else {"ratings_long": lambda: scores, "ratings_wide": wide}),
        **({} if regions.empty else {"roi_long": lambda: regions}),
        **({} if derived.empty else {"derived_long": lambda: derived}),
    }
    title = f"{report.title} – {report.notice}" if report.notice else report.title
    makers: Makers = {}
    for name, frame in frames.items():
        own = [variable for variable in found if variable.table == name]
        makers[f"{name}.sav"] = partial(_labelled, sav_file, frame, own, title)
        makers[f"{name}.dta"] = partial(_labelled, dta_file, frame, own, title)
    makers["results.xlsx"] = lambda: _workbook(report, wide(), dictionary_frame(found), title)
    return makers


def _labelled(
    write: Callable[[pd.DataFrame, list[Variable], str], bytes],
    frame: Callable[[], pd.DataFrame],
    own: list[Variable],
    title: str,
) -> bytes:
    return write(frame(), own, title)


def _workbook(report: Report, wide: pd.DataFrame, dictionary: pd.DataFrame, title: str) -> bytes:
    results = results_of(report)
    sheets = {
        "ratings": with_sites(report, report.frames[0]),
        "ratings wide": wide,
        "roi": with_sites(report, report.frames[1]),
        "descriptives": marked(results.descriptives, report.notice),
        "tests": marked(results.tests, report.notice),
        "agreement": marked(results.agreement, report.notice),
        "warnings": marked(results.warning_frame(), report.notice),
        "dictionary": dictionary,
    }
    return workbook(sheets, readme(report, []), title)


def publication_makers(report: Report, acquisition: pd.DataFrame | None) -> Makers:
    makers = table_makers(tables(report, acquisition), report.notice)
    standing = set(csv_names(report))
    for name, frame in result_tables(results_of(report)).items():
        if name not in standing and not frame.empty:
            makers[name] = partial(_result_table, report, frame)
    return makers


def _result_table(report: Report, frame: pd.DataFrame) -> bytes:
    return csv_bytes(safe_frame(marked(frame, report.notice)))


def script_makers(report: Report) -> Makers:
    """The scripts with the plain tables that they read, so that the folder runs by itself."""
    plan, (scores, regions) = report.plan, report.frames
    head = f"# {' '.join(report.notice.split())}\n" if report.notice else ""
    makers: Makers = {
        "scripts/ratings_long.csv": lambda: csv_bytes(scores),
        "scripts/roi_long.csv": lambda: csv_bytes(regions),
        "scripts/recompute_tables.R": lambda: (head + recompute_script(plan)).encode("utf-8"),
        "scripts/recompute_tables.sps": lambda: spss_script(report).encode("utf-8"),
        "scripts/recompute_tables.do": lambda: stata_script(report).encode("utf-8"),
    }
    if not scores.empty:
        makers["scripts/mixed_models.R"] = lambda: (head + mixed_model_script(plan)).encode("utf-8")
        makers |= {
            f"scripts/imrmc_{criterion}.csv": partial(_imrmc, report, criterion)
            for criterion in plan.criteria
        }
    return makers


def _imrmc(report: Report, criterion: str) -> bytes:
    return imrmc_layout(report.frames[0], report.plan, criterion).encode("utf-8")


def figure_makers(report: Report) -> Makers:
    return {
        f"figures/{name}.{kind}": partial(draw, kind)
        for name, draw in figures(report).items()
        for kind in IMAGE_FORMATS
    }
