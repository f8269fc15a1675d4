"""Publication tables, CSV and figures of the published validation."""

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis import Results, example_study, run_plan
from analysis.figures import figure_3, figure_4
from analysis.publication import publication_tables
from analysis.score_figures import figure_differences
from analysis.table_formats import latex_table
from analysis.tables import csv_bytes, format_q, result_tables, table_2, table_3
from tests.analysis.published_study import ARMS, PLAN, PUBLISHED, regions, scores


@pytest.fixture(scope="module")
def results() -> Results:
    return run_plan(scores(), regions(), PLAN)


def test_tables_2_and_3_print_the_published_means_and_sds(results: Results) -> None:
    printed = pd.read_csv(PUBLISHED / "expected_descriptives.csv")
    matches = printed[printed["mean_matches_print"] & printed["sd_matches_print"]]
    two, three = table_2(results), table_3(results)
    for cell in matches.itertuples():
        table = three if cell.metric == "score" else two[two["Metric"] == cell.metric]
        name = "Criterion" if cell.metric == "score" else "Tissue"
        text = table.loc[table[name] == cell.row, cell.sequence].item()
        assert text == f"{cell.printed_mean:.1f} ± {cell.printed_sd:.1f}"
    assert len(matches) == 83


def test_tables_take_labels_and_medians(results: Results) -> None:
    letters = dict(zip(ARMS, "ABCDE", strict=True))
    table = table_3(results, letters, medians=True)
    assert list(table.columns[1:6]) == list("ABCDE")
    assert table.columns[6] == "q: B v C"
    assert table.iloc[0]["A"] == "3.0 [3.0–3.0]"


def test_q_shows_three_decimals_near_alpha() -> None:
    shown = [format_q(q) for q in (0.0496, 0.05, 0.0504, 0.0521, 0.06)]
    assert shown == [".0496", ".050", ".0504", ".052", ".06"]
    assert format_q(0.125) == ".13"
    assert format_q(float("nan")) == "–"


def test_csv_reads_back_every_digit(results: Results) -> None:
    for name, frame in result_tables(results).items():
        lines = list(csv.DictReader(io.StringIO(csv_bytes(frame).decode("utf-8"))))
        assert len(lines) == len(frame), name
        for column in frame.select_dtypes("float"):
            for line, value in zip(lines, frame[column], strict=True):
                text = line[column]
                assert (text == "") if pd.isna(value) else (float(text) == value), column


@pytest.mark.parametrize("image_format", ["svg", "png", "pdf"])
def test_figures_are_the_same_bytes_for_the_same_results(
    results: Results, image_format: str
) -> None:
    for draw in (figure_3, figure_4):
        first = draw(results, image_format=image_format)  # type: ignore[operator]
        again = draw(run_plan(scores(), regions(), PLAN), image_format=image_format)  # type: ignore[operator]
        assert first == again
        assert len(first) > 5_000
        assert b"Date" not in first


def test_a_long_note_is_not_cut_off_at_the_edges(results: Results) -> None:
    note = "Simulated acceleration: no accelerated scan of these volunteers exists. " * 4
    for draw in (figure_3, figure_4, figure_differences):
        pixels = np.asarray(Image.open(io.BytesIO(draw(results, image_format="png", note=note))))
        edges = np.concatenate([pixels[-250:, :15, :3], pixels[-250:, -15:, :3]])
        assert (edges == 255).all(), draw.__name__


def test_figures_of_masked_arms_do_not_name_them(results: Results) -> None:
    letters = {arm: f"Arm {letter}" for arm, letter in zip(ARMS, "ABCDE", strict=True)}
    svg = figure_4(results, letters, image_format="svg")
    assert b"DLR" not in svg


def test_figures_refuse_what_they_cannot_draw() -> None:
    nothing = run_plan(pd.DataFrame(), pd.DataFrame(), PLAN)
    with pytest.raises(ValueError, match="no region measurements"):
        figure_3(nothing)
    with pytest.raises(ValueError, match="no scores"):
        figure_4(nothing)
    each = run_plan(scores(), pd.DataFrame(), replace(PLAN, reader_summary="each"))
    with pytest.raises(ValueError, match="keeps them apart"):
        figure_4(each)


def test_latex_tables_balance_their_braces_and_columns() -> None:
    study = example_study()
    found = run_plan(
        study.scores, study.regions, study.plan, choices=study.choices, rankings=study.rankings
    )
    # Marks that LaTeX would take for its own.
    labels = {"STD": "[1.5 T] 50 % & more_", "DLR": "DLR #2 {µ²} ~^\\ $"}
    tables = publication_tables(found, labels, study.acquisition)
    assert len(tables) == 11
    for table in tables:
        text = latex_table(table).replace(r"\{", "").replace(r"\}", "")
        depth = 0
        for mark in text:
            depth += {"{": 1, "}": -1}.get(mark, 0)
            assert depth >= 0, table.name
        assert depth == 0, table.name
        assert text.count(r"\arraybackslash") == table.cells.shape[1]
        body = text.split(r"\toprule")[1].split(r"\bottomrule")[0]
        rows = [line for line in body.splitlines() if line.endswith(r" \\")]
        assert len(rows) == len(table.cells) + 1
        for row in rows:
            assert len(re.findall(r"(?<!\\)&", row)) == table.cells.shape[1] - 1
            assert not row.startswith("[")
            plain = re.sub(r"\\[&%$#_]|\$\\[a-z]+\$|\$[-<>]\$|\$\^[23]\$", "", row)
            assert not re.search(r"(?<!\\)[%#$]|±|µ|²", plain), row
        environments = re.findall(r"\\(?:begin|end)\{([a-z]+)\}", text)
        assert environments == [environments[0], "tabular", "tabular", environments[0]]
