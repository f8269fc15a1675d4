"""What leaves the platform."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from openpyxl import load_workbook

from analysis import read_plan
from readerstudy.accounts.models import User
from readerstudy.audit.models import Event
from readerstudy.reports import report as reports
from readerstudy.reports.bundles.contents import bundle, parts_of
from readerstudy.reports.exports import CSV_FILES, csv_file
from readerstudy.reports.report import masked_report, named_report
from readerstudy.studies.models import Study
from readerstudy.web.middleware import CONTENT_SECURITY_POLICY
from tests.factories import make_statistician
from tests.reports.published import ARMS, lock, make_published_study, unblind

pytestmark = pytest.mark.django_db

NOTICE = "Simulated acceleration: no accelerated scan was made"


@pytest.fixture
def study() -> Study:
    return make_published_study(notice=NOTICE)


@pytest.fixture
def statistician(study: Study, client: Client) -> User:
    user = make_statistician(study)
    client.force_login(user)
    return user


def unblinded(study: Study) -> Study:
    unblind(study, None, "reviewed")
    study.refresh_from_db()
    return study


def opened(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}


def test_the_bundle_is_the_same_by_page_and_command_on_another_day_in_another_zone(
    client: Client,
    study: Study,
    statistician: User,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unblinded(study)
    response: Any = client.get("/studies/published/results/bundle.zip")
    assert response["Content-Disposition"] == 'attachment; filename="published_bundle.zip"'
    event = Event.objects.get(action="reports.export.downloaded")
    assert event.new["sha256"] == hashlib.sha256(response.content).hexdigest()
    check_manifest(study, opened(response.content))
    # Nothing kept from before: everything is read, computed and drawn again.
    reports._kept.clear()
    monkeypatch.setattr("time.time", lambda: 4102444800.0)
    with timezone.override("Pacific/Auckland"):
        call_command("export", "Published tables", out=tmp_path, stdout=io.StringIO())
    assert (tmp_path / "published_bundle.zip").read_bytes() == response.content


def check_manifest(study: Study, files: dict[str, bytes]) -> None:
    """It holds the hash of every file, and what the bundle was made of."""
    sums = dict(
        reversed(line.split("  ")) for line in files.pop("SHA256SUMS").decode().splitlines()
    )
    assert sums == {n: hashlib.sha256(content).hexdigest() for n, content in files.items()}
    manifest = json.loads(files.pop("manifest.json"))
    assert set(manifest["files"]) == set(files)
    for name, content in files.items():
        assert manifest["files"][name]["sha256"] == hashlib.sha256(content).hexdigest(), name
    assert manifest["data_sha256"] == hashlib.sha256(files["data.json"]).hexdigest()
    assert manifest["plan_sha256"] == hashlib.sha256(files["plan_canonical.json"]).hexdigest()
    # The plan goes back in as it came out.
    assert read_plan(files["plan.json"].decode()) == named_report(study).plan
    event = Event.objects.get(action="reports.study.unblinded")
    assert manifest["audit_head"] == event.hash
    assert manifest["notice"] == NOTICE
    assert study.locked_at is not None
    assert study.unblinded_at is not None
    assert manifest["locked_at"] == study.locked_at.isoformat()
    assert manifest["unblinded_at"] == study.unblinded_at.isoformat()
    assert {"python", "readerstudy", "numpy", "scipy", "pyreadstat"} <= set(manifest["software"])
    assert {
        *CSV_FILES,
        "arms.csv",
        "readme.txt",
        "figures/figure3.svg",
        "figures/figure4.png",
    } <= set(files)
    assert files["figures/figure3.png"].startswith(b"\x89PNG")


def test_after_unblinding_the_letter_stays_beside_the_name(study: Study) -> None:
    unblinded(study)
    report = named_report(study)
    for row in csv.DictReader(io.StringIO(csv_file(report, "descriptives.csv").decode())):
        assert row["arm_name"] == ARMS[row["arm"]]
        assert row["letter"] == study.arm_letters[row["arm"]]
    for row in csv.DictReader(io.StringIO(csv_file(report, "tests.csv").decode())):
        assert (row["a_name"], row["b_name"]) == (ARMS[row["a"]], ARMS[row["b"]])
        assert row["b_letter"] == study.arm_letters[row["b"]]


def test_every_file_carries_the_notice(study: Study) -> None:
    files = opened(bundle(study, masked_report(study)))
    tables = {name: content for name, content in files.items() if name.endswith(".csv")}
    assert {*CSV_FILES, "shares.csv", "ratings_wide.csv", "tables/table3.csv"} <= set(tables)
    said = csv.DictReader(io.StringIO(tables.pop("dictionary.csv").decode()))
    described = {(row["table"], row["variable"]): row["label"] for row in said}
    sheets = load_workbook(io.BytesIO(files["results.xlsx"]), read_only=True).sheetnames
    for name, content in tables.items():
        if name.startswith("scripts/"):
            continue
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8"))))
        assert rows, name
        assert {row["notice"] for row in rows} == {NOTICE}, name
        if "/" not in name:
            # Every column has its line in the dictionary, every table its sheet.
            for column in rows[0]:
                assert described[name.removesuffix(".csv"), column], (name, column)
            short = {"ratings_long.csv": "ratings", "roi_long.csv": "roi"}
            short["ratings_wide.csv"] = "ratings wide"
            assert short.get(name, name.removesuffix(".csv")) in sheets
    assert NOTICE in files["readme.txt"].decode()


def test_a_study_without_a_notice_has_no_column_for_it() -> None:
    study = make_published_study("plain")
    heading = csv_file(masked_report(study), "tests.csv").decode().splitlines()[0]
    assert "notice" not in heading


def test_numbers_have_every_digit_and_missing_is_empty(study: Study) -> None:
    rows = list(
        csv.DictReader(io.StringIO(csv_file(masked_report(study), "derived_long.csv").decode()))
    )
    values = {
        (r["volunteer"], r["arm"], r["tissue"], r["metric"]): r["value"]
        for r in masked_report(study).results.derived.to_dict("records")
    }
    for row in rows:
        key = (row["volunteer"], row["arm"], row["tissue"], row["metric"])
        assert float(row["value"]) == values[key]
    cells = csv.DictReader(io.StringIO(csv_file(masked_report(study), "descriptives.csv").decode()))
    for row in cells:
        assert (row["share_at_least_3"] == "") == (row["metric"] != "score")
        assert not {"nan", "NaN", "None"} & set(row.values())


def test_a_text_that_looks_like_a_formula_is_not_one_in_a_spreadsheet() -> None:
    study = make_published_study("evil", notice='=HYPERLINK("http://example.org")', locked=False)
    protocol = study.protocol
    assert protocol is not None
    protocol["arms"][1]["name"] = "@SUM(A1:A9)"
    Study.objects.filter(pk=study.pk).update(protocol=protocol)
    lock(study)
    study.refresh_from_db()
    unblinded(study)
    makers = parts_of(study, named_report(study))["Data"]
    for name in [*CSV_FILES, "arms.csv"]:
        for row in csv.reader(io.StringIO(makers[name]().decode())):
            for cell in row:
                assert not cell.startswith(("=", "@", "+")), name
                if cell.startswith("-"):
                    float(cell)
    assert b"'@SUM(A1:A9)" in makers["arms.csv"]()


def test_downloads_are_named_after_the_study_and_recorded(
    client: Client, study: Study, statistician: User
) -> None:
    response: Any = client.get("/studies/published/results/files/table2.csv")
    assert response["Content-Disposition"] == 'attachment; filename="published_masked_table2.csv"'
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    event = Event.objects.get(action="reports.export.downloaded")
    assert event.actor == statistician
    assert event.new["file"] == "published_masked_table2.csv"
    assert event.new["masked"] is True
    assert event.new["sha256"] == hashlib.sha256(response.content).hexdigest()
    unblinded(study)
    response = client.get("/studies/published/results/figures/figure3.svg?download")
    assert response["Content-Disposition"] == 'attachment; filename="published_figure3.svg"'
    assert Event.objects.filter(action="reports.export.downloaded").count() == 2


def test_looking_at_the_page_and_its_figures_is_no_download(
    client: Client, statistician: User
) -> None:
    client.get("/studies/published/results/")
    shown = client.get("/studies/published/results/figures/figure3.png")
    assert "Content-Disposition" not in shown
    assert shown["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert not Event.objects.filter(action="reports.export.downloaded").exists()


def test_a_drawing_is_a_file_so_that_no_address_allows_inline_styles(
    client: Client, statistician: User
) -> None:
    """Shown by the browser, an SVG of matplotlib would need more than the site's policy allows."""
    response = client.get("/studies/published/results/figures/figure4.svg")
    assert response["Content-Type"] == "image/svg+xml"
    assert response["Content-Disposition"].startswith("attachment")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert b"<script" not in response.content
    assert Event.objects.filter(action="reports.export.downloaded").count() == 1


def test_the_command_refuses_a_study_that_is_not_locked(tmp_path: Path) -> None:
    make_published_study("open", locked=False)
    with pytest.raises(CommandError, match="Lock the study first"):
        call_command("export", "open", out=tmp_path)
    assert not list(tmp_path.glob("*.zip"))
