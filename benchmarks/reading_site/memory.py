"""Memory of a page: its script heap after a collection, and the processes that draw it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, CDPSession, Page

MIB = 1024 * 1024


@dataclass(frozen=True)
class Memory:
    heap_mib: float  # script objects, after a collection
    page_mib: float  # the page's process: script, pixels, canvases
    graphics_mib: float  # the graphics process: textures

    @property
    def total_mib(self) -> float:
        return self.page_mib + self.graphics_mib


def memory_of(browser_session: CDPSession, page_session: CDPSession) -> Memory:
    for _ in range(2):
        page_session.send("HeapProfiler.collectGarbage")
    page_session.send("Performance.enable")
    metrics = page_session.send("Performance.getMetrics")["metrics"]
    heap = next(m["value"] for m in metrics if m["name"] == "JSHeapUsedSize")
    processes = browser_session.send("SystemInfo.getProcessInfo")["processInfo"]
    # The page's own process is by far the largest of the renderers.
    page = max(_resident(p["id"]) for p in processes if p["type"] == "renderer")
    graphics = sum(_resident(p["id"]) for p in processes if p["type"] == "GPU")
    return Memory(heap / MIB, page / MIB, graphics / MIB)


def sessions(browser: Browser, page: Page) -> tuple[CDPSession, CDPSession]:
    return browser.new_browser_cdp_session(), page.context.new_cdp_session(page)


def _resident(process: int) -> float:
    """Bytes of the process's own and shared memory that are in RAM; code of the browser aside."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return 0.0
    found = {name: value for name, _, value in (line.partition(":") for line in lines)}
    return 1024.0 * sum(int(found[name].split()[0]) for name in ("RssAnon", "RssShmem"))
