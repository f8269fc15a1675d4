"""Studies with a part missing: what is there is shown, what is not is said."""

from __future__ import annotations

import pytest
from django.test import Client

from readerstudy.conduct.imports import do_import_study_tables
from readerstudy.studies.tables import TableFile
from tests.factories import make_statistician, make_study
from tests.reports.published import REGIONS, SCORES, golden_file, lock, unblind

pytestmark = pytest.mark.django_db

PAGE = "/studies/part/results/"
FILES = ("files/table2.csv", "files/tests.csv", "files/roi_long.csv", "bundle.zip")


def shown(client: Client, **files: TableFile) -> str:
    """The page after unblinding of a study with these tables alone; its files open too."""
    study = make_study("part", "Part of a study")
    do_import_study_tables(study, None, **files)
    lock(study)
    statistician = make_statistician(study)
    client.force_login(statistician)
    assert client.get(PAGE).status_code == 200
    unblind(study, statistician, "reviewed")
    for path in FILES:
        assert client.get(PAGE + path).status_code == 200, path
    return client.get(PAGE).content.decode()


def few_lines(name: str, keep: int) -> TableFile:
    lines = golden_file(name).content.splitlines(keepends=True)
    return TableFile(name, b"".join(lines[:keep]))


def test_scores_alone_give_table_3_and_say_that_table_2_is_missing(client: Client) -> None:
    page = shown(client, scores=golden_file(SCORES))
    assert "No region was measured: there is no Table 2." in page
    assert "Table 3. Image quality scores" in page
    assert client.get(PAGE + "figures/figure3.svg").status_code == 404
    assert client.get(PAGE + "figures/figure4.svg").status_code == 200


def test_a_comparison_without_a_pair_has_a_dash_and_a_footnote(client: Client) -> None:
    # The first volunteer's first arm alone: no pair exists for any comparison.
    page = shown(client, scores=few_lines(SCORES, 19), regions=few_lines(REGIONS, 8))
    assert "No volunteer has a value in both arms: no test was done." in page
    assert "138.1 ± –" in page


def test_missing_scores_are_counted_beside_the_number(client: Client) -> None:
    lines = golden_file(SCORES).content.decode().splitlines()
    kept = [line for line in lines if not line.startswith("V03,DF,R2,sharpness")]
    assert len(kept) == len(lines) - 1
    page = shown(client, scores=TableFile(SCORES, "\n".join(kept).encode()))
    assert "1 volunteer lacks the score of at least one of 3 readers" in page
