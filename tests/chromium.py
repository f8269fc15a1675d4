"""Fixtures of every browser test: the built front end, and one Chromium for the whole process.

Playwright starts once in a process; a second start beside the first is refused.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

CHROMIUM = "/usr/bin/chromium"
# Two cores may carry workers, a database and the checks of style beside the browser.
EXPECT_MS, PAGE_MS = 15_000, 90_000
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@pytest.fixture(scope="session")
def front_end() -> None:
    """The front end as its sources are now."""
    script = Path(settings.BASE_DIR) / "frontend" / "build.py"
    built = subprocess.run(
        [sys.executable, str(script), "--if-changed"], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        plain = browser.new_context

        def new_context(**options: Any) -> BrowserContext:
            context = plain(**options)
            context.set_default_navigation_timeout(PAGE_MS)
            return context

        browser.new_context = new_context  # type: ignore[method-assign]
        expect.set_options(timeout=EXPECT_MS)
        yield browser
        browser.close()
