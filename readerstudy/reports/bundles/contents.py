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

from analysis.figure_style import ImageFormat
from analysis.plan_document import write_plan
from analysis.r_scripts import imrmc_layout, mixed_model_script, recompute_script
from analysis.results_document import write_results
from analysis.tables import csv_bytes
from readerstudy.accounts.models import User
from readerstudy.reports.exports import as_csv, file_name, with_sites
from readerstudy.reports.report import Report
from readerstudy.studies.models import Study
from readerstudy.studies.protocol import canonical_json

from .acquisition import acquisition_frame
from .archive import checksums, write_zip
from .columns import other_columns
from .csv_frames import Frames, csv_frames, result_frames
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
from .paper import IMAGE_FORMATS, drawn, figures, results_of, table_makers, tables
from .spss_script import spss_script
from .stata_script import stata_script
from .workbook import workbook

Described = Callable[[], list[Variable]]
Progress = Callable[[int, int, str], None]


def no_progress(_done: int, _total: int, _message: str) -> None:
    """For whoever waits in front of the command line."""


def parts_of(study: Study, report: Report, user: User | None = None) -> dict[str, Makers]:
    """Every file of the bundle under what it is, each made when it is asked for.

    `user` decides whether the statistician's own files of the reading are there; None is the
    platform itself, which has them all.
    """
    data, results = csv_frames(study, report, user), result_frames(report)
    frames = {**data, **results}
    described = cache(lambda: _described(study, report, frames))
    return {
        "Data": data_makers(study, report, data, described),
        "SPSS, Stata and spreadsheet files": labelled_makers(study, report, frames, described),
        "Tables": publication_makers(report, acquisition_frame(study, report), results),
        "Scripts": script_makers(report),
        "Figures": figure_makers(report),
        "Drafts": draft_makers(study, report),
    }


def _described(study: Study, report: Report, frames: Frames) -> list[Variable]:
    """Every column of every table: those with labels, then the rest."""
    labelled = variables(study, report)
    return [*labelled, *other_columns(report, labelled, frames)]


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


def data_makers(study: Study, report: Report, frames: Frames, described: Described) -> Makers:
    makers = csv_makers(frames)
    if not report.is_masked:
        makers["plan.json"] = lambda: write_plan(report.plan).encode("utf-8")
        makers["plan_canonical.json"] = lambda: _canonical(report.plan.to_dict())
    makers["data.json"] = lambda: _canonical(report.data)
    makers["dictionary.json"] = lambda: (
        f"{json.dumps(dictionary_document(described()), indent=1, ensure_ascii=False)}\n".encode()
    )
    makers["dictionary.csv"] = lambda: as_csv(dictionary_frame(described()))
    makers["results.json"] = lambda: _results_document(report).encode("utf-8")
    return makers


def csv_makers(frames: Frames) -> Makers:
    return {name: partial(_csv, frame) for name, frame in frames.items()}


def _csv(frame: Callable[[], pd.DataFrame]) -> bytes:
    return as_csv(frame())


def _canonical(content: object) -> bytes:
    """The text whose SHA-256 is the hash on record."""
    return canonical_json(content).encode("ascii")


def _results_document(report: Report) -> str:
    hashes = {"data": report.data_sha256, "plan": report.plan_sha256}
    text = write_results(results_of(report), hashes)
    if not report.post_hoc:
        return text
    document = {"post_hoc": report.post_hoc, **json.loads(text)}
    return json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def labelled_makers(study: Study, report: Report, sheets: Frames, described: Described) -> Makers:
    found = variables(study, report)
    wide = cache(lambda: with_sites(report, ratings_wide(report)))
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
    makers["results.xlsx"] = lambda: _workbook(report, sheets, described(), title)
    return makers


def _labelled(
    write: Callable[[pd.DataFrame, list[Variable], str], bytes],
    frame: Callable[[], pd.DataFrame],
    own: list[Variable],
    title: str,
) -> bytes:
    return write(frame(), own, title)


def _workbook(report: Report, frames: Frames, described: list[Variable], title: str) -> bytes:
    """Every table of the bundle's data and results, a sheet each, and the dictionary."""
    first = {"ratings_long.csv": "ratings", "ratings_wide.csv": "ratings wide"}
    first["roi_long.csv"] = "roi"
    names = first | {name: name.removesuffix(".csv") for name in frames if name not in first}
    sheets = {sheet: frames[name] for name, sheet in names.items()}
    sheets["dictionary"] = partial(dictionary_frame, described)
    return workbook(sheets, readme(report, []), title)


def publication_makers(report: Report, acquisition: pd.DataFrame | None, frames: Frames) -> Makers:
    return table_makers(tables(report, acquisition), report.notice) | csv_makers(frames)


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
    """Drawing is most of a bundle's time: what the pages or a former bundle drew is taken."""
    return {
        f"figures/{name}.{kind}": partial(_figure, report, name, kind)
        for name in figures(report)
        for kind in IMAGE_FORMATS
    }


def _figure(report: Report, name: str, kind: ImageFormat) -> bytes:
    found = drawn(report, name, kind)
    if found is None:
        raise LookupError(f"The results have no figure {name}.")
    return found
