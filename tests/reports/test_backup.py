"""A whole installation backed up and restored."""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from readerstudy.accounts.models import SignIn, User
from readerstudy.accounts.services import do_administer_user
from readerstudy.audit.models import Event
from readerstudy.audit.services import verify_chain
from readerstudy.imaging.volumes import delete_files
from readerstudy.reading.models import ScoreRevision
from readerstudy.reports import report as reports
from readerstudy.reports.api.tokens import do_create_token, token_of
from readerstudy.reports.backup.content import BackupError
from readerstudy.reports.backup.writing import check_backup, stored_files
from readerstudy.reports.bundles.contents import parts_of
from readerstudy.reports.report import named_report
from readerstudy.studies.models import Membership, Study
from readerstudy.studies.services import do_remove_member
from tests import postgresql
from tests.factories import make_administrator, make_coordinator, make_statistician
from tests.reading.imaged_study import make_reading_study
from tests.reports.backed_up import an_inbox_series, backed_up, withdraw
from tests.reports.published import make_published_study, unblind

pytestmark = pytest.mark.django_db(transaction=True)

IN_POSTGRESQL = """
import django, sys
django.setup()
from django.core.management import call_command
path, again = sys.argv[1:]
call_command("migrate", verbosity=0)
call_command("restore", path)
call_command("verify_audit")
call_command("verify_snapshot", "published")
call_command("backup", again)
call_command("verify_audit")
call_command("restore", again, replace=True)
call_command("verify_audit")
call_command("verify_snapshot", all=True)
"""


@pytest.fixture
def study() -> Study:
    make_administrator()
    study = make_published_study()
    unblind(study, None, "reviewed")
    default_storage.save("series/one/volume.npy", ContentFile(b"voxels" * 1000))
    study.refresh_from_db()
    return study


def exported(study: Study) -> dict[str, bytes]:
    """The files of the bundle that come out of the database; figures are of the same numbers."""
    parts = parts_of(study, named_report(study))
    wanted = ("Data", "SPSS, Stata and spreadsheet files", "Tables", "Drafts")
    return {name: make() for part in wanted for name, make in parts[part].items()}


def test_in_a_folder_it_is_named_by_the_time_and_a_folder_that_is_missing_becomes_no_file(
    study: Study, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    call_command("backup", folder, stdout=io.StringIO())
    (made,) = folder.iterdir()
    assert re.fullmatch(r"readerstudy-\d{4}-\d\d-\d\d-\d{6}\.tar\.gz", made.name)
    assert check_backup(made)["rows"]
    with pytest.raises(CommandError, match="mounted"):
        call_command("backup", folder / "share")
    assert list(folder.iterdir()) == [made]


def test_a_backup_that_is_stopped_leaves_nothing_half_written(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from readerstudy.reports.backup import writing

    whole = writing._write

    def stopped(*given: Any) -> Any:
        whole(*given)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    monkeypatch.setattr(writing, "_write", stopped)
    folder = tmp_path / "backups"
    folder.mkdir()
    with pytest.raises(CommandError, match="no backup"):
        call_command("backup", folder / "a.tar.gz", stdout=io.StringIO())
    assert not list(folder.iterdir())


def test_what_was_lost_is_back_as_it_was(study: Study, tmp_path: Path) -> None:
    path = backed_up(tmp_path)
    data, files = named_report(study).data_sha256, exported(study)
    scores = list(ScoreRevision.objects.values_list("pk", "value", "created_at").order_by("pk"))
    created = Study.objects.get().created_at
    events = Event.objects.count()
    call_command("flush", interactive=False, verbosity=0)
    default_storage.delete("series/one/volume.npy")
    default_storage.save("series/other.npy", ContentFile(b"later"))
    with pytest.raises(CommandError, match="The storage holds files"):
        call_command("restore", path)
    default_storage.delete("series/other.npy")
    call_command("restore", path, stdout=io.StringIO())
    with default_storage.open("series/one/volume.npy") as file:
        assert file.read() == b"voxels" * 1000
    restored = Study.objects.get()
    assert (restored.pk, restored.created_at) == (study.pk, created)
    assert named_report(restored).data_sha256 == data
    # The stored JSON came back with its keys in another order; what leaves is the same.
    reports._kept.clear()
    again = exported(restored)
    assert [name for name in files if again[name] != files[name]] == []
    assert (
        list(ScoreRevision.objects.values_list("pk", "value", "created_at").order_by("pk"))
        == scores
    )
    said = io.StringIO()
    call_command("verify_snapshot", "published", stdout=said)
    call_command("verify_audit", stdout=said)
    assert "stored rows are sound" in said.getvalue()
    assert "The audit trail is sound" in said.getvalue()
    # The trail goes on: the backup itself was recorded after the snapshot, the restoring now.
    chain = verify_chain()
    assert chain.is_sound, chain.fault
    assert Event.objects.count() == events
    assert Event.objects.order_by("-sequence")[0].action == "reports.backup.restored"
    with pytest.raises(Exception, match="append-only"), connection.cursor() as cursor:
        cursor.execute("UPDATE reading_scorerevision SET value = 1")


def test_a_restore_that_is_stopped_changes_nothing_and_its_last_step_is_not_stopped(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from readerstudy.reports.backup.placing import FolderPlace

    path = backed_up(tmp_path)
    default_storage.save("series/later.npy", ContentFile(b"later"))
    events = Event.objects.count()
    take, forget = FolderPlace.take, FolderPlace.forget

    root = Path(default_storage.path(""))
    (root / ".restore-killed" / "old").mkdir(parents=True)  # by a restore that was killed
    laid: list[str] = []

    def stopped(place: FolderPlace) -> None:
        # Inside the storage, whose folder may be where a share is mounted.
        laid.extend(one.name for one in root.iterdir() if one.name.startswith(".restore-"))
        assert not list(root.parent.glob(".restore-*"))
        take(place)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    monkeypatch.setattr(FolderPlace, "take", stopped)
    with pytest.raises(CommandError, match="nothing was restored") as told:
        call_command("restore", path, replace=True, stdout=io.StringIO())
    assert told.value.returncode == 130
    assert len(laid) == 2
    assert [one.name for one in root.glob(".restore-*")] == [".restore-killed"]
    assert not [name for name in stored_files() if "restore" in name]
    assert Event.objects.count() == events
    with default_storage.open("series/one/volume.npy") as file:
        assert file.read() == b"voxels" * 1000
    with default_storage.open("series/later.npy") as file:
        assert file.read() == b"later"

    def committing(place: FolderPlace) -> None:
        take(place)
        commit = connections["default"].commit

        def too_late() -> None:
            monkeypatch.setattr(connections["default"], "commit", commit)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.raise_signal(number)
            commit()

        monkeypatch.setattr(connections["default"], "commit", too_late)

    def failing(place: FolderPlace) -> None:
        forget(place)
        raise OSError("The disk does not answer.")

    monkeypatch.setattr(FolderPlace, "take", committing)
    monkeypatch.setattr(FolderPlace, "forget", failing)
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    said = io.StringIO()
    call_command("restore", path, replace=True, stdout=said)
    assert "Restored" in said.getvalue()
    assert "The stop came too late" in said.getvalue()
    assert "not all deleted (The disk does not answer)" in said.getvalue()
    assert not list(root.glob(".restore-*"))
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers
    assert Event.objects.order_by("-sequence")[0].action == "reports.backup.restored"
    assert not default_storage.exists("series/later.npy")


def test_a_disk_that_is_full_is_said_in_words_and_nothing_changes(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = backed_up(tmp_path)
    events = Event.objects.count()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("readerstudy.reports.backup.placing.FolderPlace.put", full)
    with pytest.raises(CommandError, match=r"Nothing was restored: .*No space left on device\.$"):
        call_command("restore", path, replace=True, stdout=io.StringIO())
    assert Event.objects.count() == events
    assert list(stored_files()) == ["series/one/volume.npy"]
    assert not list(Path(default_storage.path("")).glob(".restore-*"))


def test_tokens_of_the_backup_stand_no_more_once_it_is_restored(
    study: Study, tmp_path: Path
) -> None:
    user = make_statistician(study)
    token, text = do_create_token(study, user, "R at home", 30)
    path = backed_up(tmp_path)
    assert token_of(f"Bearer {text}") == token
    said = io.StringIO()
    call_command("restore", path, replace=True, stdout=said)
    assert "stand no more: 1." in said.getvalue()
    assert token_of(f"Bearer {text}") is None
    assert Event.objects.order_by("-sequence")[0].new["tokens_ended"] == 1  # type: ignore[index]


def test_files_that_go_while_a_backup_is_made_are_left_out_or_it_begins_anew(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from readerstudy.reports.backup import writing

    default_storage.save("exports/old/bundle.zip", ContentFile(b"tables"))
    default_storage.save("inbox/waits/sheet.png", ContentFile(b"pixels"))
    row = an_inbox_series(study)
    store = writing._store

    def meanwhile(tar: tarfile.TarFile, name: str) -> str:
        if name == "exports/old/bundle.zip":
            default_storage.delete(name)  # nobody names it
            row.delete()  # somebody stored it: row and file go
            default_storage.delete("inbox/waits/sheet.png")
        return store(tar, name)

    monkeypatch.setattr(writing, "_store", meanwhile)
    said: list[str] = []
    manifest = writing.write_backup(tmp_path / "backup.tar.gz", said.append)
    assert len([line for line in said if "Once more" in line]) == 1
    assert list(manifest["storage"]) == ["series/one/volume.npy"]
    assert manifest["tables"]["imaging.inboxseries"]["rows"] == 0
    check_backup(tmp_path / "backup.tar.gz")


def test_data_that_are_there_are_not_overwritten_unasked(study: Study, tmp_path: Path) -> None:
    path = backed_up(tmp_path)
    User.objects.create_user("late@example.org", "a long enough password 42")
    with pytest.raises(CommandError, match="--replace"):
        call_command("restore", path)
    assert User.objects.filter(email="late@example.org").exists()
    late = User.objects.get(email="late@example.org")
    late.name = "Late"
    do_administer_user(None, late)
    second = [make_coordinator(study, f"{name}@example.org") for name in ("one", "two")][1]
    do_remove_member(Membership.objects.get(study=study, user=second), None)
    withdraw(study, "V3")
    # Who is signed in now, and is not in the backup, is no reason not to restore it.
    begin = timezone.now()
    SignIn.objects.create(user=late, session_key="one", started_at=begin, seen_at=begin)
    said = io.StringIO()
    call_command("restore", path, replace=True, stdout=said)
    assert "the account late@example.org was changed" in said.getvalue()
    assert f"two@example.org is no coordinator of {study} any more" in said.getvalue()
    assert f"V3 withdrew from {study}" in said.getvalue()
    assert "SECRET_KEY" not in said.getvalue()
    assert not User.objects.filter(email="late@example.org").exists()
    assert not SignIn.objects.exists()
    assert verify_chain().is_sound
    with pytest.raises(CommandError, match="exists already"):
        call_command("backup", path)


def test_a_damaged_backup_is_refused_and_nothing_changes(study: Study, tmp_path: Path) -> None:
    path = backed_up(tmp_path)
    damaged = tmp_path / "damaged.tar.gz"
    with tarfile.open(path) as old, tarfile.open(damaged, "w:gz") as new:
        for entry in old:
            file = old.extractfile(entry)
            assert file is not None
            content = file.read()
            if entry.name == "database/reading.scorerevision.jsonl":
                content = content.replace(b'"value": 3', b'"value": 4', 1)
            new.addfile(entry, io.BytesIO(content))
    before = Event.objects.count()
    with pytest.raises(CommandError, match=r"reading\.scorerevision\.jsonl is not what was"):
        call_command("restore", damaged, replace=True)
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(BackupError):
        check_backup(cut)
    assert Event.objects.count() == before
    assert Study.objects.get() == study


def test_keys_that_are_not_the_backups_are_told(
    study: Study, tmp_path: Path, settings: Any
) -> None:
    before = settings.SECRET_KEY
    path = backed_up(tmp_path)
    settings.SECRET_KEY = "another"
    said = io.StringIO()
    call_command("restore", path, replace=True, stdout=said)
    assert "\nSECRET_KEY of this installation: not of the one that" in said.getvalue()
    assert "everybody signs in again" in said.getvalue()
    assert "UIDs" not in said.getvalue()
    settings.DEIDENTIFICATION_KEY = "another"
    said = io.StringIO()
    call_command("restore", path, replace=True, stdout=said)
    assert "\nSECRET_KEY and DEIDENTIFICATION_KEY of this installation: not" in said.getvalue()
    assert "UIDs" in said.getvalue()
    settings.SECRET_KEY = before
    said = io.StringIO()
    call_command("restore", path, replace=True, stdout=said)
    assert "\nDEIDENTIFICATION_KEY of this installation: not of the one that" in said.getvalue()
    assert "UIDs" in said.getvalue()
    assert "tells of nothing since that is to be done again" in said.getvalue()


def test_a_database_of_an_earlier_version_is_neither_backed_up_nor_restored_into(
    study: Study, tmp_path: Path
) -> None:
    path = backed_up(tmp_path)
    applied = MigrationRecorder.Migration.objects.filter(app="reports").latest("pk")
    MigrationRecorder.Migration.objects.filter(pk=applied.pk).delete()
    try:
        with pytest.raises(CommandError, match=r"Run manage\.py migrate first"):
            call_command("backup", tmp_path / "again.tar.gz")
        with pytest.raises(CommandError, match=r"Run manage\.py migrate first"):
            call_command("restore", path, replace=True)
    finally:
        applied.save(force_insert=True)
    assert not (tmp_path / "again.tar.gz").exists()


@pytest.mark.postgres
def test_a_backup_of_sqlite_restores_into_postgresql(study: Study, tmp_path: Path) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("the other way round is what the suite on PostgreSQL does")
    path, again = backed_up(tmp_path), tmp_path / "again.tar.gz"
    with postgresql.server() as address:
        done = subprocess.run(  # one process for all commands: to start one costs more than most
            [sys.executable, "-c", IN_POSTGRESQL, str(path), str(again)],
            env={
                **os.environ,
                "DATABASE_URL": postgresql.create_database(address, "restored"),
                "READERSTUDY_VAR": str(tmp_path / "var"),
                "DJANGO_SETTINGS_MODULE": "readerstudy.settings",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("the audit trail is sound") == 2  # of what was restored
    assert done.stdout.count("The audit trail is sound") == 3
    assert done.stdout.count("stored rows are sound") == 2
    one, other = check_backup(path), check_backup(again)
    assert one["storage"] == other["storage"]
    same = {label for label in one["tables"] if one["tables"][label] == other["tables"][label]}
    assert {"reading.scorerevision", "reports.snapshot", "studies.study", "accounts.user"} <= same


def test_a_backup_without_the_images_is_made_only_if_asked_for(tmp_path: Path) -> None:
    """A share that is not mounted looks like an empty folder."""
    make_reading_study(volunteers=2, readers=1)
    for folder in default_storage.listdir("")[0]:
        delete_files(folder)
    path = tmp_path / "backup.tar.gz"
    with pytest.raises(CommandError, match=r"are not in the storage.*mounted.*--incomplete"):
        call_command("backup", path, stdout=io.StringIO())
    assert not path.exists()
    call_command("backup", path, incomplete=True, stdout=io.StringIO())
    assert path.exists()
