"""Forced choices and rankings in a plan, against scipy and against counting by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import benjamini_hochberg, bradley_terry, read_plan, run_plan, write_plan
from analysis.example import example_study
from analysis.preference_tables import ability_table, choice_table, ranking_table
from analysis.publication import publication_tables

NONE = pd.DataFrame()
STUDY = example_study()
PLAN = STUDY.plan
RESULTS = run_plan(NONE, NONE, PLAN, choices=STUDY.choices, rankings=STUDY.rankings)


def wins(choices: pd.DataFrame, a: str, b: str) -> tuple[int, int, int]:
    """Volunteers for a, for b, and split, counted one by one."""
    counts = {"a": 0, "b": 0, "split": 0}
    shown = choices[choices["first"].isin([a, b]) & choices["second"].isin([a, b])]
    for _, own in shown[shown["chosen"].notna()].groupby("volunteer"):
        lead = int((own["chosen"] == b).sum()) - int((own["chosen"] == a).sum())
        counts["b" if lead > 0 else "a" if lead < 0 else "split"] += 1
    return counts["a"], counts["b"], counts["split"]


def test_a_comparison_is_the_exact_binomial_test_of_the_majorities() -> None:
    found = RESULTS.choices
    assert list(zip(found["a"], found["b"], strict=True)) == list(PLAN.comparisons)
    for row in found.itertuples():
        for_a, for_b, _ = wins(STUDY.choices, row.a, row.b)
        assert (row.chosen_a, row.chosen_b, row.n) == (for_a, for_b, for_a + for_b)
        test = stats.binomtest(for_b, for_a + for_b)
        assert row.p == pytest.approx(test.pvalue)
        limits = test.proportion_ci(0.95, "exact")
        assert (row.low, row.high) == (pytest.approx(limits.low), pytest.approx(limits.high))
    np.testing.assert_allclose(found["q"], benjamini_hochberg(found["p"]))
    assert set(found["family"]) == {"row: choice, preferred"}


def test_even_splits_and_missing_choices_are_left_out_counted_and_said() -> None:
    given = STUDY.choices[STUDY.choices["reader"] != "R3"].copy()
    given.loc[given["volunteer"] == "V03", "chosen"] = None
    found = run_plan(NONE, NONE, PLAN, choices=given)
    for row in found.choices.itertuples():
        assert (row.chosen_a, row.chosen_b, row.n_split) == wins(given, row.a, row.b)
        assert row.n_missing == 1
        assert row.n + row.n_split + row.n_missing == 12
    texts = [w.text for w in found.warnings if w.comparison == "STD v DLR"]
    assert any("evenly split" in text and "no reader chose" in text for text in texts)


def test_each_reader_alone_is_a_test_of_her_own_choices() -> None:
    found = run_plan(NONE, NONE, replace(PLAN, choice_summary="each"), choices=STUDY.choices)
    assert len(found.choices) == 3 * 2
    for row in found.choices.itertuples():
        own = STUDY.choices[STUDY.choices["reader"] == row.reader]
        assert (row.chosen_a, row.chosen_b, 0) == wins(own, row.a, row.b)
    assert (found.choices["m"] == 2).all()


def test_abilities_are_those_of_bradley_terry_over_volunteers() -> None:
    given = STUDY.choices
    direct = bradley_terry(
        given["first"],
        given["second"],
        given["chosen"],
        reference="STD",
        clusters=given["volunteer"],
    )
    for row in RESULTS.abilities.itertuples():
        (own,) = [a for a in direct.abilities if a.name == f"{row.arm} v STD"]
        assert row.log_odds == pytest.approx(own.value)
        assert row.p == pytest.approx(own.p)
        assert row.odds == pytest.approx(np.exp(own.value))
    assert any("too small with fewer" in w.text for w in RESULTS.warnings)


def test_an_arm_that_always_wins_has_no_finite_odds_and_says_so() -> None:
    given = STUDY.choices.copy()
    beaten = (given["first"] == "DLR") | (given["second"] == "DLR")
    given.loc[beaten, "chosen"] = "DLR"
    found = run_plan(NONE, NONE, PLAN, choices=given)
    assert found.abilities.empty
    assert any("No finite abilities exist" in w.text for w in found.warnings)
    assert (found.choices["chosen_a"] == 0).all()


def test_a_ranking_is_friedmans_test_of_the_readers_medians() -> None:
    wide = STUDY.rankings.groupby(["volunteer", "arm"])["rank"].median().unstack()
    test = stats.friedmanchisquare(*(wide[arm] for arm in PLAN.arms))
    found = RESULTS.rankings
    assert found["p"].iloc[0] == pytest.approx(test.pvalue)
    ranks = wide[list(PLAN.arms)].rank(axis=1).mean()
    own = found[(found["a"] == "") & (found["b"] != "")].set_index("b")["value"]
    for arm in PLAN.arms:
        assert own[arm] == pytest.approx(ranks[arm])
    pairs = found[found["a"] != ""]
    assert len(pairs) == 3
    np.testing.assert_allclose(pairs["q"], benjamini_hochberg(pairs["p"]))


def test_choices_share_the_family_of_all_tests_of_the_study() -> None:
    plan = replace(PLAN, family="all")
    found = run_plan(STUDY.scores, STUDY.regions, plan, choices=STUDY.choices)
    p = np.concatenate([found.tests["p"], found.choices["p"]])
    q = benjamini_hochberg(p)
    np.testing.assert_array_equal(found.tests["q"], q[: len(found.tests)])
    np.testing.assert_array_equal(found.choices["q"], q[len(found.tests) :])
    assert set(found.tests["m"]) == set(found.choices["m"]) == {len(p)}


def test_the_order_of_rows_and_the_side_of_an_arm_change_nothing() -> None:
    turned = STUDY.choices.rename(columns={"first": "second", "second": "first"})
    again = run_plan(
        NONE,
        NONE,
        PLAN,
        choices=turned.sample(frac=1, random_state=3),
        rankings=STUDY.rankings.sample(frac=1, random_state=4),
    )
    pd.testing.assert_frame_equal(again.choices, RESULTS.choices)
    pd.testing.assert_frame_equal(again.rankings, RESULTS.rankings)
    np.testing.assert_allclose(again.abilities["odds"], RESULTS.abilities["odds"])


def test_tables_print_counts_shares_and_ranks() -> None:
    cells, bold = choice_table(RESULTS, {"DLR": "DLR-fast"})
    assert cells["Comparison"].tolist() == ["FAST v DLR-fast", "STD v DLR-fast"]
    flags = RESULTS.choices["significant"].to_numpy()
    assert {row for row, _ in bold} == set(np.flatnonzero(flags))
    assert {column for _, column in bold} <= {len(cells.columns) - 1}
    odds = ability_table(RESULTS)
    assert odds.loc[0, "STD"] == "1 (reference)"
    ranks, _ = ranking_table(RESULTS)
    assert ranks.loc[0, "FAST"].startswith("3.0")
    names = [table.name for table in publication_tables(RESULTS)]
    assert names == ["table6", "table7", "table8"]


def test_the_entries_are_part_of_the_plans_document() -> None:
    plan = replace(PLAN, choice_summary="each", beside=("rayleigh", "noncentral_chi(8)"))
    assert read_plan(write_plan(plan)) == plan
    plain = replace(PLAN, choice_criteria=(), ranking_criteria=(), margin=None)
    for name in ("choice_criteria", "choice_summary", "ranking_criteria", "beside"):
        assert name not in plain.to_dict()
    with pytest.raises(ValueError, match="at least three arms"):
        replace(PLAN, arms=("STD", "DLR"), comparisons=(("STD", "DLR"),), dlr_arms=())
    with pytest.raises(ValueError, match="beside names"):
        replace(PLAN, beside=("guess",))
