"""The signed-rank test against R, against full enumeration, and its own laws."""

import itertools
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis import (
    benjamini_hochberg,
    hodges_lehmann,
    rank_biserial,
    signed_rank_test,
    smallest_p,
)
from tests.analysis.published_study import REFERENCE

RECORDS = {
    record["id"]: record
    for record in json.loads((REFERENCE / "expected.json").read_text())["records"]
}
WILCOXON = [name for name in RECORDS if name.startswith("wilcoxon_") and "floor" not in name]

likert = st.integers(1, 5).map(float)
pairs = st.lists(st.tuples(likert, likert), min_size=1, max_size=10)


def arms(name: str) -> tuple[Any, Any]:
    frame = pd.read_csv(REFERENCE / RECORDS[name]["dataset"])
    return frame["a"].to_numpy(), frame["b"].to_numpy()


@pytest.mark.parametrize("name", WILCOXON)
def test_signed_rank_bundle_equals_r(name: str) -> None:
    expected, tolerance = RECORDS[name]["value"], RECORDS[name]["tol"]
    a, b = arms(name)
    exact = signed_rank_test(a, b)
    found = {
        "n": exact.n,
        "n_nonzero": exact.n_nonzero,
        "w_plus": exact.w_plus,
        "w_minus": exact.w_minus,
        "p_exact_two_sided": exact.p,
        "p_exact_b_greater": signed_rank_test(a, b, alternative="greater").p,
        "p_exact_b_less": signed_rank_test(a, b, alternative="less").p,
        "p_asymptotic_nocc": signed_rank_test(a, b, "asymptotic").p,
        "p_asymptotic_cc": signed_rank_test(a, b, "asymptotic", correction=True).p,
        "p_exact_pratt": signed_rank_test(a, b, "exact", "pratt").p,
        "p_asymptotic_pratt": signed_rank_test(a, b, "asymptotic", "pratt").p,
        "rank_biserial_b_minus_a": rank_biserial(a, b).value,
        "median_diff": exact.median_difference,
        "hodges_lehmann_all": hodges_lehmann(a, b).value,
        "hodges_lehmann_nonzero": hodges_lehmann(a, b, zeros="drop").value,
        "sign_test_p": stats.binomtest(exact.wins, exact.wins + exact.losses).pvalue,
    }
    for key, value in found.items():
        assert value == pytest.approx(expected[key], abs=tolerance), key
    if "hl_ci95_exact" in expected:
        interval = hodges_lehmann(a, b).interval
        assert interval is not None
        assert [interval.low, interval.high] == pytest.approx(expected["hl_ci95_exact"], abs=1e-6)


def test_smallest_p_by_non_zero_pairs_equals_the_reference() -> None:
    for row in RECORDS["wilcoxon_p_floor"]["value"]:
        assert smallest_p(row["n"]) == row["p_min_two_sided"]
        reached = signed_rank_test(np.zeros(row["n"]), np.arange(1.0, row["n"] + 1))
        assert reached.p == row["p_min_two_sided"]


@pytest.mark.parametrize("name", ["bh1995", "bh_row_artifact"])
def test_benjamini_hochberg_equals_p_adjust(name: str) -> None:
    expected = RECORDS[name]["value"]
    q = benjamini_hochberg(pd.read_csv(REFERENCE / RECORDS[name]["dataset"])["p"])
    np.testing.assert_allclose(q, expected["BH"], rtol=0, atol=RECORDS[name]["tol"])
    assert int((q <= 0.05).sum()) == expected["bh_rejected_at_0.05"]


def test_a_missing_p_is_not_counted_in_the_family() -> None:
    q = benjamini_hochberg([0.01, np.nan, 0.02])
    np.testing.assert_allclose(q, [0.02, np.nan, 0.02])


@settings(max_examples=150, deadline=None)
@given(pairs, st.sampled_from(["drop", "pratt"]))
def test_exact_p_equals_full_enumeration(cases: list[tuple[float, float]], zeros: Any) -> None:
    a, b = np.array(cases).T
    differences = b - a
    magnitudes = np.abs(differences)
    kept = differences != 0
    ranks = (
        stats.rankdata(magnitudes)[kept] if zeros == "pratt" else stats.rankdata(magnitudes[kept])
    )
    observed = ranks[differences[kept] > 0].sum()
    sums = [np.dot(signs, ranks) for signs in itertools.product([0, 1], repeat=len(ranks))]
    lower = np.mean([total <= observed for total in sums])
    upper = np.mean([total >= observed for total in sums])
    assert signed_rank_test(a, b, zeros=zeros).p == pytest.approx(min(1, 2 * min(lower, upper)))
    assert signed_rank_test(a, b, zeros=zeros, alternative="greater").p == pytest.approx(upper)
    assert signed_rank_test(a, b, zeros=zeros, alternative="less").p == pytest.approx(lower)


@settings(max_examples=100, deadline=None)
@given(pairs, st.floats(-1e3, 1e3))
def test_p_ignores_a_swap_and_an_added_constant(
    cases: list[tuple[float, float]], constant: float
) -> None:
    a, b = np.array(cases).T
    forward = signed_rank_test(a, b)
    back = signed_rank_test(b, a)
    moved = signed_rank_test(a + constant, b + constant)
    assert forward.p == back.p == moved.p
    assert (forward.w_plus, forward.w_minus) == (back.w_minus, back.w_plus)
    assert forward.rank_biserial.value == -back.rank_biserial.value
    assert forward.hodges_lehmann.value == pytest.approx(-back.hodges_lehmann.value)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_q_is_monotone_and_never_below_p(p: list[float]) -> None:
    q = benjamini_hochberg(p)
    order = np.argsort(p)
    assert (np.diff(q[order]) >= -1e-15).all()
    assert (q >= np.array(p)).all()
    assert (q <= 1).all()


@pytest.mark.parametrize("n", [20, 50, 200, 1000])
def test_exact_p_of_untied_data_equals_scipy(n: int) -> None:
    generator = np.random.default_rng(n)
    differences = generator.permutation(n) + 1.0
    differences *= generator.choice([-1, 1], n, p=[0.45, 0.55])
    expected = stats.wilcoxon(differences, method="exact").pvalue
    assert signed_rank_test(np.zeros(n), differences).p == pytest.approx(expected, rel=1e-9)


def test_differences_that_differ_by_float_noise_are_ties() -> None:
    a = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    b = a + 0.1
    assert len(np.unique(b - a)) > 1
    assert signed_rank_test(a, b).p == 2 / 2**7
    assert signed_rank_test(a, b).hodges_lehmann.value == pytest.approx(0.1)


def test_all_zero_differences_give_p_one_under_every_method() -> None:
    for method in ("exact", "asymptotic"):
        for zeros in ("drop", "pratt"):
            result = signed_rank_test([3, 3, 3], [3, 3, 3], method, zeros)
            assert (result.p, result.n_nonzero, result.rank_biserial.value) == (1.0, 0, 0.0)
            assert "zero" in result.warning


def test_few_non_zero_pairs_carry_a_warning() -> None:
    assert signed_rank_test(np.zeros(5), np.arange(1.0, 6)).warning
    assert not signed_rank_test(np.zeros(6), np.arange(1.0, 7)).warning


def test_incomplete_pairs_are_left_out_and_counted() -> None:
    result = signed_rank_test([1, np.nan, 3, 4], [2, 2, np.nan, 6])
    assert (result.n, result.n_missing) == (2, 2)
    with pytest.raises(ValueError, match="No case has a value in both arms"):
        signed_rank_test([np.nan], [1])


def test_wrong_input_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="same length"):
        signed_rank_test([1, 2], [1])
    with pytest.raises(ValueError, match="infinite"):
        signed_rank_test([1, np.inf], [1, 2])
    with pytest.raises(ValueError, match="method is one of exact, asymptotic"):
        signed_rank_test([1], [2], "auto")  # type: ignore[arg-type]


def test_the_hodges_lehmann_interval_covers_at_its_level() -> None:
    generator = np.random.default_rng(3)
    hits = 0
    for _ in range(400):
        shifted = generator.logistic(0.7, 1, 12)
        interval = hodges_lehmann(np.zeros(12), shifted).interval
        assert interval is not None
        hits += interval.low <= 0.7 <= interval.high
    # Exact level for n = 12 is 0.9512; 400 draws have a standard error of 1.1 %.
    assert hits / 400 > 0.92
