"""What the tests of the reading page do over and over."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from .harness import Site

SAVED = re.compile(r"^Saved at \d\d:\d\d:\d\d$")
READY = "#reading[data-ready='1'][data-loaded='true']"


def open_item(page: Page, site: Site, number: int = 1) -> None:
    page.goto(f"{site.address}/item/item{number}/")
    page.wait_for_selector(READY)


def at_item(page: Page, text: str) -> None:
    expect(page.locator("[data-position]")).to_have_text(text)
    page.wait_for_selector(READY)


def prefetched(page: Page) -> None:
    """The next two items and all their images."""
    page.wait_for_function(
        """() => ['item2b', 'item3b'].every((name) => performance.getEntriesByType('resource')
            .filter((entry) => entry.name.includes(name) && entry.responseEnd).length === 6)"""
    )


def wait_until(page: Page, is_so: Callable[[], bool], seconds: float = 15) -> None:
    """For what only Python sees; the page goes on meanwhile."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        page.wait_for_timeout(50)


def view(page: Page) -> dict[str, Any]:
    return json.loads(page.locator("#reading").get_attribute("data-view") or "{}")


def values(site: Site, item: str = "item1") -> dict[str, Any]:
    return {code: entry["value"] for code, entry in site.room.answers.get(item, {}).items()}


def saved(page: Page) -> None:
    """Everything is with the server, and the page says when."""
    expect(page.locator("[data-save-state][data-count='0']")).to_have_attribute(
        "data-save-state", "saved", timeout=10_000
    )
    expect(page.locator("[data-save-text]")).to_have_text(SAVED)


def kept(page: Page) -> list[dict[str, Any]]:
    """The deliveries that wait in this browser."""
    found: list[dict[str, Any]] = page.evaluate(
        """() => new Promise((resolve) => {
            const request = indexedDB.open('readerstudy-reading', 1);
            request.onsuccess = ({ target: { result: database } }) => {
                const table = database.transaction('deliveries').objectStore('deliveries');
                table.getAll().onsuccess = ({ target }) => {
                    database.close();
                    resolve(target.result);
                };
            };
        })"""
    )
    return found


def score(page: Page, digits: str = "333333") -> None:
    for digit in digits:
        page.keyboard.press(digit)
