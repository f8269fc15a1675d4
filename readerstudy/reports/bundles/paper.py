"""Tables and figures as a journal prints them, each in every format, each with the notice."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial

import pandas as pd

from analysis.figure_style import ImageFormat
from analysis.figures import figure_3, figure_4
from analysis.preference_figures import figure_choices, figure_ranking
from analysis.publication import PublicationTable, publication_tables
from analysis.run import Results
from analysis.score_figures import figure_bland_altman, figure_differences, figure_scores
from analysis.table_formats import docx_table, html_table, latex_table
from analysis.tables import comparison_label, csv_bytes
from readerstudy.reports.report import Report

from .dictionary import arm_labels
from .making import Makers
from .spreadsheet_text import safe_frame

IMAGE_FORMATS: tuple[ImageFormat, ...] = ("svg", "pdf", "png")


def labels_of(report: Report) -> dict[str, str]:
    return {**arm_labels(report), **report.row_names}


def results_of(report: Report) -> Results:
    """The results with the warnings that this form may show."""
    return dataclasses.replace(report.results, warnings=tuple(report.warnings))


def tables(report: Report, acquisition: pd.DataFrame | None) -> list[PublicationTable]:
    """Tables 1 to 8 as far as there are results. Table 1 tells the arms: not while masked."""
    shown = None if report.is_masked else acquisition
    found = publication_tables(
        results_of(report), labels_of(report), shown, both_directions=report.is_masked
    )
    if not report.notice:
        return found
    return [
        dataclasses.replace(t, notes=(*t.notes, f"{report.notice.rstrip('.')}.")) for t in found
    ]


def table_makers(found: list[PublicationTable], notice: str = "") -> Makers:
    makers: Makers = {}
    for table in found:
        cells = partial(_cells, table, notice)
        makers[f"tables/{table.name}.csv"] = cells
        makers[f"tables/{table.name}.html"] = partial(_text, html_table, table)
        makers[f"tables/{table.name}.tex"] = partial(_text, latex_table, table)
        makers[f"tables/{table.name}.docx"] = partial(docx_table, table)
    return makers


def _cells(table: PublicationTable, notice: str) -> bytes:
    return csv_bytes(safe_frame(table.cells.assign(notice=notice) if notice else table.cells))


def _text(write: Callable[[PublicationTable], str], table: PublicationTable) -> bytes:
    return write(table).encode("utf-8")


Draw = Callable[[ImageFormat], bytes]


def figures(report: Report) -> dict[str, Draw]:
    """The figures that the results allow, by name."""
    results, plan, labels, note = results_of(report), report.plan, labels_of(report), report.notice
    scores = report.frames[0]
    metrics = set(results.tests["metric"])
    pooled = plan.reader_summary != "each"
    found: dict[str, Draw] = {}
    if metrics & {"SNR", "CNR"}:
        found["figure3"] = lambda kind: figure_3(results, labels, image_format=kind, note=note)
        pairs = _snr_pairs(results, labels)
        points = "One point a volunteer: the mean SNR over the tissues."
        beneath = f"{points} {note}" if note else points
        if pairs:
            found["bland_altman"] = lambda kind: figure_bland_altman(
                pairs, "SNR", image_format=kind, note=beneath
            )
    if "score" in metrics and pooled:
        found["figure4"] = lambda kind: figure_4(results, labels, image_format=kind, note=note)
    if "score" in metrics and scores["score"].notna().any():
        found["scores"] = lambda kind: figure_scores(
            scores, plan, labels, image_format=kind, note=note
        )
    if metrics and (pooled or "score" not in metrics) and results.tests["p"].notna().any():
        found["differences"] = lambda kind: figure_differences(
            results, labels, both_directions=report.is_masked, image_format=kind, note=note
        )
    if not results.choices.empty and results.choices["p"].notna().any():
        found["choices"] = lambda kind: figure_choices(
            results, labels, image_format=kind, note=note
        )
    if not results.rankings.empty:
        found["ranking"] = lambda kind: figure_ranking(
            results, labels, image_format=kind, note=note
        )
    return found


def drawn(report: Report, name: str, kind: ImageFormat) -> bytes | None:
    """The bytes of a figure of the bundle, drawn once a report; None where it has none."""
    key = (f"paper {name}", kind)
    if key not in report._figures:
        draw = figures(report).get(name)
        if draw is None:
            return None
        report._figures[key] = draw(kind)
    return report._figures[key]


def _snr_pairs(
    results: Results, labels: Mapping[str, str]
) -> dict[str, tuple[pd.Series, pd.Series]]:
    """The mean SNR of each volunteer in both arms of each comparison."""
    snr = results.derived[results.derived["metric"] == "SNR"]
    table = snr.pivot(index="volunteer", columns=["arm", "tissue"], values="value")
    # A volunteer counts where every tissue has a value, so that all points mean the same.
    means = {
        arm: table[arm].mean(axis=1, skipna=False)
        for arm in results.plan.arms
        if arm in table.columns.get_level_values("arm")
    }
    return {
        comparison_label((a, b), labels): (means[a], means[b])
        for a, b in results.plan.comparisons
        if a in means and b in means and (means[a] + means[b]).notna().sum() >= 2
    }
