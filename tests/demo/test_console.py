"""What the demo writes while it works."""

from __future__ import annotations

import io

import pytest

from readerstudy.demo import console
from readerstudy.demo.console import ProgressLine


def test_a_log_gets_a_line_each_tenth_and_each_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    log = io.StringIO()
    line = ProgressLine("worker", log)
    for second in range(151):  # one of twenty is ready after two minutes
        now[0] = float(second)
        line.update(0 if second < 120 else 2, 20, "V01")
    told = [text.split()[-2] for text in log.getvalue().splitlines()]
    assert told == ["0:00", "1:00", "2:00"]
    now[0] = 185.0
    line.update(2, 20, "V01")
    assert log.getvalue().splitlines()[-1].endswith("2/20  3:05  V01")
