"""Images in an S3 store, by configuration alone, against a small real S3 server."""

from __future__ import annotations

import datetime
import errno
import io
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage, storages
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from readerstudy.imaging import trial_files
from readerstudy.imaging.housekeeping import delete_lost_outputs, tidy
from readerstudy.imaging.models import Series, Upload
from readerstudy.imaging.volumes import (
    delete_after_commit,
    delete_files,
    read_slice,
    write_file,
    write_volume,
)
from readerstudy.jobs.models import Job
from readerstudy.reports.backup.writing import stored_files
from readerstudy.studies.models import Study
from readerstudy.web import health
from readerstudy.web.object_storage import ObjectStorage, client_config, told
from tests.factories import make_study
from tests.imaging.datasets import as_files, phantom, series
from tests.imaging.uploading import refusals, send_zip
from tests.object_store import as_storage, object_store, quota_before


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with object_store() as running:
        yield running


@pytest.fixture
def store(server: tuple[str, subprocess.Popen[bytes]], settings: Any) -> ObjectStorage:
    """The bucket as the site's storage, as S3_BUCKET and its fellows make it."""
    configured = {name: dict(storage) for name, storage in settings.STORAGES.items()}
    configured["default"] = as_storage(
        server[0], "images", location="site", client_config=client_config(1.0, 1.0, attempts=2)
    )
    settings.STORAGES = configured
    storage = storages["default"]
    assert isinstance(storage, ObjectStorage)
    storage.connection.create_bucket(Bucket="images")
    return storage


def test_files_are_written_replaced_listed_and_deleted_by_folder(store: ObjectStorage) -> None:
    volume = np.arange(24, dtype=np.float32).tobytes()
    write_file("series/study/token/volume.npy", b"an earlier attempt")
    write_file("series/study/token/volume.npy", volume)
    write_file("series/study/token/dicom/0001.dcm", b"one")
    with default_storage.open("series/study/token/volume.npy") as handle:
        assert handle.read() == volume
    assert default_storage.exists("series/study")  # a folder, as on a disk
    assert not default_storage.exists("series/stud")
    assert default_storage.listdir("series/study/token") == (["dicom"], ["volume.npy"])
    assert default_storage.size("series/study/token/dicom/0001.dcm") == 3
    assert store.bytes_under("series/study") == len(volume) + 3
    assert store.bytes_under("series/stud") == 0
    delete_files("series/study")
    assert not default_storage.exists("series/study")
    with pytest.raises(ValueError, match="no address"):
        store.url("series/study/token/volume.npy")
    with pytest.raises(FileNotFoundError):
        default_storage.open("series/study/token/volume.npy").read()


def test_a_slice_is_fetched_without_the_rest_of_its_volume(store: ObjectStorage) -> None:
    volume = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)
    sha256 = write_volume("series/one", volume)
    series = Series(prefix="series/one", volume_sha256=sha256, slices=3, rows=4, columns=5)
    asked: list[Any] = []
    events = store.connection.meta.client.meta.events
    events.register(
        "before-send.s3", lambda request, **_: asked.append(request.headers.get("Range"))
    )
    for index in (2, 0, 1):
        np.testing.assert_array_equal(read_slice(series, index), volume[index])
    assert asked == [b"bytes=288-367", b"bytes=128-207", b"bytes=208-287"]  # a request a slice
    with pytest.raises(IndexError):
        read_slice(series, 3)
    with pytest.raises(OSError, match="of 368 instead of 64 of 320"):
        # What is stored is not what the record says: no slice of it is shown.
        read_slice(Series(prefix="series/one", slices=3, rows=4, columns=4), 0)
    delete_files("series/one")
    with pytest.raises(OSError, match="404"):
        read_slice(series, 0)


@pytest.mark.django_db
def test_a_store_that_hangs_or_is_away_is_told_in_time(
    store: ObjectStorage,
    server: tuple[str, subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "_kept", None)
    sound = {check.name: check.fault for check in health.checks()}
    assert sound["storage"] == ""
    process = server[1]
    process.send_signal(signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(TimeoutError, match="did not answer in time"):
            default_storage.save("a", ContentFile(b"b"))
        assert time.monotonic() - started < 20  # two attempts of one second, and a pause
        started = time.monotonic()
        faults = {check.name: check.fault for check in health.checks()}
        assert faults["storage"] == "not usable"
        assert time.monotonic() - started < 3  # its own limit, and no second attempt
    finally:
        process.send_signal(signal.SIGCONT)
    assert default_storage.save("a", ContentFile(b"b")) == "a"


def test_a_full_store_and_a_wrong_key_are_told_as_a_disk_tells_them(store: ObjectStorage) -> None:
    from botocore.exceptions import ClientError

    def answer(status: int, code: str) -> ClientError:
        found: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
        return ClientError(found, "PutObject")

    for status, code in ((507, ""), (403, "QuotaExceeded")):
        with pytest.raises(OSError, match="is full") as caught, told():
            raise answer(status, code)
        assert caught.value.errno == errno.ENOSPC
    with pytest.raises(PermissionError, match="key and policy"), told():
        raise answer(403, "SignatureDoesNotMatch")
    store.connection.create_bucket(Bucket="other")
    store.bucket_name = "none-such"
    store._bucket = None
    with pytest.raises(OSError, match="404 NoSuchBucket"):
        store.save("a", ContentFile(b"b"))


@pytest.mark.django_db
@pytest.mark.parametrize("refusal", [(507, "XMinioStorageFull"), (403, "QuotaExceeded")])
def test_a_job_that_fills_the_store_keeps_nothing_says_so_and_is_done_once_there_is_room(
    server: tuple[str, subprocess.Popen[bytes]],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    refusal: tuple[int, str],
) -> None:
    monkeypatch.setattr(health, "_kept", None)
    study = make_study()
    files = as_files(series(phantom(3)), "V01/STD")
    with quota_before(server[0]) as quota:
        quota.refusal = refusal
        settings.STORAGES = {
            **settings.STORAGES,
            "default": as_storage(quota.address, "filling", location=str(study.pk)),
        }
        default_storage.connection.create_bucket(Bucket="filling")  # type: ignore[attr-defined]
        quota.left = 2  # in the midst of the three slices and the volume
        job = send_zip(study, files)
        assert quota.refused == 1  # neither the client nor the worker tries again
        assert (job.state, job.attempts) == (Job.State.FAILED, 1)
        assert "disk is full" in job.error
        assert not Series.objects.exists()
        assert not default_storage.exists("series")  # those that were written are gone again
        tidy()
        assert Upload.objects.get().state == Upload.State.FAILED
        assert "disk is full" in refusals(study)["images.zip"]
        found = {check.name: check.fault for check in health.checks()}
        assert found["storage"] == "not usable"

        quota.left = float("inf")
        assert send_zip(study, files).state == Job.State.SUCCEEDED
        stored = Series.objects.get()
        assert [read_slice(stored, index).size for index in range(3)] == [20 * 24] * 3


@pytest.mark.django_db(transaction=True)
def test_a_backup_is_restored_into_the_store_and_what_was_there_goes(
    store: ObjectStorage, tmp_path: Path
) -> None:
    study = make_study()
    folder = f"series/{study.pk}"
    write_file(f"{folder}/one/volume.npy", b"voxels" * 1000)
    write_file(f"{folder}/two/volume.npy", b"others")
    path = tmp_path / "backup.tar.gz"
    call_command("backup", path, stdout=io.StringIO())
    delete_files(f"{folder}/one")
    write_file(f"{folder}/late/volume.npy", b"late")
    with pytest.raises(CommandError, match="--replace"):
        call_command("restore", path)
    assert default_storage.exists(f"{folder}/late/volume.npy")
    call_command("restore", path, replace=True, stdout=io.StringIO())
    assert sorted(default_storage.listdir(folder)[0]) == ["one", "two"]
    with default_storage.open(f"{folder}/one/volume.npy") as content:
        assert content.read() == b"voxels" * 1000
    assert Study.objects.get() == study
    call_command("verify_audit", stdout=io.StringIO())


@pytest.mark.django_db(transaction=True)
def test_what_the_store_refuses_after_a_commit_is_left_to_housekeeping(
    store: ObjectStorage,
    server: tuple[str, subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    delete_files("series")
    write_file("series/study/secret/volume.npy", b"one")
    write_file("ready/left-over", b"two")
    heard: list[str] = []
    server[1].send_signal(signal.SIGSTOP)
    try:
        with transaction.atomic():
            delete_after_commit(["series/study/secret"])
            transaction.on_commit(lambda: heard.append("the next"))
    finally:
        server[1].send_signal(signal.SIGCONT)
    assert heard == ["the next"]
    assert "(StoreTimeout): housekeeping will" in caplog.text
    assert "secret" not in caplog.text
    taken_along = [name for name in stored_files() if "/" in name]  # by a backup
    assert taken_along == ["series/study/secret/volume.npy"]
    assert (delete_lost_outputs("series", []), trial_files.forget_old_trials()) == (0, 0)
    later = timezone.now() + datetime.timedelta(hours=2)
    monkeypatch.setattr(timezone, "now", lambda: later)
    assert (delete_lost_outputs("series", []), trial_files.forget_old_trials()) == (1, 1)
    assert not store.exists("series")
    assert not store.exists("ready")
