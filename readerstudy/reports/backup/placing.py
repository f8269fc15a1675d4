"""Restored files take the storage's place last of all, and give it back where something fails."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from django.core.files import File
from django.core.files.storage import default_storage

from .content import BackupError
from .writing import LAID, OF_THE_DISK, stored_files


class Place(Protocol):
    def begin(self) -> None:
        """Before the first file."""

    def put(self, name: str, content: IO[bytes]) -> None:
        """One file of the backup, by its name in the storage."""

    def take(self) -> None:
        """What was put takes the place of what is there."""

    def give_back(self) -> None:
        """What was there is there again, and nothing else. BackupError where that fails."""

    def forget(self) -> None:
        """The database has committed: what was there before goes."""

    def where_both_are(self) -> str:
        """What was put and what was there, while neither of the two ways above was gone."""


def place_of_storage() -> Place:
    try:
        return FolderPlace(Path(default_storage.path("")))
    except NotImplementedError:
        return StorePlace()


def _safe(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or path.parts[0].startswith(LAID):
        raise BackupError(f"The backup holds a file outside the storage: {name}.")
    return name


class FolderPlace:
    """Files are laid in a folder inside the storage and moved from there: within one disk, also
    where the storage's own folder is where a share is mounted."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._moved: list[tuple[Path, Path]] = []  # where something is now, where it was
        self._home = root  # a folder of this restore, once it has begun

    def begin(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        self._home = Path(tempfile.mkdtemp(dir=self._root, prefix=LAID))
        for folder in ("new", "old"):
            (self._home / folder).mkdir()

    def put(self, name: str, content: IO[bytes]) -> None:
        target = self._home / "new" / _safe(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as copy:
            shutil.copyfileobj(content, copy)

    def take(self) -> None:
        for source, target in ((self._root, self._home / "old"), (self._home / "new", self._root)):
            for entry in list(source.iterdir()):
                if entry.name == OF_THE_DISK or entry.name.startswith(LAID):
                    continue
                # Noted first: who is stopped here has moved it or not.
                self._moved.append((target / entry.name, entry))
                entry.rename(target / entry.name)

    def give_back(self) -> None:
        try:
            for now, before in reversed(self._moved):
                if now.exists():
                    now.rename(before)
        except OSError as error:
            raise BackupError(
                f"Nothing was restored, but the images could not be moved back ({error}): what is "
                f"not in {self._root} is in {self._home}/old. Move it back, or restore again."
            ) from None
        if self._home != self._root:
            shutil.rmtree(self._home, ignore_errors=True)

    def forget(self) -> None:
        """With what restores that were killed have left."""
        for left in self._root.glob(f"{LAID}*"):
            shutil.rmtree(left)

    def where_both_are(self) -> str:
        return f"the backup's in {self._root}, those of before in {self._home}/old"


class StorePlace:
    """An object store moves nothing: new objects are put beside the old ones, which are deleted
    once all is sure. Nothing that has a name is ever changed, so one that is there already is the
    same, whatever it is written over with. They go there one by one: a host need not have room for
    all images of a site."""

    def __init__(self) -> None:
        self._before: set[str] = set()
        self._made: list[str] = []
        self._names: set[str] = set()

    def begin(self) -> None:
        self._before = set(stored_files())

    def put(self, name: str, content: IO[Any]) -> None:
        self._names.add(_safe(name))
        if name not in self._before:
            self._made.append(name)  # noted first: half-written, it goes too
        # A store reads what it gets more than once, and to go back in the archive is slow.
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(content, copy)
            copy.seek(0)
            saved = default_storage.save(name, File(copy, name))
        if saved != name:
            self._made.append(saved)
            raise BackupError(f"The storage kept {name} under another name: {saved}.")

    def take(self) -> None:
        """All are in their place already."""

    def give_back(self) -> None:
        try:
            for name in self._made:
                with contextlib.suppress(FileNotFoundError):
                    default_storage.delete(name)
        except OSError as error:
            raise BackupError(
                f"Nothing was restored, but files of the backup could not be deleted from the "
                f"store again ({error}): the workers' housekeeping will."
            ) from None

    def forget(self) -> None:
        for name in self._before - self._names:
            default_storage.delete(name)

    def where_both_are(self) -> str:
        return "beside each other in the store"
