"""Other noise estimates and contrasts beside the plan's own, on the published regions."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis import run_plan
from analysis.publication import publication_tables
from tests.analysis.published_study import PLAN, regions

NONE = pd.DataFrame()
RESULTS = run_plan(NONE, regions(), PLAN)


def measured(volunteer: str, arm: str, tissue: str) -> pd.Series:
    rois = regions()
    chosen = (rois["volunteer"] == volunteer) & (rois["arm"] == arm) & (rois["tissue"] == tissue)
    return rois[chosen].iloc[0]


def test_every_value_beside_follows_its_formula() -> None:
    values = RESULTS.beside_values.set_index(["volunteer", "arm", "tissue", "metric"])["value"]
    fat, muscle = measured("V03", "DF", "fat"), measured("V03", "DF", "muscle")
    pooled = np.sqrt((fat["sd"] ** 2 + muscle["sd"] ** 2) / 2)
    for metric, wanted in {
        "SNR": fat["mean"] / fat["sd"],
        "CNR": (fat["mean"] - muscle["mean"]) / pooled,
        "contrast ratio": (fat["mean"] - muscle["mean"]) / muscle["mean"],
        "contrast difference": fat["mean"] - muscle["mean"],
    }.items():
        assert values["V03", "DF", "fat", metric] == pytest.approx(wanted), metric
    # Six tissues of SNR, five against muscle for each of the others, in 50 images.
    assert len(RESULTS.beside_values) == 50 * (6 + 5 + 5 + 5)
    assert len(RESULTS.beside) == 21 * 5


def test_the_planned_table_is_not_touched_by_what_stands_beside_it() -> None:
    alone = run_plan(NONE, regions(), replace(PLAN, beside=()))
    assert alone.beside.empty
    pd.testing.assert_frame_equal(alone.tests, RESULTS.tests)
    pd.testing.assert_frame_equal(alone.derived, RESULTS.derived)
    assert alone.warnings == RESULTS.warnings


def test_a_quieter_background_alone_gains_over_air_and_nowhere_else() -> None:
    quiet = regions()
    quiet.loc[(quiet["arm"] == "DLR_DF") & (quiet["tissue"] == "air"), "sd"] /= 2
    # Everything but the air is that of DF.
    for column in ("mean", "sd"):
        source = quiet[quiet["arm"] == "DF"].set_index(["volunteer", "tissue"])[column]
        own = (quiet["arm"] == "DLR_DF") & (quiet["tissue"] != "air")
        keys = pd.MultiIndex.from_frame(quiet.loc[own, ["volunteer", "tissue"]])
        quiet.loc[own, column] = source.reindex(keys).to_numpy()
    gains = run_plan(NONE, quiet, PLAN).gains
    gains = gains[(gains["a"] == "DF") & (gains["b"] == "DLR_DF")]
    air = gains["noise_estimate"] == "air_sd"
    assert (gains.loc[air, "gain"] > 1.5).all()
    np.testing.assert_allclose(gains.loc[~air, "gain"], 1.0)


def test_the_gain_is_the_geometric_mean_of_the_volunteers_factors() -> None:
    derived = RESULTS.derived.query("metric == 'SNR' and tissue == 'fat'")
    wide = derived.pivot(index="volunteer", columns="arm", values="value")
    factors = wide["DLR_DF"] / wide["DF"]
    row = RESULTS.gains.query("metric == 'SNR' and noise_estimate == 'air_sd' and row == 'fat'")
    row = row[(row["a"] == "DF") & (row["b"] == "DLR_DF")].iloc[0]
    assert row["gain"] == pytest.approx(np.exp(np.log(factors).mean()))
    assert (row["lowest"], row["highest"]) == (factors.min(), factors.max())


def test_the_difference_of_two_acquisitions_is_shown_where_it_was_measured() -> None:
    def notes(results: object) -> str:
        tables = {table.name: table for table in publication_tables(results)}  # type: ignore[arg-type]
        return " ".join(tables["table2_beside"].notes)

    assert "Not shown, because it was not measured: noise of two acquisitions." in notes(RESULTS)
    given = regions().assign(sd_difference=lambda rows: 1.5 * rows["sd"])
    found = run_plan(NONE, given, PLAN)
    assert "difference" in set(found.beside["noise_estimate"])
    assert "not measured" not in notes(found)


def test_a_negative_contrast_has_no_gain_rather_than_a_wrong_one() -> None:
    given = regions()
    dark = (given["volunteer"] == "V01") & (given["arm"] == "DF") & (given["tissue"] == "disc")
    given.loc[dark, "mean"] = 1.0
    gains = run_plan(NONE, given, PLAN).gains.query("row == 'disc' and a == 'DF'")
    assert gains.loc[gains["metric"] != "SNR", "gain"].isna().all()
    assert gains.loc[gains["metric"] == "SNR", "gain"].notna().all()
