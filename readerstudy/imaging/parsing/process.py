"""The worker's side of the confined reader: one child, many files, a deadline for each."""

from __future__ import annotations

import json
import os
import queue
import select
import subprocess
import sys
import time
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 60.0
IMAGES = "readerstudy.imaging.parsing.child"  # the module that reads images
# A reader fetches nothing from anywhere: without these pydicom starts a fifth sooner.
BEGIN = """import runpy, sys
sys.modules.update(requests=None, tqdm=None)
runpy.run_module(sys.argv[1], run_name="__main__", alter_sys=True)
"""


POOL = 2  # readers at work together
POOL_FROM = 60  # files; for fewer, starting a second reader costs more than it brings
REUSED_BYTES = 4 * 1024**2
AHEAD = 8  # requests handed out before their turn

T = TypeVar("T")


class ReaderDied(Exception):
    """The child was killed for its memory, crashed, or ran past the deadline."""


class ConfinedReader:
    """Sends one request at a time; a child that dies takes one file with it and is replaced."""

    def __init__(
        self,
        key: str,
        *,
        memory_bytes: int,
        seconds: float,
        known: dict[str, Any] | None = None,
        module: str = IMAGES,
    ) -> None:
        self._module = module
        self._start = {"key": key.encode().hex(), "memory": memory_bytes, "known": known or {}}
        self._seconds = seconds
        self._child: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._fresh = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        self._running()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The child's answer, or a refusal in its stead.

        Raises OSError where the child had no room for what it made: no file is to blame for that.
        """
        try:
            answer = self._asked(request)
        except ReaderDied as death:
            self.stop()
            return {"refused": str(death), "damaged": True}
        if "not_written" in answer:
            number = int(answer["not_written"])
            raise OSError(number, os.strerror(number))
        return answer

    def _asked(self, request: dict[str, Any]) -> dict[str, Any]:
        child = self._running()
        if child.stdin is None:
            raise RuntimeError("The reader was started without a pipe.")
        try:
            child.stdin.write(json.dumps(request).encode("ascii") + b"\n")
            child.stdin.flush()
        except OSError:
            raise ReaderDied("The file could not be read: the reader stopped.") from None
        answer: dict[str, Any] = json.loads(self._line(child))
        self._fresh = False
        return answer

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self._child = subprocess.Popen(
                [sys.executable, "-c", BEGIN, self._module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # a traceback could quote a header
                cwd=ROOT,
                env={
                    "PATH": os.defpath,
                    "LANG": "C.UTF-8",
                    # Threads of a numeric library would eat the address space that is allowed.
                    "OMP_NUM_THREADS": "1",
                    "OPENBLAS_NUM_THREADS": "1",
                    # Memory of one image serves the next: asking the system anew for every copy
                    # of its pixels is slow.
                    "MALLOC_MMAP_THRESHOLD_": str(REUSED_BYTES),
                    "MALLOC_TRIM_THRESHOLD_": str(4 * REUSED_BYTES),
                },
            )
            self._buffer = b""
            self._fresh = True
            if self._child.stdin is None:
                raise RuntimeError("The reader was started without a pipe.")
            self._child.stdin.write(json.dumps(self._start).encode("ascii") + b"\n")
        return self._child

    def _line(self, child: subprocess.Popen[bytes]) -> bytes:
        if child.stdout is None:
            raise RuntimeError("The reader was started without a pipe.")
        # The first answer waits for the interpreter and its libraries too.
        deadline = time.monotonic() + self._seconds + (START_SECONDS if self._fresh else 0.0)
        descriptor = child.stdout.fileno()
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise ReaderDied(f"Reading the file took longer than {self._seconds:.0f} seconds.")
            chunk = os.read(descriptor, 1 << 20)
            if not chunk:
                raise ReaderDied(
                    "The file could not be read within the memory allowed: damaged, or hostile."
                )
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def stop(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # the child was gone before its last request was sent
                    continue
        child.wait()


class ReaderPool:
    """A few confined readers; answers come in the order of the requests."""

    def __init__(
        self,
        key: str,
        *,
        memory_bytes: int,
        seconds: float,
        known: dict[str, Any] | None = None,
    ) -> None:
        self._readers = [
            ConfinedReader(key, memory_bytes=memory_bytes, seconds=seconds, known=known)
            for _ in range(POOL)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        for reader in self._readers:
            reader.stop()

    def warm(self) -> None:
        """Start all readers now: their libraries load while the first is at work."""
        for reader in self._readers:
            reader.start()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._readers[0].ask(request)

    def ask_all(
        self, requests: Sequence[tuple[T, dict[str, Any]]]
    ) -> Generator[tuple[T, dict[str, Any]]]:
        """Each label with the answer to its request."""
        if len(requests) < POOL_FROM:
            for label, request in requests:
                yield label, self.ask(request)
            return
        free: queue.SimpleQueue[ConfinedReader] = queue.SimpleQueue()
        for reader in self._readers:
            free.put(reader)

        def ask(request: dict[str, Any]) -> dict[str, Any]:
            reader = free.get()
            try:
                return reader.ask(request)
            finally:
                free.put(reader)

        with ThreadPoolExecutor(POOL) as pool:
            waiting: deque[tuple[T, Future[dict[str, Any]]]] = deque()
            try:
                for label, request in requests:
                    waiting.append((label, pool.submit(ask, request)))
                    if len(waiting) > AHEAD:
                        first, answer = waiting.popleft()
                        yield first, answer.result()
                while waiting:
                    first, answer = waiting.popleft()
                    yield first, answer.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
