"""What every worker does for the desk between its jobs."""

from __future__ import annotations

from readerstudy.jobs.registry import periodic


@periodic(3)
def measure_shifts() -> int:
    """Measure how far new series lie off their controls."""
    from .shifts import measure_unmeasured

    return measure_unmeasured()


@periodic(300)
def finish_erasures() -> int:
    """Delete what a withdrawal could not delete at once."""
    from .withdrawals import finish_erasures as finish

    return finish()
