"""Agreement, reliability and visual grading against R and the literature."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis import (
    bland_altman,
    cohen_kappa,
    fleiss_kappa,
    gwet_ac,
    icc,
    kendall_w,
    krippendorff_alpha,
    non_inferiority,
    percent_agreement,
    power_signed_rank,
    repeatability,
    sample_size_signed_rank,
    vgc,
)
from analysis.reliability import _weighted_icc
from tests.analysis.published_study import REFERENCE, SHARED_REFERENCE

RECORDS = {
    record["id"]: record
    for record in json.loads((REFERENCE / "expected.json").read_text())["records"]
}
CANONICAL = "agreement_krippendorff_canonical_4x12"


def data(name: str) -> pd.DataFrame:
    return pd.read_csv(REFERENCE / RECORDS[name]["dataset"])


def raw_ratings(counts: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Counts (subjects, categories) as ratings (subjects, raters)."""
    return np.array([np.repeat(np.arange(counts.shape[1]), row) for row in counts.to_numpy()])


@pytest.mark.parametrize("name", ["kappa_landis_koch_winnipeg", "kappa_sas_3x3"])
@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_cohen_kappa_equals_r(name: str, weights: Any) -> None:
    expected, tolerance = RECORDS[name]["value"], RECORDS[name]["tol"]
    table = data(name).to_numpy()
    rows, columns = np.nonzero(table)
    times = table[rows, columns]
    a, b = np.repeat(rows, times), np.repeat(columns, times)
    found = cohen_kappa(a, b, weights, categories=range(len(table)))
    wanted = expected[weights or "unweighted"]
    assert found.interval is not None
    assert found.n == expected["n"]
    assert found.value == pytest.approx(wanted["kappa"], abs=tolerance)
    limits = [found.interval.low, found.interval.high]
    assert limits == pytest.approx(wanted["ci95"], abs=tolerance)
    agreement = percent_agreement(np.column_stack([a, b])).value
    assert agreement == pytest.approx(expected["percent_agreement"], abs=tolerance)


@pytest.mark.parametrize("name", ["fleiss_1971_diagnoses", "fleiss_wikipedia_10x14"])
def test_fleiss_kappa_equals_r(name: str) -> None:
    found = fleiss_kappa(raw_ratings(data(name)))
    assert found.value == pytest.approx(RECORDS[name]["value"]["kappa"], abs=1e-6)
    assert found.interval is not None
    assert found.interval.low < found.value < found.interval.high


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval", "ratio"])
def test_krippendorff_alpha_equals_r(level: Any) -> None:
    expected = RECORDS[CANONICAL]["value"]["krippendorff"][level]
    assert krippendorff_alpha(data(CANONICAL), level).value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("weights", ["unweighted", "linear", "quadratic", "ordinal"])
def test_gwet_coefficients_equal_irr_cac(weights: Any) -> None:
    expected = RECORDS[CANONICAL]["value"]["gwet"][weights]
    found = gwet_ac(data(CANONICAL), weights)
    assert found.value == pytest.approx(expected["coef"], abs=2e-5)
    assert found.interval is not None
    # Twelve subjects: the half width is 2.20099 standard errors.
    error = (found.value - found.interval.low) / 2.200985
    assert error == pytest.approx(expected["se"], abs=2e-5)


@pytest.mark.parametrize("name", ["icc_shrout_fleiss_1979", "icc_anxiety"])
@pytest.mark.parametrize("model", ["1", "2", "3"])
@pytest.mark.parametrize("unit", ["1", "k"])
def test_all_six_icc_equal_r(name: str, model: str, unit: str) -> None:
    expected = RECORDS[name]["value"][f"ICC{model}{'k' if unit == 'k' else ''}"]
    found = icc(data(name), f"ICC({model},{unit})")  # type: ignore[arg-type]
    assert found.value == pytest.approx(expected["icc"], abs=1e-6)
    assert found.interval is not None
    limits = [found.interval.low, found.interval.high]
    assert limits == pytest.approx(expected["ci95"], abs=1e-6)


def test_kendall_w_equals_r() -> None:
    expected = RECORDS["kendall_w_anxiety"]["value"]
    assert kendall_w(data("kendall_w_anxiety")).value == pytest.approx(
        expected["W_tie_corrected"], abs=1e-9
    )


def test_bland_altman_and_repeatability_equal_the_reference() -> None:
    record = RECORDS["bland_altman_pefr_wright_vs_mini"]["value"]
    pairs = data("bland_altman_pefr_wright_vs_mini")
    found = bland_altman(pairs["a"], pairs["b"])
    assert (found.n, found.sd) == (17, pytest.approx(record["sd"]))
    for estimate, value, limits in (
        (found.bias, record["bias"], record["bias_ci95"]),
        (found.lower_limit, record["loa"][0], record["loa_lower_ci95"]),
        (found.upper_limit, record["loa"][1], record["loa_upper_ci95"]),
    ):
        assert estimate.value == pytest.approx(value, abs=1e-6)
        assert estimate.interval is not None
        assert [estimate.interval.low, estimate.interval.high] == pytest.approx(limits, abs=1e-6)
    again = repeatability(pairs)
    assert again.within_sd.value == pytest.approx(record["within_sd"], abs=1e-6)
    wanted = record["repeatability_coefficient_1.96sqrt2"]
    assert again.coefficient.value == pytest.approx(wanted, abs=1e-6)


def test_vgc_area_equals_proc() -> None:
    record = RECORDS["vgc_likert_15"]["value"]
    scores = data("vgc_likert_15")
    found = vgc(scores["reference"], scores["test"])
    assert found.value == pytest.approx(record["auc"], abs=1e-9)
    assert found.interval is not None
    limits = [found.interval.low, found.interval.high]
    assert limits == pytest.approx(record["ci95_delong"], abs=1e-6)
    paired = vgc(scores["reference"], scores["test"], paired=True)
    assert paired.value == found.value
    assert paired.interval is not None
    assert paired.interval.high - paired.interval.low < limits[1] - limits[0]


def test_a_bootstrap_over_volunteers_is_wider_than_over_their_images() -> None:
    generator = np.random.default_rng(5)
    # Volunteers are easy or hard: their five images agree or disagree together.
    easy = np.repeat(generator.random(20) < 0.5, 5)
    first = generator.integers(1, 6, 100)
    second = np.where(easy, first, first % 5 + 1)
    ratings = np.column_stack([first, second, first]).astype(float)
    volunteers = np.repeat(np.arange(20), 5)
    alone = percent_agreement(ratings).interval
    whole = percent_agreement(ratings, clusters=volunteers).interval
    assert alone is not None
    assert whole is not None
    assert whole.high - whole.low > 1.5 * (alone.high - alone.low)


def test_non_inferiority_is_decided_from_the_interval() -> None:
    generator = np.random.default_rng(2)
    a = generator.normal(3, 0.3, 40)
    assert non_inferiority(a, a - 0.1 + generator.normal(0, 0.2, 40), 0.5).non_inferior
    assert not non_inferiority(a, a - 0.5 + generator.normal(0, 0.2, 40), 0.5).non_inferior
    with pytest.raises(ValueError, match="positive"):
        non_inferiority(a, a, 0)


def test_power_equals_the_binomial_it_must_be() -> None:
    # Differences of 0 or 1: significant exactly when six or more are 1.
    from scipy import stats

    found = power_signed_rank(12, [0, 1], [0.5, 0.5], simulations=20_000)
    assert found.value == pytest.approx(stats.binom.sf(5, 12, 0.5), abs=0.012)


def test_undefined_coefficients_say_so() -> None:
    same = np.full((5, 3), 3.0)
    for function in (krippendorff_alpha, gwet_ac, fleiss_kappa, icc, kendall_w):
        with pytest.raises(ValueError, match=r"equal|one score"):
            function(same)  # type: ignore[operator]
    with pytest.raises(ValueError, match="at least two readers"):
        percent_agreement(np.ones((4, 1)))
    with pytest.raises(ValueError, match="two readers"):
        krippendorff_alpha([[1, np.nan], [np.nan, 2]])


@pytest.mark.shared
def test_the_copied_reference_is_the_current_one() -> None:
    folder = SHARED_REFERENCE / "statistics"
    if not folder.is_dir():
        pytest.skip("the reference data do not lie beside this checkout")
    for path in sorted(folder.rglob("*.*")):
        assert path.read_bytes() == (REFERENCE / path.relative_to(folder)).read_bytes(), path.name


def test_the_sample_size_is_the_smallest_that_reaches_the_power() -> None:
    from scipy import stats

    found = sample_size_signed_rank([0, 1], [0.5, 0.5], power=0.8, simulations=4000)
    # Significant exactly when six or more differ: 13 cases give .71, 14 .79, 15 .85.
    exact = {n: stats.binom.sf(5, n, 0.5) for n in (14, 15)}
    assert found.n in (14, 15)
    assert found.power.value == pytest.approx(exact[found.n], abs=0.02)
    with pytest.raises(ValueError, match="2000 cases reach a power"):
        sample_size_signed_rank([-1, 1], [0.5, 0.5], simulations=50)


@pytest.mark.parametrize("form", ["ICC(1,1)", "ICC(2,1)", "ICC(3,1)", "ICC(2,k)"])
def test_an_icc_over_cases_is_the_same_value_with_an_interval_over_cases(form: Any) -> None:
    generator = np.random.default_rng(8)
    cases = np.repeat(np.arange(12), 5)
    ratings = generator.normal(0, 1, 12)[cases][:, None] + generator.normal(0, 1, (60, 3))
    ratings[4, 1] = np.nan
    plain, whole = icc(ratings, form), icc(ratings, form, clusters=cases)
    assert whole.value == plain.value
    assert plain.interval is not None
    assert whole.interval is not None
    assert "12 cases" in whole.interval.method
    # Five images of a case tell less than five cases.
    assert whole.interval.high - whole.interval.low > plain.interval.high - plain.interval.low
    # A replicate in which every case is drawn once is the estimate itself.
    kept = ratings[~np.isnan(ratings).any(axis=1)]
    once = _weighted_icc(kept, np.ones((1, len(kept))), form[4], form[6])
    assert once[0] == pytest.approx(plain.value)
    # And drawing every case twice is the ICC of the doubled data.
    doubled = _weighted_icc(kept, np.full((1, len(kept)), 2.0), form[4], form[6])
    assert doubled[0] == pytest.approx(icc(np.vstack([kept, kept]), form).value)


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_a_kappa_over_cases_is_the_same_value_with_an_interval_over_cases(weights: Any) -> None:
    generator = np.random.default_rng(9)
    cases = np.repeat(np.arange(12), 5)
    a = generator.integers(1, 6, 60).astype(float)
    agree = (generator.random(12) < 0.5)[cases]
    b = np.where(agree, a, generator.integers(1, 6, 60))
    plain = cohen_kappa(a, b, weights, categories=range(1, 6))
    whole = cohen_kappa(a, b, weights, categories=range(1, 6), clusters=cases)
    assert whole.value == plain.value
    assert plain.interval is not None
    assert whole.interval is not None
    assert whole.interval.high - whole.interval.low > plain.interval.high - plain.interval.low


def test_the_bootstrap_interval_covers_at_its_level_with_ten_cases() -> None:
    generator = np.random.default_rng(6)
    hits = 0
    for _ in range(300):
        a = generator.normal(0, 1, 10)
        interval = non_inferiority(np.zeros(10), a + 0.3, 0.5).interval
        assert interval is not None
        hits += interval.low <= 0.3 <= interval.high
    # The plain percentile interval would cover about 89 %; 300 draws have an error of 1.5 %.
    assert hits / 300 > 0.91
