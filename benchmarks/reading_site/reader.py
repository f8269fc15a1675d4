"""A reader in a browser: signs in, opens the session, scores, goes on; with the times of the page.

Times are taken in the page, on its own clock, from the event of the key to the frame after the one
in which the page says that every pane has drawn the new item.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from playwright.sync_api import BrowserContext, Page, Request

from tests.factories import PASSWORD

CRITERIA = 6
# A reader who has made up their mind: seconds between two digits, and before Enter.
BETWEEN_KEYS = 0.15
QUIET_SECONDS = 0.5
PATIENCE_SECONDS = 60.0

WATCH = """
() => {
  const find = (selector) => document.querySelector(selector);
  const shows = (position) => {
    const root = find('#reading');
    const said = find('[data-position]')?.textContent ?? '';
    return root?.dataset.ready === '1' && said.startsWith(`Item ${position} of`);
  };
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  window.benchmark = {
    /** From the next Enter until the item of that place is on the screen. */
    async next(position) {
      const event = await new Promise((resolve) => window.addEventListener(
        'keydown', (e) => e.key === 'Enter' && resolve(e), { capture: true }));
      while (!shows(position)) await frame();
      await frame();
      return performance.now() - event.timeStamp;
    },
  };
}
"""
# On a page that is just opening: when the first item stood on the screen, by the page's clock.
FIRST = """
window.firstItem = new Promise((resolve) => {
  const look = () => {
    const root = document.querySelector('#reading');
    if (root?.dataset.ready === '1') {
      requestAnimationFrame(() => { resolve(performance.now()); });
    } else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
});
"""


@dataclass
class Traffic:
    """Requests under way, so that the benchmark can wait as a reader's thinking time does."""

    under_way: int = 0
    last_change: float = 0.0

    def watch(self, page: Page) -> None:
        page.on("request", self._begun)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)

    def _begun(self, _: Request) -> None:
        self.under_way += 1
        self.last_change = time.monotonic()

    def _ended(self, _: Request) -> None:
        self.under_way -= 1
        self.last_change = time.monotonic()

    def settle(self, page: Page) -> None:
        """Nothing is under way any more: this item is whole and what comes next is fetched."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.under_way > 0 or time.monotonic() - self.last_change < QUIET_SECONDS:
            page.wait_for_timeout(50)
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.under_way} requests are still under way.")


def sign_in(page: Page, address: str, email: str) -> float:
    """Seconds from Enter to the page that follows."""
    page.goto(f"{address}/accounts/login/")
    page.fill("input[name=login]", email)
    page.fill("input[name=password]", PASSWORD)
    before = time.perf_counter()
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/accounts/login" not in url)
    return time.perf_counter() - before


def open_session(page: Page, address: str) -> None:
    """To the item that is to be read now, from the list of sessions."""
    page.goto(f"{address}/reading/")
    page.get_by_role("link", name=re.compile("(Start|Go on) reading")).click()


def first_item(context: BrowserContext, address: str, email: str) -> tuple[float, float]:
    """Seconds of signing in, and from asking for the item's page to its images on the screen."""
    page = context.new_page()
    signed_in = sign_in(page, address, email)
    page.add_init_script(FIRST)
    open_session(page, address)
    page.wait_for_selector("#reading")
    shown = page.evaluate("() => window.firstItem") / 1000
    page.close()
    return signed_in, shown


def score_item(page: Page, position: int) -> None:
    page.wait_for_selector("#reading[data-loaded=true]", timeout=PATIENCE_SECONDS * 1000)
    for criterion in range(CRITERIA):
        page.keyboard.press(str(1 + (position + criterion) % 5))
        page.wait_for_timeout(BETWEEN_KEYS * 1000)


def go_on(page: Page, position: int) -> float:
    """Submit with Enter; milliseconds until the item of that place is on the screen."""
    page.evaluate(WATCH)
    page.evaluate("position => { window.shown = window.benchmark.next(position); }", position)
    page.keyboard.press("Enter")
    return float(page.evaluate("() => window.shown"))


def scroll(page: Page, pane: int, steps: int, *, rate: float = 60.0) -> None:
    """Turn the wheel over a pane, a slice a step, forth and back, `rate` steps a second."""
    box = page.locator("canvas").nth(pane).bounding_box()
    if box is None:
        raise SystemExit("A pane is not on the screen.")
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    start = time.perf_counter()
    for step in range(steps):
        page.mouse.wheel(0, 100 if step // 15 % 2 else -100)
        time.sleep(max(0.0, start + (step + 1) / rate - time.perf_counter()))
