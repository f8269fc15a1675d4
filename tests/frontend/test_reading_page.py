"""The reading page in a real browser: what a reader does and must be able to rely on."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from .conftest import Window
from .harness import Site

pytestmark = pytest.mark.browser


def open_item(window: Window, site: Site) -> None:
    window.page.goto(f"{site.address}/item/item1/")
    window.page.wait_for_selector("#reading[data-ready='1'][data-loaded='true']")


def view(window: Window) -> dict[str, Any]:
    return json.loads(window.page.locator("#reading").get_attribute("data-view") or "{}")


def wait_view(window: Window, **wanted: Any) -> None:
    window.page.wait_for_function(
        """wanted => {
            const view = JSON.parse(document.querySelector('#reading').dataset.view);
            const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
            return Object.entries(wanted).every(([key, value]) => same(view[key], value));
        }""",
        arg=wanted,
    )


def greys(window: Window, pane: int) -> np.ndarray:
    """The drawn grey values of a pane, [rows, columns]."""
    got = window.page.evaluate(
        """index => {
            const canvas = document.querySelectorAll('.pane-canvas canvas')[index];
            const { width, height } = canvas;
            const data = canvas.getContext('2d').getImageData(0, 0, width, height).data;
            return { width, height, values: Array.from(data).filter((_, i) => i % 4 === 0) };
        }""",
        pane,
    )
    return np.array(got["values"]).reshape(got["height"], got["width"])


def drag(window: Window, pane: int, button: Any, dx: int, dy: int) -> None:
    box = window.page.locator(".pane-canvas").nth(pane).bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    window.page.mouse.move(x, y)
    window.page.mouse.down(button=button)
    window.page.mouse.move(x + dx, y + dy, steps=4)
    window.page.mouse.up(button=button)


def scores(site: Site) -> dict[str, int]:
    return {code: entry["value"] for code, entry in site.scores.get("item1", {}).items()}


def test_the_page_shows_control_and_candidate_without_any_other_name(
    window: Window, site: Site
) -> None:
    open_item(window, site)
    assert window.page.locator(".overlay-label").all_text_contents() == ["Control", "Candidate"]
    text = window.page.locator("body").inner_text().lower()
    assert "double" not in text
    assert "dlr" not in text
    letters = {
        side: window.page.locator(f".overlay-letter-{side}").first.text_content()
        for side in ("left", "right", "top", "bottom")
    }
    assert letters == {"left": "A", "right": "P", "top": "H", "bottom": "F"}
    assert window.troubles == []


def test_both_panes_start_with_the_window_of_the_case_and_draw_its_pixels(
    window: Window, site: Site
) -> None:
    open_item(window, site)
    assert view(window)["center"] == 1000
    middle = site.control.shape[0] // 2
    for pane, volume in enumerate((site.control, site.volume("double-fast"))):
        drawn = greys(window, pane)
        shown = np.clip((volume[middle].astype(float) - 0) / 2000 * 255, 0, 255)
        # The image fills the height; its mean grey survives the interpolation.
        columns = drawn.shape[0] * shown.shape[1] / shown.shape[0]
        left = round((drawn.shape[1] - columns) / 2)
        inside = drawn[4:-4, max(left, 0) + 4 : drawn.shape[1] - max(left, 0) - 4]
        margin = shown[:, 4:-4]
        assert inside.mean() == pytest.approx(margin.mean(), abs=4)


def test_a_pixel_is_drawn_where_the_page_says_it_lies(window: Window, site: Site) -> None:
    volume = np.zeros_like(site.control)
    volume[volume.shape[0] // 2, 100, 60] = 4000
    site.volumes = {**site.volumes, "control": volume}
    open_item(window, site)
    drawn = greys(window, 0).astype(float)
    rows, columns = np.mgrid[: drawn.shape[0], : drawn.shape[1]]
    weight = drawn / drawn.sum()
    scale = min(drawn.shape[0] / volume.shape[1], drawn.shape[1] / volume.shape[2])
    expected_x = drawn.shape[1] / 2 + (60 - (volume.shape[2] - 1) / 2) * scale
    expected_y = drawn.shape[0] / 2 + (100 - (volume.shape[1] - 1) / 2) * scale
    # Half a screen pixel: a screen pixel's centre lies at its index plus one half.
    assert (columns * weight).sum() + 0.5 == pytest.approx(expected_x, abs=0.5)
    assert (rows * weight).sum() + 0.5 == pytest.approx(expected_y, abs=0.5)


@pytest.mark.parametrize("pane", [0, 1])
def test_scrolling_moves_both_panes_and_never_the_window_zoom_or_pan(
    window: Window, site: Site, pane: int
) -> None:
    open_item(window, site)
    drag(window, pane, "left", 60, 40)
    drag(window, pane, "right", 0, -50)
    drag(window, pane, "middle", 30, 20)
    before = view(window)
    assert before["width"] != 2000
    assert before["center"] != 1000
    assert before["zoom"] > 1.1
    assert before["pan"] != [0, 0]
    window.page.locator(".pane-canvas").nth(pane).hover()
    window.page.mouse.wheel(0, 120)
    wait_view(window, slice=before["slice"] + 1)
    after = view(window)
    assert {**after, "slice": before["slice"]} == before
    labels = window.page.locator(".overlay-slice").all_text_contents()
    assert labels == [f"Slice {after['slice'] + 1} / 6"] * 2
    # What is drawn, not only what is said: the same grey scale as before on both panes.
    first = [greys(window, index) for index in (0, 1)]
    window.page.keyboard.press("ArrowUp")
    window.page.keyboard.press("ArrowDown")
    wait_view(window, slice=before["slice"] + 1)
    window.page.wait_for_timeout(200)
    for index in (0, 1):
        assert np.array_equal(first[index], greys(window, index))


def test_keys_move_slices_invert_and_reset(window: Window, site: Site) -> None:
    open_item(window, site)
    press = window.page.keyboard.press
    press("ArrowDown")
    wait_view(window, slice=4)
    press("Home")
    wait_view(window, slice=0)
    press("ArrowUp")
    wait_view(window, slice=0)
    press("End")
    wait_view(window, slice=5)
    bright = greys(window, 0).mean()
    press("i")
    wait_view(window, invert=True)
    window.page.wait_for_timeout(150)
    assert greys(window, 0).mean() > bright + 60
    drag(window, 1, "left", 80, 0)
    press("r")
    wait_view(window, slice=5, invert=False, width=2000, center=1000, zoom=1, pan=[0, 0])


def test_digits_score_and_go_on_and_never_touch_the_window(window: Window, site: Site) -> None:
    open_item(window, site)
    before = view(window)
    for digit in "123453":
        window.page.keyboard.press(digit)
    expect(window.page.locator("[data-save-text]")).to_have_text("Saved: 6 of 6 scores")
    assert scores(site) == {"c0": 1, "c1": 2, "c2": 3, "c3": 4, "c4": 5, "c5": 3}
    assert view(window) == before
    expect(window.page.locator("[data-submit]")).to_be_focused()
    window.page.keyboard.press("Enter")
    expect(window.page.locator("[data-position]")).to_have_text("Item 2 of 3")
    window.page.wait_for_selector("#reading[data-ready='1']")
    assert site.submitted == {"item1"}
    assert window.page.url.endswith("/item/item2/")
    assert window.troubles == []


def test_left_and_right_change_a_score_and_j_k_tab_move_between_criteria(
    window: Window, site: Site
) -> None:
    open_item(window, site)
    press = window.page.keyboard.press
    press("ArrowRight")
    press("ArrowRight")
    expect(window.page.locator("input[name=c0][value='4']")).to_be_checked()
    press("j")
    press("ArrowLeft")
    press("ArrowLeft")
    expect(window.page.locator("input[name=c1][value='2']")).to_be_checked()
    press("Tab")
    press("5")
    expect(window.page.locator("input[name=c2][value='5']")).to_be_checked()
    press("k")
    press("k")
    press("1")
    expect(window.page.locator("input[name=c1][value='1']")).to_be_checked()
    expect(window.page.locator("[data-save-text]")).to_have_text("Saved: 3 of 6 scores")
    assert scores(site) == {"c0": 4, "c1": 1, "c2": 5}


def test_submitting_with_scores_missing_names_and_focuses_the_first(
    window: Window, site: Site
) -> None:
    open_item(window, site)
    window.page.keyboard.press("3")
    window.page.keyboard.press("n")
    expect(window.page.locator("[data-message]")).to_have_text("5 scores are missing.")
    expect(window.page.locator("input[name=c1][value='1']")).to_be_focused()
    assert site.submitted == set()


def test_a_mouse_alone_scores_and_submits(window: Window, site: Site) -> None:
    open_item(window, site)
    for index in range(6):
        window.page.locator(f"label:has(input[name=c{index}][value='4'])").click()
    window.page.locator("[data-submit]").click()
    expect(window.page.locator("[data-position]")).to_have_text("Item 2 of 3")
    assert set(scores(site).values()) == {4}


def test_a_session_by_keyboard_alone_ends_at_home(window: Window, site: Site) -> None:
    open_item(window, site)
    for number in (1, 2, 3):
        expect(window.page.locator("[data-position]")).to_have_text(f"Item {number} of 3")
        window.page.wait_for_selector("#reading[data-ready='1'][data-loaded='true']")
        for _ in range(6):
            window.page.keyboard.press("2")
        expect(window.page.locator("[data-save-text]")).to_have_text("Saved: 6 of 6 scores")
        window.page.keyboard.press("Enter")
    window.page.wait_for_url("**/home/")
    assert site.submitted == {"item1", "item2", "item3"}
    assert site.opened == ["item1", "item2", "item3"]


def test_an_unreachable_server_keeps_the_choice_and_sends_it_again(
    window: Window, site: Site
) -> None:
    site.refuse_scores = 1
    open_item(window, site)
    window.page.keyboard.press("4")
    expect(window.page.locator("[data-save-text]")).to_contain_text("Not saved")
    kept = window.page.evaluate("localStorage.getItem('readerstudy.unsaved.item1')")
    assert json.loads(kept) == {"c0": {"value": 4, "revision": 0}}
    window.page.locator("[data-retry]").click()
    expect(window.page.locator("[data-save-text]")).to_have_text("Saved: 1 of 6 scores")
    assert scores(site) == {"c0": 4}
    assert window.page.evaluate("localStorage.getItem('readerstudy.unsaved.item1')") is None


def test_a_failed_choice_is_sent_without_anyone_asking(window: Window, site: Site) -> None:
    site.refuse_scores = 1
    open_item(window, site)
    window.page.keyboard.press("2")
    expect(window.page.locator("[data-save-text]")).to_contain_text("Not saved")
    expect(window.page.locator("[data-save-text]")).to_have_text(
        "Saved: 1 of 6 scores", timeout=8000
    )


def test_unsent_choices_survive_a_reload(window: Window, site: Site) -> None:
    site.refuse_scores = 10
    open_item(window, site)
    window.page.on("dialog", lambda dialog: dialog.accept())
    window.page.keyboard.press("5")
    expect(window.page.locator("[data-save-text]")).to_contain_text("Not saved")
    site.refuse_scores = 0
    window.page.reload()
    expect(window.page.locator("[data-save-text]")).to_have_text("Saved: 1 of 6 scores")
    expect(window.page.locator("input[name=c0][value='5']")).to_be_checked()
    assert scores(site) == {"c0": 5}


def test_leaving_with_unsaved_scores_is_asked_about(window: Window, site: Site) -> None:
    site.refuse_scores = 10
    open_item(window, site)
    asked: list[str] = []
    window.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    window.page.locator("label:has(input[name=c0][value='2'])").click()
    expect(window.page.locator("[data-save-text]")).to_contain_text("Not saved")
    window.page.close(run_before_unload=True)
    for _ in range(50):
        if asked:
            break
        window.page.context.pages  # noqa: B018 - lets playwright deliver events
        window.page.context.new_page().close()
    assert asked == ["beforeunload"]


def test_a_score_changed_in_another_window_is_shown_and_not_overwritten(
    window: Window, site: Site
) -> None:
    open_item(window, site)
    site.scores["item1"] = {"c0": {"value": 2, "revision": 1}}
    window.page.keyboard.press("5")
    expect(window.page.locator("input[name=c0][value='2']")).to_be_checked()
    expect(window.page.locator("#note-c0")).to_contain_text("another window")
    assert scores(site) == {"c0": 2}
    window.page.keyboard.press("k")
    window.page.keyboard.press("5")
    expect(window.page.locator("[data-save-text]")).to_have_text("Saved: 1 of 6 scores")
    assert scores(site) == {"c0": 5}


def test_a_receipt_lost_on_the_way_does_not_trouble_the_reader(window: Window, site: Site) -> None:
    open_item(window, site)
    site.scores["item1"] = {"c0": {"value": 5, "revision": 1}}  # stored; the answer never came
    window.page.keyboard.press("5")
    expect(window.page.locator("[data-save-text]")).to_have_text("Saved: 1 of 6 scores")
    expect(window.page.locator("#note-c0")).to_have_text("")


def test_a_slice_that_cannot_be_loaded_is_said_and_blocks_the_submission(
    window: Window, site: Site
) -> None:
    site.break_pixels = "item1b/5"
    window.page.goto(f"{site.address}/item/item1/")
    expect(window.page.locator("[data-message]")).to_contain_text(
        "could not be loaded", timeout=15000
    )
    expect(window.page.locator("[data-submit]")).to_be_disabled()
    window.page.keyboard.press("End")
    expect(window.page.locator(".overlay-error").nth(1)).to_be_visible(timeout=15000)
    site.break_pixels = ""
    window.page.locator("[data-again]").click()
    expect(window.page.locator("[data-submit]")).to_be_enabled(timeout=15000)
    window.page.keyboard.press("End")
    expect(window.page.locator(".overlay-error").nth(1)).to_be_hidden()


def test_the_help_lists_every_key_and_single_keys_can_be_switched_off(
    window: Window, site: Site
) -> None:
    open_item(window, site)
    window.page.keyboard.press("?")
    dialog = window.page.locator("#key-help")
    expect(dialog).to_be_visible()
    caps = set(dialog.locator("kbd").all_text_contents())
    assert {"1", "5", "j", "k", "n", "p", "i", "r", "?", "↑", "↓", "←", "→", "Home", "End"} <= caps
    assert window.violations() == []
    dialog.locator("[data-character-keys]").uncheck()
    window.page.keyboard.press("Escape")
    window.page.keyboard.press("4")
    window.page.keyboard.press("ArrowDown")
    wait_view(window, slice=4)
    assert scores(site) == {}
    window.page.reload()
    window.page.wait_for_selector("#reading[data-ready='1']")
    window.page.keyboard.press("4")
    window.page.wait_for_timeout(200)
    assert scores(site) == {}


def test_the_next_item_is_fetched_ahead_without_being_opened(window: Window, site: Site) -> None:
    open_item(window, site)
    window.page.wait_for_function(
        """() => performance.getEntriesByType('resource')
            .filter(({ name }) => name.includes('item2b')).length === 6"""
    )
    assert site.opened == ["item1"]


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (2560, 1440), (1200, 1920)])
def test_images_and_all_criteria_fit_without_scrolling_and_are_accessible(
    window: Window, site: Site, width: int, height: int
) -> None:
    window.page.set_viewport_size({"width": width, "height": height})
    open_item(window, site)
    overflow = window.page.evaluate(
        """() => [document.documentElement, document.querySelector('[data-criteria]')]
            .map(e => [e.scrollHeight - e.clientHeight, e.scrollWidth - e.clientWidth])"""
    )
    assert all(rest <= 0 for pair in overflow for rest in pair), overflow
    for label in window.page.locator(".point").all():
        box = label.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert box["y"] + box["height"] <= height
    assert window.violations() == []
    assert window.troubles == []
