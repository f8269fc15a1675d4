"""What an act computes from stored images, read from storage before the act's transaction.

Storage may answer slowly, or hang. Whoever holds a study's row keeps its people waiting, and
whoever has written to the audit trail keeps those of every study waiting, until the transaction
ends: inside one, nothing is read. An act that needs figures of stored images asks for them (`want`)
as soon as it holds the rows that say which, before it writes anything, and is broken off (`demand`)
if they are not there; they are read while nothing is held, and the act begins again. A figure is
known by the hash of the content that it was computed from: one of images that were replaced
meanwhile is never taken for another's.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from django.db import transaction

from readerstudy.studies.errors import StudyError

Figure = TypeVar("Figure")
Result = TypeVar("Result")

ATTEMPTS = 6  # the first asks, the second acts, unless something changed between them


class NotRead(Exception):
    """Something has to be read first; the transaction is to be rolled back."""


class Readings:
    """Figures by what they were computed from, and what is still to be read."""

    def __init__(self) -> None:
        self._found: dict[Hashable, Any] = {}
        self._wanted: dict[Hashable, Callable[[], Any]] = {}
        self._reading = False

    def want(self, key: Hashable, read: Callable[[], object]) -> None:
        """Say what will be asked for; `key` holds the hash of what `read` reads."""
        if key not in self._found:
            self._wanted[key] = read

    def demand(self) -> None:
        """Raise NotRead unless everything that was wanted is there."""
        if self._wanted:
            raise NotRead

    def of(self, key: Hashable, read: Callable[[], Figure]) -> Figure:
        """The figure. Raises NotRead where it is not there, except of what `read` itself asks."""
        if key not in self._found:
            if not self._reading:
                self._wanted[key] = read
                raise NotRead
            self._found[key] = read()
        found: Figure = self._found[key]
        return found

    def read(self) -> None:
        """Read what was wanted. Outside every transaction."""
        blocks = transaction.get_connection().atomic_blocks
        if blocks and not getattr(blocks[-1], "_from_testcase", False):
            raise RuntimeError("Storage was to be read inside a transaction: others would wait.")
        self._reading = True
        try:
            for key, read in self._wanted.items():
                if key not in self._found:
                    self._found[key] = read()
        finally:
            self._reading = False
            self._wanted = {}


def having_read(act: Callable[[Readings], Result]) -> Result:
    """Do what opens a transaction and needs figures of stored images; its result.

    `act` is run again after a NotRead, which it raises before it has changed anything but rows.
    Images that are gone when they are to be read were deleted or replaced since: the rows, which
    the act asks again, say by what. Raises FileNotFoundError if they say the same to the end.
    """
    readings = Readings()
    gone: FileNotFoundError | None = None
    for _ in range(ATTEMPTS):
        try:
            return act(readings)
        except NotRead:
            try:
                readings.read()
                gone = None
            except FileNotFoundError as error:
                gone = error
    if gone is not None:
        raise gone
    raise StudyError(
        "The images or regions that this depends on were being changed all the while: nothing was "
        "done. Try again."
    )
