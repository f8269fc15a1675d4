"""axe-core finds nothing to complain of, on any page of the site, for anybody, dialogs included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import Browser, ElementHandle, Page

from .every_page import SitePage, client_of, every_page, populate

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
]

AXE = Path(settings.BASE_DIR) / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
# WCAG 2.2 A and AA, and what axe calls good practice.
RUN = """
async (where) => {
  const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
  const found = await axe.run(where ?? document, {
    runOnly: { type: 'tag', values: tags },
    resultTypes: ['violations'],
    selectors: false,
  });
  return found.violations.flatMap((one) =>
    one.nodes.map((node) => `${one.id}: ${node.html.slice(0, 200)}`));
}
"""
# The item with all its images, or what is asked before it.
READING = "#reading[data-loaded=true], dialog[open]"
# What scripts write into a dialog before they show it stands for itself here.
OPEN_DIALOG = """
(dialog) => {
  for (const empty of dialog.querySelectorAll('h2, label, p, button, legend')) {
    if (!empty.textContent.trim()) empty.append('Text');
  }
  if (!dialog.open) dialog.showModal();
}
"""


# A form's token is another one on every page.
LIKENESS = """
(element) => element.outerHTML.replace(/name="csrfmiddlewaretoken" value="\\w+"/g, '')
"""


def violations(page: Page, seen: set[str] | None = None) -> list[str]:
    """Of a page as it opens, with everything unfolded, and of each of its dialogs.

    `seen`: menus and dialogs of former pages, which are not looked at again.
    """
    seen = set() if seen is None else seen
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    # A menu lies over what is behind it: it is looked at by itself.
    menus = page.locator("details.user-menu")
    found: list[str] = []
    for menu in menus.element_handles():
        found += [] if _knows(seen, menu) else page.evaluate(RUN, menu)
        menu.evaluate("(menu) => { menu.open = false; }")
    found += page.evaluate(RUN)
    for dialog in page.locator("dialog").element_handles():
        if _knows(seen, dialog):
            continue
        dialog.evaluate(OPEN_DIALOG)
        found += page.evaluate(RUN, dialog)
        dialog.evaluate("(dialog) => dialog.close()")
    return found


def _knows(seen: set[str], element: ElementHandle) -> bool:
    likeness = element.evaluate(LIKENESS)
    known = likeness in seen
    seen.add(likeness)
    return known


def open_(page: Page, address: str, where: SitePage) -> None:
    page.goto(address + where.path)
    if where.name == "reading_item":
        page.wait_for_selector(READING, timeout=60_000)


def test_no_page_and_no_dialog_has_a_fault_that_axe_can_find(
    front_end: None, chromium: Browser, live_server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", logger="django.request")  # refusals, while the pages are found
    site = populate()
    pages = list(every_page(site))
    names = {page.name for page in pages}
    assert {"home", "reading_item", "reading_session", "regions_volunteer", "results"} <= names
    assert {"variant_evidence", "uploads", "study_design", "study_amendments"} <= names
    assert {"launch", "lock"} <= names
    faults = []
    seen: set[str] = set()
    tabs: dict[str, Page] = {}  # one for each person
    for where in pages:
        if where.person not in tabs:
            context = chromium.new_context(viewport={"width": 1280, "height": 720})
            context.set_default_navigation_timeout(90_000)
            context.add_init_script(path=AXE)
            client = client_of(site.people[where.person])
            if cookie := client.cookies.get("sessionid"):
                context.add_cookies(
                    [{"name": "sessionid", "value": cookie.value, "url": live_server.url}]
                )
            tabs[where.person] = context.new_page()
        page = tabs[where.person]
        open_(page, live_server.url, where)
        faults += [f"{where}: {fault}" for fault in violations(page, seen)]
    for page in tabs.values():
        page.context.close()
    assert not faults, "\n".join(faults)
