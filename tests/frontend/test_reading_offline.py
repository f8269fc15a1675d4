"""Never lose, never wait: networks that go, servers that die, pages that are closed."""

from __future__ import annotations

import contextlib

import pytest
from playwright.sync_api import Browser, Error, expect

from .conftest import Window
from .harness import Site
from .reading_steps import (
    READY,
    at_item,
    kept,
    open_item,
    prefetched,
    saved,
    score,
    values,
    wait_until,
)

pytestmark = pytest.mark.browser


def test_offline_for_ten_scores_and_two_items_then_back(window: Window, site: Site) -> None:
    page = window.page
    site.room.items = 4
    open_item(page, site)
    prefetched(page)
    page.context.set_offline(True)
    score(page, "1234")
    state = page.locator("[data-save-state]")
    expect(state).to_have_attribute("data-save-state", "offline")
    expect(state).to_contain_text("Offline. 4 answers wait in this browser.")
    expect(page.locator("[data-group=c0] .criterion-state")).to_have_text("Waiting")
    assert window.violations() == []
    # Reading goes on: this item is submitted, and the two that were fetched ahead are read.
    score(page, "51")
    page.keyboard.press("Enter")
    at_item(page, "Item 2 of 4")
    score(page, "222222")
    page.keyboard.press("Enter")
    at_item(page, "Item 3 of 4")
    score(page, "33")
    expect(state).to_contain_text("14 answers and 2 submitted items wait")
    assert site.room.answers == {}
    # Back on an item already left, without a network: it shows what was answered.
    page.keyboard.press("p")
    at_item(page, "Item 2 of 4")
    expect(page.locator("input[name=c5][value='2']")).to_be_checked()
    page.keyboard.press("n")
    at_item(page, "Item 3 of 4")
    score(page, "3333")
    page.keyboard.press("Enter")
    expect(page.locator("[data-message]")).to_contain_text("Your answers are kept")

    page.context.set_offline(False)
    at_item(page, "Item 4 of 4")  # fetched by itself
    saved(page)
    assert kept(page) == []
    assert site.room.submitted == ["item1", "item2", "item3"]
    assert list(values(site).values()) == [1, 2, 3, 4, 5, 1]
    assert set(values(site, "item2").values()) == {2}
    assert set(values(site, "item3").values()) == {3}
    assert len(site.room.revisions) == 18  # none twice
    # In order: nothing of an item arrived before the one ahead of it was submitted.
    posts = [path for path, _ in site.posts]
    assert posts.index("/room/item1/submit/") < posts.index("/room/item2/score/")
    assert posts.index("/room/item2/submit/") < posts.index("/room/item3/score/")
    refused = [text for text in window.troubles if "ERR_INTERNET_DISCONNECTED" not in text]
    assert refused == []


def test_a_server_killed_between_click_and_receipt_gets_nothing_twice(
    window: Window, site: Site
) -> None:
    page = window.page
    open_item(page, site)
    site.room.lose_receipts = 100  # stored, and the connection breaks
    score(page, "4")
    expect(page.locator("[data-save-state]")).to_have_attribute("data-save-state", "offline")
    assert values(site) == {"c0": 4}
    site.room.lose_receipts = 0
    score(page, "52222")
    page.keyboard.press("Enter")
    at_item(page, "Item 2 of 3")
    saved(page)
    assert list(values(site).values()) == [4, 5, 2, 2, 2, 2]
    assert site.room.repeated >= 1
    assert len(site.room.revisions) == 6
    assert {entry["revision"] for entry in site.room.answers["item1"].values()} == {1}
    assert site.room.submitted == ["item1"]


def test_what_waits_outlives_a_reload_and_another_browser_resumes_at_the_same_item(
    window: Window, site: Site, chromium: Browser
) -> None:
    page = window.page
    page.on("dialog", lambda dialog: dialog.accept())
    site.room.refuse["score"] = [(503, {"error": "The server is being restarted."})] * 50
    open_item(page, site)
    prefetched(page)
    score(page, "512345")
    expect(page.locator("[data-save-text]")).to_contain_text("The server does not answer.")
    page.keyboard.press("Enter")
    at_item(page, "Item 2 of 3")
    score(page, "11")
    # Counted as soon as they are given, stored a moment later.
    clicks = {("item2", "c0"), ("item2", "c1")}
    wait_until(page, lambda: clicks <= {(one["item"], one["target"]) for one in kept(page)})
    site.room.refuse["score"] = []
    page.reload()
    at_item(page, "Item 2 of 3")
    expect(page.locator("input[name=c1][value='1']")).to_be_checked()
    expect(page.locator("[data-save-state][data-count='0']")).to_be_visible()
    assert kept(page) == []
    assert list(values(site).values()) == [5, 1, 2, 3, 4, 5]
    assert values(site, "item2") == {"c0": 1, "c1": 1}
    assert len(site.room.revisions) == 8

    context = chromium.new_context()
    elsewhere = context.new_page()
    elsewhere.goto(f"{site.address}/session/")
    at_item(elsewhere, "Item 2 of 3")
    expect(elsewhere.locator("input[name=c0][value='1']")).to_be_checked()
    expect(elsewhere.locator("[data-group=c2]")).to_have_class("criterion is-current")
    # Scored there; this window, which knows nothing of it, must not write over it.
    elsewhere.keyboard.press("4")
    saved(elsewhere)
    page.locator("label:has(input[name=c2][value='2'])").click()
    expect(page.locator("#note-c2")).to_contain_text(
        "4 – Slightly superior is stored, not 2 – Slightly inferior"
    )
    expect(page.locator("input[name=c2][value='4']")).to_be_checked()
    assert values(site, "item2")["c2"] == 4
    page.locator("label:has(input[name=c2][value='2'])").click()
    saved(page)
    assert values(site, "item2")["c2"] == 2
    context.close()


def test_what_waits_outlives_a_crash_of_the_page(window: Window, site: Site) -> None:
    page = window.page
    site.room.refuse["score"] = [(503, {"error": "The server is being restarted."})] * 50
    open_item(page, site)
    score(page, "35")
    wait_until(page, lambda: len(kept(page)) >= 2)
    with contextlib.suppress(Error):
        page.goto("chrome://crash", timeout=1000)
    site.room.refuse["score"] = []
    after = page.context.new_page()
    after.goto(f"{site.address}/session/")
    at_item(after, "Item 1 of 3")  # no other window holds the session any more
    expect(after.locator("input[name=c1][value='5']")).to_be_checked()
    expect(after.locator("[data-group=c2]")).to_have_class("criterion is-current")
    saved(after)
    assert values(site) == {"c0": 3, "c1": 5}
    assert kept(after) == []


def test_the_list_of_sessions_sends_what_waits_too(window: Window, site: Site) -> None:
    page = window.page
    page.on("dialog", lambda dialog: dialog.accept())
    unavailable = (503, {"error": "The server is being restarted."})
    site.room.refuse["score"] = [unavailable] * 50
    open_item(page, site)
    score(page, "42")
    expect(page.locator("[data-save-text]")).to_contain_text("2 answers wait")
    page.goto(f"{site.address}/home/")
    expect(page.locator("[data-waiting]")).to_have_text(
        "2 entries wait in this browser to be sent."
    )
    assert window.violations() == []
    site.room.refuse["score"] = []
    expect(page.locator("[data-waiting]")).to_be_hidden(timeout=15_000)
    assert values(site) == {"c0": 4, "c1": 2}
    assert kept(page) == []


def test_a_typed_comment_survives_a_reload_at_any_letter(window: Window, site: Site) -> None:
    page = window.page
    page.on("dialog", lambda dialog: dialog.accept())
    open_item(page, site)
    page.locator("[data-open-comment]").click()
    page.keyboard.type("Ghosting at the low")
    page.reload()
    page.wait_for_selector(READY)
    expect(page.locator("[data-comment]")).to_have_value("Ghosting at the low")
    saved(page)
    assert site.room.comments["item1"]["text"] == "Ghosting at the low"


def test_leaving_with_answers_on_the_way_is_asked_about(window: Window, site: Site) -> None:
    site.room.refuse["score"] = [(503, {"error": "The server is being restarted."})] * 50
    page = window.page
    open_item(page, site)
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.locator("label:has(input[name=c0][value='2'])").click()
    expect(page.locator("[data-save-text]")).to_contain_text("1 answer waits")
    page.reload()
    assert asked == ["beforeunload"]


def test_an_item_that_the_server_sends_back_is_put_right_before_the_next(
    window: Window, site: Site
) -> None:
    page = window.page
    open_item(page, site)
    prefetched(page)
    unseen = {"error": "The right image was not seen.", "code": "unseen", "unseen": [2]}
    site.room.refuse["submit"] = [(422, unseen)]
    score(page)
    page.keyboard.press("Enter")
    expect(page.locator("[data-message]")).to_have_text(
        "This item was not accepted: The right image was not seen."
    )
    at_item(page, "Item 1 of 3")
    page.locator("label:has(input[name=c0][value='5'])").click()
    page.locator("#ask-field").fill("Seen again")
    page.keyboard.press("Enter")
    page.locator("[data-submit]").click()
    at_item(page, "Item 2 of 3")
    saved(page)
    assert site.room.submitted == ["item1"]
    assert values(site)["c0"] == 5


def test_answers_after_the_lock_are_not_stored_and_the_reader_is_told(
    window: Window, site: Site
) -> None:
    page = window.page
    open_item(page, site)
    closed = {"error": "Reading is closed since noon.", "code": "closed"}
    site.room.refuse["score"] = [(422, closed)]
    score(page, "5")
    expect(page.locator("[data-message]")).to_have_text(
        "One entry was not accepted: Reading is closed since noon."
    )
    expect(page.locator("input[name=c0][value='5']")).not_to_be_checked()
    expect(page.locator("#note-c0")).to_have_text("Not stored: Reading is closed since noon.")
    # It stands until it is seen: another message, or a reload, does not take it away.
    page.keyboard.press("Enter")
    expect(page.locator("[data-message]")).to_have_text("6 answers are missing.")
    page.reload()
    expect(page.locator("[data-message]")).to_contain_text("One entry was not accepted")
    page.get_by_role("button", name="Understood").click()
    expect(page.locator("#note-c0")).to_have_text("")
    page.wait_for_selector(READY)
    assert kept(page) == []
