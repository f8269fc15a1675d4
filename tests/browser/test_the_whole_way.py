"""A study from upload to tables, as its people do it: in a browser, with workers beside it.

On the parts that a hospital runs: PostgreSQL, RabbitMQ, an object store, two web processes, two
workers. On SQLite and a folder the same pages are walked by the other tests of this directory.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect

from analysis import AnalysisPlan, run_plan
from readerstudy.studies.templates_lumbar import CRITERIA as LUMBAR_CRITERIA

from .whole_site import PASSWORD, WholeSite, scans_zip, spread_site

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SLUG = "whole-way"
PEOPLE = {"coordinator": "cora@example.org", "reader": "rita@example.org"}
PEOPLE["statistician"] = "stan@example.org"
CRITERIA = 6
VOLUNTEERS = 2
ARMS = 5


@pytest.fixture
def site(front_end: None, tmp_path: Path, postgresql_address: str) -> Iterator[WholeSite]:
    with spread_site(tmp_path, postgresql_address) as site:
        yield site


def make_study(site: WholeSite) -> None:
    site.python(
        "from readerstudy.accounts.models import User\n"
        "from readerstudy.studies.services import do_add_member\n"
        "from readerstudy.studies.templates_lumbar import create_lumbar_study\n"
        f"study = create_lumbar_study({SLUG!r}, 'The whole way', None, notice='Simulated.')\n"
        f"for role, email in {PEOPLE!r}.items():\n"
        f"    user = User.objects.create_user(email, {PASSWORD!r}, name=role.title())\n"
        "    do_add_member(study, None, user, role)\n"
    )


def signed_in(browser: Browser, site: WholeSite, role: str) -> Page:
    context = browser.new_context(
        base_url=site.address, viewport={"width": 1280, "height": 720}, accept_downloads=True
    )
    page = context.new_page()
    page.goto("/accounts/login/")
    page.fill("input[name=login]", PEOPLE[role])
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/accounts/login" not in url)
    return page


def chosen_score(position: int, criterion: int) -> int:
    """Any rule will do, so long as it varies and the keyboard is what enters it."""
    return 1 + (3 * position + 2 * criterion + position * criterion) % 5


def score_every_item(page: Page) -> int:
    page.goto("/reading/")
    page.get_by_role("link", name="Start reading").click()
    page.get_by_role("button", name="Skip").click()  # the look at the display
    expect(page.locator("dialog[open]")).to_have_count(0)
    items = VOLUNTEERS * ARMS
    for position in range(1, items + 1):
        expect(page.locator("[data-position]")).to_have_text(f"Item {position} of {items}")
        page.wait_for_selector("#reading[data-ready='1'][data-loaded=true]", timeout=30_000)
        for criterion in range(CRITERIA):
            page.keyboard.press(str(chosen_score(position, criterion)))
        page.keyboard.press("Enter")
    page.wait_for_url("**/reading/session/**")
    return items


def stored_scores(site: WholeSite) -> pd.DataFrame:
    """Straight from the tables, by a query of the test's own."""
    printed = site.python(
        "import json\n"
        "from readerstudy.reading.models import ScoreRevision\n"
        "latest = {}\n"
        f"rows = ScoreRevision.objects.filter(item__session__study__slug={SLUG!r})\n"
        "for s in rows.order_by('revision'):\n"
        "    latest[s.item_id, s.criterion_id] = dict(volunteer=s.item.volunteer.code,\n"
        "        arm=s.item.arm.code, reader=s.item.session.reader_code,\n"
        "        criterion=s.criterion.code, score=s.value, position=s.item.position)\n"
        "print(json.dumps(list(latest.values())))"
    )
    return pd.DataFrame(json.loads(printed))


def test_a_study_goes_from_upload_to_tables(
    chromium: Browser, site: WholeSite, tmp_path: Path
) -> None:
    make_study(site)
    workers = [site.start_worker() for _ in range(2)]

    # The coordinator sends one zip; the worker de-identifies it and fills the derived arms.
    coordinator = signed_in(chromium, site, "coordinator")
    coordinator.goto(f"/studies/{SLUG}/uploads/")
    coordinator.set_input_files(
        "#upload input[type=file][multiple] >> nth=0",
        {"name": "scans.zip", "mimeType": "application/zip", "buffer": scans_zip(VOLUNTEERS)},
    )
    expect(coordinator.locator("#upload")).to_contain_text("Done", timeout=60_000)
    coordinator.goto(f"/studies/{SLUG}/readiness/")
    expect(coordinator.locator("td.cell-ok")).to_have_count(VOLUNTEERS * ARMS, timeout=400_000)

    # No series is read before somebody accepted it.
    coordinator.on("dialog", lambda dialog: dialog.accept())
    coordinator.get_by_role("button", name="Accept all that are ready").click()
    expect(coordinator.locator("body")).to_contain_text(f"{VOLUNTEERS * ARMS} series accepted")

    coordinator.goto(f"/studies/{SLUG}/launch/")
    coordinator.check("input[name=confirmed]")
    coordinator.get_by_role("button", name="Launch the study").click()
    expect(coordinator.locator("body")).to_contain_text("Reading")

    # The reader scores every item with the keyboard alone.
    reader = signed_in(chromium, site, "reader")
    items = score_every_item(reader)
    scores = stored_scores(site)
    assert len(scores) == items * CRITERIA
    order = [code for code, _name in LUMBAR_CRITERIA]
    for row in scores.itertuples():
        assert row.score == chosen_score(row.position, order.index(row.criterion))

    coordinator.goto(f"/studies/{SLUG}/lock/")
    coordinator.check("input[name=confirmed]")
    coordinator.get_by_role("button", name="Lock the study").click()

    # The statistician sees letters, opens the key, and takes the tables away.
    statistician = signed_in(chromium, site, "statistician")
    statistician.goto(f"/studies/{SLUG}/results/")
    masked = statistician.content()
    assert "DLR-double-fast" not in masked
    unblind(statistician)
    statistician.goto(f"/studies/{SLUG}/results/")
    expect(statistician.locator("body")).to_contain_text("DLR-double-fast")
    with statistician.expect_download() as download:
        statistician.get_by_role("link", name="tests.csv").first.click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text("utf-8-sig"))))

    plan = AnalysisPlan(
        arms=("STD", "DF", "DLR_DF", "TF", "DLR_TF"),
        control="STD",
        comparisons=(("DF", "DLR_DF"), ("TF", "DLR_TF"), ("STD", "DLR_DF"), ("STD", "DLR_TF")),
        criteria=tuple(order),
        tissues=(),
    )
    expected = run_plan(scores.drop(columns="position"), pd.DataFrame(), plan).tests
    assert len(rows) == len(expected) == CRITERIA * 4
    by_key = {(row["row"], row["a"], row["b"]): row for row in rows}
    for test in expected.itertuples():
        row = by_key[test.row, test.a, test.b]
        for column in ("n", "n_nonzero", "w_plus", "w_minus", "p", "q"):
            assert float(row[column]) == pytest.approx(getattr(test, column), abs=1e-12), column

    # Both parts were in use: jobs came as messages, images lie in the store alone.
    assert any("jobs.wake" in worker.output() for worker in workers)
    assert not (tmp_path / "var" / "storage").exists()
    assert "is sound" in site.manage("verify_audit")
    assert "are sound" in site.manage("verify_snapshot", SLUG)


def unblind(page: Page) -> None:
    """Sign the plan, then open the key under it; both ask for the password."""
    page.goto(f"/studies/{SLUG}/plan/sign/")
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Sign as").click()
    expect(page.locator("body")).to_contain_text("Version 1 of the analysis plan is signed")
    page.goto(f"/studies/{SLUG}/results/unblind/")
    page.fill("[name=reason]", "All scores are in; the plan stands.")
    page.check("[name=confirmed]")
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Unblind").click()
    expect(page.locator("body")).to_contain_text("The key is open")
