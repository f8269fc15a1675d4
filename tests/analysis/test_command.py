"""`python -m analysis run` on the published validation: what comes out, and what is refused."""

import io
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from docx import Document
from PIL import Image

from analysis import read_plan, run_plan, write_plan
from analysis.command import BAD_INPUT, main
from analysis.tables import csv_bytes, table_2, table_3
from tests.analysis.published_study import ARMS, PLAN, PUBLISHED, ROOT, regions, scores

FULL = replace(
    PLAN,
    margin=0.5,
    sensitivity=("vgc", "friedman"),
    agreement=(*PLAN.agreement, "cohen_kappa", "repeatability"),
)
FIGURES = ("figure3", "figure4", "scores", "differences", "bland_altman")


def write_study(folder: Path) -> list[str]:
    """The files of the published validation, and the options that name them."""
    (folder / "scores.csv").write_bytes(csv_bytes(scores()))
    (folder / "regions.csv").write_bytes(csv_bytes(regions()))
    (folder / "plan.json").write_text(write_plan(FULL), encoding="utf-8")
    lines = [f"TR (ms),{arm},{3500 if arm == 'STD' else 2100}" for arm in ARMS]
    (folder / "acquisition.csv").write_text("parameter,arm,value\n" + "\n".join(lines) + "\n")
    (folder / "labels.json").write_text(json.dumps({"DF": "Double-fast & quick", "fat": "Fat"}))
    names = {"scores": "csv", "regions": "csv", "plan": "json", "acquisition": "csv"}
    options = [f"--{name}={folder / name}.{ending}" for name, ending in names.items()]
    return ["run", *options, f"--labels={folder / 'labels.json'}"]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    target = folder / "out"
    done = subprocess.run(
        [sys.executable, "-m", "analysis", *write_study(folder), f"--out={target}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("68 tests, ")
    return target


def test_results_json_holds_the_68_p_and_q(out: Path) -> None:
    document = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert (document["format"], document["version"]) == ("readerstudy-results", 1)
    assert document["plan"]["margin"] == 0.5
    assert set(document["inputs"]) == {"scores", "regions", "plan", "acquisition", "labels"}
    expected = pd.read_csv(PUBLISHED / "expected_tests.csv")
    both = expected.merge(pd.DataFrame(document["tests"]), on=["metric", "row", "a", "b"])
    assert len(both) == 68
    np.testing.assert_allclose(both["p"], both["p_exact"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(both["q"], both["q_bh_row_m4"], rtol=0, atol=1e-9)
    assert len(document["non_inferiority"]) == 24
    assert {row["analysis"] for row in document["sensitivity"]} == {"vgc", "friedman"}
    # Missing is null: an effect of ±1 has no interval.
    whole = [row for row in document["tests"] if row["rank_biserial"] == 1]
    assert whole
    assert all(row["rank_biserial_low"] is None for row in whole)


def test_the_plan_that_was_run_lies_beside_its_results(out: Path) -> None:
    assert read_plan((out / "plan.json").read_text(encoding="utf-8")) == FULL


class Cells(HTMLParser):
    """The texts of the cells of a page, and which are strong."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.strong: set[tuple[int, int]] = set()
        self._inside = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._inside = True
        if tag == "strong":
            self.strong.add((len(self.rows) - 1, len(self.rows[-1]) - 1))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.rows[-1][-1] += data


@pytest.mark.parametrize("name", ["table2", "table3"])
def test_every_format_prints_the_same_table_with_significance_in_bold(out: Path, name: str) -> None:
    results = run_plan(scores(), regions(), PLAN)
    make = table_2 if name == "table2" else table_3
    wanted = make(results, {"DF": "Double-fast & quick", "fat": "Fat"})
    texts = [list(wanted.columns), *wanted.to_numpy().tolist()]
    metrics = ("SNR", "CNR") if name == "table2" else ("score",)
    tests = results.tests[results.tests["metric"].isin(metrics)]

    read = pd.read_csv(out / f"tables/{name}.csv", dtype=str)
    assert [list(read.columns), *read.to_numpy().tolist()] == texts

    page = Cells()
    page.feed((out / f"tables/{name}.html").read_text(encoding="utf-8"))
    assert page.rows == texts
    assert len(page.strong) == tests["significant"].sum()
    # Rows of the table follow those of the tests, four comparisons each.
    flags = tests["significant"].to_numpy().reshape(len(wanted), 4)
    first = len(texts[0]) - 4
    assert page.strong == {(row + 1, first + pair) for row, pair in np.argwhere(flags)}

    document = Document(str(out / f"tables/{name}.docx"))
    grid = document.tables[0]
    cells = [[cell.text.replace("\u00a0", " ") for cell in row.cells] for row in grid.rows]
    assert cells == texts
    bold = {
        (row, column)
        for row, line in enumerate(grid.rows)
        for column, cell in enumerate(line.cells)
        if row and cell.paragraphs[0].runs[0].bold
    }
    assert bold == page.strong
    notes = " ".join(paragraph.text for paragraph in document.paragraphs)
    assert "Benjamini–Hochberg over each table row" in notes
    if name == "table2":
        assert "rises by construction" in notes

    latex = (out / f"tables/{name}.tex").read_text(encoding="utf-8")
    body = latex.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    assert len(body) == len(wanted)
    assert all(line.count(" & ") == len(texts[0]) - 1 for line in body)
    assert latex.count(r"\textbf{") == len(page.strong) + 1
    assert r"Double-fast \& quick" in latex


def test_acquisition_parameters_make_table_1(out: Path) -> None:
    table = pd.read_csv(out / "tables/table1.csv", dtype=str)
    assert table.to_numpy().tolist() == [["TR (ms)", "3500", "2100", "2100", "2100", "2100"]]
    assert "Double-fast & quick" in table.columns


@pytest.mark.parametrize("name", FIGURES)
def test_figures_come_in_three_formats_at_300_dots_an_inch(out: Path, name: str) -> None:
    with Image.open(out / f"figures/{name}.png") as image:
        assert [round(float(dots)) for dots in image.info["dpi"]] == [300, 300]
        assert image.width >= 2000
        # Something was drawn: many pixels are not white.
        assert (np.asarray(image.convert("L")) < 250).mean() > 0.01
    assert (out / f"figures/{name}.pdf").read_bytes().startswith(b"%PDF")
    svg = (out / f"figures/{name}.svg").read_text(encoding="utf-8")
    assert "<svg" in svg
    assert "<image" not in svg, "a vector figure must not be a picture"


@pytest.mark.slow
def test_the_same_input_gives_the_same_bytes(out: Path, tmp_path: Path) -> None:
    assert main([*write_study(tmp_path), f"--out={tmp_path / 'again'}"]) == 0
    first = sorted(path.relative_to(out) for path in out.rglob("*.*"))
    assert first == sorted(
        path.relative_to(tmp_path / "again") for path in (tmp_path / "again").rglob("*.*")
    )
    assert len(first) > 40
    for path in first:
        assert (out / path).read_bytes() == (tmp_path / "again" / path).read_bytes(), path
    with zipfile.ZipFile(io.BytesIO((out / "tables/table2.docx").read_bytes())) as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}


def set_line(name: str, row: int, text: str) -> Callable[[Path], None]:
    """Replace one row of a CSV file; row 0 is the header."""

    def change(folder: Path) -> None:
        path = folder / f"{name}.csv"
        lines = path.read_text(encoding="utf-8").splitlines()
        lines[row] = text
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    return change


def set_bytes(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_line("scores", 5, "V05,STD,R1,sharpness,6"), r"scores, row 5, column score: 6 lies"),
        (
            set_line("scores", 7, "V07,STD,R1,sharpness,good"),
            r'scores, row 7, column score: "good" is not a number',
        ),
        (set_line("scores", 2, "V01,STD,R1,perceived_snr,3"), r"scores, row 2: V01.*there twice"),
        (set_line("scores", 3, "V03,QUAD,R1,sharpness,3"), r'row 3, column arm: "QUAD" is not'),
        (set_line("scores", 3, "V03,STD,R1,beauty,3"), r'row 3, column criterion: "beauty"'),
        (set_line("scores", 4, ",STD,R1,sharpness,3"), r"scores, row 4, column volunteer: empty"),
        (set_line("scores", 4, "V03,,R1,sharpness,3"), r"scores, row 4, column arm: empty"),
        (set_line("scores", 6, "V03,STD,R1,sharpness"), r"scores, row 6: 4 fields where.*has 5"),
        (set_line("scores", 0, "volunteer,arm,arm,criterion,score"), r"names the column arm twice"),
        (set_line("scores", 0, "case,arm,reader,criterion,score"), r"lacks the column volunteer"),
        (set_line("regions", 3, "V01,STD,csf,468,47.9,0,29"), r"regions, row 3, column n_pixels"),
        (set_line("regions", 3, "V01,STD,csf,many,47,45,29"), r'row 3, column mean: "many" is not'),
        (set_line("regions", 3, "V01,STD,csf,468,-4,45,29"), r"row 3, column sd: an SD cannot"),
        (set_line("regions", 3, "V01,STD,liver,468,4,45,29"), r'column tissue: "liver" is not'),
        (set_line("acquisition", 2, "TR (ms),QUAD,3"), r'acquisition, row 2, column arm: "QUAD"'),
        (set_bytes("scores.csv", b"volunteer,\xff"), r"not UTF-8 \(byte 11\)"),
        (set_bytes("scores.csv", b""), r"is empty; a header is needed"),
        (set_bytes("plan.json", b'{"arms": [}'), r"plan, line 1, column 11: no JSON here"),
        (set_bytes("labels.json", b'{"DF": 3}'), r"labels: one object of code and name"),
    ],
)
def test_bad_input_is_refused_by_row_and_column_and_nothing_is_written(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Path], None],
    words: str,
) -> None:
    options = write_study(tmp_path)
    change(tmp_path)
    assert main([*options, f"--out={tmp_path / 'out'}"]) == BAD_INPUT
    said = capsys.readouterr().err
    assert re.search(words, said), said
    assert not (tmp_path / "out").exists()


def test_the_example_study_runs_by_the_command_that_it_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "place"
    folder = place / "try"
    assert main(["example", f"--out={folder}"]) == 0
    command = capsys.readouterr().out.splitlines()[-1]
    assert command.startswith("python -m analysis run ")
    assert main(command.split()[3:]) == 0
    said = capsys.readouterr().out
    assert said.startswith("16 tests, ")
    assert "was given" not in said, "every table that the plan names is there"
    written = {path.name for path in (place / "try-results").rglob("*.*")}
    for name in ("figure2.svg", "figure5.pdf", "choices.png", "ranking.svg", "table1.docx"):
        assert name in written
    assert {f"table{number}.tex" for number in range(1, 9)} <= written
    document = json.loads((place / "try-results/results.json").read_text(encoding="utf-8"))
    assert {"images/STD.npy", "images", "choices", "rankings"} <= set(document["inputs"])
    # Nothing is left beside the results.
    assert sorted(path.name for path in place.iterdir()) == ["try", "try-results"]


def test_a_run_that_cannot_write_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "place"
    study = place / "study"
    assert main(["example", f"--out={study}"]) == 0
    (place / "file").write_text("in the way")
    options = [f"--choices={study / 'choices.csv'}", f"--plan={study / 'plan.json'}"]
    assert main(["run", *options, f"--out={place / 'file' / 'out'}"]) == BAD_INPUT
    assert "cannot be written" in capsys.readouterr().err
    assert sorted(path.name for path in place.iterdir()) == ["file", "study"]


def test_a_folder_with_files_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = write_study(tmp_path)
    assert main([*options, f"--out={tmp_path}"]) == BAD_INPUT
    assert "give a new or an empty folder" in capsys.readouterr().err
    assert main(["run", f"--plan={tmp_path / 'plan.json'}", f"--out={tmp_path / 'x'}"]) == BAD_INPUT
    assert "Give --scores, --regions, --choices or --rankings" in capsys.readouterr().err


@pytest.mark.slow
def test_thin_data_give_warnings_and_never_a_silent_gap(tmp_path: Path) -> None:
    options = write_study(tmp_path)
    # One reader, an arm that nobody scored, and one volunteer without noise in the air.
    given = scores().query("reader == 'R1' and arm != 'TF'")
    (tmp_path / "scores.csv").write_bytes(csv_bytes(given))
    rois = regions()
    rois.loc[(rois["volunteer"] == "V05") & (rois["tissue"] == "air"), "sd"] = 0
    (tmp_path / "regions.csv").write_bytes(csv_bytes(rois))
    assert main([*options, f"--out={tmp_path / 'out'}"]) == 0
    document = json.loads((tmp_path / "out/results.json").read_text(encoding="utf-8"))
    said = {warning["text"] for warning in document["warnings"]}
    for words in ("two readers", "no test was done", "No value for V05", "no second reading"):
        assert any(words in text for text in said), words
    # Every missing p has its warning.
    for test in document["tests"]:
        if test["p"] is None:
            pair = f"{test['a']} v {test['b']}"
            assert any(
                w["row"] == test["row"] and w["comparison"] == pair for w in document["warnings"]
            )
