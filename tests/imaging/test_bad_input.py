"""Odd input beside the hostile: each costs itself, with its name and a reason; the rest goes on."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from django.core.files.storage import default_storage, storages
from django.core.management import CommandError, call_command
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from readerstudy.imaging import ingest
from readerstudy.imaging.errors import ImagingError
from readerstudy.imaging.housekeeping import tidy
from readerstudy.imaging.layout import Layout
from readerstudy.imaging.mapping import read_mapping
from readerstudy.imaging.models import InboxSeries, Series, Upload
from readerstudy.imaging.selectors import load_volume
from readerstudy.jobs.models import Job
from readerstudy.studies.models import Study
from tests.factories import make_study

from .datasets import as_files, phantom, series
from .uploading import refusals, send, send_zip

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    return make_study()


def odd(ds: Dataset, _index: int) -> None:
    """Non-Latin names, dates that are none, an empty study UID, sixteen levels of sequences."""
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = "Müller^Åse=山田^太郎"
    for keyword in ("StudyDate", "PatientBirthDate", "AcquisitionDate"):
        ds.add_new(keyword, "LO", "20261345")
    inner = Dataset()
    for _ in range(16):
        outer = Dataset()
        outer.RequestAttributesSequence = Sequence([inner])
        inner = outer
    ds.RequestAttributesSequence = inner.RequestAttributesSequence


def test_one_upload_of_many_oddities(study: Study) -> None:
    negative = phantom(4).astype(np.int16) - 100
    files = as_files(series(negative, change=odd), "V01/STD")
    lost = as_files(series(phantom(5)), "V02/STD")
    del lost["V02/STD/IM0003.dcm"]
    files |= lost
    twice = as_files(series(phantom(4)), "V03/STD")
    twice["V03/STD/again.dcm"] = as_files(series(phantom(4)))["IM0002.dcm"]
    files |= twice  # another UID at a place that is taken, and another series
    mixed = series(phantom(3), series_uid="1.2.3")
    mixed += series(
        phantom(3), series_uid="1.2.3", orientation=(1, 0, 0, 0, 1, 0), step=(0, 0, 4.0)
    )
    files |= as_files(mixed, "V04/STD")
    job = send_zip(study, files)
    assert job.state == Job.State.SUCCEEDED
    stored = Series.objects.get()
    assert stored.volunteer.code == "V01"
    assert np.array_equal(load_volume(stored), negative.astype(np.float32))
    said = refusals(study)
    assert "1 slice is missing between IM0002.dcm and IM0004.dcm" in said["V02/STD/IM0001.dcm"]
    notes = {row.volunteer_guess: row.note for row in InboxSeries.objects.filter(study=study)}
    assert "2 series were sent for standard of V03" in notes["V03"]
    assert "different orientations" in notes["V04"]
    assert InboxSeries.objects.filter(volunteer_guess="V04").count() == 2


def test_two_slices_at_one_place_are_named(study: Study) -> None:
    doubled = series(phantom(4), series_uid="1.2.3")
    doubled[3].ImagePositionPatient = list(doubled[2].ImagePositionPatient)
    send_zip(study, as_files(doubled, "V01/STD"))
    reason = refusals(study)["V01/STD/IM0001.dcm"]
    assert "Two images lie at one place: IM0003.dcm and IM0004.dcm" in reason


def test_a_full_disk_stores_nothing_and_says_so(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ingest, "write_series", full)
    job = send_zip(study, as_files(series(phantom(3)), "V01/STD"))
    assert job.state == Job.State.FAILED
    assert "disk is full" in job.error
    tidy()
    assert Upload.objects.get().state == Upload.State.FAILED
    assert "disk is full" in refusals(study)["images.zip"]
    assert not Series.objects.exists()
    left = [
        *Path(storages["uploads"].path("")).rglob("*"),
        *Path(default_storage.path("")).rglob("*"),
    ]
    assert [path for path in left if path.is_file()] == []


def test_files_that_cannot_be_copied_are_taken_back(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in as_files(series(phantom(3))).items():
        (tmp_path / name).write_bytes(content)

    def full(*_paths: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("readerstudy.imaging.uploads.shutil.copyfile", full)
    with pytest.raises(CommandError, match="Nothing was taken"):
        call_command("ingest", study.slug, str(tmp_path), volunteer="V01", arm="STD")
    assert {u.state for u in Upload.objects.all()} == {Upload.State.CANCELLED}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "name its columns: .* It is empty"),
        ("path,volunteer\na,V01\n", "It reads “path,volunteer”"),
        ("path,volunteer,arm\n", "names no folder"),
        ("path,volunteer,arm\na,V01,XXX\n", "Line 2 .* no acquired arm"),
        ("path,volunteer,arm\na,V01,DLR_DF\n", "Line 2 .* no acquired arm"),
        ("path,volunteer,arm\na,V01,STD\na,V02,STD\n", "Line 3 .* repeats the path of line 2"),
        ("path,volunteer,arm\na,Jane Doe,STD\n", "Line 2 .* cannot be a volunteer's code"),
        ("path,volunteer,arm\n,V01,STD\n", "Line 2 .* names no path"),
        ("path,volunteer,arm\na,V01\n", "Line 2 .* fewer than three columns"),
    ],
)
def test_a_wrong_mapping_names_its_line(study: Study, text: str, said: str) -> None:
    with pytest.raises(ImagingError, match=said):
        read_mapping(text, study)


def test_a_mapping_and_a_pattern_find_places_in_a_tree(study: Study) -> None:
    rows = read_mapping("\ufeffVolunteer;Path;Arm\nV01;scan 1;std\nV02;*_late/fast*;DF\n", study)
    layout = Layout(study, rows)
    for name, place in {
        "scan 1/IM1": ("V01", "STD"),
        "export/scan 1/deep/IM1": ("V01", "STD"),
        "b_late/fast_sag/IM1": ("V02", "DF"),
        "scan 10/IM1": ("", ""),
        "V03/STD/IM1": ("", ""),  # with a mapping, folders alone decide nothing
    }.items():
        found = layout.place(name, "", None)
        assert (found.volunteer, found.arm.code if found.arm else "") == place, name
    layout = Layout(study, (), "{volunteer}_*/{arm}*")
    for name, place in {
        "V07_2026/double-fast sag/IM1": ("V07", "DF"),
        "root/V08_x/tf/IM1": ("V08", "TF"),
        "V09/STD/IM1": ("", ""),
    }.items():
        found = layout.place(name, "", None)
        assert (found.volunteer, found.arm.code if found.arm else "") == place, name
    with pytest.raises(ImagingError, match="neither"):
        Layout(study, (), "a/b")


def test_ten_thousand_files_are_refused_with_the_limit(study: Study) -> None:
    files = {f"V01/STD/{number}": b"x" for number in range(10_000)}
    send(study, as_files(series(phantom(3)), ""), volunteer="V02", arm=study.arms.get(code="STD"))
    job = send_zip(study, files)
    assert job.state == Job.State.SUCCEEDED
    assert "more than 5000 files" in refusals(study)["images.zip"]
    assert Series.objects.get().volunteer.code == "V02"
