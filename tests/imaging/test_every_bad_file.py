"""Each kind of bad file beside a good series: named, with a reason, and nothing else suffers."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.storage import default_storage, storages
from django.core.management import CommandError, call_command
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from readerstudy.imaging.ingest import Ingest
from readerstudy.imaging.models import InboxSeries, Series, Upload, Volunteer
from readerstudy.imaging.parsing.process import ConfinedReader
from readerstudy.imaging.selectors import load_volume
from readerstudy.jobs.models import Job
from readerstudy.studies.models import Study
from tests.factories import make_study

from .datasets import as_bytes, as_files, phantom, series
from .uploading import refusals, send_zip, zipped

pytestmark = pytest.mark.django_db
IDENTIFIERS = ("Doe", "Jane", "HN-4711", "山田")


@pytest.fixture
def study() -> Study:
    return make_study()


def changed(**values: Any) -> bytes:
    """A slice with these attributes; None takes one away."""
    (dataset,) = series(phantom(1))
    for keyword, value in values.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return as_bytes(dataset)


def rescaled_by_nan() -> bytes:
    (dataset,) = series(phantom(1))
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    dataset["RescaleSlope"]._value = "NaN"
    return as_bytes(dataset)


def in_colour() -> bytes:
    (dataset,) = series(phantom(1))
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
    dataset.PlanarConfiguration, dataset.BitsAllocated, dataset.BitsStored = 0, 8, 8
    dataset.HighBit = 7
    dataset.PixelData = bytes(20 * 24 * 3)
    return as_bytes(dataset)


def deflated() -> bytes:
    """PS3.5 A.5: the data set, and it alone, deflated."""
    (dataset,) = series(phantom(1))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return as_bytes(dataset)


def another_kind() -> bytes:
    (dataset,) = series(phantom(1))
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID(
        "1.2.840.10008.5.1.4.1.1.2"
    )
    return as_bytes(dataset)


KINDS: dict[str, tuple[bytes, str]] = {
    "Befund Müller.txt": (b"no image", "not a DICOM file"),
    "山田^太郎.dcm": (b"no image either", "not a DICOM file"),
    "empty.dcm": (b"", "The file is empty."),
    "cut.dcm": (changed()[:-100], "truncated"),
    "early.dcm": (changed()[:300], "truncated"),
    "ct.dcm": (another_kind(), "Only MR images are taken; this is CT Image Storage"),
    "us.dcm": (changed(Modality="US"), "modality is not MR"),
    "nothing.dcm": (changed(PixelData=None), "no pixels"),
    "rgb.dcm": (in_colour(), "colour image; MR images are greyscale"),
    "deflated.dcm": (deflated(), "compressed in a way that is not taken (Deflated"),
    "mosaic.dcm": (
        changed(ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"]),
        "This is a Siemens mosaic",
    ),
    "spacing.dcm": (changed(PixelSpacing=None), "no PixelSpacing"),
    "nan.dcm": (rescaled_by_nan(), "RescaleSlope in the header is not a usable number"),
    "inner.zip": (zipped({"a.dcm": b"x"}), "archive within an archive"),
    "zeros.dcm": (bytes(8 * 1024**2), "unpacks to more than 200 times its size"),
}


def test_each_is_named_with_its_reason_and_the_rest_goes_on(
    study: Study, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    pixels = phantom(4)
    files = as_files(series(pixels), "V01/STD")
    for number, (name, (content, _said)) in enumerate(KINDS.items(), start=2):
        files[f"V{number:02d}/STD/{name}"] = content
    caplog.clear()
    capfd.readouterr()
    with caplog.at_level("DEBUG"):
        job = send_zip(study, files)
    assert job.state == Job.State.SUCCEEDED
    said = {name.rpartition("/")[2]: reason for name, reason in refusals(study).items()}
    assert set(said) == set(KINDS)
    for name, (_content, reason) in KINDS.items():
        assert reason in said[name], (name, said[name])
    # What is sound is stored, what is not leaves nothing: no volunteer, no inbox, no bytes.
    assert np.array_equal(load_volume(Series.objects.get()), pixels.astype("f4"))
    assert list(Volunteer.objects.values_list("code", flat=True)) == ["V01"]
    assert not InboxSeries.objects.exists()
    assert list(Path(storages["uploads"].path("")).rglob("*")) == []
    stored = [p for p in Path(default_storage.path("")).rglob("*") if p.is_file()]
    assert len(stored) == 5
    logged = caplog.text + "".join(capfd.readouterr())
    assert "Traceback" not in logged
    assert [word for word in IDENTIFIERS if word in logged] == []


def test_links_in_a_folder_are_named_and_not_followed(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path / "outside.dcm"
    outside.write_bytes(changed())
    tree = tmp_path / "tree"
    folder = tree / "V01" / "STD"
    folder.mkdir(parents=True)
    for name, content in as_files(series(phantom(3))).items():
        (folder / name).write_bytes(content)
    (folder / "link.dcm").symlink_to(outside)
    (tree / "V02").symlink_to(tmp_path)
    os.symlink(outside, os.fsencode(tree) + b"/\xff.dcm")  # a name that is no text
    os.mkfifo(tree / "pipe")
    call_command("ingest", study.slug, str(tree))
    summary = json.loads(capsys.readouterr().out)
    assert summary["accepted"] == 3
    reason = "This is a link to something elsewhere: links are not followed."
    assert sorted(summary["refused"], key=lambda one: one["name"] == "tree/?.dcm") == [
        {"name": "tree/V01/STD/link.dcm", "reason": reason},
        {"name": "tree/V02", "reason": reason},
        {"name": "tree/pipe", "reason": "This is neither a file nor a folder."},
        {"name": "tree/?.dcm", "reason": reason},
    ]
    with pytest.raises(CommandError, match=r"There is no .*elsewhere"):
        call_command("ingest", study.slug, str(tree / "elsewhere"))


def test_a_disk_that_fills_while_files_are_read_is_no_fault_of_the_files(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/dev/full answers every write as a full disk does."""
    with ConfinedReader("key", memory_bytes=1536 * 1024**2, seconds=30) as reader:
        (tmp_path / "image.part").write_bytes(changed())
        (tmp_path / "out-0.dcm").symlink_to("/dev/full")
        request = {
            "op": "parse", "path": str(tmp_path / "image.part"), "member": None, "patient": "V01",
            "limit": 64 * 1024**2, "out": str(tmp_path / "out"),
        }  # fmt: skip
        with pytest.raises(OSError, match="No space left") as full:
            reader.ask(request)
        assert full.value.errno == errno.ENOSPC
        assert "slices" in reader.ask({**request, "out": str(tmp_path / "other")})

    plain = Ingest._scratch

    @contextmanager
    def scratch(ingest: Ingest) -> Iterator[Path]:
        with plain(ingest) as folder:
            (folder / "2-0.dcm").symlink_to("/dev/full")
            yield folder

    monkeypatch.setattr(Ingest, "_scratch", scratch)
    job = send_zip(study, as_files(series(phantom(4)), "V01/STD"))
    assert job.state == Job.State.FAILED
    assert "disk is full" in job.error
    assert not Series.objects.exists()
    assert [p for p in Path(default_storage.path("")).rglob("*") if p.is_file()] == []
    assert Upload.objects.get().state != Upload.State.DONE
