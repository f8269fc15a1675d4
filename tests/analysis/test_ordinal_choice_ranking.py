"""Ordinal regression, forced choice and ranking against R."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis import (
    bradley_terry,
    forced_choice,
    ordinal_gee,
    ordinal_regression,
    rank_arms,
    share_at_least,
)
from tests.analysis.published_study import REFERENCE

RECORDS = {
    record["id"]: record
    for record in json.loads((REFERENCE / "expected.json").read_text())["records"]
}
# Citations among four journals (Agresti, Categorical Data Analysis, 2013, table 11.9; Stigler
# 1994): a, b, how often a was cited by b, how often b by a.
CITATIONS = (
    ("Biometrika", "CommStat", 730, 33),
    ("Biometrika", "JASA", 498, 320),
    ("Biometrika", "JRSSB", 221, 284),
    ("CommStat", "JASA", 68, 813),
    ("CommStat", "JRSSB", 17, 276),
    ("JASA", "JRSSB", 142, 325),
)


def wine() -> pd.DataFrame:
    return pd.read_csv(REFERENCE / RECORDS["ordinal_clm_wine"]["dataset"])


def test_ordinal_regression_equals_clm() -> None:
    record = RECORDS["ordinal_clm_wine"]
    wanted, errors = record["value"]["coef"], record["value"]["se"]
    fit = ordinal_regression(wine()["rating"], wine()[["temp", "contact"]])
    names = ["tempwarm", "contactyes", "1|2", "2|3", "3|4", "4|5"]
    for found, name in zip((*fit.coefficients, *fit.thresholds), names, strict=True):
        assert found.value == pytest.approx(wanted[name], abs=record["tol"])
        assert found.standard_error == pytest.approx(errors[name], abs=record["tol"])
    assert fit.log_likelihood == pytest.approx(record["value"]["logLik"], abs=record["tol"])
    warm = fit.coefficient("temp warm v cold")
    assert warm.interval is not None
    assert warm.odds_ratio.interval is not None
    # R: exp(2.50310 +- 1.959964 * 0.528680)
    assert warm.odds_ratio.value == pytest.approx(12.2204, abs=1e-3)
    assert warm.odds_ratio.interval.low == pytest.approx(np.exp(warm.interval.low))


def test_the_reference_level_turns_the_sign() -> None:
    forward = ordinal_regression(wine()["rating"], wine()[["temp"]])
    back = ordinal_regression(wine()["rating"], wine()[["temp"]], reference={"temp": "warm"})
    assert back.coefficients[0].name == "temp cold v warm"
    assert back.coefficients[0].value == pytest.approx(-forward.coefficients[0].value, abs=1e-5)


def test_estimating_equations_equal_r() -> None:
    # R 4.2.2: glm(y ~ 0 + cut + temp + contact, binomial) on the indicators rating > cut, with the
    # sandwich over judges, solve(X'WX) crossprod(rowsum(X * residual, judge)) solve(X'WX).
    fit = ordinal_gee(wine()["rating"], wine()[["temp", "contact"]], wine()["judge"])
    wanted = [
        (2.69165730700639, 0.344033218177268),
        (1.54148903630401, 0.438920068779105),
        (-1.35719786738936, 0.630154287509102),
        (1.33939138247595, 0.513528001178770),
        (3.64465539764001, 0.557809672840003),
        (5.17512785574676, 0.662004635102379),
    ]
    for found, (value, error) in zip((*fit.coefficients, *fit.thresholds), wanted, strict=True):
        assert found.value == pytest.approx(value, abs=1e-7)
        assert found.standard_error == pytest.approx(error, abs=1e-7)
    assert fit.log_likelihood is None


def test_scores_without_a_finite_odds_ratio_are_refused_in_words() -> None:
    arms = pd.DataFrame({"arm": ["A"] * 5 + ["B"] * 5})
    separate = [1, 1, 2, 2, 1, 4, 4, 5, 5, 4]
    cases = [1, 2, 3, 4, 5] * 2
    with pytest.raises(ValueError, match="separate"):
        ordinal_regression(separate, arms)
    with pytest.raises(ValueError, match="separate"):
        ordinal_gee(separate, arms, cases)
    with pytest.raises(ValueError, match="equal"):
        ordinal_regression([3] * 10, arms)
    with pytest.raises(ValueError, match="nothing to compare"):
        ordinal_regression([1, 2], pd.DataFrame({"arm": ["A", "A"]}))
    with pytest.raises(ValueError, match="determined by the others"):
        ordinal_regression([1, 2, 3, 3, 4, 2, 2, 3, 4, 5], arms.assign(reader=arms["arm"]))
    with pytest.raises(ValueError, match='No score has arm "C"'):
        ordinal_regression([1, 2, 3, 3, 4, 2, 2, 3, 4, 5], arms, reference={"arm": "C"})


def choices() -> tuple[list[str], list[str], list[str]]:
    first, second, winner = [], [], []
    for a, b, for_a, for_b in CITATIONS:
        first += [a] * (for_a + for_b)
        second += [b] * (for_a + for_b)
        winner += [a] * for_a + [b] * for_b
    return first, second, winner


def test_bradley_terry_equals_r() -> None:
    # R 4.2.2: glm(cbind(for_a, for_b) ~ 0 + X, binomial), X the difference of the arms' indicators.
    found = bradley_terry(*choices(), reference="Biometrika")
    wanted = {
        "CommStat v Biometrika": (-2.949072496843909, 0.1025453355112088),
        "JASA v Biometrika": (-0.479569769751993, 0.0605887292482307),
        "JRSSB v Biometrika": (0.268954055819472, 0.0708299651111413),
    }
    for ability in found.abilities:
        value, error = wanted[ability.name]
        assert ability.value == pytest.approx(value, abs=1e-8)
        assert ability.standard_error == pytest.approx(error, abs=1e-8)
    assert found.n == 3727


def test_choices_of_one_case_widen_the_interval_of_an_ability() -> None:
    generator = np.random.default_rng(4)
    cases = np.repeat(np.arange(40), 6)
    # A case favours B or A in all its choices.
    winner = np.where(generator.random(40) < 0.6, "B", "A")[cases]
    flipped = generator.random(cases.size) < 0.1
    winner = np.where(flipped, np.where(winner == "B", "A", "B"), winner)
    lists = (["A"] * cases.size, ["B"] * cases.size, winner.tolist())
    alone, whole = bradley_terry(*lists), bradley_terry(*lists, clusters=cases)
    assert whole.abilities[0].value == pytest.approx(alone.abilities[0].value)
    assert whole.abilities[0].standard_error > 1.5 * alone.abilities[0].standard_error


def test_choices_that_fix_no_ability_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match=r"between \{A, B\} and \{C\}|between \{C\} and \{A, B\}"):
        bradley_terry(["A", "A", "A"], ["B", "B", "C"], ["A", "B", "A"])
    with pytest.raises(ValueError, match='Choice 2: "C" won between "A" and "B"'):
        bradley_terry(["A", "A"], ["B", "B"], ["A", "C"])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_forced_choice_is_the_binomial_test_and_turns_with_its_sides(b: int, a: int) -> None:
    if a + b == 0:
        with pytest.raises(ValueError, match="at least one"):
            forced_choice(b, a)
        return
    found, turned = forced_choice(b, a), forced_choice(a, b)
    assert found.value == b / (a + b)
    tail = min(stats.binom.cdf(min(a, b), a + b, 0.5) * 2, 1)
    assert found.p == pytest.approx(tail)
    assert found.p == pytest.approx(turned.p)
    assert found.interval is not None
    assert turned.interval is not None
    assert found.interval.low == pytest.approx(1 - turned.interval.high)


def test_ranking_equals_friedman_in_r() -> None:
    record = RECORDS["friedman_rounding_times"]
    times = pd.read_csv(REFERENCE / record["dataset"])
    found = rank_arms(times, list(times.columns))
    assert found.chi_square == pytest.approx(record["value"]["chi2"], abs=record["tol"])
    assert found.freedom == record["value"]["df"]
    assert found.p == pytest.approx(record["value"]["p"], abs=record["tol"])
    assert found.value == pytest.approx(found.chi_square / (22 * 2))
    assert sum(rank.value for rank in found.mean_ranks) == pytest.approx(6)
    assert [(pair.a, pair.b) for pair in found.follow_up] == [
        ("RoundOut", "NarrowAngle"),
        ("RoundOut", "WideAngle"),
        ("NarrowAngle", "WideAngle"),
    ]
    assert all(pair.q >= pair.test.p for pair in found.follow_up)


def test_a_ranking_without_order_has_p_one_and_counts_what_it_leaves_out() -> None:
    same = rank_arms([[3, 3, 3], [4, 4, 4], [np.nan, 2, 2]])
    assert (same.p, same.value, same.n, same.n_missing) == (1.0, 0.0, 2, 1)
    with pytest.raises(ValueError, match="three arms"):
        rank_arms([[1, 2], [2, 3]])


def test_share_at_least_counts_whole_cases() -> None:
    scores = [3, 3, 3, 2, 2, 2, 4, 4, 4, np.nan]
    cases = [1, 1, 1, 2, 2, 2, 3, 3, 3, 3]
    alone, whole = share_at_least(scores), share_at_least(scores, clusters=cases)
    assert alone.value == whole.value == pytest.approx(6 / 9)
    assert whole.interval is not None
    assert (whole.interval.low, whole.interval.high) == (0.0, 1.0)
    with pytest.raises(ValueError, match="missing"):
        share_at_least([np.nan])
