"""The reading room as a hospital runs it: a web process that dies, a sign-in that runs out, and a
reader who goes on at another computer."""

from __future__ import annotations

import contextlib
import signal
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.factories import PASSWORD
from tests.jobs.site import Process, wait_for

from .whole_site import WholeSite

pytestmark = [pytest.mark.browser, pytest.mark.slow]

READER = "rita@example.org"
READY = "#reading[data-ready='1'][data-loaded='true']"
# The data of three items, and the slices of all their panes.
PREFETCHED = """() => {
    const names = [...new Set(performance.getEntriesByType('resource').map(({ name }) => name))];
    const count = (part) => names.filter((name) => name.includes(part)).length;
    return count('/data/') >= 3 && count('/pixels/') >= 18;
}"""


# Of some addresses, how many the browser answers without asking the server.
IN_CACHE = """async (addresses) => {
    const options = { cache: 'only-if-cached', mode: 'same-origin' };
    const answers = await Promise.allSettled(addresses.map((one) => fetch(one, options)));
    return answers.filter(({ value }) => value?.ok).length;
}"""


class RoomSite(WholeSite):
    """A web process that can be killed and started again at the same address."""

    web: Process

    def serve(self) -> None:
        self.manage("collectstatic", "--noinput", "--verbosity=0")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"http://127.0.0.1:{probe.getsockname()[1]}"
        self.start_web()

    def start_web(self) -> None:
        bind = self.address.removeprefix("http://")
        self.web = self.start(
            *("-m", "gunicorn", "readerstudy.wsgi", "--bind", bind),
            *("--worker-class", "gthread", "--workers", "1", "--threads", "4"),
        )
        wait_for(self._answers, "the web process to answer")

    def kill_web(self) -> None:
        self.web.signal(signal.SIGTERM)
        self.web.popen.wait()


@pytest.fixture
def site(front_end: None, tmp_path: Path) -> Iterator[RoomSite]:
    site = RoomSite(tmp_path, f"sqlite:///{tmp_path}/site.sqlite3")
    site.manage("migrate", "--verbosity=0", "--skip-checks")
    site.python(
        "from tests.factories import make_reader, make_study\n"
        "from tests.reading.imaged_study import fill_study, start_reading\n"
        "study = make_study(notice='Simulated.')\n"
        f"make_reader(study, {READER!r})\n"
        "fill_study(study, 3)\n"
        "start_reading(study)\n"
    )
    try:
        site.serve()
        yield site
    finally:
        site.stop()


def signed_in(browser: Browser, site: RoomSite) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 720}).new_page()
    page.goto(f"{site.address}/accounts/login/?next=/reading/")
    page.fill("input[name=login]", READER)
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.address}/reading/")
    return page


def at_item(page: Page, position: int) -> None:
    expect(page.locator("[data-position]")).to_have_text(f"Item {position} of 15")
    page.wait_for_selector(READY)
    expect(page.locator("dialog[open]")).to_have_count(0)  # the look at the display


def delivered(page: Page) -> None:
    expect(page.locator("[data-save-state]")).to_have_attribute("data-count", "0", timeout=40_000)


def stored(site: RoomSite) -> list[tuple[Any, ...]]:
    """(item, value, revision) of every revision, in the order of its coming."""
    return site.query(
        "SELECT item.position, score.value, score.revision FROM reading_scorerevision score"
        " JOIN reading_item item ON item.id = score.item_id ORDER BY score.id"
    )


def test_nothing_is_lost_when_the_server_dies_the_sign_in_ends_or_the_reader_moves(
    chromium: Browser, site: RoomSite
) -> None:
    page = signed_in(chromium, site)
    page.get_by_role("link", name="Start reading").click()
    page.get_by_role("button", name="Skip").click()
    at_item(page, 1)
    for digit in "12":
        page.keyboard.press(digit)
    delivered(page)
    # The next two are here before the server goes.
    page.wait_for_function(PREFETCHED)

    site.kill_web()
    for digit in "3451":
        page.keyboard.press(digit)
    page.keyboard.press("Enter")
    at_item(page, 2)
    for digit in "222222":
        page.keyboard.press(digit)
    expect(page.locator("[data-save-text]")).to_contain_text("Offline.")
    site.start_web()
    page.keyboard.press("n")
    at_item(page, 3)
    delivered(page)
    rows = stored(site)
    assert [value for _, value, _ in rows] == [1, 2, 3, 4, 5, 1, 2, 2, 2, 2, 2, 2]
    assert [item for item, _, _ in rows] == [1] * 6 + [2] * 6
    assert {revision for _, _, revision in rows} == {1}

    # The session ends on the server: the password is asked for over the page.
    with contextlib.closing(sqlite3.connect(site.home / "site.sqlite3", timeout=20)) as database:
        database.execute("DELETE FROM django_session")
        database.commit()
    page.locator("[data-open-comment]").click()
    page.keyboard.type("Typed while signed out")
    page.keyboard.press("Escape")
    expect(page.locator("#sign-in")).to_be_visible()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#sign-in")).to_be_hidden()
    page.keyboard.press("j")
    page.keyboard.press("4")
    delivered(page)
    expect(page.locator("[data-comment]")).to_have_value("Typed while signed out")

    # At another computer: the same item, as it was left.
    other = signed_in(chromium, site)
    expect(other.locator("[data-session]")).to_contain_text("2 of 15")
    other.get_by_role("link", name="Go on reading").click()
    at_item(other, 3)
    expect(other.locator("input[value='4']:checked")).to_have_count(1)
    expect(other.locator("[data-comment]")).to_have_value("Typed while signed out")

    # A change of what is submitted asks why, and stands beside the first score.
    other.keyboard.press("p")
    at_item(other, 2)
    other.locator("label:has(input[value='5'])").first.click()
    other.locator("#ask-field").fill("Compared once more")
    other.keyboard.press("Enter")
    expect(other.locator("#ask")).to_be_hidden()
    delivered(other)
    assert stored(site)[-1] == (2, 5, 2)
    visited = site.query(
        "SELECT DISTINCT item.position FROM reading_visit visit"
        " JOIN reading_item item ON item.id = visit.item_id ORDER BY 1"
    )
    assert visited == [(1,), (2,), (3,)]

    # Signed out, the browser has none of the images any more; before, it answers from its cache.
    slices = other.evaluate(
        """() => performance.getEntriesByType('resource').map(({ name }) => name)
            .filter((name) => name.includes('/pixels/'))"""
    )
    assert len(slices) > 6
    assert other.evaluate(IN_CACHE, slices) > 6
    other.locator(".user-menu summary").click()
    other.get_by_role("button", name="Sign out").click()
    other.wait_for_url(lambda url: "/reading/" not in url)
    assert other.evaluate(IN_CACHE, slices) == 0
