"""What comes over the reading page: a second window, an expired sign-in, a pause, a fault."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from .conftest import Window
from .harness import Site
from .reading_room import PASSWORD, short_pause
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


def test_two_windows_do_not_fight_and_the_second_can_take_over(window: Window, site: Site) -> None:
    first = window.page
    open_item(first, site)
    score(first, "12")
    saved(first)
    second = first.context.new_page()
    second.goto(f"{site.address}/item/item1/")
    dialog = second.locator("#elsewhere")
    expect(dialog).to_contain_text("This session is open in another window")
    second.keyboard.press("Escape")
    second.keyboard.press("5")
    expect(dialog).to_be_visible()

    second.get_by_role("button", name="Read in this window").click()
    at_item(second, "Item 1 of 3")
    expect(second.locator("input[name=c1][value='2']")).to_be_checked()
    expect(first.locator("#elsewhere")).to_contain_text("Reading went on in another window")
    first.keyboard.press("5")
    score(second, "34")
    saved(second)
    assert values(site) == {"c0": 1, "c1": 2, "c2": 3, "c3": 4}

    first.get_by_role("button", name="Read in this window").click()
    at_item(first, "Item 1 of 3")
    expect(first.locator("input[name=c3][value='4']")).to_be_checked()
    expect(second.locator("#elsewhere")).to_be_visible()
    assert window.troubles == []


def test_an_expired_sign_in_asks_for_the_password_over_the_page(window: Window, site: Site) -> None:
    page = window.page
    open_item(page, site)
    page.locator("[data-open-comment]").click()
    page.keyboard.type("Half a senten")
    page.locator("input[name=c0][value='1']").focus()
    saved(page)
    site.room.signed_in, site.room.second_factor = False, "123456"
    score(page, "4")
    dialog = page.locator("#sign-in")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("Password of Dr A. Reader")
    expect(page.locator("#sign-in-password")).to_be_focused()
    assert window.violations() == []
    page.keyboard.type("not this one")
    page.keyboard.press("Enter")
    expect(page.locator("[data-signin-fault]")).to_have_text("The password is wrong.")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#sign-in-code")).to_be_focused()
    page.keyboard.type("123456")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    saved(page)
    # The page is as it was, and the choice arrived.
    assert values(site) == {"c0": 4}
    expect(page.locator("[data-comment]")).to_have_value("Half a senten")
    assert page.url.endswith("/item/item1/")

    # Put off: the answers wait, and the page offers the sign-in again.
    site.room.signed_in, site.room.second_factor = False, ""
    score(page, "5")
    expect(dialog).to_be_visible()
    page.get_by_role("button", name="Later").click()
    expect(page.locator("[data-save-text]")).to_contain_text("Signed out. 1 answer waits")
    # Asked once: reading goes on meanwhile.
    score(page, "3")
    expect(page.locator("[data-save-text]")).to_contain_text("Signed out. 2 answers wait")
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    saved(page)
    assert values(site) == {"c0": 4, "c1": 5, "c2": 3}


def test_a_sign_in_put_off_stays_off_until_the_reader_is_back(window: Window, site: Site) -> None:
    page = window.page
    site.room.items = 4
    open_item(page, site)
    prefetched(page)
    site.room.signed_in = False
    score(page, "4")
    dialog, later = page.locator("#sign-in"), page.get_by_role("button", name="Later")
    later.click()
    score(page, "44444")
    for position in (2, 3):  # fetched ahead: reading goes on
        page.keyboard.press("Enter")
        at_item(page, f"Item {position} of 4")
        score(page)
    expect(dialog).to_be_hidden()
    # The next item cannot be fetched signed out: asked for once, and then left in peace.
    page.keyboard.press("Enter")
    later.click()
    message = page.locator("[data-message]")
    expect(message).to_contain_text("You are signed out. The item is fetched when")
    shown = page.evaluate(
        """() => new Promise((resolve) => {
            const dialog = document.querySelector('#sign-in');
            let times = 0;
            new MutationObserver(() => { times += dialog.open; }).observe(dialog,
                { attributes: true });
            setTimeout(() => resolve(times), 4000);
        })"""
    )
    assert shown == 0
    assert site.room.answers == {}
    # Signed in again in another window: found out quietly, and everything goes on.
    site.room.signed_in = True
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    at_item(page, "Item 4 of 4")
    saved(page)
    expect(page.locator("[data-message-box]")).to_be_hidden()
    assert site.room.submitted == ["item1", "item2", "item3"]
    # The same while the password is being asked for: there are accounts without one.
    site.room.signed_in = False
    score(page, "5")
    expect(dialog.get_by_role("link", name="Sign in in another window")).to_be_visible()
    assert window.violations() == []
    site.room.signed_in = True
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    expect(dialog).to_be_hidden()
    saved(page)
    assert values(site, "item4")["c0"] == 5


def test_signing_out_sends_what_waits_first_or_says_what_stays(window: Window, site: Site) -> None:
    page = window.page
    unavailable = (503, {"error": "The server is being restarted."})
    site.room.refuse["score"] = [unavailable] * 3
    open_item(page, site)
    score(page, "4")
    expect(page.locator("[data-save-text]")).to_contain_text("1 answer waits")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    site.room.refuse["score"] = [unavailable] * 50
    page.locator(".user-menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    wait_until(page, lambda: len(asked) == 1)
    assert asked[0].startswith("One entry could not be sent. What waits is kept in this browser")
    assert len(kept(page)) == 1
    assert "POST /accounts/logout/" not in site.requests
    site.room.refuse["score"] = []
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/accounts/logout/")
    assert len(asked) == 1
    assert values(site) == {"c0": 4}


def test_answers_are_never_sent_in_another_person_s_name(window: Window, site: Site) -> None:
    page = window.page
    site.room.items = 4
    open_item(page, site)
    prefetched(page)
    site.room.other_person = True  # signed in from another window of the same browser
    score(page, "4")
    expect(page.locator("[data-save-text]")).to_contain_text("Another person is signed in here.")
    assert len(kept(page)) == 1
    site.room.other_person = False
    page.locator("[data-retry]").click()
    saved(page)
    assert values(site) == {"c0": 4}
    # Beyond what is fetched ahead the page waits, and stays alive.
    site.room.other_person = True
    score(page, "44444")
    for position in (2, 3):
        page.keyboard.press("Enter")
        at_item(page, f"Item {position} of 4")
        score(page)
    page.keyboard.press("Enter")
    expect(page.locator("[data-message]")).to_contain_text("Another person is signed in")
    site.room.other_person = False
    page.evaluate("window.dispatchEvent(new Event('online'))")
    at_item(page, "Item 4 of 4")
    saved(page)
    assert set(values(site).values()) == {4}


def test_a_pause_puts_the_images_away_and_is_no_time_on_an_item(window: Window, site: Site) -> None:
    page = window.page
    open_item(page, site)
    site.room.pause = short_pause(2.5)
    score(page)
    page.keyboard.press("Enter")
    dialog = page.locator("#pause")
    expect(dialog).to_contain_text("You have read for 45 minutes.")
    expect(dialog.get_by_role("button", name="Go on reading")).to_be_disabled()
    assert window.violations() == []
    page.keyboard.press("Escape")
    page.keyboard.press("5")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button", name="Go on reading")).to_be_focused(timeout=5000)
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    score(page)
    saved(page)
    assert site.room.pauses_ended == 1
    page.keyboard.press("n")
    at_item(page, "Item 3 of 3")
    saved(page)
    _, visit = site.room.visits[-1]
    assert [one["why"] for one in visit["interruptions"]] == ["pause"]
    assert visit["interruptions"][0]["ms"] > 0
    assert visit["active_ms"] < 3000
    assert values(site, "item2")["c0"] == 3


def test_the_display_is_looked_at_once_before_the_first_item(window: Window, site: Site) -> None:
    site.room.display_wanted, site.room.advice = True, ["Please dim the lights."]
    page = window.page
    page.goto(f"{site.address}/item/item1/")
    dialog = page.locator("#display-check")
    expect(dialog).to_be_visible()
    assert window.violations() == []
    dialog.get_by_role("button", name="Skip").click()
    expect(dialog).to_contain_text("Please dim the lights.")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator("input[name=c0][value='1']")).to_be_focused()
    page.wait_for_selector(READY)
    saved(page)
    [sent] = site.room.displays
    assert sent["contrast"] is None
    assert sent["viewport"] == [1280, 720]
    assert window.troubles == []
    # A display that was found to show bands is spoken of, also after a reload.
    expect(page.locator("[data-display-notice]")).to_be_hidden()
    site.room.ramp = "banded"
    page.reload()
    dialog.locator("canvas").wait_for()
    for _ in range(8):
        page.keyboard.press("0")
    dialog.get_by_role("button", name="In bands").click()
    page.keyboard.press("Enter")
    page.wait_for_selector(READY)
    notice = page.locator("[data-display-notice]")
    expect(notice).to_contain_text("fewer than 256 greys")
    saved(page)
    site.room.display_wanted = False
    page.reload()
    expect(notice).to_contain_text("fewer than 256 greys")


def test_a_fault_of_the_page_is_said_and_told_without_its_words(window: Window, site: Site) -> None:
    page = window.page
    open_item(page, site)
    with page.expect_response("**/faults/"):
        page.evaluate("setTimeout(() => { throw new TypeError('volunteer V01 of arm DF') })")
    expect(page.locator("[data-message]")).to_contain_text("Nothing that you scored is lost")
    [fault] = site.room.faults
    assert fault["kind"] == "script"
    assert fault["name"] == "TypeError"
    assert "V01" not in str(fault)
    page.get_by_role("button", name="Reload").click()
    page.wait_for_selector(READY)
