"""Pictures of every page of the site at three sizes, for people to look at.

    python -m tests.browser.screenshots FOLDER [--only NAME …]

A laptop, a large desk monitor and a reading monitor on end. A page that is taller than the screen
is taken whole at the first size, and as it opens at the others.
"""

from __future__ import annotations

import argparse
import logging
import re
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, sync_playwright

from benchmarks.reading_site.site import benchmark_site

SIZES = {"1280x720": (1280, 720), "2560x1440": (2560, 1440), "1440x2560": (1440, 2560)}


def settle(page: Page) -> None:
    """Images drawn, requests over; whatever the page asks first stays on the picture."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(300)


def take(context: BrowserContext, address: str, folder: Path, pages: list[tuple[str, str]]) -> None:
    for name, path in pages:
        for size, (width, height) in SIZES.items():
            page = context.new_page()
            page.set_viewport_size({"width": width, "height": height})
            page.goto(address + path)
            settle(page)
            page.screenshot(path=folder / f"{name}-{size}.png", full_page=size == "1280x720")
            page.close()
        print(name, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", default=[], help="parts of the names of addresses")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with benchmark_site() as site:
        from django.conf import settings

        from benchmarks.reading_site.study import Size, images_of
        from tests.browser.every_page import client_of, every_page, populate
        from tests.chromium import ARGUMENTS, CHROMIUM

        settings.ALLOWED_HOSTS = ["testserver"]  # pages are found by Django's test client
        logging.disable(logging.CRITICAL)
        everything = populate(images_of(Size(384, 320, 6)))
        pages = [
            page
            for page in every_page(everything)
            if not options.only or any(part in page.name for part in options.only)
        ]
        address = site.serve()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            for person, user in everything.people.items():
                own = [page for page in pages if page.person == person]
                if not own:
                    continue
                context = browser.new_context()
                if cookie := client_of(user).cookies.get("sessionid"):
                    context.add_cookies(
                        [{"name": "sessionid", "value": cookie.value, "url": address}]
                    )
                named = []
                for page in own:
                    study = re.search(r"/studies/(\w+)/", page.path)
                    parts = [page.name, *([study[1]] if study else []), person]
                    named.append((re.sub(r"[^\w]+", "-", " ".join(parts)), page.path))
                take(context, address, options.folder, named)
                context.close()
            browser.close()


if __name__ == "__main__":
    main()
