from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from readerstudy.audit.services import record
from readerstudy.jobs.context import JobContext
from readerstudy.jobs.registry import task


@task("probe.slow")
def slow(context: JobContext, payload: dict[str, Any]) -> None:
    """Work for `seconds`, then publish; with `quiet`, without noting progress on the way."""
    trace = Path(payload["trace"])

    def note(word: str) -> None:
        with trace.open("a", encoding="ascii") as lines:
            lines.write(f"{word} {os.getpid()}\n")

    note("started")
    steps = max(1, int(payload["seconds"] / 0.05))
    for step in range(steps):
        time.sleep(0.05)
        if not payload.get("quiet"):
            context.progress(step, steps, "working")
    with context.publish():
        record("probe.published", None, new={"pid": os.getpid(), "trace": str(trace)})
    note("published")
