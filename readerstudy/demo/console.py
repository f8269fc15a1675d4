"""Progress on a terminal: one line that fills while it runs and stays when it is done."""

from __future__ import annotations

import sys
import time
from typing import TextIO

WIDTH = 28
SILENT_SECONDS = 60.0


class ProgressLine:
    """`label  [#####     ]  12/80  0:07`, redrawn in place; on a log file, a line each tenth and
    each minute, so that a long step is not taken for one that hangs."""

    def __init__(self, label: str, stream: TextIO | None = None) -> None:
        self.label = label
        self.stream = stream or sys.stdout
        self.started = time.monotonic()
        self.is_terminal = self.stream.isatty()
        self._last_tenth = -1
        self._told = self.started
        self._done = 0
        self._total = 0

    def update(self, done: int, total: int, note: str = "") -> None:
        self._done, self._total = done, total
        tenth = 10 * done // total if total else 0
        if not self.is_terminal:
            now = time.monotonic()
            if tenth == self._last_tenth and now - self._told < SILENT_SECONDS:
                return
            self._last_tenth, self._told = tenth, now
        line = self._line(done, total, note)
        if self.is_terminal:
            self.stream.write(f"\r\x1b[2K{line}")
        else:
            self.stream.write(f"{line}\n")
        self.stream.flush()

    def close(self, note: str = "") -> None:
        if self.is_terminal:
            self.stream.write(f"\r\x1b[2K{self._line(self._total, self._total, note)}\n")
            self.stream.flush()

    def _line(self, done: int, total: int, note: str) -> str:
        filled = WIDTH * done // total if total else 0
        seconds = int(time.monotonic() - self.started)
        bar = "#" * filled + " " * (WIDTH - filled)
        clock = f"{seconds // 60}:{seconds % 60:02d}"
        return f"  {self.label:<34} [{bar}] {done}/{total}  {clock}  {note}".rstrip()
