"""How commands and workers hear that they are to stop, whenever that is."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from readerstudy.jobs.stopping import Stop, sigterm_as_ctrl_c, unstoppable
from readerstudy.jobs.worker import Worker

PATIENCE = 60.0


# As Python finds them in a shell. Tests may run where some are ignored: under nohup, or in the
# background of a script.
OF_A_TERMINAL: dict[signal.Signals, Any] = {
    signal.SIGHUP: signal.SIG_DFL,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGINT: signal.default_int_handler,
}


@pytest.fixture
def a_terminal() -> Iterator[None]:
    before = {number: signal.signal(number, how) for number, how in OF_A_TERMINAL.items()}
    yield
    for number, how in before.items():
        signal.signal(number, how)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_connection_that_drops_stops_a_command_as_sigterm_does(
    a_terminal: None, number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), sigterm_as_ctrl_c():
        signal.raise_signal(number)
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_no_signal_gets_in_where_a_step_is_done_wholly_or_not(
    a_terminal: None, number: signal.Signals
) -> None:
    with sigterm_as_ctrl_c():
        before = signal.getsignal(number)
        with unstoppable() as heard:
            assert not heard.a_stop
            signal.raise_signal(number)
            assert heard.a_stop
        assert signal.getsignal(number) == before


def test_a_command_that_was_told_to_outlive_its_terminal_does(a_terminal: None) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # by nohup
    with sigterm_as_ctrl_c(), unstoppable() as heard:
        signal.raise_signal(signal.SIGHUP)
        assert not heard.a_stop
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_everybody_who_waits_hears_a_stop_and_who_comes_later_does_not_wait() -> None:
    stop = Stop()
    assert not stop.wait(0.0)
    heard: list[bool] = []
    threads = [threading.Thread(target=lambda: heard.append(stop.wait(PATIENCE))) for _ in range(3)]
    for thread in threads:
        thread.start()
    stop.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert heard == [True, True, True]
    assert stop.is_set()
    assert stop.wait(PATIENCE)


@pytest.mark.parametrize("step", range(12))
def test_a_signal_at_any_step_of_a_workers_wait_stops_it(step: int) -> None:
    """With a lock that cannot be taken twice the handler would wait for its own thread."""
    worker = Worker()
    taken = 0

    def trace(_frame: FrameType, event: str, _given: Any) -> Any:
        nonlocal taken
        if event == "line":
            if taken == step:
                sys.settrace(None)
                worker.on_signal(signal.SIGTERM, None)
            taken += 1
        return trace

    def wait() -> None:
        sys.settrace(trace)
        worker.stopping.wait(0.01)
        sys.settrace(None)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    thread.join(10.0)
    assert not thread.is_alive()
