"""Bad input: what the plan rules is done and said, anything else is refused by row and column."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import AnalysisPlan, InputError, Results, run_plan
from analysis.csv_input import read_table
from analysis.example import example_study
from tests.analysis.published_study import PLAN, regions, scores

NONE = pd.DataFrame()
STUDY = example_study()


def said(results: Results) -> list[str]:
    return [warning.text for warning in results.warnings]


def refusal(
    frame: pd.DataFrame,
    rois: pd.DataFrame = NONE,
    plan: AnalysisPlan = PLAN,
    **tables: pd.DataFrame,
) -> str:
    with pytest.raises(InputError) as caught:
        run_plan(frame, rois, plan, **tables)  # type: ignore[arg-type]
    return str(caught.value)


def never_a_silent_nan(results: Results) -> None:
    """Every test without p has a warning of its own."""
    for test in results.tests[results.tests["p"].isna()].itertuples():
        pair = f"{test.a} v {test.b}"
        assert any(w.row == test.row and w.comparison == pair for w in results.warnings)


def test_missing_scores_follow_the_rule_and_are_named_by_row_and_column() -> None:
    given = scores().astype({"score": "float64"})
    given.loc[[3, 40], "score"] = np.nan
    for rule, words in (("available", "over the readers who scored"), ("complete", "left out, as")):
        results = run_plan(given, NONE, replace(PLAN, missing=rule))
        (text,) = [t for t in said(results) if "row 4, column score" in t]
        assert text.startswith("1 volunteer lacks the score of at least one of 3 readers (V02;")
        assert words in text
        assert any("row 41, column score" in t for t in said(results))
        never_a_silent_nan(results)


def test_a_reader_who_stopped_is_counted_in_every_arm_and_criterion() -> None:
    given = scores()
    stopped = (given["reader"] == "R3") & (given["volunteer"] >= "V04")
    results = run_plan(given[~stopped], NONE, PLAN)
    texts = [text for text in said(results) if "at least one of 3 readers" in text]
    assert len(texts) == 30
    assert texts[0].startswith("7 volunteers lack the score of at least one of 3 readers (V04,")
    assert "and 2 more" in texts[0]
    assert (results.tests["n"] == 10).all()
    left_out = run_plan(given[~stopped], NONE, replace(PLAN, missing="complete"))
    assert (left_out.tests["n"] == 3).all()
    # Too few and missing are two findings, each said.
    pair = [w.text for w in left_out.warnings if w.comparison == "DF v DLR_DF"]
    assert any(text.startswith("7 volunteers lack a value") for text in pair)
    assert any("smallest p" in text for text in pair)


def test_a_score_of_six_is_refused() -> None:
    given = scores()
    given.loc[11, "score"] = 6
    wanted = "scores, row 12, column score: 6 lies outside the scale from 1 to 5."
    assert refusal(given) == wanted


def test_text_in_a_column_of_numbers_is_refused() -> None:
    for value in ("good", "3,5", "4 ?", "inf"):
        given = scores().astype({"score": "object"})
        given.loc[6, "score"] = value
        assert refusal(given) == f'scores, row 7, column score: "{value}" is not a number.'
    rois = regions().astype({"mean": "object"})
    rois.loc[9, "mean"] = "bright"
    assert refusal(NONE, rois) == 'regions, row 10, column mean: "bright" is not a number.'


def test_duplicate_rows_are_refused_with_both_places() -> None:
    given = pd.concat([scores(), scores().iloc[[20]]])
    assert refusal(given).startswith("scores, row 901:")
    assert refusal(given).endswith("(volunteer, arm, reader, criterion as in row 21).")
    rois = pd.concat([regions(), regions().iloc[[0]]])
    words = "is there twice (volunteer, arm, tissue as in row 1)."
    assert refusal(NONE, rois).endswith(words)


@pytest.mark.parametrize(
    ("column", "value"), [("arm", "QUAD"), ("criterion", "beauty"), ("arm", "DF ")]
)
def test_an_unknown_arm_or_criterion_is_refused(column: str, value: str) -> None:
    given = scores()
    given.loc[4, column] = value
    assert refusal(given).startswith(f'scores, row 5, column {column}: "{value}" ')


def test_a_code_with_a_space_at_its_edge_is_refused_where_it_would_make_a_new_volunteer() -> None:
    given = scores()
    given.loc[4, "volunteer"] = "V02 "
    words = 'scores, row 5, column volunteer: "V02 " begins or ends with a space.'
    assert refusal(given) == words
    given.loc[4, "volunteer"] = ""
    assert refusal(given) == "scores, row 5, column volunteer: empty."


def test_fewer_than_six_pairs_that_differ_are_said() -> None:
    results = run_plan(scores(), NONE, PLAN)
    few = results.tests[(results.tests["n_nonzero"] < 6) & (results.tests["n_nonzero"] > 0)]
    assert len(few) == 10
    for test in few.itertuples():
        (text,) = [
            w.text
            for w in results.warnings
            if (w.row, w.comparison) == (test.row, f"{test.a} v {test.b}")
        ]
        assert text.startswith(f"Only {test.n_nonzero} of 10 pairs")
        assert "could not reach .05" in text


def test_differences_that_are_all_zero_give_p_one_and_say_so() -> None:
    given = scores().assign(score=3)
    results = run_plan(given, NONE, replace(PLAN, margin=0.5))
    assert (results.tests["p"] == 1).all()
    assert (results.tests["q"] == 1).all()
    assert said(results).count("All 10 differences are zero: p is 1 by definition.") == 24
    # Non-inferiority is decided, but with a warning: an interval of no width is not certainty.
    assert results.non_inferiority["non_inferior"].all()
    assert sum("the interval has no width" in text for text in said(results)) == 24
    never_a_silent_nan(results)


def test_one_reader_only_gives_tests_but_no_agreement() -> None:
    one = scores().query("reader == 'R1'")
    results = run_plan(one, NONE, PLAN)
    assert results.tests["p"].notna().all()
    assert results.agreement.empty
    texts = [text for text in said(results) if "at least two readers" in text]
    assert len(texts) == 6 * 3


def test_no_repeats_are_said_where_repeatability_was_asked_for() -> None:
    results = run_plan(scores(), NONE, replace(PLAN, agreement=("repeatability",)))
    assert sum("no second reading" in text for text in said(results)) == 6


def test_a_region_without_pixels_or_with_none_given_is_refused() -> None:
    rois = regions().astype({"n_pixels": "object"})
    rois.loc[2, "n_pixels"] = 0
    assert refusal(NONE, rois) == "regions, row 3, column n_pixels: the region holds no pixels."
    rois.loc[2, "n_pixels"] = None
    assert refusal(NONE, rois) == "regions, row 3, column n_pixels: empty."


def test_a_missing_mean_leaves_one_value_out_and_says_where() -> None:
    rois = regions()
    rois.loc[2, ["mean", "sd"]] = np.nan
    results = run_plan(NONE, rois, PLAN)
    volunteer, arm, tissue = rois.loc[2, ["volunteer", "arm", "tissue"]]
    found = [w for w in results.warnings if w.row == tissue and w.arm == arm]
    assert {w.metric for w in found} == {"SNR", "CNR"}
    assert all(f"No value for {volunteer}" in w.text for w in found)


def test_an_sd_of_air_of_zero_is_named_by_row_and_column() -> None:
    rois = regions()
    air = (rois["volunteer"] == "V05") & (rois["arm"] == "TF") & (rois["tissue"] == "air")
    rois.loc[air, "sd"] = 0
    row = int(np.flatnonzero(air)[0]) + 1
    results = run_plan(NONE, rois, PLAN)
    words = f"No value for V05 (regions, row {row}, column sd): the SD that the noise is estimated"
    assert sum(text.startswith(words) for text in said(results)) == 11
    assert results.derived["value"].isna().sum() == 11
    rois.loc[air, "sd"] = -1
    assert refusal(NONE, rois) == f"regions, row {row}, column sd: an SD cannot be negative."


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("chosen", "FASTER", 'choices, row 1, column chosen: "FASTER" is neither "'),
        ("first", "QUAD", 'choices, row 1, column first: "QUAD" is not in the plan'),
        ("criterion", "beauty", 'choices, row 1, column criterion: "beauty" is not in the plan'),
        ("reader", None, "choices, row 1, column reader: empty."),
        ("second", "same", "choices, row 1, column second: an arm is shown beside itself."),
    ],
)
def test_a_wrong_choice_is_refused(column: str, value: str | None, words: str) -> None:
    given = STUDY.choices.copy()
    given.loc[0, column] = given.loc[0, "first"] if value == "same" else value
    assert refusal(NONE, plan=STUDY.plan, choices=given).startswith(words)


def test_a_choice_shown_the_other_way_round_is_the_same_choice() -> None:
    given = pd.concat([STUDY.choices, STUDY.choices.iloc[[0]]], ignore_index=True)
    last = len(given) - 1
    given.loc[last, ["first", "second"]] = given.loc[0, ["second", "first"]].to_list()
    assert refusal(NONE, plan=STUDY.plan, choices=given).startswith(f"choices, row {last + 1}:")


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("rank", 4, "rankings, row 1, column rank: a rank lies from 1 (best) to 3"),
        ("rank", "first", 'rankings, row 1, column rank: "first" is not a number.'),
        ("arm", "QUAD", 'rankings, row 1, column arm: "QUAD" is not in the plan'),
        ("arm", "FAST", "rankings, row 2: V01, R1, overall, FAST is there twice"),
    ],
)
def test_a_wrong_rank_is_refused(column: str, value: object, words: str) -> None:
    given = STUDY.rankings.astype({"rank": "object"})
    given.loc[0, column] = value
    assert refusal(NONE, plan=STUDY.plan, rankings=given).startswith(words)


def test_a_file_with_semicolons_says_how_to_save_it(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("volunteer;arm;score\nV1;A;3,5\n", encoding="utf-8")
    with pytest.raises(InputError, match="separates its fields by semicolons; save it with commas"):
        read_table(path, "scores")
