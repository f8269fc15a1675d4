"""Commands that end what they began, however they are stopped."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

# SIGHUP is what a connection that drops (ssh) or a terminal that is closed leaves behind.
_HANG_UP = [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []
_Handler = Callable[[int, FrameType | None], None]


class Stop:
    """A wish to stop, which a signal's handler may make known at any moment.

    `threading.Event` is not for that: its lock may be in the hands of the very thread that the
    handler interrupts, and both would wait for ever. `SimpleQueue.put` is made for it.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        self._is_set = True
        self._wakes.put(None)

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Until it is set, at most so long. Whether it is set."""
        if not self._is_set:
            with suppress(queue.Empty):
                self._wakes.get(timeout=max(0.0, seconds))
                self._wakes.put(None)  # for whoever else waits
        return self._is_set


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does, so that nothing half-done
    stays.

    Signals reach the main thread alone: in another one nothing changes.
    """
    with _handled([signal.SIGTERM, *_HANG_UP], _interrupt):
        yield


@dataclass
class Heard:
    a_stop: bool = False


@contextmanager
def unstoppable() -> Iterator[Heard]:
    """Let neither SIGTERM, SIGHUP nor Ctrl-C in: for the short last step that is done wholly or
    not.

    That one came meanwhile is told, and no more: it would end as if nothing had been done.
    """
    heard = Heard()

    def note(_number: int, _frame: FrameType | None) -> None:
        heard.a_stop = True

    with _handled([signal.SIGTERM, signal.SIGINT, *_HANG_UP], note):
        yield heard


@contextmanager
def _handled(numbers: list[signal.Signals], handler: _Handler) -> Iterator[None]:
    """What is ignored stays so: under nohup a command outlives its terminal."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in numbers}
    changed = {n: old for n, old in before.items() if old not in (None, signal.SIG_IGN)}
    try:
        for number in changed:
            signal.signal(number, handler)
        yield
    finally:
        for number, old in changed.items():
            signal.signal(number, old)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
