"""The folder of a site's database, images and keys: closed to other users of the host."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

OTHERS = stat.S_IRWXO
# What the platform itself lays there. A folder that holds anything else has other uses too, and may
# be open on purpose.
_OWN = {
    *("storage", "uploads", "static", "mail", "secret_key", "readerstudy.sqlite3"),
    *("readerstudy.sqlite3-wal", "readerstudy.sqlite3-shm", "readerstudy.sqlite3-journal"),
    *("worker.log", "demo-accounts.json", "lost+found"),
}


def made(name: str, folder: Path, default: Path) -> Path:
    """The folder, made where it is missing. What its group may do stays as somebody set it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"{name} is {str(folder)!r}, which cannot be made or is no folder ({error.strerror}). "
            "Name a folder that the user of the services may write to."
        ) from None
    _close(folder, is_own=folder == default)
    return folder


def _close(folder: Path, is_own: bool) -> None:
    """Password hashes and the key of every blind lie inside: take away what others may do.

    Only of a folder that belongs to this user and is the platform's alone: its default, or one
    with nothing else in it. Never of a sticky one, which is shared. What is left open `check
    --deploy` tells (`readerstudy.web.checks`).
    """
    try:
        status = folder.stat()
        if status.st_uid != os.geteuid() or not status.st_mode & OTHERS:
            return
        if status.st_mode & stat.S_ISVTX:
            return
        within = {entry.name for entry in os.scandir(folder) if not entry.name.startswith(".")}
        if is_own or within <= _OWN:
            folder.chmod(stat.S_IMODE(status.st_mode) & ~OTHERS)
    except OSError:
        return  # a file system that knows no permissions


def is_open_to_others(folder: Path) -> bool:
    """Whether a user of the host who is neither its owner nor of its group gets into it."""
    try:
        way = [folder.resolve(strict=True), *folder.resolve().parents]
        return bool(way[0].stat().st_mode & OTHERS) and all(
            each.stat().st_mode & stat.S_IXOTH for each in way
        )
    except OSError:
        return False  # not there, or a way that this user cannot see himself
