"""The reading page in a real browser: what a reader does and must be able to rely on."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from .conftest import Window
from .harness import Site
from .reading_steps import (
    at_item,
    kept,
    open_item,
    prefetched,
    saved,
    score,
    values,
    view,
    wait_until,
)

pytestmark = pytest.mark.browser


def is_in_front(said: Locator) -> bool:
    """Whether bright words on a dark ground can be seen there, not an image over them."""
    pixels = np.asarray(Image.open(io.BytesIO(said.screenshot())).convert("L"))
    return bool(np.median(pixels) < 50 and 0.02 < np.mean(pixels > 150) < 0.4)


def test_control_and_candidate_are_scored_by_digits_which_never_touch_the_window(
    window: Window, site: Site
) -> None:
    page = window.page
    open_item(page, site)
    assert page.locator(".overlay-label").all_text_contents() == ["Control", "Candidate"]
    text = page.locator("body").inner_text().lower()
    assert "double" not in text
    assert "dlr" not in text
    wordings = page.locator("[data-group=c0] .point-wording").all_text_contents()
    assert wordings[0] == "Obviously inferior"
    assert len(wordings) == 5

    # The window is dragged, and kept while scrolling and scoring.
    box = page.locator(".pane-canvas").first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 40, steps=4)
    page.mouse.up()
    # Five display values a pixel; it is told once it is drawn.
    wait_until(page, lambda: (view(page)["width"], view(page)["center"]) == (2300, 1200))
    dragged = view(page)
    page.mouse.wheel(0, 120)
    page.wait_for_function(
        "start => JSON.parse(document.querySelector('#reading').dataset.view).slice !== start",
        arg=dragged["slice"],
    )
    score(page, "123453")
    saved(page)
    after = view(page)
    assert {**after, "slice": 0} == {**dragged, "slice": 0}
    assert values(site) == {"c0": 1, "c1": 2, "c2": 3, "c3": 4, "c4": 5, "c5": 3}
    expect(page.locator("[data-submit]")).to_be_focused()

    page.keyboard.press("Enter")
    at_item(page, "Item 2 of 3")
    assert page.url.endswith("/item/item2/")
    assert view(page)["width"] == 2000  # the next item starts from its own control's window
    saved(page)
    assert site.room.submitted == ["item1"]
    assert site.room.opened == ["item1", "item2"]

    # The record of the visit went with it, and says what was looked at.
    [(token, visit)] = site.room.visits
    assert token == "item1"
    assert visit["active_ms"] > 0
    assert [pane["number"] for pane in visit["panes"]] == [1, 2]
    assert all(len(pane["slices"]) == 2 for pane in visit["panes"])
    assert {1000, 2000} < {value for one in visit["windows"] for value in one.values()} | {0}
    assert visit["display"]["viewport"] == [1280, 720]
    assert window.troubles == []


def test_a_session_by_keyboard_alone_ends_at_the_page_that_says_so(
    window: Window, site: Site
) -> None:
    page = window.page
    open_item(page, site)
    press = page.keyboard.press
    # Space, pressed by habit on the point that the page has put in focus, gives no score.
    expect(page.locator("input[name=c0][value='1']")).to_be_focused()
    for habit in ("Space", "Shift+Space"):
        press(habit)
        expect(page.locator(".images-said")).to_contain_text("gives no score")
    assert page.locator("[data-criteria] input:checked").count() == 0
    press("ArrowRight")  # from nothing: the middle of the scale
    press("ArrowRight")
    press("j")
    press("ArrowLeft")
    press("ArrowLeft")
    press("Tab")
    press("Tab")  # past "Cannot assess"
    press("5")
    saved(page)
    assert values(site) == {"c0": 4, "c1": 2, "c2": 5}

    # What is missing is said, and the first of it is in focus.
    press("n")
    expect(page.locator("[data-message]")).to_have_text("3 answers are missing.")
    expect(page.locator("input[name=c3][value='1']")).to_be_focused()
    expect(page.locator("#note-c3")).to_contain_text("Please choose")
    assert window.violations() == []

    # What cannot be assessed gets a reason instead of a score.
    press("0")
    expect(page.locator("#ask")).to_be_visible()
    expect(page.locator("#ask-field")).to_be_focused()
    press("Enter")
    expect(page.locator("#ask-fault")).to_contain_text("a few words")
    page.keyboard.type("Motion in the last slices")
    assert window.violations() == []
    press("Enter")
    expect(page.locator("#note-c3")).to_have_text("Cannot assess: Motion in the last slices")
    score(page, "44")
    expect(page.locator("[data-message-box]")).to_be_hidden()
    press("g")
    page.keyboard.type("Digits like 1 2 3 here are text")
    press("Escape")
    expect(page.locator("[data-open-comment]")).to_have_text("Comment: written")
    press("a")
    expect(page.locator(".images-said")).to_contain_text("Arrow:")
    assert is_in_front(page.locator(".images-said"))
    press("Escape")
    press("Enter")  # the keyboard is back at the scores
    at_item(page, "Item 2 of 3")
    for position in (2, 3):
        at_item(page, f"Item {position} of 3")
        score(page, "222222")
        assert window.troubles == []
        press("Enter")
    page.wait_for_url("**/session/")
    assert site.room.submitted == ["item1", "item2", "item3"]
    assert site.room.answers["item1"]["c3"]["cannot_assess"] == "Motion in the last slices"
    assert site.room.comments["item1"]["text"] == "Digits like 1 2 3 here are text"


def test_a_mouse_alone_scores_marks_an_artifact_and_submits(window: Window, site: Site) -> None:
    page = window.page
    open_item(page, site)
    for index in range(6):
        page.locator(f"label:has(input[name=c{index}][value='4'])").click()
    page.get_by_role("button", name="Arrow", exact=True).click()
    box = page.locator(".pane-canvas").nth(1).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 150, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 240, steps=3)
    page.mouse.up()
    expect(page.locator("[data-marks] li")).to_have_count(1)
    expect(page.locator("[data-marks] li")).to_contain_text("Candidate, slice 4")
    page.locator("[data-submit]").click()
    at_item(page, "Item 2 of 3")
    assert set(values(site).values()) == {4}
    [mark] = site.room.marks["item1"]["marks"]
    assert (mark["pane"], mark["slice"]) == (2, 3)
    # Patient millimetres on that slice: 150 and 200 pixels are not 150 and 200 mm.
    assert mark["head"][0] == pytest.approx(-30 + 3 * 4.0)
    assert mark["head"] != mark["tail"]

    # Back on the item the arrow is there; removing it asks why, as the item is submitted.
    page.locator("[data-previous]").click()
    at_item(page, "Item 1 of 3")
    page.get_by_role("button", name="Remove arrow 1").click()
    page.locator("#ask-field").fill("Set by mistake")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("[data-marks]")).to_be_hidden()
    saved(page)
    assert site.room.marks["item1"] == {"marks": [], "revision": 2}


def test_a_change_of_a_submitted_item_is_a_new_revision_with_a_reason(
    window: Window, site: Site
) -> None:
    page = window.page
    open_item(page, site)
    score(page)
    page.keyboard.press("Enter")
    at_item(page, "Item 2 of 3")
    page.keyboard.press("p")
    at_item(page, "Item 1 of 3")
    expect(page.locator("[data-submit]")).to_have_text("Go on")
    page.locator("input[name=c0][value='3']").focus()

    page.keyboard.press("5")
    expect(page.locator("#ask")).to_contain_text(
        "Perceived SNR: 3 – Equivalent becomes 5 – Obviously superior."
    )
    page.keyboard.press("Escape")  # thought better of it
    expect(page.locator("input[name=c0][value='3']")).to_be_checked()
    page.keyboard.press("5")
    page.keyboard.type("Looked again at full window")
    page.keyboard.press("Enter")
    expect(page.locator("input[name=c0][value='5']")).to_be_checked()
    saved(page)
    assert site.room.revisions[-1] == ("item1", "c0", 5, "Looked again at full window")
    assert site.room.answers["item1"]["c0"]["revision"] == 2
    page.keyboard.press("n")
    at_item(page, "Item 2 of 3")
    page.go_back()
    at_item(page, "Item 1 of 3")
    expect(page.locator("input[name=c0][value='5']")).to_be_checked()


def test_where_the_protocol_forbids_it_nothing_leads_back(window: Window, site: Site) -> None:
    site.room.may_go_back = False
    page = window.page
    open_item(page, site)
    score(page)
    page.keyboard.press("Enter")
    at_item(page, "Item 2 of 3")
    expect(page.locator("[data-previous]")).to_be_hidden()
    page.keyboard.press("p")
    page.keyboard.press("?")
    expect(page.locator("#key-help")).not_to_contain_text("Item before")
    assert page.evaluate("history.length") == 2  # the browser's own Back does not lead there either


def test_absolute_scores_one_image_and_practice_tells_the_wording_of_the_choice(
    window: Window, site: Site
) -> None:
    site.room.mode, site.room.practice, site.room.items = "absolute", 1, 3
    page = window.page
    open_item(page, site)
    expect(page.locator("[data-position]")).to_have_text("Practice 1 of 1")
    expect(page.locator(".pane-canvas")).to_have_count(1)
    # The help is that of one image: nothing to link, one arrangement.
    told = page.locator("#key-help")
    expect(told).to_contain_text("The whole space")
    for other in ("Link the panes", "One pane full", "Side by side"):
        expect(told).not_to_contain_text(other)
    page.keyboard.press("s")
    expect(page.locator(".images-said")).to_be_empty()
    score(page, "4")
    expect(page.locator("[data-practice]")).to_have_text(
        "You chose Perceived SNR: 4 – Slightly superior"
    )
    assert window.violations() == []
    score(page, "44444")
    page.keyboard.press("Enter")
    at_item(page, "Item 1 of 2")
    expect(page.locator("[data-practice]")).to_contain_text("Practice is over")
    expect(page.locator("[data-submitted]")).to_have_text("0 submitted")


def test_a_choice_is_made_by_arrows_digits_or_mouse(window: Window, site: Site) -> None:
    site.room.mode = "choice"
    page = window.page
    open_item(page, site)
    assert page.locator(".overlay-label").all_text_contents() == ["Left", "Right"]
    expect(page.locator("#key-help")).to_contain_text("1: left, 2: right; then the next criterion")
    page.keyboard.press("Space")
    assert page.locator("[data-criteria] input:checked").count() == 0
    page.keyboard.press("ArrowRight")
    page.keyboard.press("j")
    page.keyboard.press("1")
    page.keyboard.press("3")  # no such answer
    page.keyboard.press("2")
    page.locator("label:has(input[name=c3][value=left])").click()
    saved(page)
    assert values(site) == {"c0": "right", "c1": "left", "c2": "right", "c3": "left"}
    assert window.violations() == []


def test_all_images_of_a_volunteer_are_ranked_by_keyboard(window: Window, site: Site) -> None:
    site.room.mode = "ranking"
    page = window.page
    open_item(page, site)
    help_of = page.locator("#key-help")
    expect(help_of).to_contain_text("Give the first, second, … image the next rank, best first")
    expect(help_of).to_contain_text("Rank the image in focus, or take its rank back (as Enter)")
    assert page.locator(".overlay-label").all_text_contents() == list("ABCDE")
    score(page, "3152")
    expect(page.locator("#note-c0")).to_have_text("Best first: C, A, E, B; 1 to go.")
    page.keyboard.press("Backspace")
    expect(page.locator("#note-c0")).to_have_text("Best first: C, A, E; 2 to go.")
    assert values(site) == {}
    # A ranking that was begun outlives a reload.
    page.reload()
    page.wait_for_selector("#reading[data-ready='1']")
    expect(page.locator("#note-c0")).to_have_text("Best first: C, A, E; 2 to go.")
    score(page, "42")
    expect(page.locator("#note-c0")).to_have_text("Best first: C, A, E, D, B")
    saved(page)
    assert values(site) == {"c0": [2, 5, 1, 4, 3]}
    page.locator("[data-group=c0] [data-rank=E]").click()  # takes back E and those after it
    page.keyboard.press("n")
    expect(page.locator("[data-message]")).to_have_text("6 answers are missing.")
    score(page, "245")
    saved(page)
    assert values(site) == {"c0": [2, 3, 1, 4, 5]}
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-group=c1] [data-rank=B]")).to_be_focused()
    page.keyboard.press("Space")
    expect(page.locator("[data-group=c1] [data-rank=B]")).to_contain_text("1st")
    assert window.violations() == []
    assert window.troubles == []


def test_pixels_that_fail_are_said_and_the_item_cannot_be_submitted_unseen(
    window: Window, site: Site
) -> None:
    site.break_pixels = "item1b/5"
    page = window.page
    page.goto(f"{site.address}/item/item1/")
    page.wait_for_selector("#reading[data-ready='1']")
    score(page)
    expect(page.locator(".pane-trouble").nth(1)).to_be_visible(timeout=20_000)
    page.keyboard.press("n")
    expect(page.locator("[data-message]")).to_contain_text("cannot be submitted unseen")
    saved(page)
    assert site.room.submitted == []
    site.break_pixels = ""
    page.get_by_role("button", name="Retry").nth(0).click()
    page.wait_for_selector("#reading[data-loaded='true']")
    page.keyboard.press("n")
    at_item(page, "Item 2 of 3")


def test_the_help_is_true_and_single_keys_can_be_switched_off(window: Window, site: Site) -> None:
    """Every key of the scores and of the page; those of the images: `test_viewer`."""
    page = window.page
    press = page.keyboard.press
    open_item(page, site)
    score(page)
    press("Enter")
    at_item(page, "Item 2 of 3")
    press("?")
    dialog = page.locator("#key-help")
    expect(dialog).to_be_visible()
    keys = [
        key
        for group in ("Scores", "Page")
        for key in dialog.locator(f"section:has(h3:text-is('{group}')) kbd").all_text_contents()
    ]
    assert keys == [*"12345", "←", "→", "Space", *"0jkg", "Enter", "n", "p", "?"]
    for preset in page.locator("[data-tool^=preset]").all_text_contents():
        expect(dialog).to_contain_text(f"Window: {preset}")
    expect(dialog).not_to_contain_text("In the rows and columns")  # of another mode
    assert window.violations() == []
    press("Escape")
    current = page.locator(".criterion.is-current")

    def given() -> dict[str, Any]:
        saved(page)
        return values(site, "item2")

    score(page, "12345")  # each scores, and goes to the next
    press("ArrowRight")  # starts in the middle
    assert given() == {"c0": 1, "c1": 2, "c2": 3, "c3": 4, "c4": 5, "c5": 3}
    press("ArrowRight")
    assert given()["c5"] == 4
    press("ArrowLeft")
    press("Space")
    assert given()["c5"] == 3
    for key, code in (("k", "c4"), ("Shift+Tab", "c4"), ("Shift+Tab", "c3"), ("j", "c4")):
        press(key)
        expect(current).to_have_attribute("data-group", code)
    press("0")
    expect(page.locator("#ask")).to_contain_text("Artifact cannot be assessed")
    press("Escape")
    press("g")
    expect(page.locator("[data-comment]")).to_be_focused()
    press("Escape")
    expect(page.locator("[data-comment]")).to_be_hidden()
    press("p")
    at_item(page, "Item 1 of 3")
    press("Enter")
    at_item(page, "Item 2 of 3")
    press("n")
    at_item(page, "Item 3 of 3")
    press("p")
    at_item(page, "Item 2 of 3")
    site.room.submitted.remove("item2")
    site.room.answers["item2"].clear()
    open_item(page, site, 2)
    press("?")
    dialog.locator("[data-character-keys]").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("4")
    page.keyboard.press("ArrowRight")  # no character: still a key
    assert given() == {"c0": 3}
    page.reload()
    page.wait_for_selector("#reading[data-ready='1']")
    page.keyboard.press("4")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowLeft")  # on the next criterion: what came before it did nothing
    wait_until(page, lambda: given() == {"c0": 3, "c1": 3})


def test_the_next_two_items_are_fetched_ahead_without_being_opened(
    window: Window, site: Site
) -> None:
    page = window.page
    open_item(page, site)
    prefetched(page)
    assert site.room.opened == ["item1"]
    # A record that the server has enough of is no concern of the reader's.
    full = {"error": "200 visits of this item are recorded.", "code": "record_full"}
    site.room.refuse["visit"] = [(422, full)]
    score(page)
    page.keyboard.press("Enter")
    at_item(page, "Item 2 of 3")
    saved(page)
    assert kept(page) == []
    expect(page.locator("[data-message-box]")).to_be_hidden()
    assert site.room.submitted == ["item1"]


@pytest.mark.parametrize(
    ("width", "height"), [(1280, 720), (2560, 1440), (1440, 2560), (1024, 768), (768, 1024)]
)
def test_images_and_all_criteria_fit_without_scrolling_and_are_accessible(
    window: Window, site: Site, width: int, height: int
) -> None:
    page = window.page
    page.set_viewport_size({"width": width, "height": height})
    open_item(page, site)
    overflow = page.evaluate(
        """() => [document.documentElement, document.querySelector('[data-criteria]')]
            .map(e => [e.scrollHeight - e.clientHeight, e.scrollWidth - e.clientWidth])"""
    )
    assert all(rest <= 0 for pair in overflow for rest in pair), overflow
    for label in page.locator(".point").all():
        box = label.bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert box["y"] + box["height"] <= height
    # However long its question, a criterion's turn moves nothing under the mouse.
    places = set()
    for _ in range(6):
        places.add(page.locator("[data-group=c0]").evaluate("e => e.getBoundingClientRect().y"))
        page.keyboard.press("j")
    assert len(places) == 1
    page.locator("input[name=c0][value='1']").focus()
    notice = page.locator("[data-notice]")
    assert notice.evaluate("e => e.scrollHeight <= e.clientHeight + 1")
    assert window.violations() == []

    # With a comment, arrows and a message below, the current criterion still stands there whole.
    score(page, "33333")
    expect(page.locator("[data-group=c5]")).to_have_class("criterion is-current")
    for _ in range(3):
        for key in ("a", "Enter", "ArrowLeft", "Enter"):
            page.keyboard.press(key)
    expect(page.locator("[data-marks] li")).to_have_count(3)
    page.keyboard.press("g")
    page.keyboard.type("Ghosting")
    page.keyboard.press("n")  # a letter of the comment
    page.locator("[data-submit]").click()
    expect(page.locator("#note-c5")).to_contain_text("Please choose")
    for keys, number in (("", 5), ("kkkkk", 0), ("jjj", 3)):
        score(page, keys)
        page.wait_for_function(
            """number => {
                const box = (selector) => document.querySelector(selector).getBoundingClientRect();
                const [host, group] = [box('[data-criteria]'), box(`[data-group=c${number}]`)];
                return group.top >= host.top - 1 && group.bottom <= host.bottom + 1;
            }""",
            arg=number,
        )
    assert window.violations() == []
    assert window.troubles == []
