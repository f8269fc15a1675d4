"""A browser, the built front end, and the small server of `harness`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from playwright.sync_api import Browser, ConsoleMessage, Page

from . import harness

AXE = Path(settings.BASE_DIR) / "frontend" / "node_modules" / "axe-core" / "axe.min.js"

ITEM_PAGE = {"item_url_data": "@DATA@", "signin_url": "/signin/", "fault_url": "/faults/"}


@pytest.fixture(scope="session")
def volumes() -> dict[str, np.ndarray]:
    control = harness.lumbar_slices()
    rng = np.random.default_rng(20)
    arms = {"control": control}
    for name, noise in {"double-fast": 160, "DLR-double-fast": 60, "triple-fast": 240,
                        "DLR-triple-fast": 90}.items():  # fmt: skip
        noisy = control + rng.normal(0, noise, control.shape)
        arms[name] = np.clip(noisy, 0, 65535).astype("<u2")
    return arms


@pytest.fixture
def site(front_end: None, volumes: dict[str, np.ndarray]) -> Iterator[harness.Site]:
    pages = {
        "item": harness.render("reading/item.html", "/item/", ITEM_PAGE),
        "home": harness.render("reading/home.html", "/home/", {}),
        "measuring": harness.measuring_page(),
        "upload": harness.upload_page(),
    }
    with harness.serve(harness.Site(volumes=volumes), pages) as site:
        yield site


class Window:
    """A page and what went wrong on it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.troubles: list[str] = []
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("console", self._heard)

    def _heard(self, message: ConsoleMessage) -> None:
        policy = (
            "Content Security Policy" in message.text or "Content-Security-Policy" in message.text
        )
        if message.type == "error" or policy:
            self.troubles.append(message.text)

    def violations(self) -> list[str]:
        """What axe-core finds against WCAG 2.2 level A and AA."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
        found = self.page.evaluate(
            "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", tags
        )
        return [
            f"{one['id']}: {node['html'][:160]}"
            for one in found["violations"]
            for node in one["nodes"]
        ]


@pytest.fixture
def window(chromium: Browser) -> Iterator[Window]:
    context = chromium.new_context(viewport={"width": 1280, "height": 720})
    context.add_init_script(
        "document.addEventListener('securitypolicyviolation', (e) => "
        "console.error('Content Security Policy: ' + e.violatedDirective + ' ' + e.blockedURI))"
    )
    yield Window(context.new_page())
    context.close()
