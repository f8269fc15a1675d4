"""The statistician's results in a real browser: masked, behind a cell, figures, export, images."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Download, Page, expect

from readerstudy.conduct.services import do_launch, do_lock
from readerstudy.jobs.worker import run_pending
from readerstudy.studies.models import Study
from tests.factories import make_statistician
from tests.reading.imaged_study import make_imaged_study, read_to_the_end, session_of
from tests.reports.published import unblind

from .every_page import client_of
from .test_accessibility import violations

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
]

NAMES = ("double-fast", "triple-fast", "DLR-", "DLR_")


@pytest.fixture
def study() -> Study:
    """Read by two readers and locked."""
    study = make_imaged_study(volunteers=6, readers=2)
    do_launch(study, None, seed="results")
    for code in ("R1", "R2"):
        read_to_the_end(session_of(study, code))
    do_lock(study, None)
    study.refresh_from_db()
    return study


def text_of(download: Download) -> str:
    return Path(download.path()).read_text("utf-8-sig")


def no_name(page: Page) -> None:
    content = page.content()
    assert not [name for name in NAMES if name in content], page.url


def test_from_masked_tables_to_the_scores_behind_them_to_files_and_to_the_images(
    front_end: None, chromium: Browser, live_server: Any, study: Study
) -> None:
    statistician = make_statistician(study)
    cookie = client_of(statistician).cookies["sessionid"].value
    context = chromium.new_context(viewport={"width": 1280, "height": 720})
    context.set_default_timeout(60_000)
    context.add_cookies([{"name": "sessionid", "value": cookie, "url": live_server.url}])
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    root = f"{live_server.url}/studies/{study.slug}/results/"

    # Masked: tables, and by keyboard alone to what stands behind a cell.
    page.goto(root)
    no_name(page)
    assert violations(page) == []
    cell = page.locator("#table3 .cell-link").first
    cell.focus()
    expect(page.locator(".tip")).to_contain_text("n = 6, mean")
    shown = cell.inner_text()
    cell.press("Enter")
    expect(page.locator("caption")).to_have_text("Perceived SNR: A")
    expect(page.locator(".behind tbody tr")).to_have_count(6)
    medians = [float(t) for t in page.locator(".behind td:nth-child(2)").all_inner_texts()]
    assert shown.startswith(f"{sum(medians) / 6:.1f}")
    no_name(page)
    assert violations(page) == []

    # A digit leads to a page; a mark of the figure says its numbers to the keyboard.
    page.keyboard.press("7")
    page.wait_for_selector("#chart[data-ready='1']")
    no_name(page)
    page.locator("#chart .mark[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".tip")).to_contain_text("Perceived SNR, Arm B")
    page.select_option("#filter-reader", "R2")
    expect(page.locator("#figure")).to_contain_text("Scores of R2 alone")
    page.wait_for_selector("#chart[data-ready='1']")
    assert violations(page) == []
    with page.expect_download() as got:
        page.get_by_role("link", name="CSV of what is shown").click()
    rows = list(csv.DictReader(io.StringIO(text_of(got.value))))
    assert len(rows) == 6 * 5
    assert {row["arm"] for row in rows} == set("ABCDE")
    for name in ("scores", "differences"):
        page.goto(f"{root}figures/?figure={name}")
        page.wait_for_selector("#chart[data-ready='1']")
        assert page.locator("#chart .mark").count() > 10
    for part in ("tests", "agreement", "sensitivity", "readers", "volunteers"):
        page.goto(f"{root}{part}/")
        no_name(page)
        assert violations(page) == [], part

    # The bundle is made by the worker and taken away, with letters.
    page.goto(f"{root}export/")
    page.get_by_role("button", name="Make a bundle").click()
    run_pending()
    page.goto(f"{root}export/")
    with page.expect_download() as got:
        page.locator("#bundles a").first.click()
    assert got.value.suggested_filename == f"{study.slug}_masked_bundle.zip"

    # Named: letters stay, images open from the cell's page, the panel is cut by dragging.
    unblind(study)
    page.goto(root)
    letter = page.locator("#table3 thead .letter").first
    expect(letter).to_have_text(study.arm_letters["STD"])
    page.locator("#table3 .cell-link").first.click()
    page.locator(".behind a", has_text="images").first.click()
    page.wait_for_selector("#comparing[data-ready='1'][data-complete='1']")
    expect(page.locator(".panel dd").first).to_contain_text("standard")
    page.goto(f"{root}panels/")
    expect(page.locator(".paper-figure img").first).to_be_visible()
    assert violations(page) == []
    page.locator("#crop img").scroll_into_view_if_needed()
    box = page.locator("#crop img").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.25)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.5)
    page.mouse.up()
    # Half of 24 mm, a quarter of 48 mm.
    assert float(page.input_value("#id_width")) == pytest.approx(12, abs=0.6)
    assert float(page.input_value("#id_height")) == pytest.approx(12, abs=0.6)
    page.get_by_role("button", name="Show").click()
    with page.expect_download() as got:
        page.get_by_role("link", name="PNG, 300 dpi").first.click()
    assert Path(got.value.path()).read_bytes().startswith(b"\x89PNG")
    assert troubles == []
    context.close()
