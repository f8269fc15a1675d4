"""`run_plan`: its families, its missing-data rules, and its refusals."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis import AnalysisPlan, InputError, PlanError, benjamini_hochberg, run_plan
from tests.analysis.published_study import PLAN, regions, scores

NONE = pd.DataFrame()


@pytest.mark.parametrize(
    ("family", "sizes"),
    [
        ("row", {4: 68}),
        ("column", {6: 48, 5: 20}),
        ("stage", {44: 44, 24: 24}),
        ("all", {68: 68}),
    ],
)
def test_q_is_taken_over_the_named_family(family: str, sizes: dict[int, int]) -> None:
    tests = run_plan(scores(), regions(), replace(PLAN, family=family)).tests
    assert tests["m"].value_counts().to_dict() == sizes
    for _, group in tests.groupby("family"):
        assert len(group) == group["m"].iloc[0]
        np.testing.assert_array_equal(group["q"], benjamini_hochberg(group["p"]))
        assert (group["q"] <= (group["p"] * group["m"] / group["rank"]).clip(upper=1) + 1e-15).all()


def test_significance_is_decided_on_the_unrounded_q() -> None:
    tests = run_plan(scores(), regions(), PLAN).tests
    near = tests[(tests["metric"] == "CNR") & (tests["row"] == "vertebra")]
    near = near[(near["a"] == "STD") & (near["b"] == "DLR_DF")].iloc[0]
    assert near["q"] == pytest.approx(0.0520833333)
    assert not near["significant"]


def test_a_missing_volunteer_is_counted_never_silent() -> None:
    given = scores()
    gone = (given["volunteer"] == "V03") & (given["arm"] == "DF")
    results = run_plan(given[~gone], NONE, PLAN)
    test = results.tests[(results.tests["a"] == "DF")].iloc[0]
    assert (test["n"], test["n_missing"]) == (9, 1)
    cell = results.descriptives[results.descriptives["arm"] == "DF"].iloc[0]
    assert (cell["n"], cell["n_missing"]) == (9, 1)
    texts = [warning.text for warning in results.warnings if warning.comparison == "DF v DLR_DF"]
    assert any("1 volunteer lacks a value" in text for text in texts)


def test_a_reader_who_stopped_follows_the_plans_rule() -> None:
    given = scores()
    given["score"] = given["score"].astype(float)
    stopped = (given["reader"] == "R3") & (given["volunteer"] == "V02")
    given.loc[stopped, "score"] = np.nan
    available = run_plan(given, NONE, PLAN)
    complete = run_plan(given, NONE, replace(PLAN, missing="complete"))
    assert (available.tests["n"] == 10).all()
    assert (complete.tests["n"] == 9).all()
    assert (complete.tests["n_missing"] == 1).all()
    for results in (available, complete):
        found = [w for w in results.warnings if "at least one of 3 readers" in w.text]
        assert {(w.row, w.arm) for w in found} == {(c, a) for c in PLAN.criteria for a in PLAN.arms}


def test_each_reader_alone_makes_one_row_a_reader() -> None:
    results = run_plan(scores(), NONE, replace(PLAN, reader_summary="each"))
    assert len(results.tests) == 3 * 24
    assert set(results.tests["reader"]) == {"R1", "R2", "R3"}
    assert (results.tests["m"] == 4).all()


def test_the_mean_of_the_readers_is_offered() -> None:
    results = run_plan(scores(), NONE, replace(PLAN, reader_summary="mean"))
    first = scores().query("volunteer == 'V01' and arm == 'DF' and criterion == 'sharpness'")
    found = results.summaries.query("volunteer == 'V01' and arm == 'DF'")
    found = found[found["criterion"] == "sharpness"]
    assert found["score"].item() == pytest.approx(first["score"].mean())


def test_a_comparison_without_a_pair_is_kept_with_its_reason() -> None:
    given = scores()
    results = run_plan(given[given["arm"] != "TF"], NONE, PLAN)
    tests = results.tests[results.tests["a"] == "TF"]
    assert tests["p"].isna().all()
    assert tests["q"].isna().all()
    assert not tests["significant"].any()
    assert (results.tests.loc[results.tests["a"] != "TF", "m"] == 3).all()
    assert sum("no test was done" in warning.text for warning in results.warnings) == 6


def test_a_zero_sd_of_air_leaves_one_value_out_and_says_whose() -> None:
    given = regions()
    given.loc[
        (given["volunteer"] == "V05") & (given["arm"] == "TF") & (given["tissue"] == "air"), "sd"
    ] = 0
    results = run_plan(NONE, given, PLAN)
    test = results.tests[results.tests["a"] == "TF"].iloc[0]
    assert (test["n"], test["n_missing"]) == (9, 1)
    assert any(
        "V05" in warning.text and "zero" in warning.text and warning.arm == "TF"
        for warning in results.warnings
    )


def test_tissue_sd_and_difference_use_their_own_sd() -> None:
    given = regions().assign(sd_difference=lambda rows: rows["sd"] * np.sqrt(2))
    own = run_plan(NONE, given, replace(PLAN, noise_estimate="tissue_sd")).derived
    two = run_plan(NONE, given, replace(PLAN, noise_estimate="difference")).derived
    np.testing.assert_allclose(own["value"], two["value"])
    first = given.query("volunteer == 'V01' and arm == 'STD' and tissue == 'fat'").iloc[0]
    found = own.query("volunteer == 'V01' and arm == 'STD' and tissue == 'fat' and metric == 'SNR'")
    assert found["value"].item() == pytest.approx(first["mean"] / first["sd"])


def test_rayleigh_scales_every_ratio_and_moves_no_p_value() -> None:
    plain = run_plan(NONE, regions(), PLAN)
    corrected = run_plan(NONE, regions(), replace(PLAN, noise_estimate="rayleigh"))
    factor = (corrected.derived["value"] / plain.derived["value"]).unique()
    np.testing.assert_allclose(factor, 0.6551, atol=5e-5)
    assert set(corrected.derived["noise_estimate"]) == {"rayleigh"}


def test_a_denoised_arm_is_said_to_gain_one_number_not_six() -> None:
    texts = [warning.text for warning in run_plan(NONE, regions(), PLAN).warnings]
    assert any("one finding, not 6" in text for text in texts)
    blind = run_plan(NONE, regions(), replace(PLAN, dlr_arms=()))
    assert not any("DLR" in warning.text for warning in blind.warnings)


def test_one_reader_gives_no_agreement_but_a_reason() -> None:
    given = scores()
    results = run_plan(given[given["reader"] == "R1"], NONE, PLAN)
    assert results.agreement.empty
    assert any("at least two readers" in warning.text for warning in results.warnings)


def refused(frame: pd.DataFrame, plan: AnalysisPlan = PLAN) -> str:
    with pytest.raises(InputError) as caught:
        run_plan(frame, NONE, plan)
    return str(caught.value)


def test_wrong_scores_are_refused_by_row_and_column() -> None:
    good = scores()
    six = good.copy()
    six.loc[4, "score"] = 6
    assert "row 5, column score: 6 lies outside the scale from 1 to 5" in refused(six)
    text = good.astype({"score": "object"})
    text.loc[7, "score"] = "good"
    assert 'row 8, column score: "good" is not a number' in refused(text)
    twice = pd.concat([good, good.iloc[[3]]])
    assert refused(twice) == (
        "scores, row 901: V02, STD, R1, perceived_snr is there twice "
        "(volunteer, arm, reader, criterion as in row 4)."
    )
    unknown = good.copy()
    unknown.loc[0, "arm"] = "QUAD"
    assert 'row 1, column arm: "QUAD" is not in the plan' in refused(unknown)
    other = good.copy()
    other.loc[0, "criterion"] = "beauty"
    assert 'column criterion: "beauty"' in refused(other)
    assert "lacks the column reader" in refused(good.drop(columns="reader"))


def test_wrong_regions_are_refused_by_row_and_column() -> None:
    for column, value, words in (
        ("n_pixels", 0, "no pixels"),
        ("sd", -1, "cannot be negative"),
        ("tissue", "liver", "not in the plan"),
    ):
        wrong = regions()
        wrong.loc[2, column] = value
        with pytest.raises(InputError, match=f"row 3, column {column}.*{words}"):
            run_plan(NONE, wrong, PLAN)
    with pytest.raises(InputError, match="sd_difference"):
        run_plan(NONE, regions(), replace(PLAN, noise_estimate="difference"))


def test_a_plan_that_contradicts_itself_names_every_fault() -> None:
    with pytest.raises(PlanError) as caught:
        replace(PLAN, control="X", family="table", alpha=1.5, comparisons=(("DF", "DF"),))
    for words in ('control "X"', "family is one of", "alpha must lie", "with itself"):
        assert words in str(caught.value)
    with pytest.raises(PlanError, match="reference tissue"):
        replace(PLAN, reference_tissue="liver")
    with pytest.raises(PlanError, match="unknown entries: colour"):
        AnalysisPlan.from_dict(PLAN.to_dict() | {"colour": "red"})


def test_a_plan_survives_its_way_through_json() -> None:
    import json

    assert AnalysisPlan.from_dict(json.loads(json.dumps(PLAN.to_dict()))) == PLAN


def test_nothing_in_gives_empty_results() -> None:
    results = run_plan(NONE, NONE, PLAN)
    assert results.tests.empty
    assert results.derived.empty
    assert results.descriptives.empty
