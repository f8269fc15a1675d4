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
from django.db import connection, transaction
from django.utils import timezone

from readerstudy import __version__
from readerstudy.audit.services import record, verify_chain
from readerstudy.imaging import trial_files
from readerstudy.imaging.models import InboxSeries, Series
from readerstudy.imaging.volumes import VOLUME
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
_ATTEMPTS = 3


class _Vanished(BackupError):
    """A file that the snapshot names is not there: it may have been deleted meanwhile."""


def write_backup(
    path: Path, say: Say = lambda _: None, *, is_incomplete: bool = False
) -> dict[str, Any]:
    """Write the archive, check it by reading it again, and put it in its place.

    Refuses to overwrite a file and, unless `is_incomplete`, to go on without the images of a series
    that the database names. Raises `BackupError`; nothing half-written stays.
    """
    if path.exists():
        raise BackupError(f"{path} exists already: give another name.")
    check_migrated()
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
        os.link(partial, path)
    except FileExistsError:
        raise BackupError(f"{path} exists already: give another name.") from None
    except OSError as error:
        raise BackupError(f"{path} cannot be written: {error.strerror or error}.") from None
    finally:
        Path(partial).unlink(missing_ok=True)
    record(
        BACKUP_MADE,
        None,
        new={"file": path.name, "rows": manifest["rows"], "files": len(manifest["storage"])},
    )
    return manifest


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
        named = _named_folders()
        names = list(stored_files())
        lacking = _series_without(set(names))
        if lacking and not is_incomplete:
            raise _Vanished(  # or a volunteer withdrew since the rows were read
                f"The images of {len(lacking)} of {Series.objects.count()} series are not in the "
                f"storage, for example {lacking[0]}. Is its folder mounted, the store the right "
                "one? If they are lost, --incomplete backs up what there is."
            )
    # After the transaction, which on SQLite keeps every writer waiting.
    say(f"{sum(counts.values())} rows of {len(counts)} tables")
    for name in names:
        try:
            storage[name] = _store(tar, name)
        except FileNotFoundError:
            if not named.isdisjoint(str(folder) for folder in PurePosixPath(name).parents):
                raise _Vanished(
                    "Images were deleted while the backup was made, so that it would not be whole."
                ) from None
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


def _series_without(names: set[str]) -> list[str]:
    """Folders of series whose volume is not among the files."""
    prefixes = Series.objects.order_by("prefix").values_list("prefix", flat=True)
    return [prefix for prefix in prefixes if f"{prefix}/{VOLUME}" not in names]


def _named_folders() -> set[str]:
    """Folders of images that rows name. Bundles of tables are made anew where they are missed."""
    models: tuple[Any, ...] = (Series, InboxSeries, RawData)
    return {prefix for model in models for prefix in model.objects.values_list("prefix", flat=True)}


def _store(tar: tarfile.TarFile, name: str) -> str:
    with default_storage.open(name, "rb") as file, tempfile.TemporaryFile() as copy:
        _, sha256 = _spool(iter(lambda: file.read(_CHUNK), b""), copy)
        _add(tar, f"{STORED}/{name}", copy)
    return sha256


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
    """Every file of the storage by its name, in order, but those of the health check."""
    try:
        folders, files = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    for name in sorted(files):
        yield f"{folder}/{name}" if folder else name
    for name in sorted(folders):
        if not folder and (name == trial_files.FOLDER or name.startswith(LAID)):
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
