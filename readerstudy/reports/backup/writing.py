"""Making a backup: one transaction of the database, the files it names, and a check of both.

The database is read in one snapshot. Storage files are written once and never changed, so whatever
the snapshot names is there as it was. Work goes on and deletes files meanwhile: what no row of the
snapshot names is left out, and where images go that one names, the backup begins anew.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from django.core.files.storage import default_storage
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from readerstudy import __version__
from readerstudy.audit.services import record, verify_chain
from readerstudy.imaging import trial_files
from readerstudy.imaging.inbox_storing import SHEET
from readerstudy.imaging.models import InboxSeries, Series
from readerstudy.imaging.volumes import VOLUME
from readerstudy.jobs.stopping import unstoppable
from readerstudy.variants.models import RawData

from .content import (
    BACKUP_MADE,
    FORMAT,
    MANIFEST,
    ROWS,
    STORED,
    BackupError,
    backed_up_models,
    check_migrated,
    first_line,
    marks_of_keys,
    migrations_applied,
    rows_of,
)

Say = Callable[[str], None]
_CHUNK = 1 << 20
# Images hardly pack: more takes several times as long for a few per cent.
_LEVEL = 2
# Folders in the storage by whose name restored files are laid there first.
LAID = ".restore-"
# Of the disk itself, at its root: not the platform's, which may not even look into it.
OF_THE_DISK = "lost+found"
# Of each series or raw data one file that it always has. Deleting begins with what lies directly in
# its folder, so that a series is not taken for whole whose slices alone are still there.
_ALWAYS_THERE: tuple[tuple[Any, str], ...] = (
    (Series, VOLUME),
    (InboxSeries, SHEET),
    (RawData, "kspace.npy"),
)
_ATTEMPTS = 3


_DELETED_MEANWHILE = "Images were deleted while the backup was made, so that it would not be whole."


class _Vanished(BackupError):
    """A file that the snapshot names is not there: it may have been deleted meanwhile."""


def write_backup(
    path: Path, say: Say = lambda _: None, *, is_incomplete: bool = False
) -> dict[str, Any]:
    """Write the archive, check it by reading it again, and put it in its place.

    Refuses to overwrite a file and, unless `is_incomplete`, to go on without images or raw data
    that the database names. Raises `BackupError`; nothing half-written stays.
    """
    if path.exists():
        raise BackupError(f"{path} exists already: give another name.")
    try:
        check_migrated()
        return _write_archive(path, say, is_incomplete)
    except DatabaseError as error:
        raise BackupError(f"The database cannot be read: {first_line(error)}.") from None


def _write_archive(path: Path, say: Say, is_incomplete: bool) -> dict[str, Any]:
    try:
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=".backup-")
    except OSError as error:
        raise BackupError(f"{path.parent} cannot be written: {error.strerror}.") from None
    try:
        with os.fdopen(handle, "wb") as target:
            manifest = _write_whole(target, say, is_incomplete)
        say("Reading it again")
        check_backup(Path(partial))
        Path(partial).chmod(0o600)  # it holds names and hashed passwords
        with unstoppable():  # a backup that is there is in the trail
            os.link(partial, path)
            _record(path, manifest)
    except FileExistsError:
        raise BackupError(f"{path} exists already: give another name.") from None
    except OSError as error:
        why = (error.strerror or first_line(error)).rstrip(".")
        raise BackupError(f"{path} cannot be written: {why}.") from None
    finally:
        Path(partial).unlink(missing_ok=True)
    return manifest


def _record(path: Path, manifest: dict[str, Any]) -> None:
    new = {"file": path.name, "rows": manifest["rows"], "files": len(manifest["storage"])}
    try:
        record(BACKUP_MADE, None, new=new)
    except DatabaseError as error:
        raise BackupError(
            f"{path} is whole, keep it; but the audit trail does not know of it, since the "
            f"database cannot be written: {first_line(error)}."
        ) from None


def _write_whole(target: IO[bytes], say: Say, is_incomplete: bool) -> dict[str, Any]:
    for attempt in range(1, _ATTEMPTS + 1):
        target.seek(0)
        target.truncate()
        try:
            with tarfile.open(fileobj=target, mode="w:gz", compresslevel=_LEVEL) as tar:
                return _write(tar, say, is_incomplete)
        except _Vanished as error:
            if attempt == _ATTEMPTS:
                raise
            say(f"{error} Once more")
    raise AssertionError("the last attempt returns or raises")


@contextmanager
def _one_snapshot() -> Iterator[None]:
    """All tables as of one moment."""
    with transaction.atomic():
        if connection.vendor == "postgresql" and len(connection.savepoint_ids) == 0:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                # It reads images between its questions, and holds nothing that others wait for.
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield


def _write(tar: tarfile.TarFile, say: Say, is_incomplete: bool) -> dict[str, Any]:
    hashes: dict[str, str] = {}
    counts: dict[str, int] = {}
    storage: dict[str, str] = {}
    made_at = timezone.now().isoformat()  # nothing later is in it
    with _one_snapshot():
        chain = verify_chain()
        if not chain.is_sound:
            raise BackupError(
                f"The audit trail is broken: {chain.fault}. A backup of it would be no evidence. "
                "See manage.py verify_audit."
            )
        for model in backed_up_models():
            label = model._meta.label_lower
            with tempfile.TemporaryFile() as rows:
                counts[label], hashes[label] = _spool(rows_of(model), rows)
                _add(tar, f"{ROWS}/{label}.jsonl", rows)
        named = _named_files()
        with _images_read():
            names = list(stored_files())
        there = set(names)
        lacking = sorted(folder for folder, file in named.items() if file not in there)
    # After the transaction, which on SQLite keeps every writer waiting.
    if lacking and not _named_files().keys() >= set(lacking):
        raise _Vanished(_DELETED_MEANWHILE)  # not lost: their rows have gone too
    if lacking and not is_incomplete:
        raise BackupError(
            f"The images of {len(lacking)} of {len(named)} series (raw data included) are not in "
            f"the storage, for example {lacking[0]}. Is its folder mounted, the store the right "
            "one? If they are lost, --incomplete backs up what there is."
        )
    say(f"{sum(counts.values())} rows of {len(counts)} tables")
    for name in names:
        try:
            storage[name] = _store(tar, name)
        except FileNotFoundError:
            if any(str(folder) in named for folder in PurePosixPath(name).parents):
                raise _Vanished(_DELETED_MEANWHILE) from None
    say(f"{len(storage)} files")
    manifest = {
        "format": FORMAT,
        "software": __version__,
        "made_at": made_at,
        "database": connection.vendor,
        "migrations": migrations_applied(),
        "keys": marks_of_keys(),
        "rows": sum(counts.values()),
        "tables": {label: {"rows": counts[label], "sha256": hashes[label]} for label in counts},
        "storage": storage,
        "audit": {"count": chain.count, "head": chain.head},
    }
    text = json.dumps(manifest, indent=1, sort_keys=True).encode("utf-8")
    _add(tar, MANIFEST, io.BytesIO(text))
    return manifest


def _named_files() -> dict[str, str]:
    """By the folder of each series or raw data that a row names, the file that it always has: they
    are written before their row, and deleted after it. Bundles of tables are made anew where they
    are missed."""
    return {
        prefix: f"{prefix}/{name}"
        for model, name in _ALWAYS_THERE
        for prefix in model.objects.values_list("prefix", flat=True)
    }


def _store(tar: tarfile.TarFile, name: str) -> str:
    with tempfile.TemporaryFile() as copy:
        _, sha256 = _spool(_stored_parts(name), copy)
        _add(tar, f"{STORED}/{name}", copy)
    return sha256


def _stored_parts(name: str) -> Iterator[bytes]:
    with _images_read():
        file = default_storage.open(name, "rb")
    with file:
        while True:
            with _images_read():  # and not what is done with it, which may meet a full disk
                part = file.read(_CHUNK)
            if not part:
                return
            yield part


@contextmanager
def _images_read() -> Iterator[None]:
    """Say of a storage that does not answer that it is the storage. FileNotFoundError passes."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        why = (error.strerror or first_line(error)).rstrip(".")
        raise BackupError(f"The images cannot be read: {why}.") from None


def _spool(parts: Iterator[bytes], target: Any) -> tuple[int, str]:
    """Write the parts; how many there were, and the hash of them all."""
    digest = hashlib.sha256()
    count = 0
    for part in parts:
        target.write(part)
        digest.update(part)
        count += 1
    return count, digest.hexdigest()


def _add(tar: tarfile.TarFile, name: str, content: Any) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = content.seek(0, io.SEEK_END)
    entry.mode = 0o600
    content.seek(0)
    tar.addfile(entry, content)


def stored_files(folder: str = "") -> Iterator[str]:
    """Every file of the storage by its name, in order, but those of the health check, of a restore
    and of the disk itself."""
    try:
        folders, files = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    for name in sorted(files):
        yield f"{folder}/{name}" if folder else name
    for name in sorted(folders):
        if not folder and (name in {trial_files.FOLDER, OF_THE_DISK} or name.startswith(LAID)):
            continue
        yield from stored_files(f"{folder}/{name}" if folder else name)


def check_backup(path: Path) -> dict[str, Any]:
    """Read the whole archive and hold every table and file to the manifest's hashes."""
    found: dict[str, str] = {}
    manifest: dict[str, Any] | None = None
    try:
        with tarfile.open(path, "r:gz") as tar:
            for entry in tar:
                file = tar.extractfile(entry) if entry.isfile() else None
                if file is None:
                    raise BackupError(f"{path.name} holds something that is no file: {entry.name}.")
                if entry.name == MANIFEST:
                    manifest = json.load(file)
                else:
                    found[entry.name] = _digest(file)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise BackupError(f"{path.name} cannot be read as a backup: {error}.") from None
    if manifest is None or manifest.get("format") != FORMAT:
        raise BackupError(f"{path.name} is no backup of this kind, or was cut off.")
    wanted = {f"{ROWS}/{label}.jsonl": t["sha256"] for label, t in manifest["tables"].items()}
    wanted |= {f"{STORED}/{name}": sha256 for name, sha256 in manifest["storage"].items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise BackupError(f"{path.name} is damaged: {name} is not what was backed up.")
    return manifest


def _digest(file: Any) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
