"""Storage, disk or database fail, or a person stops it, while a backup is made or restored."""

from __future__ import annotations

import errno
import io
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections

from readerstudy.audit.models import Event
from readerstudy.reports.backup import restoring, writing
from readerstudy.reports.backup.placing import FolderPlace
from readerstudy.reports.backup.writing import check_backup, stored_files
from readerstudy.studies.models import Study
from tests.reports.backed_up import FILE, an_inbox_series, backed_up, make_small_site, raw_data

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def study() -> Study:
    return make_small_site()


def archives(folder: Path) -> list[str]:
    """Half-written ones too."""
    return sorted(one.name for one in folder.iterdir() if one.is_file())


@pytest.mark.parametrize("outcome", ["committed", "not", "unknown"])
def test_a_database_that_breaks_off_in_the_commit_is_asked_how_it_ended(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    path = backed_up(tmp_path)
    default_storage.save("series/later.npy", ContentFile(b"later"))
    events = Event.objects.count()
    take, commit = FolderPlace.take, connections["default"].commit
    stands = restoring._stands

    def broken() -> None:
        monkeypatch.setattr(connections["default"], "commit", commit)
        if outcome == "committed":
            commit()
        raise OperationalError("server closed the connection unexpectedly\nmore of it")

    def then(place: FolderPlace) -> None:
        take(place)
        monkeypatch.setattr(connections["default"], "commit", broken)

    def away(_: Event) -> bool:
        raise OperationalError("connection refused")

    monkeypatch.setattr(FolderPlace, "take", then)
    monkeypatch.setattr(restoring, "_LOOK_AGAIN_SECONDS", 0.0)
    if outcome == "unknown":
        monkeypatch.setattr(restoring, "_stands", away)
    said = io.StringIO()
    root = Path(default_storage.path(""))
    if outcome == "committed":
        call_command("restore", path, replace=True, stdout=said)
        assert "Restored" in said.getvalue()
        assert Event.objects.order_by("-sequence")[0].action == "reports.backup.restored"
        assert list(stored_files()) == [FILE]
        assert not list(root.glob(".restore-*"))
        return
    with pytest.raises(CommandError) as told:
        call_command("restore", path, replace=True, stdout=said)
    assert Event.objects.count() == events  # here it never committed
    if outcome == "not":
        why = "server closed the connection unexpectedly"
        assert str(told.value) == f"Nothing was restored: {why}."
        assert list(stored_files()) == ["series/later.npy", FILE]
        assert not list(root.glob(".restore-*"))
        return
    assert "Nobody knows whether the backup is restored" in str(told.value)
    assert f"the backup's in {root}" in str(told.value)
    assert len(list(root.glob(".restore-*/old/series/later.npy"))) == 1
    monkeypatch.setattr(restoring, "_stands", stands)
    monkeypatch.setattr(FolderPlace, "take", take)
    call_command("restore", path, replace=True, stdout=said)  # as it says
    assert list(stored_files()) == [FILE]
    assert not list(root.glob(".restore-*"))


def test_a_stop_while_files_of_before_are_deleted_is_no_stop_of_the_restore(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = backed_up(tmp_path)
    default_storage.save("series/later.npy", ContentFile(b"later"))
    forget = FolderPlace.forget

    def stopped(_: FolderPlace) -> None:
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("It went on.")

    monkeypatch.setattr(FolderPlace, "forget", stopped)
    said = io.StringIO()
    call_command("restore", path, replace=True, stdout=said)
    assert "Restored" in said.getvalue()
    assert "Files of before are not all deleted (it was stopped)" in said.getvalue()
    assert "The stop came too late: all of it is restored." in said.getvalue()
    assert list(stored_files()) == [FILE]
    root = Path(default_storage.path(""))
    assert len(list(root.glob(".restore-*/old/series/later.npy"))) == 1
    monkeypatch.setattr(FolderPlace, "forget", forget)
    call_command("restore", path, replace=True, stdout=io.StringIO())
    assert not list(root.glob(".restore-*"))


@pytest.mark.parametrize("kind", ["inbox", "raw"])
@pytest.mark.parametrize("is_incomplete", [False, True])
def test_images_that_go_with_their_row_before_files_are_listed_are_not_missing_from_a_backup(
    study: Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    is_incomplete: bool,
) -> None:
    """A worker stores a series of the inbox while the tables are read: the row that was read names
    files that are there no more, and nobody has lost them."""
    row = an_inbox_series(study) if kind == "inbox" else raw_data(study)
    file = f"{row.prefix}/{'sheet.png' if kind == 'inbox' else 'kspace.npy'}"
    default_storage.save(file, ContentFile(b"pixels"))
    listed = writing.stored_files
    gone: list[Any] = []

    def meanwhile(folder: str = "") -> Any:
        if not gone:
            gone.append(row.pk)
            row.delete()
            default_storage.delete(file)
        return listed(folder)

    monkeypatch.setattr(writing, "stored_files", meanwhile)
    said: list[str] = []
    path = tmp_path / "backup.tar.gz"
    manifest = writing.write_backup(path, said.append, is_incomplete=is_incomplete)
    assert len([line for line in said if "Once more" in line]) == 1
    label = type(row)._meta.label_lower
    assert manifest["tables"][label]["rows"] == 0
    assert list(manifest["storage"]) == [FILE]


def test_lost_raw_data_and_series_of_the_inbox_are_told_like_lost_images(
    study: Study, tmp_path: Path
) -> None:
    an_inbox_series(study)
    raw_data(study)
    path = tmp_path / "backup.tar.gz"
    with pytest.raises(CommandError, match=r"The images of 2 of 2 series .* example inbox/waits"):
        call_command("backup", path, stdout=io.StringIO())
    call_command("backup", path, incomplete=True, stdout=io.StringIO())
    assert check_backup(path)["tables"]["variants.rawdata"]["rows"] == 1


@pytest.mark.parametrize("asked", ["listdir", "_open"])
def test_a_storage_that_does_not_answer_is_told_as_that_and_not_as_a_full_disk(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    whole = backed_up(tmp_path)
    events = Event.objects.count()

    def away(*_: Any, **__: Any) -> None:
        raise TimeoutError("The object store did not answer in time.")

    with monkeypatch.context() as patched:
        patched.setattr(FileSystemStorage, asked, away)
        with pytest.raises(CommandError) as told:
            call_command("backup", tmp_path / "again.tar.gz", stdout=io.StringIO())
    assert str(told.value) == "The images cannot be read: The object store did not answer in time."
    assert archives(tmp_path) == [whole.name]
    assert Event.objects.count() == events

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("readerstudy.reports.backup.writing._add", full)
    with pytest.raises(CommandError, match=r"cannot be written: No space left on device\.$"):
        call_command("backup", tmp_path / "again.tar.gz", stdout=io.StringIO())


def test_a_database_or_storage_that_does_not_answer_before_a_restore_is_told_in_words(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = backed_up(tmp_path)
    call_command("flush", interactive=False, verbosity=0)

    def away(*_: Any) -> None:
        raise TimeoutError("The object store did not answer in time.")

    def gone(*_: Any) -> None:
        raise OperationalError("connection refused\nIs the server running?")

    monkeypatch.setattr(FileSystemStorage, "listdir", away)
    with pytest.raises(CommandError) as told:
        call_command("restore", path)
    assert str(told.value) == "Nothing was restored: The object store did not answer in time."
    monkeypatch.setattr("readerstudy.reports.backup.restoring.check_migrated", gone)
    monkeypatch.setattr("readerstudy.reports.backup.writing.check_migrated", gone)
    with pytest.raises(CommandError, match=r"^Nothing was restored: connection refused\.$"):
        call_command("restore", path)
    with pytest.raises(CommandError, match=r"^The database cannot be read: connection refused\.$"):
        call_command("backup", tmp_path / "again.tar.gz")


def test_what_a_disk_keeps_at_its_root_is_neither_backed_up_nor_moved(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STORAGE_DIR may be where a disk is mounted."""
    lost = Path(default_storage.path("")) / "lost+found"
    lost.mkdir()
    (lost / "#12").write_bytes(b"of the disk")
    rename = Path.rename

    def refused(path: Path, target: Path) -> Path:
        if path == lost:
            raise PermissionError(errno.EACCES, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refused)
    path = backed_up(tmp_path)
    assert list(check_backup(path)["storage"]) == [FILE]
    call_command("restore", path, replace=True, stdout=io.StringIO())
    assert (lost / "#12").read_bytes() == b"of the disk"


def test_a_backup_that_is_there_is_in_the_trail_and_a_check_that_is_stopped_says_just_that(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def linked(source: Any, target: Any) -> None:
        link(source, target)
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(writing.os, "link", linked)
        path = backed_up(tmp_path)  # the stop came too late
    assert archives(tmp_path) == [path.name]
    assert Event.objects.order_by("-sequence")[0].action == "reports.backup.made"

    def stopped(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("readerstudy.reports.management.commands.backup.check_backup", stopped)
    with pytest.raises(CommandError, match=r"^Stopped: not checked to its end\.$") as told:
        call_command("backup", path, check=True)
    assert told.value.returncode == 130
    assert path.exists()
