"""What a plan may ask for beside its tests: margin, sensitivity analyses, repeats."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis import (
    InputError,
    non_inferiority,
    ordinal_gee,
    rank_arms,
    repeatability,
    run_plan,
    vgc,
)
from tests.analysis.published_study import PLAN, regions, scores

NONE = pd.DataFrame()


def sharpness() -> pd.DataFrame:
    given = scores()
    medians = given[given["criterion"] == "sharpness"].groupby(["volunteer", "arm"])["score"]
    return medians.median().unstack()


def test_non_inferiority_is_decided_for_every_comparison_of_scores() -> None:
    found = run_plan(scores(), regions(), replace(PLAN, margin=0.5)).non_inferiority
    assert len(found) == 24
    row = found[(found["row"] == "sharpness") & (found["a"] == "STD") & (found["b"] == "DLR_DF")]
    wide = sharpness()
    direct = non_inferiority(wide["STD"], wide["DLR_DF"], 0.5)
    assert row["difference"].item() == pytest.approx(direct.value)
    assert row["non_inferior"].item() == direct.non_inferior
    assert ((found["low"] > -0.5) == found["non_inferior"]).all()
    assert run_plan(scores(), NONE, PLAN).non_inferiority.empty


def test_sensitivity_analyses_equal_their_functions() -> None:
    plan = replace(PLAN, sensitivity=("vgc", "ordinal_gee", "friedman"))
    found = run_plan(scores(), NONE, plan).sensitivity
    assert len(found[found["analysis"] == "vgc"]) == 24
    wide = sharpness()
    row = found[(found["row"] == "sharpness") & (found["a"] == "STD") & (found["b"] == "DLR_TF")]
    area = row[row["analysis"] == "vgc"]["value"].item()
    assert area == vgc(wide["STD"], wide["DLR_TF"], paired=True).value
    part = scores().query("criterion == 'sharpness'")
    fit = ordinal_gee(
        part["score"], part[["arm", "reader"]], part["volunteer"], reference={"arm": "STD"}
    )
    odds = row[row["analysis"] == "ordinal_gee"]["value"].item()
    assert odds == pytest.approx(fit.coefficient("arm DLR_TF v STD").odds_ratio.value)
    ranked = rank_arms(wide[list(PLAN.arms)], PLAN.arms)
    own = found[(found["analysis"] == "friedman") & (found["row"] == "sharpness")]
    assert own["p"].iloc[0] == ranked.p
    assert own["q"].notna().sum() == 10


def test_an_analysis_that_cannot_be_done_says_why() -> None:
    given = scores()
    given["score"] = given["score"].astype(float)
    given.loc[given["criterion"] == "overall", "score"] = 3.0
    results = run_plan(given, NONE, replace(PLAN, sensitivity=("ordinal_regression",)))
    assert "overall" not in set(results.sensitivity["row"])
    texts = [w.text for w in results.warnings if w.row == "overall" and "ordinal" in w.text]
    assert any("All scores are equal" in text for text in texts)


def with_repeats() -> pd.DataFrame:
    first = scores().assign(occasion=1)
    again = first[first["volunteer"].isin(["V01", "V02", "V03", "V04"])].assign(occasion=2)
    again["score"] = np.where(again.index % 3 == 0, (again["score"] % 5) + 1, again["score"])
    return pd.concat([first, again], ignore_index=True)


def test_hidden_repeats_give_repeatability_and_never_enter_a_table() -> None:
    plan = replace(PLAN, agreement=("repeatability",))
    results = run_plan(with_repeats(), NONE, plan)
    plain = run_plan(scores(), NONE, plan)
    assert results.tests.equals(plain.tests)
    assert results.descriptives.equals(plain.descriptives)
    found = results.agreement
    assert len(found) == 6 * 3 * 2
    given = with_repeats().query("criterion == 'overall' and reader == 'R2'")
    pairs = given.pivot(index=["volunteer", "arm"], columns="occasion", values="score")
    wanted = repeatability(pairs).value
    name = "repeatability coefficient, 1.96 sqrt(2) within-subject SD, repeats of R2"
    row = found[(found["criterion"] == "overall") & (found["statistic"] == name)]
    assert row["value"].item() == pytest.approx(wanted)
    assert row["n"].item() == 20


def test_a_study_without_repeats_says_so() -> None:
    plan = replace(PLAN, agreement=("repeatability",))
    results = run_plan(scores(), NONE, plan)
    assert results.agreement.empty
    assert sum("no second reading" in w.text for w in results.warnings) == 6


def test_a_wrong_occasion_is_refused_by_row_and_column() -> None:
    wrong = scores().assign(occasion=1.0)
    wrong.loc[8, "occasion"] = 1.5
    with pytest.raises(InputError, match="scores, row 9, column occasion"):
        run_plan(wrong, NONE, PLAN)
    with pytest.raises(InputError, match="there twice"):
        run_plan(pd.concat([with_repeats(), with_repeats().iloc[[0]]]), NONE, PLAN)


def test_every_agreement_statistic_can_be_asked_for() -> None:
    names = ("cohen_kappa", "fleiss_kappa", "kendall_w", "icc")
    found = run_plan(scores(), NONE, replace(PLAN, agreement=names)).agreement
    # Three pairs of readers for kappa, one row each for the others.
    assert (found.groupby("criterion").size() == 6).all()
    assert found["value"].notna().all()
    one = scores().query("reader == 'R1'")
    alone = run_plan(one, NONE, replace(PLAN, agreement=names))
    assert alone.agreement.empty
    assert sum("two readers" in warning.text for warning in alone.warnings) == 24
