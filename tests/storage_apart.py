"""Fails a test in which storage is asked while the end of the audit trail, or a study, is held.

Whoever has written to the trail keeps the saves of every study waiting until the transaction ends,
and whoever holds a study alone those of that study; a store that hangs would keep them waiting with
it. Transactions of the tests themselves do not count.
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.core.files.storage import FileSystemStorage, default_storage
from django.db import connection, transaction

from readerstudy.audit import services
from readerstudy.studies import holding

READING = ("open", "exists", "listdir", "size", "get_modified_time")


@pytest.fixture
def storage_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the disk, which stands for every storage."""
    held_head, wait = services._held_head, holding._wait
    path = FileSystemStorage.path
    holders: dict[int, transaction.Atomic] = {}  # {connection: the transaction that holds it}

    def note() -> None:
        own = [block for block in connection.atomic_blocks if not is_the_tests(block)]
        if own:
            holders[id(connection.connection)] = own[0]

    def held_end() -> tuple[int, str]:
        note()
        return held_head()

    def held_study(function: str, study_id: uuid.UUID) -> None:
        note()
        wait(function, study_id)

    def check(storage: object, name: object) -> None:
        holder = holders.get(id(connection.connection))
        if any(block is holder for block in connection.atomic_blocks) and is_default(storage):
            pytest.fail(f"{name} is asked of storage while the trail's end or a study is held.")

    def reading(plain: Any) -> Any:
        def checked(self: FileSystemStorage, name: str, *args: Any, **options: Any) -> Any:
            check(self, name)
            return plain(self, name, *args, **options)

        return checked

    def checked_path(self: FileSystemStorage, name: str) -> str:
        if str(name).endswith(".npy"):  # which is read without the storage's help
            check(self, name)
        return str(path(self, name))

    monkeypatch.setattr(services, "_held_head", held_end)
    monkeypatch.setattr(holding, "_wait", held_study)
    monkeypatch.setattr(FileSystemStorage, "path", checked_path)
    for name in READING:
        monkeypatch.setattr(FileSystemStorage, name, reading(getattr(FileSystemStorage, name)))


def is_the_tests(block: transaction.Atomic) -> bool:
    return bool(getattr(block, "_from_testcase", False))


def is_default(storage: object) -> bool:
    """Uploads in progress lie on a disk, whatever the storage of images is."""
    return getattr(storage, "location", "") == getattr(default_storage, "location", None)
