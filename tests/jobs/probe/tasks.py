from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from django.conf import settings

from readerstudy.audit.services import record
from readerstudy.jobs.context import JobContext
from readerstudy.jobs.registry import periodic, task


@periodic(0)
def hang() -> None:
    """Wait, as for a storage that hangs, while the site's folder holds a file of this name."""
    gate = settings.VAR_DIR / "hang"
    if gate.exists():
        gate.with_name("hangs").touch()
    while gate.exists():
        time.sleep(0.05)


@task("probe.slow")
def slow(context: JobContext, payload: dict[str, Any]) -> None:
    """Work for `seconds`, then publish; with `quiet`, without noting progress on the way.

    Before that it works for as long as there is a file `gate`, if one is named.
    """
    trace = Path(payload["trace"])

    def note(word: str) -> None:
        with trace.open("a", encoding="ascii") as lines:
            lines.write(f"{word} {os.getpid()}\n")

    note("started")
    steps = max(1, int(payload["seconds"] / 0.05))
    while "gate" in payload and Path(payload["gate"]).exists():
        time.sleep(0.05)
        context.progress(0, steps, "held")
    for step in range(steps):
        time.sleep(0.05)
        if not payload.get("quiet"):
            context.progress(step, steps, "working")
    with context.publish():
        record("probe.published", None, new={"pid": os.getpid(), "trace": str(trace)})
    note("published")
