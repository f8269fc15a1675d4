"""Who used the processors meanwhile: web, database, workers, and those who asked.

On a machine of few processors the callers take theirs from those who answer: a figure of a load
says little without it. Read from Linux' /proc, children that have ended included.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

_TICKS = os.sysconf("SC_CLK_TCK")
# What a process is, by a word of its command line; the first that fits. Children are their
# parents'.
_KINDS = (
    ("web", "gunicorn"),
    ("workers", "manage.py\0worker"),
    ("database", "/postgres\0"),
    ("readers", "locust"),
)
CALLERS = "coordinators"  # threads of the benchmark's own process


def _stat(pid: int) -> tuple[int, float]:
    """Parent, and seconds of the process and of its children that have ended."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    fields = text.rpartition(")")[2].split()
    return int(fields[1]), sum(int(value) for value in fields[11:15]) / _TICKS


def _kind(pid: int) -> str:
    said = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    return next((kind for kind, word in _KINDS if word in said), "")


def _used() -> dict[str, float]:
    """Seconds so far by kind, of everything that this process has started."""
    own = os.getpid()
    parents: dict[int, int] = {}
    seconds: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                parents[int(folder.name)], seconds[int(folder.name)] = _stat(int(folder.name))
            except (OSError, ProcessLookupError):  # it has ended meanwhile
                continue
    used: dict[str, float] = {}
    for pid, spent in seconds.items():
        above = pid
        while parents.get(above, 0) not in (0, 1, own):
            above = parents[above]
        if pid == own:
            times = os.times()
            used[CALLERS] = used.get(CALLERS, 0.0) + times.user + times.system
            used["readers"] = used.get("readers", 0.0) + times.children_user
            used["readers"] += times.children_system
        elif parents.get(above) == own:
            try:
                kind = _kind(above)
            except OSError:
                continue
            used[kind] = used.get(kind, 0.0) + spent
    return used


class ProcessorTime:
    """From here until `shares` is asked for."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._before = _used()

    def shares(self) -> dict[str, float]:
        """Processors in use on average, by kind: 1.0 is one of them all the time."""
        seconds = time.monotonic() - self._began
        now = _used()
        return {kind: (now[kind] - self._before.get(kind, 0.0)) / seconds for kind in now if kind}


def told(shares: dict[str, Any]) -> str:
    parts = [f"{kind} {share:.2f}" for kind, share in sorted(shares.items()) if share >= 0.005]
    count = len(os.sched_getaffinity(0))
    return f"processors in use, of {count}: {', '.join(parts)}"
