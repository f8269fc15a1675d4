"""What the page's main thread does in a frame, from Chromium's own trace.

Time between animation frames says only whether a frame came late, on a machine that may be busy
with other things. The trace says how long every task of the main thread ran.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from playwright.sync_api import Browser, Page

CATEGORIES = [
    "-*",
    "toplevel",
    "devtools.timeline",
    "devtools.timeline.frame",
    "disabled-by-default-devtools.timeline",
    "disabled-by-default-devtools.timeline.frame",
]
TASK, FRAME = "RunTask", "BeginMainThreadFrame"


@dataclass(frozen=True)
class Frames:
    wall_ms: np.ndarray  # of each frame: how long its tasks lasted
    processor_ms: np.ndarray  # the same tasks, without the time that others had the processor
    longest_task_ms: float
    seconds: float

    @property
    def rate(self) -> float:
        return len(self.wall_ms) / self.seconds


def frames_during(browser: Browser, page: Page, act: Callable[[], None]) -> Frames:
    browser.start_tracing(page=page, categories=CATEGORIES)
    act()
    events = json.loads(browser.stop_tracing())["traceEvents"]
    main_threads = {
        (event["pid"], event["tid"])
        for event in events
        if event.get("name") == "thread_name" and event["args"].get("name") == "CrRendererMain"
    }
    # Of all pages' main threads, the one that drew.
    counts: dict[tuple[int, int], int] = {}
    for event in events:
        thread = (event.get("pid"), event.get("tid"))
        if event.get("name") == FRAME and thread in main_threads:
            counts[thread] = counts.get(thread, 0) + 1
    if not counts:
        raise SystemExit("The trace holds no frame of the page: this Chromium traces differently.")
    thread = max(counts, key=counts.__getitem__)
    own = [event for event in events if (event.get("pid"), event.get("tid")) == thread]
    starts = np.sort([event["ts"] for event in own if event["name"] == FRAME])
    tasks = [event for event in own if event["name"] == TASK and event["ph"] == "X"]
    begun = np.array([task["ts"] for task in tasks])
    wall = np.array([task["dur"] for task in tasks]) / 1000
    processor = np.array([task.get("tdur", task["dur"]) for task in tasks]) / 1000
    # The task that begins a frame starts just before the frame's own mark: it belongs to it.
    frame = np.searchsorted(starts, begun + 1000 * wall, side="right") - 1
    inside = (frame >= 0) & (frame < len(starts) - 1)
    number = len(starts) - 1
    return Frames(
        np.bincount(frame[inside], wall[inside], number),
        np.bincount(frame[inside], processor[inside], number),
        float(wall[inside].max()),
        float((starts[-1] - starts[0]) / 1e6),
    )
