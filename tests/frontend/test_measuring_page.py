"""The measuring page in a real browser: regions are placed, moved, undone and shown on all arms."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from playwright.sync_api import expect

from .conftest import Window
from .harness import Site, geometry_of

pytestmark = pytest.mark.browser
RADIUS = math.sqrt(30 / math.pi)


def open_page(window: Window, site: Site) -> None:
    window.page.goto(f"{site.address}/measuring/")
    window.page.wait_for_selector("#measuring[data-ready='1']")


def saved(window: Window) -> None:
    expect(window.page.locator("[data-save-text]")).to_have_text("All regions saved")


def screen_of(window: Window, site: Site, column: float, row: float) -> tuple[float, float]:
    """Where a pixel of the control lies on the screen, before any zoom or pan."""
    box = window.page.locator("[data-control] .pane-canvas").bounding_box()
    assert box is not None
    geometry = geometry_of(site.control)
    scale = min(box["width"] / geometry["columns"], box["height"] / geometry["rows"])
    return (
        box["x"] + box["width"] / 2 + (column - (geometry["columns"] - 1) / 2) * scale,
        box["y"] + box["height"] / 2 + (row - (geometry["rows"] - 1) / 2) * scale,
    )


def patient(column: float, row: float, slice_index: int) -> list[float]:
    return [-30.0 + 4.0 * slice_index, -110.0 + 0.47 * column, 140.0 - 0.47 * row]


def view(window: Window) -> dict[str, Any]:
    return json.loads(window.page.locator("#measuring").get_attribute("data-view") or "{}")


def test_a_click_places_the_chosen_tissue_at_that_place_in_the_patient(
    window: Window, site: Site
) -> None:
    open_page(window, site)
    window.page.keyboard.press("3")
    window.page.mouse.click(*screen_of(window, site, 120, 260))
    saved(window)
    expect(window.page.locator("[data-placed]")).to_have_text("1 of 7 regions placed")
    region = site.regions["vertebra"]
    assert region["slice_index"] == 3
    assert region["semi_axes_mm"] == pytest.approx([RADIUS, RADIUS])
    # A mouse stands on a whole screen pixel: about 0.85 image pixels here.
    assert region["centre"] == pytest.approx(patient(120, 260, 3), abs=0.47)
    assert window.troubles == []


def test_the_table_shows_what_the_server_measured_in_each_arm(window: Window, site: Site) -> None:
    open_page(window, site)
    window.page.mouse.click(*screen_of(window, site, 200, 200))
    saved(window)
    rows = window.page.locator("[data-table] tbody tr").all()
    measured = {one["arm"]: one for one in site.regions["fat"]["measurements"]}
    assert len(rows) == len(measured) == 5
    assert rows[0].locator("th").text_content() == "Standard"
    mean, sd, snr, cnr = rows[0].locator("td").all_text_contents()
    assert (snr, cnr) == ("12.50", "–")
    assert float(mean) == pytest.approx(measured["standard"]["mean"], rel=1e-3)
    assert float(sd) == pytest.approx(measured["standard"]["sd"], rel=1e-3)
    pixels = measured["standard"]["n_pixels"]
    expect(window.page.locator("[data-area]")).to_contain_text(f", {pixels} pixels")


def test_the_same_region_is_drawn_on_every_arm_at_the_same_place_of_the_image(
    window: Window, site: Site
) -> None:
    open_page(window, site)
    window.page.mouse.click(*screen_of(window, site, 150, 150))
    saved(window)
    places = window.page.evaluate(
        """() => Array.from(document.querySelectorAll('.pane')).map(pane => {
            const e = pane.querySelector('g.is-selected ellipse.ellipse');
            const { clientWidth: width, clientHeight: height } = pane;
            const scale = Math.min(width / 384, height / 576);
            return ['cx', 'cy', 'rx'].map((name, i) => (Number(e.getAttribute(name))
                - [width / 2, height / 2, 0][i]) / scale);
        })"""
    )
    assert len(places) == 5
    for place in places:
        assert place == pytest.approx(places[0], abs=1e-3)
    assert places[0][2] * 0.47 == pytest.approx(RADIUS, rel=1e-3)


def test_a_region_is_placed_moved_shaped_and_undone_by_keyboard_alone(
    window: Window, site: Site
) -> None:
    open_page(window, site)
    press = window.page.keyboard.press
    press("PageDown")
    press("2")
    press("Enter")
    saved(window)
    start = dict(site.regions["CSF"])
    assert start["centre"] == pytest.approx(patient(191.5, 287.5, 4))
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Shift+ArrowUp"):
        press(key)
    saved(window)
    assert site.regions["CSF"]["centre"] == pytest.approx(patient(193.5, 278.5, 4))
    assert site.regions["CSF"]["revision"] == 2, "nudges in a row are one revision"
    press("+")
    press("]")
    saved(window)
    a, b = site.regions["CSF"]["semi_axes_mm"]
    assert a / b == pytest.approx(1.21)
    assert math.pi * a * b == pytest.approx(30)
    assert site.regions["CSF"]["angle_deg"] == 5
    press("u")
    saved(window)
    assert site.regions["CSF"]["semi_axes_mm"] == pytest.approx([RADIUS, RADIUS])
    press("u")
    saved(window)
    assert site.regions["CSF"]["centre"] == pytest.approx(start["centre"])


def test_dragging_a_region_moves_it_and_leaves_the_window_alone(window: Window, site: Site) -> None:
    open_page(window, site)
    window.page.mouse.click(*screen_of(window, site, 100, 300))
    saved(window)
    before = site.regions["fat"]["centre"]
    mouse = window.page.mouse
    mouse.move(*screen_of(window, site, 101, 301))
    mouse.down()
    mouse.move(*screen_of(window, site, 131, 281), steps=5)
    mouse.up()
    saved(window)
    moved = [new - old for new, old in zip(site.regions["fat"]["centre"], before, strict=True)]
    assert moved == pytest.approx([0, 30 * 0.47, 20 * 0.47], abs=0.6)
    assert view(window)["width"] == 2000
    # A drag elsewhere is the window, as on the reading page, and places nothing.
    placed = dict(site.regions["fat"])
    mouse.move(*screen_of(window, site, 250, 450))
    mouse.down()
    mouse.move(*screen_of(window, site, 300, 470), steps=5)
    mouse.up()
    window.page.wait_for_timeout(300)
    assert view(window)["width"] != 2000
    assert site.regions["fat"] == placed


def test_a_region_stays_on_the_image_however_far_it_is_moved(window: Window, site: Site) -> None:
    open_page(window, site)
    window.page.keyboard.press("Enter")
    for _ in range(40):
        window.page.keyboard.press("Shift+ArrowUp")
    saved(window)
    top = 140.0 - RADIUS
    assert site.regions["fat"]["centre"][2] == pytest.approx(top, abs=0.5)
    assert site.regions["fat"]["centre"][2] <= top + 1e-9


def test_choosing_a_placed_tissue_shows_its_slice(window: Window, site: Site) -> None:
    open_page(window, site)
    window.page.keyboard.press("End")
    window.page.keyboard.press("Enter")
    saved(window)
    window.page.keyboard.press("Home")
    window.page.keyboard.press("2")
    window.page.keyboard.press("1")
    expect(window.page.locator(".overlay-slice").first).to_have_text("Slice 6 / 6")


def test_a_region_moved_by_somebody_else_is_shown_not_overwritten(
    window: Window, site: Site
) -> None:
    open_page(window, site)
    window.page.keyboard.press("Enter")
    saved(window)
    theirs = {**site.regions["fat"], "revision": 7, "centre": patient(50, 50, 3)}
    site.regions["fat"] = theirs
    window.page.keyboard.press("ArrowLeft")
    expect(window.page.locator("[data-error]")).to_contain_text("The newer position is shown")
    assert site.regions["fat"] == theirs
    window.page.keyboard.press("ArrowRight")
    saved(window)
    assert site.regions["fat"]["centre"] == pytest.approx(patient(51, 50, 3))


def test_a_locked_study_is_read_only(window: Window, site: Site) -> None:
    open_page(window, site)
    window.page.keyboard.press("Enter")
    saved(window)
    site.locked = True
    open_page(window, site)
    expect(window.page.locator("[data-locked]")).to_be_visible()
    expect(window.page.locator("[data-place]")).to_be_hidden()
    window.page.keyboard.press("1")
    window.page.mouse.click(*screen_of(window, site, 100, 100))
    window.page.keyboard.press("ArrowLeft")
    window.page.keyboard.press("Enter")
    window.page.wait_for_timeout(600)
    assert site.regions["fat"]["revision"] == 1


def test_whoever_places_sees_the_control_alone_and_no_figure(window: Window, site: Site) -> None:
    site.figures = False
    site.suggestions = [
        {
            "tissue": "CSF",
            "slice_index": 1,
            "centre": patient(120, 200, 1),
            "semi_axes_mm": [4.0, 30 / math.pi / 4.0],
            "angle_deg": 15,
        }
    ]
    open_page(window, site)
    expect(window.page.locator(".pane")).to_have_count(1)
    expect(window.page.locator("[data-figures]")).to_be_hidden()
    window.page.keyboard.press("1")
    window.page.keyboard.press("Enter")
    saved(window)
    assert "measurements" in site.regions["fat"]
    expect(window.page.locator("[data-figures]")).to_be_hidden()
    assert not [r for r in site.requests if "pixels/arm-" in r and "arm-standard" not in r]
    # The slice that the protocol asks for is shown as soon as the tissue is chosen.
    window.page.keyboard.press("6")
    expect(window.page.locator(".overlay-slice")).to_have_text("Slice 5 / 6")
    expect(window.page.locator("[data-rule]")).to_have_text(
        "Paramedian slice: slice 5 is suggested."
    )
    # A former volunteer's place is drawn dashed, and Enter takes it as it is.
    window.page.get_by_role("button", name="Suggest", exact=True).click()
    window.page.keyboard.press("2")
    expect(window.page.locator(".overlay-slice")).to_have_text("Slice 2 / 6")
    expect(window.page.locator("g.is-selected.is-unsaved")).to_be_visible()
    window.page.keyboard.press("Enter")
    saved(window)
    assert site.regions["CSF"]["centre"] == patient(120, 200, 1)
    assert site.regions["CSF"]["angle_deg"] == 15
    # All placed, the regions can be frozen.
    freeze = window.page.locator("[data-freeze]")
    expect(freeze).to_be_disabled()
    for key in "34567":
        window.page.keyboard.press(key)
        window.page.keyboard.press("Enter")
        saved(window)
    expect(freeze).to_be_enabled()
    assert window.violations() == []
    assert window.troubles == []


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (2560, 1440)])
def test_the_page_fits_and_is_accessible(
    window: Window, site: Site, width: int, height: int
) -> None:
    window.page.set_viewport_size({"width": width, "height": height})
    open_page(window, site)
    window.page.keyboard.press("Enter")
    saved(window)
    rest = window.page.evaluate(
        """() => [document.documentElement.scrollHeight - innerHeight,
                  document.querySelector('.measuring-table').scrollHeight
                  - document.querySelector('.measuring-table').clientHeight]"""
    )
    assert max(rest) <= 0, rest
    assert window.violations() == []
    assert window.troubles == []
