"""The published tables, from the spreadsheet to the downloaded file."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.test import Client

from tests.factories import make_statistician
from tests.reports.published import golden_rows, make_published_study, unblind

pytestmark = pytest.mark.django_db


def downloaded(client: Client, name: str) -> list[dict[str, str]]:
    response: Any = client.get(f"/studies/published/results/files/{name}")
    assert response.status_code == 200
    return list(csv.DictReader(io.StringIO(response.content.decode("utf-8"))))


@pytest.fixture
def statistician_client(client: Client) -> Client:
    """Signed in as the statistician of the published tables, imported, locked and unblinded."""
    study = make_published_study()
    statistician = make_statistician(study)
    unblind(study, statistician, "Masked tables reviewed.")
    client.force_login(statistician)
    return client


def test_every_mean_and_sd_of_the_download_is_the_published_one(
    statistician_client: Client,
) -> None:
    found = {
        (r["metric"], r["row"], r["arm"]): r
        for r in downloaded(statistician_client, "descriptives.csv")
    }
    expected = golden_rows("expected_descriptives.csv")
    assert len(found) == len(expected) == 85
    for row in expected:
        cell = found[row["metric"], row["row"], row["sequence"]]
        assert cell["n"] == "10"
        # The expected file prints means and SDs with up to four decimals.
        assert float(cell["mean"]) == pytest.approx(float(row["mean"]), abs=1e-9)
        assert round(float(cell["sd"]), 4) == pytest.approx(float(row["sd_ddof1"]), abs=1e-9)


def test_all_68_p_and_q_of_the_download_are_the_expected_ones(
    statistician_client: Client,
) -> None:
    found = {
        (r["metric"], r["row"], r["a"], r["b"]): r
        for r in downloaded(statistician_client, "tests.csv")
    }
    expected = golden_rows("expected_tests.csv")
    assert len(found) == len(expected) == 68
    for row in expected:
        test = found[row["metric"], row["row"], row["a"], row["b"]]
        assert float(test["p"]) == pytest.approx(float(row["p_exact"]), abs=1e-9)
        assert float(test["q"]) == pytest.approx(float(row["q_bh_row_m4"]), abs=1e-9)
        assert (int(test["n"]), int(test["n_nonzero"])) == (int(row["n"]), int(row["n_nonzero"]))
        assert float(test["w_plus"]) == float(row["w_plus_b_gt_a"])
        assert float(test["w_minus"]) == float(row["w_minus"])
        assert int(test["m"]) == 4


def test_the_wide_tables_hold_the_same_numbers(statistician_client: Client) -> None:
    wide = [
        *downloaded(statistician_client, "table2.csv"),
        *downloaded(statistician_client, "table3.csv"),
    ]
    by_row = {(r["metric"], r["row"]): r for r in wide}
    assert len(by_row) == 17
    for row in golden_rows("expected_tests.csv"):
        q = by_row[row["metric"], row["row"]][f"{row['a']}_v_{row['b']}_q"]
        assert float(q) == pytest.approx(float(row["q_bh_row_m4"]), abs=1e-9)
    for row in golden_rows("expected_descriptives.csv"):
        mean = by_row[row["metric"], row["row"]][f"{row['sequence']}_mean"]
        assert float(mean) == pytest.approx(float(row["mean"]), abs=1e-9)


def test_the_ratios_are_those_of_the_published_regions(statistician_client: Client) -> None:
    found = {
        (r["volunteer"], r["arm"], r["tissue"], r["metric"]): float(r["value"])
        for r in downloaded(statistician_client, "derived_long.csv")
    }
    expected = golden_rows("table2_snr_cnr_long.csv")
    assert len(found) == len(expected) == 550
    for row in expected:
        value = found[row["case"], row["sequence"], row["tissue"], row["metric"]]
        assert value == pytest.approx(float(row["value"]), abs=1e-6)


def test_the_raw_tables_leave_as_they_came(statistician_client: Client) -> None:
    ratings = {
        (r["volunteer"], r["arm"], r["reader"], r["criterion"]): r["score"]
        for r in downloaded(statistician_client, "ratings_long.csv")
    }
    assert ratings == {
        (r["case"], r["sequence"], r["reader"], r["criterion"]): r["score"]
        for r in golden_rows("table3_reader_scores_long.csv")
    }
    regions = {
        (r["volunteer"], r["arm"], r["tissue"]): (float(r["mean"]), float(r["sd"]))
        for r in downloaded(statistician_client, "roi_long.csv")
    }
    assert regions == {
        (r["case"], r["sequence"], r["roi"]): (float(r["mean"]), float(r["sd"]))
        for r in golden_rows("table2_roi_long.csv")
    }


def test_the_page_shows_the_printed_cells(statistician_client: Client) -> None:
    page = statistician_client.get("/studies/published/results/").content.decode()
    for text in ("111.3 ± 44.0", "123.0 ± 47.8", "3.0 ± 0.0"):
        assert text in page
    assert "zeros dropped" in page
    assert "(m = 4), α = .05; 10 pairs a comparison" in page
