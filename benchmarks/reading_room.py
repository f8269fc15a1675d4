"""How long do radiologists wait, and does the page hold its memory? Measured in Chromium.

A study of real-sized images on gunicorn as it is deployed, read in a real browser:

- the first item: from sign-in to its images on the screen;
- the next item: from Enter to its images on the screen, fetched ahead as for a reader who thinks;
- scrolling both panes: what the main thread does in each frame, from Chromium's own trace, and how
  many slices a second are really drawn (without a graphics card, workers make the pictures);
- memory after many items: script heap, and the processes that hold and draw the images.

Beside it, from the same server and storage, the same series as DICOM files through Cornerstone's
own DICOM loader, as OHIF loads them. The machine is not a radiologist's: read the ratios.

    python benchmarks/reading_room.py [--items 100] [--repeats 5] [--size 640x512x20]

Ends with 1 if a mark is missed: next item at most 100 ms (median) and 250 ms (95 %), main thread at
most 16.7 ms a frame (95 %), memory after the last item at most a fifth above that after a fifth.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.reading_site.dicom import build as dicom_page
from benchmarks.reading_site.frames import Frames, frames_during
from benchmarks.reading_site.memory import Memory, memory_of, sessions
from benchmarks.reading_site.site import benchmark_site, load_of_the_machine

CHROMIUM = "/usr/bin/chromium"
VIEWPORT = {"width": 1920, "height": 1080}
NEXT_MEDIAN_MS, NEXT_P95_MS, FRAME_P95_MS, MEMORY_GROWTH = 100.0, 250.0, 16.7, 1.2
REPEATS_PERCENT = 50
SCROLL_STEPS = 300
MEMORY_EVERY = 10
# The page names what it has drawn after each drawing of both panes.
COUNT_DRAWINGS = """() => {
  const times = [];
  new MutationObserver(() => times.push(performance.now())).observe(
    document.querySelector('#reading'), { attributeFilter: ['data-view'] });
  window.drawingTimes = times;
}"""
DRAWINGS_A_SECOND = """() =>
  1000 * (window.drawingTimes.length - 1) / (window.drawingTimes.at(-1) - window.drawingTimes[0])"""


class Marks:
    """Figures beside what they have to keep to."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def line(self, what: str, value: float, unit: str, limit: float | None = None) -> None:
        verdict = ""
        if limit is not None:
            kept = value <= limit
            verdict = f"   {'ok' if kept else 'MISSED'}: at most {limit:g} {unit}"
            if not kept:
                self.missed.append(what)
        print(f"  {what:<58}{value:>9.1f} {unit}{verdict}", flush=True)


def p95(values: np.ndarray | list[float]) -> float:
    return float(np.percentile(values, 95))


def ratio(ours: float, theirs: float) -> None:
    print(f"  {'':<58}{theirs / ours:>9.1f} times faster than as DICOM files", flush=True)


def print_frames(marks: Marks, name: str, frames: Frames, limit: float | None) -> None:
    """Work is the time that the thread had the processor: what the page asks of the machine.

    How long its tasks lasted says as much about what else the machine was doing.
    """
    marks.line(f"{name}: work, median a frame", float(np.median(frames.processor_ms)), "ms")
    marks.line(f"{name}: work, 95 % of frames", p95(frames.processor_ms), "ms", limit)
    marks.line("  from begin to end of its tasks, median", float(np.median(frames.wall_ms)), "ms")
    marks.line("  95 % of frames", p95(frames.wall_ms), "ms")
    print(f"  {len(frames.wall_ms)} frames, {frames.rate:.0f} a second", flush=True)


def measure_first(
    browser: Browser, address: str, dicom: str, emails: list[str], marks: Marks
) -> None:
    from benchmarks.reading_site import reader

    print("\nThe first item, nothing kept from before (fresh browser profile)")
    signed_in, shown, theirs, all_theirs = [], [], [], []
    for email in emails:
        context = browser.new_context(viewport=VIEWPORT)  # type: ignore[arg-type]
        first, second = reader.first_item(context, address, email)
        signed_in.append(first)
        shown.append(second)
        context.close()
        context = browser.new_context(viewport=VIEWPORT)  # type: ignore[arg-type]
        page = context.new_page()
        reader.sign_in(page, dicom, email)
        page.goto(f"{dicom}/dicom/page/1/")
        page.wait_for_selector("html[data-ready='1']")
        times = page.evaluate("() => window.firstItem")
        theirs.append(times["first"] / 1000)
        all_theirs.append(times["all"] / 1000)
        context.close()
    marks.line("signing in", 1000 * float(np.median(signed_in)), "ms")
    marks.line("its page asked for → both panes drawn", 1000 * float(np.median(shown)), "ms")
    marks.line("as DICOM files: the same", 1000 * float(np.median(theirs)), "ms")
    ratio(float(np.median(shown)), float(np.median(theirs)))


def read_items(
    context: BrowserContext, browser: Browser, address: str, email: str, items: int, marks: Marks
) -> tuple[Page, Frames, float, list[float]]:
    """Read `items` items; the page, frames and drawings a second of scrolling, and milliseconds to
    each next item."""
    from benchmarks.reading_site import reader

    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    traffic = reader.Traffic()
    traffic.watch(page)
    reader.sign_in(page, address, email)
    reader.open_session(page, address)
    traffic.settle(page)
    for pane in (0, 1):
        reader.scroll(page, pane, 40)
    page.evaluate(COUNT_DRAWINGS)
    frames = frames_during(
        browser, page, lambda: [reader.scroll(page, pane, SCROLL_STEPS) for pane in (0, 1)] and None
    )
    drawings = float(page.evaluate(DRAWINGS_A_SECOND))
    waits: list[float] = []
    measured: list[tuple[int, Memory]] = []
    watched = sessions(browser, page)
    for position in range(1, items + 1):
        reader.score_item(page, position)
        traffic.settle(page)
        looked_at = position % MEMORY_EVERY == 0
        before = pictures(page) if looked_at else []
        waits.append(reader.go_on(page, position + 1))
        if looked_at:
            # Neighbouring items are of different volunteers: both panes must have changed.
            if any(one == other for one, other in zip(before, pictures(page), strict=True)):
                raise SystemExit(f"Item {position + 1} is said to be shown; a pane is as before.")
            traffic.settle(page)
            measured.append((position, memory_of(*watched)))
    if troubles:
        raise SystemExit("Errors on the page: " + "; ".join(troubles))
    print_memory(marks, measured)
    return page, frames, drawings, waits


def pictures(page: Page) -> list[bytes]:
    """What stands on the screen in the middle of both panes."""
    found = []
    for pane in (0, 1):
        box = page.locator("canvas").nth(pane).bounding_box()
        if box is None:
            raise SystemExit("A pane is not on the screen.")
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        clip = {"x": x - 32, "y": y - 32, "width": 64, "height": 64}
        found.append(page.screenshot(clip=clip))  # type: ignore[arg-type]
    return found


def print_memory(marks: Marks, measured: list[tuple[int, Memory]]) -> None:
    print("\nMemory, read item after item")
    print(f"  {'items':>5}{'script heap':>14}{'page':>10}{'graphics':>10}   MiB")
    for items, memory in measured:
        print(
            f"  {items:>5}{memory.heap_mib:>14.0f}{memory.page_mib:>10.0f}"
            f"{memory.graphics_mib:>10.0f}"
        )
    early, last = measured[max(0, len(measured) // 5 - 1)], measured[-1]
    for name, of in (
        ("script heap", lambda memory: memory.heap_mib),
        ("page and graphics together", lambda memory: memory.total_mib),
    ):
        grown = of(last[1]) / of(early[1])
        marks.line(f"{name}, item {last[0]} against item {early[0]}", grown, "times", MEMORY_GROWTH)


def measure_dicom(
    browser: Browser, dicom: str, email: str, items: int
) -> tuple[Frames, list[float]]:
    from benchmarks.reading_site import reader

    context = browser.new_context(viewport=VIEWPORT)  # type: ignore[arg-type]
    page = context.new_page()
    reader.sign_in(page, dicom, email)
    page.goto(f"{dicom}/dicom/page/1/")
    page.wait_for_selector("html[data-ready='1']")
    for pane in (0, 1):
        reader.scroll(page, pane, 40)
    frames = frames_during(
        browser, page, lambda: [reader.scroll(page, pane, SCROLL_STEPS) for pane in (0, 1)] and None
    )
    waits = []
    for position in range(2, items + 2):
        times = page.evaluate("position => window.comparison.show(position)", position)
        waits.append(times["first"] - times["asked"])
    context.close()
    return frames, waits


def run(options: argparse.Namespace) -> list[str]:
    marks = Marks()
    volunteers = -(-(options.items + 1) * 100 // (5 * (100 + REPEATS_PERCENT)))
    with benchmark_site() as site:
        from benchmarks.reading_site.study import Size, make_study
        from tests.chromium import ARGUMENTS

        rows, columns, slices = (int(part) for part in options.size.split("x"))
        size = Size(rows, columns, slices)
        print(f"Two panes of {size}; {load_of_the_machine()}", flush=True)
        study = make_study(
            size,
            volunteers=max(3, volunteers),
            readers=options.repeats + 1,
            repeat_percent=REPEATS_PERCENT,
        )
        emails = list(study.memberships.filter(role="reader").values_list("user__email", flat=True))
        dicom_page.build(site.home / "var" / "dicom-page")
        address = site.serve()
        dicom = site.serve(settings="benchmarks.reading_site.dicom.settings")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            print(f"Chromium {browser.version}, {VIEWPORT['width']} x {VIEWPORT['height']}")
            measure_first(browser, address, dicom, emails[1:], marks)
            context = browser.new_context(viewport=VIEWPORT)  # type: ignore[arg-type]
            page, frames, drawings, waits = read_items(
                context, browser, address, emails[0], options.items, marks
            )
            page.close()
            their_frames, their_waits = measure_dicom(browser, dicom, emails[1], options.repeats)
            print(f"\nThe next item, {len(waits)} of them, fetched ahead")
            marks.line(
                "Enter → both panes drawn, median", float(np.median(waits)), "ms", NEXT_MEDIAN_MS
            )
            marks.line("95 %", p95(waits), "ms", NEXT_P95_MS)
            marks.line("longest", max(waits), "ms")
            marks.line(
                "as DICOM files, asked for then: median", float(np.median(their_waits)), "ms"
            )
            ratio(float(np.median(waits)), float(np.median(their_waits)))
            print("\nScrolling both panes, a slice every 1/60 s: work of the main thread")
            print_frames(marks, "two panes", frames, FRAME_P95_MS)
            print(f"  {drawings:.0f} drawings of both panes a second", flush=True)
            print_frames(marks, "as DICOM files", their_frames, None)
            ratio(p95(frames.processor_ms), p95(their_frames.processor_ms))
            browser.close()
            print(f"\n{load_of_the_machine()}")
    return marks.missed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5, help="fresh browsers for the first item")
    parser.add_argument("--size", default="640x512x20", help="rows x columns x slices")
    options = parser.parse_args()
    if options.items < 2 * MEMORY_EVERY or options.repeats < 1:
        parser.error(f"At least {2 * MEMORY_EVERY} items and one repeat are needed.")
    missed = run(options)
    if missed:
        raise SystemExit(f"Missed: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
