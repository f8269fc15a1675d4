"""R recomputes Tables 2 and 3 from the exported files, by a script that shares no code with us."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis import AnalysisPlan, run_plan
from analysis.r_scripts import imrmc_layout, mixed_model_script, recompute_script
from analysis.tables import csv_bytes
from tests.analysis.published_study import PLAN, PUBLISHED, regions, scores

Recompute = Callable[[pd.DataFrame, pd.DataFrame, AnalysisPlan], pd.DataFrame]
KEYS = ["metric", "row", "reader", "a", "b"]


def rscript() -> str:
    """The path of Rscript with exactRankTests; without it the test skips, but never in CI."""
    path = shutil.which("Rscript")
    found = path and subprocess.run([path, "-e", "library(exactRankTests)"], capture_output=True)
    if path is None or not found or found.returncode != 0:
        reason = "R with the package exactRankTests is not installed (see .ci/debian-packages)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@pytest.fixture
def recompute(tmp_path: Path) -> Recompute:
    program = rscript()

    def run(ratings: pd.DataFrame, rois: pd.DataFrame, plan: AnalysisPlan) -> pd.DataFrame:
        (tmp_path / "ratings_long.csv").write_bytes(csv_bytes(ratings))
        (tmp_path / "roi_long.csv").write_bytes(csv_bytes(rois))
        script = tmp_path / "recompute_tables.R"
        script.write_text(recompute_script(plan), encoding="utf-8")
        done = subprocess.run(
            [program, script, tmp_path], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return pd.read_csv(tmp_path / "tests_r.csv", keep_default_na=False, na_values={"p": [""]})

    return run


def assert_same(found: pd.DataFrame, plan: AnalysisPlan, *frames: pd.DataFrame) -> None:
    ours = run_plan(frames[0], frames[1], plan).tests
    both = ours.merge(found, on=KEYS, suffixes=("", "_r"), validate="one_to_one")
    assert len(both) == len(ours) == len(found)
    for name in ("n", "n_nonzero"):
        assert both[name].tolist() == both[f"{name}_r"].tolist()
    for name in ("p", "q"):
        theirs = pd.to_numeric(both[f"{name}_r"])
        np.testing.assert_allclose(both[name], theirs, rtol=0, atol=1e-9, equal_nan=True)


def test_r_gives_the_68_p_and_q_of_the_published_tables(
    recompute: Recompute, tmp_path: Path
) -> None:
    found = recompute(scores(), regions(), PLAN)
    expected = pd.read_csv(PUBLISHED / "expected_tests.csv")
    both = expected.merge(found, on=["metric", "row", "a", "b"], validate="one_to_one")
    assert len(both) == 68
    np.testing.assert_allclose(both["p"], both["p_exact"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(pd.to_numeric(both["q"]), both["q_bh_row_m4"], rtol=0, atol=1e-9)
    cells = pd.read_csv(tmp_path / "tables_r.csv").rename(columns={"arm": "sequence"})
    printed = pd.read_csv(PUBLISHED / "expected_descriptives.csv")
    both = printed.merge(cells, on=["metric", "row", "sequence"], suffixes=("", "_r"))
    assert len(both) == 85
    np.testing.assert_allclose(both["mean"], both["mean_r"].round(4), rtol=0, atol=1e-9)
    np.testing.assert_allclose(both["sd_ddof1"], both["sd"].round(4), rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    "choices",
    [
        {"method": "asymptotic", "family": "column"},
        {"method": "asymptotic", "zeros": "pratt", "family": "stage"},
        {"zeros": "pratt", "family": "all", "reader_summary": "mean"},
        {"reader_summary": "each", "noise_estimate": "tissue_sd"},
        {"noise_estimate": "noncentral_chi(8)", "reference_tissue": "csf", "missing": "complete"},
    ],
)
def test_r_follows_every_choice_of_the_plan_with_gaps_in_the_data(
    recompute: Recompute, choices: dict[str, Any]
) -> None:
    plan = replace(PLAN, **choices)
    given = scores().assign(occasion=1)
    again = given.iloc[:30].assign(occasion=2)
    given = pd.concat([given, again], ignore_index=True)
    given["score"] = given["score"].astype(float)
    given.loc[(given["reader"] == "R3") & (given["volunteer"] == "V02"), "score"] = np.nan
    given = given[~((given["volunteer"] == "V03") & (given["arm"] == "DF"))]
    rois = regions()
    silent = (rois["volunteer"] == "V05") & (rois["arm"] == "TF") & (rois["tissue"] == "air")
    rois.loc[silent, "sd"] = 0.0
    shuffled = given.sample(frac=1, random_state=3), rois.sample(frac=1, random_state=4)
    assert_same(recompute(*shuffled, plan), plan, given, rois)


def test_names_with_quotes_and_accents_reach_r_whole(recompute: Recompute) -> None:
    names = {"STD": 'Std "1,5 T"', "DF": "Schnell über", "DLR_DF": "a\\b"}
    plan = AnalysisPlan(
        arms=tuple(names.values()),
        control='Std "1,5 T"',
        comparisons=(('Std "1,5 T"', "a\\b"), ("Schnell über", "a\\b")),
        criteria=("sharpness",),
    )
    given = scores().query("criterion == 'sharpness' and arm in ['STD', 'DF', 'DLR_DF']")
    given = given.assign(arm=given["arm"].map(names))
    assert_same(recompute(given, pd.DataFrame(), plan), plan, given, pd.DataFrame())


def test_the_mixed_model_script_is_valid_r(tmp_path: Path) -> None:
    program = rscript()
    path = tmp_path / "mixed_models.R"
    path.write_text(mixed_model_script(PLAN), encoding="utf-8")
    done = subprocess.run(
        [program, "-e", f'stopifnot(length(parse("{path}")) >= 7)'], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_imrmc_file_holds_every_score_once_and_the_truth() -> None:
    truth = {f"V{number:02d}": number % 2 for number in range(1, 11)}
    given = scores().assign(truth=lambda frame: frame["volunteer"].map(truth))
    text = imrmc_layout(given.sample(frac=1, random_state=1), PLAN, "overall")
    lines = text.splitlines()
    assert lines[1:6] == ["NR: 3", "N0: 5", "N1: 5", "NM: 5", "BEGIN DATA:"]
    rows = [line.split(",") for line in lines[6:]]
    assert [row for row in rows if row[0] == "-1"][:2] == [["-1", "V01", "0", "1"]] + [
        ["-1", "V02", "0", "0"]
    ]
    read = {tuple(row[:3]): float(row[3]) for row in rows if row[0] != "-1"}
    wanted = given.query("criterion == 'overall'")
    assert len(read) == len(wanted) == 150
    for row in wanted.itertuples():
        assert read[(row.reader, row.volunteer, row.arm)] == row.score
    with pytest.raises(ValueError, match="no criterion"):
        imrmc_layout(given, PLAN, "beauty")
