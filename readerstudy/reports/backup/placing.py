"""Restored files take the storage's place last of all, and give it back where something fails."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from django.core.files import File
from django.core.files.storage import default_storage

from .writing import stored_files


class Place(Protocol):
    def laying(self) -> Iterator[Path]:
        """A folder that the files are laid in first."""

    def take(self) -> None:
        """What was laid takes the place of what is there."""

    def give_back(self) -> None:
        """What was there is there again."""

    def forget(self) -> None:
        """The database has committed: what was there before goes."""


def place_of_storage() -> Place:
    try:
        return FolderPlace(Path(default_storage.path("")))
    except NotImplementedError:
        return StorePlace()


class FolderPlace:
    """Files are moved within one disk."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._moved: list[tuple[Path, Path]] = []  # where something is now, where it was
        self._home = Path()

    def laying(self) -> Iterator[Path]:
        self._root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._root.parent, prefix=".restore-") as folder:
            self._home = Path(folder)
            laid = self._home / "new"
            laid.mkdir()
            yield laid

    def take(self) -> None:
        """The old ones go with the temporary folder. What was moved is noted as it goes."""
        old = self._home / "old"
        old.mkdir()
        for source, target in ((self._root, old), (self._home / "new", self._root)):
            for entry in list(source.iterdir()):
                self._moved.append((target / entry.name, entry))
                entry.rename(target / entry.name)

    def give_back(self) -> None:
        for now, before in reversed(self._moved):
            if now.exists():  # noted first: the last one may not have been moved
                now.rename(before)

    def forget(self) -> None:
        """They are gone with the temporary folder."""


class StorePlace:
    """An object store moves nothing: new objects are put beside the old ones, which are deleted
    once all is sure. Nothing that has a name is ever changed, so one that is there already is the
    same, whatever it is written over with."""

    def __init__(self) -> None:
        self._laid = Path()
        self._before: set[str] = set()
        self._made: list[str] = []
        self._names: set[str] = set()

    def laying(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="restore-") as folder:
            self._laid = Path(folder)
            yield self._laid

    def take(self) -> None:
        self._before = set(stored_files())
        for path in sorted(self._laid.rglob("*")):
            if not path.is_file():
                continue
            name = path.relative_to(self._laid).as_posix()
            self._names.add(name)
            if name not in self._before:
                self._made.append(name)  # noted first: half-written, it goes too
            with path.open("rb") as content:
                default_storage.save(name, File(content))

    def give_back(self) -> None:
        for name in self._made:
            default_storage.delete(name)

    def forget(self) -> None:
        for name in self._before - self._names:
            default_storage.delete(name)


@contextmanager
def laying(place: Place) -> Iterator[Path]:
    """The folder to lay files in, while the body runs."""
    yield from place.laying()
