"""Data at the edge: no statistic may be a silent NaN, an infinity, or certain by an accident."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from analysis import (
    AnalysisPlan,
    InputError,
    bland_altman,
    bradley_terry,
    cohen_kappa,
    ellipse_region,
    gwet_ac,
    hodges_lehmann,
    icc,
    non_inferiority,
    percent_agreement,
    power_signed_rank,
    region_statistics,
    repeatability,
    run_plan,
    signed_rank_test,
    vgc,
    write_plan,
)
from analysis.csv_input import read_table
from analysis.reliability import IccForm
from tests.analysis.published_study import PLAN, regions

FORMS = get_args(IccForm)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "ratings",
    [
        [[0.1, 0.1, 0.1]] * 7,
        [[1, 2], [2, 1]],
        [[1, 2], [1, 2], [1, 2]],
        [[0.1, 0.2], [0.3, 0.2], [0.2, 0.2]],
        [[1, 1], [2, 2], [3, 3]],
        [[0.1, 0.2], [0.2, 0.3], [0.3, 0.4]],
        [[1, 5], [5, 1], [2, 4], [4, 3]],
    ],
)
def test_an_icc_is_a_number_up_to_one_or_refused_in_words(form: Any, ratings: Any) -> None:
    try:
        found = icc(ratings, form)
    except ValueError as error:
        reason = str(error)
    else:
        reason = ""
    if reason:
        assert "undefined" in reason or "do not differ" in reason
        return
    assert np.isfinite(found.value)
    assert found.value <= 1
    if found.interval is not None:
        assert found.interval.low <= found.value <= found.interval.high
        assert found.interval.low < found.interval.high


@pytest.mark.parametrize("form", ["ICC(3,1)", "ICC(1,k)", "ICC(3,k)"])
def test_an_icc_over_cases_that_repeat_each_other_has_no_interval_made_of_rounding(
    form: Any,
) -> None:
    # Two cases: half of the draws hold one of them alone, where nothing varies between subjects.
    found = icc([[0.1, 0.2], [0.1, 0.2], [0.7, 0.9], [0.7, 0.9]], form, clusters=[1, 1, 2, 2])
    assert found.interval is None


def test_equal_ratings_are_refused_whatever_their_decimals() -> None:
    for form in FORMS:
        with pytest.raises(ValueError, match="All ratings are equal"):
            icc([[0.1] * 3] * 7, form)


def test_where_nothing_varies_there_is_no_interval_rather_than_one_of_no_width() -> None:
    assert cohen_kappa([1, 2, 3], [1, 2, 3]).interval is None
    assert cohen_kappa([1, 1, 1], [1, 2, 2]).interval is None
    assert gwet_ac([[3, 3]] * 5, "quadratic", categories=range(1, 6)).interval is None
    assert vgc([1, 1, 2], [3, 4, 5]).interval is None
    assert vgc([3, 3, 3], [3, 3, 3]).interval is None
    assert bland_altman([1.1, 2.1, 3.1], [1, 2, 3]).interval is None
    found = repeatability([[0.1, 0.1, 0.1], [0.7, 0.7, 0.7]])
    assert found.value == 0
    assert found.interval is None


def test_weights_go_by_the_scores_whichever_of_them_were_used() -> None:
    # SAS: scores are the numeric values of the categories. irrCAC: the same for numeric ones.
    a, b = [1, 2, 5, 1, 5], [1, 2, 2, 5, 5]
    whole = range(1, 6)
    for weights in ("linear", "quadratic"):
        kappa = cohen_kappa(a, b, weights, categories=whole)
        assert cohen_kappa(a, b, weights).value == pytest.approx(kappa.value)
        over_cases = cohen_kappa(a, b, weights, clusters=range(5))
        assert over_cases.value == pytest.approx(kappa.value)
    # By hand: 1, 2, 5 are 1, 3 and 4 apart, so that the quadratic weights are 15/16, 7/16 and 0.
    ratings = np.column_stack([a, b])
    weight = 1 - np.subtract.outer([1, 2, 5], [1, 2, 5]) ** 2 / 16
    share = np.array([3, 3, 4]) / 10
    chance = weight.sum() / 6 * (share * (1 - share)).sum()
    observed = (3 + weight[1, 2] + weight[0, 2]) / 5
    assert gwet_ac(ratings, "quadratic").value == pytest.approx((observed - chance) / (1 - chance))


def test_non_inferiority_is_not_decided_from_fewer_cases_than_any_interval_needs() -> None:
    for a, b in (([3, 3], [3, 3]), ([3] * 5, [3, 4, 3, 3, 4])):
        with pytest.raises(ValueError, match="too few to decide from a 95 % interval"):
            non_inferiority(a, b, margin=0.5)
    assert non_inferiority([3] * 6, [3] * 6, margin=0.5).non_inferior
    # Six volunteers of three readers each are six cases; two volunteers of three are two.
    with pytest.raises(ValueError, match="2 complete cases are too few"):
        non_inferiority([3] * 6, [3] * 6, margin=0.5, clusters=[1, 1, 1, 2, 2, 2])
    with pytest.raises(ValueError, match="99 % interval"):
        non_inferiority([3] * 7, [3] * 7, margin=0.5, level=0.99)


def test_a_limit_on_the_margin_does_not_show_non_inferiority() -> None:
    # 2.3 - 2.4 is -0.10000000000000009, 0.2 - 0.3 is -0.09999999999999998.
    for a, b in ((2.4, 2.3), (0.3, 0.2)):
        assert not non_inferiority([a] * 8, [b] * 8, margin=0.1).non_inferior


def test_a_plan_with_few_volunteers_says_why_nothing_is_decided() -> None:
    plan = AnalysisPlan(
        arms=("A", "B"), control="A", comparisons=(("A", "B"),), criteria=("s",), margin=0.5
    )
    rows = [(f"V{v}", arm, "R1", "s", 3) for v in range(4) for arm in "AB"]
    scores = pd.DataFrame(rows, columns=["volunteer", "arm", "reader", "criterion", "score"])
    found = run_plan(scores, pd.DataFrame(), plan)
    assert found.non_inferiority.empty
    assert any("4 complete cases are too few" in warning.text for warning in found.warnings)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 7 * 2.3456789])
def test_an_even_region_has_an_sd_of_zero_not_of_rounding(value: float) -> None:
    region = ellipse_region((20, 20), (1, 1), (10, 10), (4, 4))
    assert region_statistics(np.full((20, 20), value), region).sd == 0


def test_a_level_in_per_cent_is_refused_everywhere() -> None:
    a, b = [1, 2, 3, 4, 5, 6], [2, 2, 4, 4, 6, 5]
    pairs = np.column_stack([a, b])
    calls: list[Any] = [
        lambda: signed_rank_test(a, b, level=95),
        lambda: hodges_lehmann(a, b, level=95),
        lambda: percent_agreement(pairs, clusters=a, level=95),
        lambda: icc(pairs, level=95),
        lambda: bland_altman(a, b, level=95),
        lambda: vgc(a, b, level=95),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"between 0 and 1|confidence level"):
            call()


def test_power_refuses_what_is_no_plan() -> None:
    wrong: list[tuple[Any, ...]] = [
        (10, [0, float("nan")], [0.5, 0.5], {}),
        (10, [0, 1], [float("nan"), 0.5], {}),
        (10.5, [0, 1], [0.5, 0.5], {}),
        (10, [0, 1], [0.5, 0.5], {"alpha": 5}),
        (10, [0, 1], [0.5, 0.5], {"simulations": 0}),
    ]
    for n, differences, chances, options in wrong:
        with pytest.raises(ValueError, match=r"finite|must be|must lie"):
            power_signed_rank(n, differences, chances, **options)


def test_cases_that_answer_alike_give_no_error_over_cases() -> None:
    cases = [1, 1, 2, 2, 3, 3]
    with pytest.raises(ValueError, match="too much alike"):
        bradley_terry(list("AABBCC"), list("BBCCAA"), list("ABBCCA"), clusters=cases)


def test_equal_plans_have_one_text_and_true_is_no_number() -> None:
    plans = [replace(PLAN, margin=margin) for margin in (1, 1.0)]
    assert plans[0] == plans[1]
    assert write_plan(plans[0]) == write_plan(plans[1])
    for entry in ("margin", "decimals"):
        wrong: Any = {entry: True}
        with pytest.raises(ValueError, match=entry):
            replace(PLAN, **wrong)


def test_half_a_pixel_is_refused_by_row_and_column() -> None:
    frame = regions().assign(n_pixels=lambda table: table["n_pixels"].astype(float))
    frame.loc[3, "n_pixels"] = 1.5
    with pytest.raises(InputError, match=r"regions, row 4, column n_pixels: .*whole number"):
        run_plan(pd.DataFrame(), frame, PLAN)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n\n3,4\n", "scores, row 2: an empty line"),
        ("a,b\n", "a header but no row below it"),
        ("\na,b\n1,2\n", "a header is needed"),
    ],
)
def test_a_file_that_would_be_counted_wrongly_is_refused(
    tmp_path: Any, text: str, words: str
) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=words):
        read_table(path, "scores")


def test_empty_lines_at_the_end_of_a_file_are_nothing(tmp_path: Any) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("a,b\n1,2\n\n\n")
    assert read_table(path, "scores")["b"].tolist() == ["2"]
