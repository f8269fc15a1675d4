"""Tables 2 and 3 of the published lumbar validation come out of `run_plan` to the last digit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import Results, run_plan, signed_rank_test
from tests.analysis.published_study import ARMS, PLAN, PUBLISHED, SHARED_REFERENCE, regions, scores

KEYS = ["metric", "row", "a", "b"]


@pytest.fixture(scope="module")
def results() -> Results:
    return run_plan(scores(), regions(), PLAN)


def expected_tests(folder: Path = PUBLISHED) -> pd.DataFrame:
    return pd.read_csv(folder / "expected_tests.csv")


def joined(results: Results, folder: Path = PUBLISHED) -> pd.DataFrame:
    return expected_tests(folder).merge(
        results.tests, on=KEYS, suffixes=("_expected", ""), validate="one_to_one"
    )


def test_all_68_p_and_q_equal_the_published_analysis(results: Results) -> None:
    both = joined(results)
    assert both["metric"].value_counts().to_dict() == {"SNR": 24, "score": 24, "CNR": 20}
    assert len(results.tests) == 68
    np.testing.assert_allclose(both["p"], both["p_exact"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(both["q"], both["q_bh_row_m4"], rtol=0, atol=1e-9)


def test_rank_sums_and_counts_equal_the_published_analysis(results: Results) -> None:
    both = joined(results)
    assert (both["w_plus"] == both["w_plus_b_gt_a"]).all()
    assert (both["w_minus"] == both["w_minus_expected"]).all()
    assert (both["n_nonzero"] == both["n_nonzero_expected"]).all()
    assert (both["n"] == both["n_expected"]).all()
    assert (both["m"] == 4).all()


def test_asymptotic_p_equal_the_published_analysis() -> None:
    found = run_plan(scores(), regions(), replace(PLAN, method="asymptotic"))
    both = joined(found)
    np.testing.assert_allclose(both["p"], both["p_asymptotic_nocc"], rtol=0, atol=1e-9)


def test_all_85_means_and_sds_equal_the_published_cells(results: Results) -> None:
    cells = pd.read_csv(PUBLISHED / "expected_descriptives.csv")
    both = cells.rename(columns={"sequence": "arm"}).merge(
        results.descriptives, on=["metric", "row", "arm"], suffixes=("_expected", "")
    )
    assert len(both) == 85 == len(results.descriptives)
    # The cells are given to four decimals.
    np.testing.assert_allclose(both["mean"].round(4), both["mean_expected"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(both["sd"].round(4), both["sd_ddof1"], rtol=0, atol=1e-9)


def test_derived_ratios_equal_the_published_ones(results: Results) -> None:
    given = pd.read_csv(PUBLISHED / "table2_snr_cnr_long.csv")
    given = given.rename(columns={"case": "volunteer", "sequence": "arm"})
    both = given.merge(
        results.derived, on=["volunteer", "arm", "tissue", "metric"], suffixes=("_expected", "")
    )
    assert len(both) == 550 == len(results.derived)
    np.testing.assert_allclose(both["value"], both["value_expected"], rtol=0, atol=1e-9)


def test_medians_of_the_readers_equal_the_published_ones(results: Results) -> None:
    given = pd.read_csv(PUBLISHED / "table3_medians_long.csv")
    given = given.rename(columns={"case": "volunteer", "sequence": "arm"})
    both = given.merge(results.summaries, on=["volunteer", "arm", "criterion"])
    assert len(both) == 300
    assert (both["median_score"] == both["score"]).all()


def test_shuffled_rows_and_renamed_arms_change_nothing(results: Results) -> None:
    letters = dict(zip(ARMS, "DAECB", strict=True))
    masked = replace(
        PLAN,
        arms=tuple(letters[arm] for arm in PLAN.arms),
        control=letters[PLAN.control],
        comparisons=tuple((letters[a], letters[b]) for a, b in PLAN.comparisons),
        dlr_arms=(),
    )
    shuffled = [
        frame.sample(frac=1, random_state=7).assign(arm=lambda rows: rows["arm"].map(letters))
        for frame in (scores(), regions())
    ]
    found = run_plan(shuffled[0], shuffled[1], masked)
    assert found.tests["p"].tolist() == results.tests["p"].tolist()
    assert found.tests["q"].tolist() == results.tests["q"].tolist()
    assert found.agreement.equals(results.agreement)


def test_unrounded_differences_would_move_three_of_the_44_p_values(results: Results) -> None:
    # The reason for rounding before ranking: noise of the arithmetic breaks ties.
    moved = 0
    for test in results.tests[results.tests["metric"] != "score"].itertuples():
        cells = results.derived[
            (results.derived["metric"] == test.metric) & (results.derived["tissue"] == test.row)
        ].pivot(index="volunteer", columns="arm", values="value")
        moved += signed_rank_test(cells[test.a], cells[test.b], decimals=17).p != test.p
    assert moved == 3


@pytest.mark.shared
def test_the_copies_equal_the_reference_data() -> None:
    folder = SHARED_REFERENCE / "seed_paper"
    if not folder.is_dir():
        pytest.skip("the reference data do not lie beside this checkout")
    for name in ("expected_tests.csv", "expected_descriptives.csv", "table2_roi_long.csv"):
        assert (folder / name).read_bytes() == (PUBLISHED / name).read_bytes()
    found = run_plan(scores(folder), regions(folder), PLAN)
    both = joined(found, folder)
    np.testing.assert_allclose(both["q"], both["q_bh_row_m4"], rtol=0, atol=1e-9)
