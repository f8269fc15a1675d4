"""Hostile input costs its own file, never the worker."""

from __future__ import annotations

import io
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator

import pytest

from readerstudy.imaging.models import Series, Upload
from readerstudy.imaging.parsing.process import ConfinedReader
from readerstudy.jobs.models import Job
from readerstudy.studies.models import Study
from tests.factories import make_study

from .datasets import as_bytes, as_files, phantom, series
from .uploading import refusals, send, zipped

MEMORY = 1536 * 1024**2


def dicom_head(syntax: bytes) -> bytes:
    def element(number: int, vr: bytes, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HH2sH", 2, number, vr, len(value)) + value

    meta = element(2, b"UI", b"1.2.840.10008.5.1.4.1.1.4") + element(0x10, b"UI", syntax)
    return bytes(128) + b"DICM" + element(0, b"UL", struct.pack("<I", len(meta))) + meta


def nested_bomb(depth: int = 40) -> bytes:
    """A few hundred bytes of sequences within sequences of undefined length."""
    head = dicom_head(b"1.2.840.10008.1.2.1")
    sequence = struct.pack("<HH2sHI", 0x0008, 0x1115, b"SQ", 0, 0xFFFFFFFF)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    return head + (sequence + item) * depth


def implicit_nested_bomb(depth: int) -> bytes:
    """Defined lengths, so that a reader unfolds it level by level on access."""
    body = b""
    for _ in range(depth):
        item = struct.pack("<HHI", 0xFFFE, 0xE000, len(body)) + body
        body = struct.pack("<HHI", 0x0008, 0x1115, len(item)) + item
    return dicom_head(b"1.2.840.10008.1.2") + body


def deflated_bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packer.compress(bytes(300 * 1024**2)) + packer.flush()
    return dicom_head(b"1.2.840.10008.1.2.1.99") + body


@pytest.fixture
def reader() -> Iterator[ConfinedReader]:
    with ConfinedReader("key", memory_bytes=MEMORY, seconds=30) as confined:
        yield confined


def parse(reader: ConfinedReader, tmp_path, content: bytes) -> dict:
    path = tmp_path / "upload.part"
    path.write_bytes(content)
    return reader.ask(
        {
            "op": "parse",
            "path": str(path),
            "member": None,
            "patient": "V01",
            "limit": 64 * 1024**2,
            "out": str(tmp_path / "out"),
        }
    )


@pytest.mark.parametrize(
    "content",
    [nested_bomb(), nested_bomb(5000), implicit_nested_bomb(900), implicit_nested_bomb(3000)],
    ids=["small", "deep", "implicit", "implicit deep"],
)
def test_nested_sequences_are_refused_quickly(reader, tmp_path, content: bytes) -> None:
    started = time.monotonic()
    answer = parse(reader, tmp_path, content)
    assert "refused" in answer
    assert time.monotonic() - started < 20
    good = as_bytes(series(phantom(1))[0])
    assert "slices" in parse(reader, tmp_path, good)  # the next file is read


def test_a_deflated_bomb_is_refused_by_its_encoding_without_unpacking(reader, tmp_path) -> None:
    content = deflated_bomb()
    assert len(content) < 400_000
    answer = parse(reader, tmp_path, content)
    assert "Deflated" in answer["refused"]


def test_an_image_beyond_the_memory_is_refused_and_the_reader_goes_on(tmp_path) -> None:
    with ConfinedReader("key", memory_bytes=400 * 1024**2, seconds=30) as small:
        (ds,) = series(phantom(1))
        ds.NumberOfFrames = 1
        ds.PixelData = bytes(180 * 1024**2)
        path = tmp_path / "big.part"
        path.write_bytes(as_bytes(ds))
        request = {
            "op": "parse",
            "path": str(path),
            "member": None,
            "patient": "V01",
            "limit": 512 * 1024**2,
            "out": str(tmp_path / "out"),
        }
        assert "refused" in small.ask(request)
        assert "slices" in parse(small, tmp_path, as_bytes(series(phantom(1))[0]))


def test_a_reader_past_its_deadline_is_replaced(tmp_path, monkeypatch) -> None:
    fifo = tmp_path / "endless.part"
    import os

    os.mkfifo(fifo)  # opening it waits for ever
    monkeypatch.setattr("readerstudy.imaging.parsing.process.START_SECONDS", 20.0)
    with ConfinedReader("key", memory_bytes=MEMORY, seconds=1.0) as quick:
        assert "slices" in parse(quick, tmp_path, as_bytes(series(phantom(1))[0]))
        request = {"op": "list", "path": str(fifo), "limits": {}}
        started = time.monotonic()
        assert "longer than 1 seconds" in quick.ask(request)["refused"]
        assert time.monotonic() - started < 5
        assert "slices" in parse(quick, tmp_path, as_bytes(series(phantom(1))[0]))


def _entry(archive: zipfile.ZipFile, name: str, content: bytes, mode: int = 0o644) -> None:
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = (stat.S_IFREG | mode) << 16
    archive.writestr(info, content)


@pytest.mark.django_db
def test_an_archive_with_traps_gives_its_good_images_and_names_the_traps(tmp_path) -> None:
    study = make_study()
    good = as_files(series(phantom(4)), "V01/STD")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in good.items():
            _entry(archive, name, content)
        _entry(archive, "../../etc/evil.dcm", next(iter(good.values())))
        _entry(archive, "/abs/evil.dcm", b"x")
        _entry(archive, "V01/STD/..\\..\\win.dcm", b"x")
        link = zipfile.ZipInfo("V01/STD/link.dcm")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        _entry(archive, "V01/STD/inner.zip", zipped({"a.dcm": b"x"}))
        _entry(archive, "V01/STD/zeros.dcm", bytes(8 * 1024**2))
        _entry(archive, "__MACOSX/V01/STD/._IM0001.dcm", b"x")
    job = send(study, {"traps.zip": buffer.getvalue()})
    assert job.state == Job.State.SUCCEEDED
    assert Series.objects.get().slices == 4
    said = refusals(study)
    assert set(said) == {
        "../../etc/evil.dcm",
        "/abs/evil.dcm",
        "V01/STD/..\\..\\win.dcm",
        "V01/STD/link.dcm",
        "V01/STD/inner.zip",
        "V01/STD/zeros.dcm",
    }
    assert "out of the archive" in said["../../etc/evil.dcm"]
    assert "link" in said["V01/STD/link.dcm"]
    assert "archive within an archive" in said["V01/STD/inner.zip"]
    assert "200 times" in said["V01/STD/zeros.dcm"]


def _study_with(content: bytes) -> tuple[Study, Upload]:
    study = make_study()
    send(study, {"bad.zip": content})
    return study, Upload.objects.get()


@pytest.mark.django_db
def test_a_zip_bomb_is_refused_as_a_whole() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        block = bytes(16 * 1024**2)
        for index in range(8):
            archive.writestr(f"V01/STD/{index}.dcm", block)
    study, upload = _study_with(buffer.getvalue())
    assert upload.state == Upload.State.FAILED
    assert "200 times its size" in refusals(study)["bad.zip"]


@pytest.mark.django_db
def test_too_many_files_are_refused_as_a_whole(settings) -> None:
    settings.UPLOAD_MAX_FILES = 20
    study, upload = _study_with(zipped({f"V01/STD/{i}.dcm": b"x" for i in range(21)}))
    assert upload.state == Upload.State.FAILED
    assert "more than 20 files" in refusals(study)["bad.zip"]


@pytest.mark.django_db
@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_a_truncated_archive_is_refused(keep: float) -> None:
    whole = zipped(as_files(series(phantom(4)), "V01/STD"))
    study, upload = _study_with(whole[: int(len(whole) * keep)])
    assert upload.state == Upload.State.FAILED
    assert "damaged or truncated" in refusals(study)["bad.zip"]
    assert not Series.objects.exists()


@pytest.mark.django_db
def test_an_archive_whose_directory_lies_about_sizes_is_bounded(settings) -> None:
    settings.UPLOAD_MAX_FILE_BYTES = 100_000
    content = bytearray(zipped({"V01/STD/a.dcm": bytes(500_000)}))
    at = content.rfind(b"PK\x01\x02")
    struct.pack_into("<I", content, at + 24, 1000)  # uncompressed size in the directory
    study, _upload = _study_with(bytes(content))
    assert "V01/STD/a.dcm" in refusals(study)
    assert not Series.objects.exists()


@pytest.mark.django_db
def test_an_encrypted_member_is_refused() -> None:
    content = bytearray(zipped({"V01/STD/a.dcm": b"x" * 100}))
    at = content.rfind(b"PK\x01\x02")
    content[at + 8] |= 1
    study, _upload = _study_with(bytes(content))
    assert "encrypted" in refusals(study)["V01/STD/a.dcm"]


@pytest.mark.django_db
def test_the_limit_holds_for_what_a_whole_batch_unpacks_to(settings) -> None:
    """Each archive alone is within it."""
    one = zipped(as_files(series(phantom(4)), "V01/STD"))
    two = zipped(as_files(series(phantom(4)), "V02/STD"))
    unpacked = sum(len(c) for c in as_files(series(phantom(4))).values())
    settings.UPLOAD_MAX_TOTAL_BYTES = int(unpacked * 1.5)
    study = make_study()
    send(study, {"one.zip": one, "two.zip": two})
    assert {u.state for u in Upload.objects.all()} == {Upload.State.FAILED}
    assert "sent together unpack to more" in refusals(study)["one.zip"]
    assert not Series.objects.exists()


@pytest.mark.django_db
def test_a_series_of_too_many_voxels_is_refused_before_it_is_loaded(monkeypatch) -> None:
    monkeypatch.setattr("readerstudy.imaging.ingest.MAX_SERIES_VOXELS", 4 * 20 * 24 - 1)
    study = make_study()
    send(study, as_files(series(phantom(4))), volunteer="V01", arm=study.arms.get(is_control=True))
    assert not Series.objects.exists()
    assert "million voxels" in refusals(study)["IM0001.dcm"]
