"""Forced choices and rankings as a page shows them, where the readers gave no points."""

from __future__ import annotations

from typing import Any

from analysis.publication import publication_tables
from analysis.table_notes import choice_note
from analysis.tables import fixed, format_q

from .bundles.paper import results_of
from .pages.listing import Column, ListCell, ListTable, of_publication
from .pages.lists import labels_with_letters, letter_columns, pair_letters, pair_text
from .pages.notes import Footnotes
from .paper_tables import behind
from .report import Report


def preference_tables(report: Report) -> list[ListTable]:
    """The tables that the study's mode of reading asks for; none where points were given."""
    if report.results.choices.empty and report.results.rankings.empty:
        return []
    made = publication_tables(results_of(report), labels_with_letters(report))
    others = [of_publication(table) for table in made if table.name in {"table7", "table8"}]
    choices = [] if report.results.choices.empty else [_choices(report)]
    return [*choices, *others]


def _choices(report: Report) -> ListTable:
    notes = Footnotes(report.warnings, ("choice",))
    alpha = report.plan.alpha
    rows = []
    for row in report.results.choices.to_dict("records"):
        a, b = row["a"], row["b"]
        place = {"metric": "choice", "row": row["criterion"], "reader": row["reader"]}
        own = notes.at("choice", row["criterion"], pair=f"{a} v {b}")
        rows.append(
            [
                ListCell(_criterion(report, row)),
                ListCell(pair_text(report, a, b), link=behind(place, a=a, b=b)),
                *([] if report.is_masked else [ListCell(pair_letters(report, a, b))]),
                ListCell(f"{row['n']:g}"),
                ListCell(f"{row['chosen_a']:g} : {row['chosen_b']:g}", notes=own),
                ListCell(f"{row['n_split']:g}"),
                ListCell(_share(row)),
                ListCell(format_q(row["p"], alpha), exact=repr(row["p"])),
                ListCell(format_q(row["q"], alpha), bool(row["significant"]), exact=repr(row["q"])),
                ListCell(f"{row['m']:g}"),
            ]
        )
    columns = [
        Column("Criterion", False),
        Column("Comparison, a v b", False),
        *letter_columns(report),
        *(Column(text) for text in ("n", "a : b", "Split", "Share of b (95 %)", "p", "q", "m")),
    ]
    legend = [
        "Volunteers in which the majority of the readers chose a or b; split where they were "
        "divided equally. " + choice_note(report.plan)
    ]
    return ListTable("table6", "Table 6. Forced choices", columns, rows, legend, notes.texts)


def _criterion(report: Report, row: dict[Any, Any]) -> str:
    name = report.row_names[row["criterion"]]
    return f"{name}, {row['reader']}" if row["reader"] else name


def _share(row: dict[Any, Any]) -> str:
    if row["share_b"] != row["share_b"]:  # not a number: nobody chose
        return "–"
    share, low, high = (fixed(row[name], 2) for name in ("share_b", "low", "high"))
    return f"{share} ({low} to {high})"
