"""The coordinator's desk in a real browser, a worker beside it: from an empty site to a launch.

A study is designed from the template, scans are dropped on the page and their sending is broken off
by a reload, an arm that does not fit is replaced, seven regions are placed, every series is
accepted, and the study is launched.
"""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from readerstudy.demo.scans import volunteer_zip
from readerstudy.demo.sources import load_sources
from tests.chromium import EXPECT_MS

from .whole_site import PASSWORD, WholeSite, serving_site

pytestmark = [pytest.mark.browser, pytest.mark.slow]

COORDINATOR = "cora@example.org"
SLUG = "fast-lumbar"
REGIONS = 7
ARMS = 5
VOLUNTEERS = ("V01", "V02")
SERIES = ARMS * len(VOLUNTEERS)
SLOW = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 6_000_000}


@pytest.fixture
def site(front_end: None, tmp_path: Path) -> Iterator[WholeSite]:
    with serving_site(tmp_path) as site:
        yield site


@pytest.fixture
def page(chromium: Browser, site: WholeSite) -> Iterator[Page]:
    site.python(
        "from readerstudy.accounts.models import User\n"
        f"User.objects.create_superuser({COORDINATOR!r}, {PASSWORD!r}, name='Cora')\n"
    )
    context = chromium.new_context(
        base_url=site.address, viewport={"width": 1280, "height": 720}, locale="en-GB"
    )
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "console",
        lambda said: troubles.append(said.text) if "Content Security" in said.text else None,
    )
    page.on("dialog", lambda dialog: dialog.accept())
    expect.set_options(timeout=20_000)  # a worker shares the machine with the browser
    page.goto("/accounts/login/")
    page.fill("input[name=login]", COORDINATOR)
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/accounts/login" not in url)
    yield page
    expect.set_options(timeout=EXPECT_MS)
    assert troubles == []
    context.close()


def scans(
    path: Path,
    volunteers: tuple[str, ...],
    arms: tuple[str, ...] = ("STD", "DF", "TF"),
    *,
    wrong: bool = False,
    padding: int = 0,
) -> Path:
    """A zip with these arms of these volunteers. `wrong`: in V01's triple-fast one the body has
    moved, and V02's has another matrix.

    `padding` is the size of a file that is no scan, so that the zip is long under way.
    """
    with zipfile.ZipFile(path, "w") as archive:
        for index, (code, source) in enumerate(zip(volunteers, load_sources(), strict=False)):
            noise = np.random.default_rng(index)
            volumes = {}
            for arm in arms:
                left = 130 + (12 if wrong and (code, arm) == ("V01", "TF") else 0)
                right = left + (96 if wrong and (code, arm) == ("V02", "TF") else 128)
                crop = source.volume[2:4, 200:328, left:right].astype(np.float32)
                sigma = float(crop.max()) * (0.01 if arm == "STD" else 0.02)
                drawn = noise.normal(0, sigma, (2, *crop.shape)).astype(np.float32)
                volumes[arm] = np.hypot(crop + drawn[0], drawn[1])
            made = volunteer_zip(
                volumes,
                volunteer_code=code,
                volunteer_index=index,
                spacing_mm=source.spacing_mm,
            )
            with zipfile.ZipFile(io.BytesIO(made)) as one:
                for name in one.namelist():
                    archive.writestr(name, one.read(name))
        if padding:
            archive.writestr("protocol.bin", os.urandom(padding))
    return path


def drop(page: Page, file: Path) -> None:
    """Drag a file from the desk of the computer onto the page, as the browser itself does it."""
    page.wait_for_selector("#upload[data-ready='1']")
    zone = page.locator(".dropzone")
    zone.scroll_into_view_if_needed()
    box = zone.bounding_box()
    assert box is not None
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
    browser = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        browser.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})
    browser.detach()


def design_a_study(page: Page) -> None:
    """From the template, by form: cheap methods, one more strength, slices, planned numbers."""
    page.goto("/studies/new/")
    page.get_by_role("radio", name="The lumbar protocol").check()
    page.get_by_role("textbox", name="Title").fill("Fast lumbar")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/studies/{SLUG}/design/")
    form = page.locator("#design[data-ready='1']")
    expect(form).to_be_visible()
    for arm in (2, 4):
        page.locator(f"#arms-{arm}-method").select_option("wavelet")
        page.locator(f"#arms-{arm}-strength").select_option("blend")
        page.locator(f"#arms-{arm}-value").fill("0,5")
    page.locator("#tissues-5-slice_rule").select_option("paramedian")
    page.locator("#reading-may_go_back").uncheck()
    page.locator("#planning-volunteers").fill("20")
    page.locator("#planning-difference").fill("0.8")
    page.locator("#planning-sd").fill("a lot")

    # A name typed shows in every list of arms; a row comes and goes by keyboard, its place kept.
    page.locator("#arms-1-name").fill("two-fold")
    expect(page.locator("#comparisons-0-first option:checked")).to_have_text("two-fold")
    page.locator("#add-criteria").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#criteria-6-name")).to_be_focused()
    page.keyboard.type("Speed")
    page.locator("#up-criteria-6").focus()
    page.keyboard.press("Space")
    expect(page.locator("#up-criteria-5")).to_be_focused()
    expect(page.locator("#criteria-5-name")).to_have_value("Speed")
    page.locator("#remove-criteria-5").press("Enter")
    expect(page.locator("#criteria-6-name")).to_have_count(0)

    # What is wrong is told at its place, and all that was typed stands.
    page.locator("#arms-1-name").press("Enter")
    expect(page.locator("#faults")).to_be_focused()
    page.locator("#faults a").first.click()
    expect(page.locator("#planning-sd")).to_be_focused()
    expect(page.locator("#planning-sd")).to_have_value("a lot")
    expect(page.locator("#arms-1-name")).to_have_value("two-fold")
    page.locator("#planning-sd").fill("0.9")
    page.get_by_role("button", name="Show the power").click()
    expect(page.locator("[data-power]")).to_contain_text("%")
    expect(page.locator("#power")).to_contain_text("0.05 / 4 = 0.0125")
    page.get_by_role("button", name="Save the design").click()
    expect(page.get_by_text("The design is saved.")).to_be_visible()
    expect(page.locator("#arms-1-name")).to_have_value("two-fold")


def invite(page: Page, role: str) -> None:
    page.goto(f"/studies/{SLUG}/members/")
    page.get_by_role("textbox", name="E-mail").fill(f"{role}@example.org")
    page.get_by_label("Role").select_option(role)
    page.get_by_role("button", name="Invite").click()
    expect(page.locator("#invitation-link")).to_be_visible()


def send_across_a_reload(page: Page, file: Path) -> None:
    """Paused after the first piece, and the page loaded anew: the same file goes on, not again."""
    page.goto(f"/studies/{SLUG}/uploads/")
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", SLOW)
    drop(page, file)
    told = page.locator(".upload-list [role=status]").first
    # More than one piece of 8.4 MB has left, so one has arrived.
    expect(told).to_have_text(re.compile(r"Sending: (9|1\d)\.\d MB of .*"), timeout=30_000)
    page.get_by_role("button", name="Pause").click()
    expect(told).to_contain_text("Paused")
    network.send("Network.emulateNetworkConditions", {**SLOW, "uploadThroughput": -1})
    network.detach()
    page.reload()
    expect(told).to_contain_text("Not finished: ")
    sent: list[int] = []
    page.on(
        "request",
        lambda request: (
            sent.append(int(request.headers["upload-offset"]))
            if request.method == "PATCH"
            else None
        ),
    )
    drop(page, file)
    expect(told).to_contain_text("Done", timeout=60_000)
    assert sent, "Nothing was sent after the reload."
    assert min(sent) >= 8 * 1024 * 1024, "What had arrived was sent again."
    expect(page.locator(".upload-refusals")).to_contain_text("protocol.bin")


def replace_what_does_not_fit(page: Page, file: Path) -> None:
    """One volunteer had moved before the triple-fast scan, the other's has another matrix: the desk
    says so, shows them beside the control, and takes other scans in their place."""
    page.goto(f"/studies/{SLUG}/readiness/")
    moved = page.locator("td.cell", has_text="off the control")
    expect(moved.first).to_contain_text("Lies ", timeout=60_000)
    expect(page.get_by_text("V01 triple-fast: Lies")).to_be_visible()
    differs = page.locator("td.cell-bad")
    expect(differs).to_have_count(1)
    expect(differs).to_contain_text("matrix 128 × 96 instead of 128 × 128")
    expect(differs.locator("img")).to_be_visible()
    expect(page.locator("td.cell-none")).to_contain_text("Waits for triple-fast")
    page.goto(f"/studies/{SLUG}/readiness/volunteers/V02/")
    page.wait_for_selector("#comparing[data-complete='1']")
    expect(page.get_by_text("triple-fast (resampled)")).to_be_visible()
    expect(page.get_by_role("button", name="Accept triple-fast")).to_have_count(0)
    page.goto(f"/studies/{SLUG}/readiness/")
    differs.get_by_role("button", name="Delete to replace").click()
    expect(page.get_by_text("triple-fast of V02 was deleted.")).to_be_visible()
    page.goto(f"/studies/{SLUG}/uploads/")
    page.get_by_role("button", name="Delete triple-fast of V01", exact=True).click()
    expect(page.get_by_role("button", name="Delete triple-fast of V01")).to_have_count(0)
    drop(page, file)
    told = page.locator(".upload-list [role=status]").first
    expect(told).to_contain_text("none refused", timeout=60_000)
    page.goto(f"/studies/{SLUG}/readiness/")
    expect(page.locator("td.cell-ok")).to_have_count(SERIES, timeout=90_000)
    expect(page.locator("td.cell", has_text="mm off")).to_have_count(
        SERIES - len(VOLUNTEERS), timeout=60_000
    )
    expect(moved).to_have_count(0)


def place_seven_regions(page: Page) -> None:
    """By keyboard alone, on the control, without a figure until they are frozen."""
    page.goto(f"/studies/{SLUG}/regions/")
    page.get_by_role("link", name="V01", exact=True).click()
    page.wait_for_selector("#measuring[data-ready='1']")
    for number in range(1, REGIONS + 1):
        page.keyboard.press(str(number))
        page.keyboard.press("Enter")
        for _ in range(number):
            page.keyboard.press("Shift+ArrowDown" if number % 2 else "Shift+ArrowRight")
    expect(page.locator("[data-placed]")).to_have_text("7 of 7 regions placed")
    expect(page.locator("[data-save-text]")).to_have_text("All regions saved")
    expect(page.locator("[data-figures]")).to_be_hidden()
    page.get_by_role("button", name="Freeze and show the figures").click()
    page.wait_for_selector("#measuring[data-ready='1']")
    expect(page.locator("[data-figures] tbody tr")).to_have_count(ARMS)


def launch(page: Page) -> None:
    page.goto(f"/studies/{SLUG}/launch/")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Launch the study").click()
    expect(page.get_by_text("The study is launched")).to_be_visible()
    # The design has become a protocol with a hash; its page shows the versions.
    page.get_by_role("navigation", name="Study").get_by_role("link", name="Design").click()
    expect(page.get_by_text("Version 1")).to_be_visible()
    expect(page.get_by_role("button", name="Save as version 2")).to_be_visible()


def test_a_coordinator_brings_a_study_from_nothing_to_its_launch(
    page: Page, site: WholeSite, tmp_path: Path
) -> None:
    site.start_worker()
    first = scans(tmp_path / "scans.zip", VOLUNTEERS, wrong=True, padding=20_000_000)
    right = scans(tmp_path / "again.zip", VOLUNTEERS, ("TF",))

    design_a_study(page)
    invite(page, "reader")
    send_across_a_reload(page, first)
    replace_what_does_not_fit(page, right)
    place_seven_regions(page)
    page.goto(f"/studies/{SLUG}/readiness/")
    page.get_by_role("button", name="Accept all that are ready").click()
    expect(page.get_by_text(f"{SERIES} series accepted")).to_be_visible()
    launch(page)

    frozen = json.loads(
        site.python(
            "import json\n"
            "from readerstudy.studies.models import Study\n"
            "from readerstudy.measurements.models import Measurement\n"
            "study = Study.objects.get()\n"
            "cells = set(Measurement.objects.values_list('tissue__code', 'arm__code'))\n"
            "print(json.dumps([study.state, study.protocol, len(cells)]))"
        )
    )
    state, protocol, measured = frozen
    assert state == "reading"
    assert measured == REGIONS * ARMS
    assert {t["code"]: t["slice_rule"] for t in protocol["tissues"]}["muscle"] == "paramedian"
    recipe = {"method": "wavelet", "strength": {"kind": "blend", "value": 0.5}}
    assert [arm["recipe"] for arm in protocol["arms"]] == [{}, {}, recipe, {}, recipe]
    assert protocol["planning"]["volunteers"] == 20
    assert protocol["reading"]["may_go_back"] is False
    assert set(protocol["images"]["V01"]) == {arm["code"] for arm in protocol["arms"]}
    assert "is sound" in site.manage("verify_audit")
