"""Coordinators who upload while others read, and workers who read what they sent.

Import after `Site.prepare`: this needs Django.
"""

from __future__ import annotations

import io
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.chaos import drained, faults_of_jobs, faults_of_uploads, session_cookie
from benchmarks.chaos_site.callers import Coordinator
from readerstudy.jobs.models import Job
from tests.factories import make_coordinator, make_study
from tests.imaging.datasets import as_files, series

from .site import Site
from .study import Size

VOLUNTEERS_EACH = 1000  # more than anybody sends in the time
PIECE = 8 * 1024**2  # as the page sends them
# A person's time between two volunteers: to look at what was read, find the next folder, name it.
PAUSE = (40.0, 80.0)
JOIN_SECONDS = 60


def archive(size: Size) -> bytes:
    draws = np.random.default_rng(1)
    pixels = draws.integers(0, 2000, (size.slices, size.rows, size.columns)).astype("u2")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as packed:
        for name, data in as_files(series(pixels)).items():
            packed.writestr(name, data)
    return content.getvalue()


@dataclass
class Uploads:
    draft: Any
    slices: int
    callers: list[Coordinator] = field(default_factory=list)
    seconds: float = 0.0  # until the last of what was sent was read

    def sent(self) -> list[str]:
        return [code for caller in self.callers for code in caller.sent]

    def faults(self) -> list[str]:
        """What went wrong, and what is not there once with all its slices."""
        told = [caller.fault for caller in self.callers if caller.fault]
        told += ["a coordinator never came to an end" for c in self.callers if c.is_alive()]
        return [*told, *faults_of_jobs(self.draft), *self._lost()]

    def _lost(self) -> list[str]:
        return faults_of_uploads(self.draft, self.sent(), self.slices)


def coordinators(address: str, number: int, size: Size, over: threading.Event) -> Uploads:
    """So many people who will send volunteers of that size, until `over`; not started yet."""
    draft = make_study("uploads", "Uploads meanwhile")
    made = Uploads(draft, size.slices)
    content = archive(size)
    for who in range(1, number + 1):
        codes = [f"U{who}-{volunteer:04d}" for volunteer in range(1, VOLUNTEERS_EACH + 1)]
        caller = Coordinator(
            *([address], session_cookie(make_coordinator(draft)), over, who),
            slug=draft.slug,
            archives=[(code, content) for code in codes],
        )
        caller.piece, caller.pause = PIECE, PAUSE
        # They do not begin in the same second.
        caller.first = (who - 0.5) / number * PAUSE[0]
        made.callers.append(caller)
    return made


@contextmanager
def uploading(
    site: Site, address: str, number: int, workers: int, size: Size
) -> Iterator[Uploads | None]:
    """While the body runs, `number` coordinators upload and `workers` read; None where none do."""
    if not number:
        yield None
        return
    # What belongs to the study that is read in is there already.
    Job.objects.filter(state=Job.State.QUEUED).delete()
    over = threading.Event()
    made = coordinators(address, number, size, over)
    for _ in range(workers):
        site.work()
    began = time.monotonic()
    for caller in made.callers:
        caller.start()
    try:
        yield made
    finally:
        over.set()
    for caller in made.callers:
        caller.join(timeout=JOIN_SECONDS)
    drained()
    made.seconds = time.monotonic() - began
