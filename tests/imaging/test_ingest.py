"""Uploads become series; what cannot is refused by name and leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from django.core.files.storage import default_storage, storages
from django.core.management import call_command
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from readerstudy.audit.models import Event
from readerstudy.imaging.models import InboxSeries, Series, Upload, UploadedFile, Volunteer
from readerstudy.imaging.selectors import load_volume, series_of
from readerstudy.imaging.upload_history import sent_together
from readerstudy.jobs.models import Job
from readerstudy.studies.access import Reach
from readerstudy.studies.models import Study
from tests.factories import make_study

from .datasets import as_bytes, as_files, phantom, series
from .uploading import refusals, send, send_zip

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage_apart")]


@pytest.fixture
def study() -> Study:
    return make_study()


def stored_files(folder: str = "") -> list[str]:
    if not default_storage.exists(folder or "."):
        return []
    folders, files = default_storage.listdir(folder or ".")
    lead = f"{folder}/" if folder else ""
    found = [lead + name for name in files]
    for name in folders:
        found += stored_files(lead + name)
    return found


def raw_files() -> list[Path]:
    return [p for p in Path(storages["uploads"].path("")).rglob("*") if p.is_file()]


def cells(study: Study) -> set[tuple[str, str]]:
    return set(
        Series.objects.filter(volunteer__study=study).values_list("volunteer__code", "arm__code")
    )


def codes(study: Study) -> tuple[str, str, str]:
    acquired = [arm.code for arm in study.arms.all() if not arm.is_derived]
    return acquired[0], acquired[1], acquired[2]


def test_a_zip_laid_out_by_volunteer_and_arm_fills_the_grid(study: Study) -> None:
    std, df, tf = codes(study)
    pixels = phantom(4)
    files: dict[str, bytes] = {}
    for volunteer in ("V01", "V02"):
        for folder, factor in ((df.lower(), 2), (std, 1), (tf, 3)):  # the control is not first
            files |= as_files(series(pixels * factor), f"scans/{volunteer}/{folder}")
    job = send_zip(study, files)
    assert job.state == Job.State.SUCCEEDED, job.error
    assert cells(study) == {(v, a) for v in ("V01", "V02") for a in (std, df, tf)}
    control = Series.objects.get(volunteer__code="V01", arm__code=std)
    assert np.array_equal(load_volume(control), pixels.astype(np.float32))
    assert control.parameters["RepetitionTime"] == 3000.0
    assert refusals(study) == {}
    assert job.result["accepted"] == 24
    assert raw_files() == []
    assert {u.state for u in Upload.objects.all()} == {Upload.State.DONE}
    assert Event.objects.filter(action="imaging.series.stored").count() == 6
    assert {f.name for f in UploadedFile.objects.filter(accepted=True)} >= {f"V01/{std}/0001"}


def test_single_files_of_a_chosen_cell_are_read_as_one_series(study: Study) -> None:
    arm = study.arms.get(is_control=True)
    job = send(study, as_files(series(phantom(4))), volunteer="V09", arm=arm)
    assert job.state == Job.State.SUCCEEDED
    assert cells(study) == {("V09", arm.code)}
    assert Series.objects.get().slices == 4


def test_bad_files_are_refused_by_name_and_the_rest_goes_on(study: Study) -> None:
    std, df, _ = codes(study)
    good = series(phantom(4))

    def as_ct(ds: Dataset, _i: int) -> None:
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        ds.Modality = "CT"

    def burned(ds: Dataset, _i: int) -> None:
        ds.BurnedInAnnotation = "YES"

    def wrong_modality(ds: Dataset, _i: int) -> None:
        ds.Modality = "US"

    files = as_files(good, f"V01/{std}")
    whole = as_bytes(good[1])
    files |= {
        f"V01/{std}/notes.txt": b"nothing to see",
        f"V01/{std}/empty.dcm": b"",
        f"V01/{std}/cut.dcm": whole[: len(whole) - 100],  # its place is filled
        f"V02/{std}/cut-early.dcm": whole[:300],
        f"V01/{std}/ct.dcm": as_bytes(series(phantom(1), change=as_ct)[0]),
        f"V01/{std}/us.dcm": as_bytes(series(phantom(1), change=wrong_modality)[0]),
        f"V01/{std}/burned.dcm": as_bytes(series(phantom(1), change=burned)[0]),
        f"V01/{std}/twice.dcm": as_bytes(good[0]),
        f"V01/DLR_{df}/x.dcm": as_bytes(series(phantom(1))[0]),
        "loose.dcm": as_bytes(series(phantom(1))[0]),
        "Jane Doe!/" + std + "/x.dcm": as_bytes(series(phantom(1))[0]),
    }
    job = send_zip(study, files)
    assert job.state == Job.State.SUCCEEDED
    assert cells(study) == {("V01", std)}
    said = refusals(study)
    expected = {
        "notes.txt": "not a DICOM file",
        "empty.dcm": "empty",
        "cut.dcm": "truncated",
        "cut-early.dcm": "truncated",
        "ct.dcm": "Only MR images are taken; this is CT Image Storage",
        "us.dcm": "modality is not MR",
        "twice.dcm": "the same image as",
        "x.dcm": "derived arm",
    }
    by_last = {name.rsplit("/", 1)[-1]: reason for name, reason in said.items()}
    by_last["x.dcm"] = said[f"V01/DLR_{df}/x.dcm"]
    for name, reason in expected.items():
        assert reason in by_last[name], (name, by_last[name])
    assert len(said) == 8
    assert list(Volunteer.objects.values_list("code", flat=True)) == ["V01"]
    event = Event.objects.get(action="imaging.file.refused")
    assert event.new == {"accepted": 7, "refused": 8}
    # What is sound but has no place, and what may show text, waits for the coordinator.
    waiting = InboxSeries.objects.filter(study=study)
    assert waiting.count() == 3
    assert [s.suspicions != [] for s in waiting.filter(volunteer_guess="V01")] == [True]
    assert waiting.filter(volunteer_guess="", arm_guess__code=std, suspicions=[]).count() == 1
    assert waiting.filter(volunteer_guess="", arm_guess=None, suspicions=[]).count() == 1
    assert raw_files() == []


def test_a_second_series_for_a_filled_arm_is_refused_file_by_file(study: Study) -> None:
    std = codes(study)[0]
    send_zip(study, as_files(series(phantom(4)), f"V01/{std}"))
    before = stored_files()
    sha = Series.objects.get().volume_sha256
    send_zip(study, as_files(series(phantom(4, seed=7)), f"V01/{std}"))
    assert Series.objects.get().volume_sha256 == sha
    assert stored_files() == before
    said = refusals(study)
    assert len(said) == 4
    assert all("already has a series" in reason for reason in said.values())


def test_two_series_for_one_cell_both_wait_for_the_coordinators_choice(study: Study) -> None:
    std = codes(study)[0]

    def late_echo(ds: Dataset, _i: int) -> None:
        ds.EchoTime = 200

    uid = generate_uid()
    files = as_files(series(phantom(4), series_uid=uid), f"V01/{std}/a")
    files |= as_files(series(phantom(4), change=late_echo, series_uid=uid), f"V01/{std}/b")
    send_zip(study, files)
    assert not Series.objects.exists()
    assert refusals(study) == {}
    waiting = list(InboxSeries.objects.filter(study=study))
    assert [s.parameters["EchoTime"] for s in waiting] == [100.0, 200.0]
    assert {(s.volunteer_guess, s.arm_guess.code) for s in waiting} == {("V01", std)}
    assert all("2 series were sent" in s.note and "100, 200 ms" in s.note for s in waiting)


def test_another_geometry_than_the_control_is_stored_and_told_whichever_comes_later(
    study: Study,
) -> None:
    std, df, tf = codes(study)
    files = as_files(series(phantom(4)), f"V01/{std}")
    files |= as_files(series(phantom(4), spacing=(0.5, 0.6)), f"V01/{df}")
    files |= as_files(series(phantom(4)), f"V01/{tf}")
    job = send_zip(study, files)
    assert cells(study) == {("V01", std), ("V01", df), ("V01", tf)}
    assert job.result["differs"] == [
        "double-fast of V01: column spacing 0.6 mm instead of 0.625 mm"
    ]
    send_zip(study, as_files(series(phantom(4)), f"V02/{df}"))
    job = send_zip(study, as_files(series(phantom(3)), f"V02/{std}"))
    assert job.result["differs"] == ["double-fast of V02: 4 slices instead of 3"]
    assert [row.differs for row in series_of(Reach(study)) if row.differs] == [
        ["column spacing 0.6 mm instead of 0.625 mm"],
        ["4 slices instead of 3"],
    ]


def test_a_truncated_slice_leaves_no_incomplete_series(study: Study) -> None:
    std, df, _ = codes(study)
    files = as_files(series(phantom(4)), f"V01/{std}")
    last = f"V01/{std}/IM0004.dcm"  # at the end of the stack no gap would show
    files[last] = files[last][:-50]
    files |= as_files(series(phantom(4)), f"V02/{df}")
    send_zip(study, files)
    assert cells(study) == {("V02", df)}
    said = refusals(study)
    assert "truncated" in said[last]
    assert f"incomplete: {last} is damaged" in said[f"V01/{std}/IM0001.dcm"]


@pytest.mark.parametrize("slice_file", ["IM0001.dcm", "IM0004.dcm"])
def test_a_file_cut_anywhere_at_an_end_of_the_stack_refuses_its_cell(
    study: Study, slice_file: str
) -> None:
    """Every cut in one batch, each in a volunteer of its own; the whole ones go on."""
    std = codes(study)[0]
    whole = as_files(series(phantom(4)))
    length = len(whole[slice_file])
    cuts = [10, 131, 140, *range(200, 901, 25), length - 900, length - 400, length - 50, length - 1]
    files = {f"whole/{std}/{name}": content for name, content in whole.items()}
    for cut in cuts:
        for name, content in whole.items():
            files[f"C{cut}/{std}/{name}"] = content[:cut] if name == slice_file else content
    send_zip(study, files)
    assert cells(study) == {("whole", std)}
    assert Series.objects.get().slices == 4
    said = refusals(study)
    assert len(said) == 4 * len(cuts)
    for cut in cuts:
        lost = f"C{cut}/{std}/{slice_file}"
        assert "damaged or truncated" in said[lost] or "is truncated" in said[lost], said[lost]
        for name in set(whole) - {slice_file}:
            assert f"incomplete: {lost} is damaged" in said[f"C{cut}/{std}/{name}"]


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "PixelSpacing", "SeriesInstanceUID"])
def test_a_slice_without_a_required_attribute_refuses_its_cell(study: Study, keyword: str) -> None:
    std = codes(study)[0]

    def without(ds: Dataset, index: int) -> None:
        if index == 3:
            delattr(ds, keyword)

    send_zip(study, as_files(series(phantom(4), change=without), f"V01/{std}"))
    assert cells(study) == set()
    said = refusals(study)
    assert keyword in said[f"V01/{std}/IM0004.dcm"]
    assert f"incomplete: V01/{std}/IM0004.dcm" in said[f"V01/{std}/IM0001.dcm"]


def test_one_slice_that_may_show_text_holds_back_its_whole_series(study: Study) -> None:
    std = codes(study)[0]

    def burned(ds: Dataset, index: int) -> None:
        if index == 3:
            ds.BurnedInAnnotation = "YES"

    send_zip(study, as_files(series(phantom(4), change=burned), f"V01/{std}"))
    assert cells(study) == set()
    waiting = InboxSeries.objects.get(study=study)
    assert waiting.slices == 4
    assert waiting.is_quarantined


def test_a_launched_study_takes_no_images(study: Study) -> None:
    std = codes(study)[0]
    job = send_zip(study, as_files(series(phantom(4)), f"V01/{std}"), run=False)
    Study.objects.filter(pk=study.pk).update(state=Study.State.READING)
    from readerstudy.jobs.worker import run_pending

    run_pending()
    job.refresh_from_db()
    assert not Series.objects.exists()
    assert stored_files() == []
    upload = Upload.objects.get()
    assert upload.state == Upload.State.FAILED
    assert "frozen" in upload.error
    assert raw_files() == []


def test_an_attempt_that_loses_its_lease_publishes_nothing(study: Study) -> None:
    import uuid as uuid_module

    from readerstudy.imaging.ingest import Ingest
    from readerstudy.jobs import leases
    from readerstudy.jobs.context import JobContext, LostLease

    std = codes(study)[0]
    job = send_zip(study, as_files(series(phantom(4)), f"V01/{std}"), run=False)
    claimed = leases.claim(("cpu",))
    assert claimed is not None
    context = JobContext(claimed)
    Job.objects.filter(pk=job.pk).update(token=uuid_module.uuid4())  # another worker's claim
    upload = Upload.objects.get()
    with pytest.raises(LostLease):
        Ingest(context, study.pk, upload.batch).run()
    assert not Series.objects.exists()
    assert stored_files() == []
    assert len(raw_files()) == 1  # the other attempt still reads it


def test_the_history_names_refused_files_once_a_reason(study: Study) -> None:
    std = codes(study)[0]
    send_zip(study, {f"V01/{std}/{i}.txt": b"no" for i in range(6)})
    (record,) = sent_together(Reach(study))
    assert record["refusals"] == [
        {"name": f"V01/{std}/0.txt and 5 others", "reason": "This is not a DICOM file."}
    ]
    assert record["accepted"] == 0


def test_files_sent_together_are_one_line_of_the_history(study: Study) -> None:
    std = codes(study)[0]
    files = as_files(series(phantom(4)), f"V01/{std}") | {"V01/notes.txt": b"no"}
    send(study, files)
    (record,) = sent_together(Reach(study))
    assert record["name"].startswith("5 files, sent ")
    assert (record["state"], record["accepted"]) == ("done", 4)
    assert record["refusals"] == [{"name": "V01/notes.txt", "reason": "This is not a DICOM file."}]


def test_the_command_goes_the_same_way_and_prints_what_happened(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    std = codes(study)[0]
    for name, content in as_files(series(phantom(4)), f"scans/V01/{std}").items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "scans" / "readme.txt").write_text("hello")
    call_command("ingest", study.slug, str(tmp_path / "scans"))
    summary = json.loads(capsys.readouterr().out)
    assert [(s["volunteer"], s["arm"], s["slices"]) for s in summary["series"]] == [("V01", std, 4)]
    assert summary["accepted"] == 4
    assert summary["refused"] == [
        {"name": "scans/readme.txt", "reason": "This is not a DICOM file."}
    ]


def test_what_is_stored_is_a_valid_dicom_series_under_the_study_code(study: Study) -> None:
    std = codes(study)[0]
    send_zip(study, as_files(series(phantom(4)), f"V01/{std}"))
    item = Series.objects.get()
    paths = sorted(p for p in stored_files(item.prefix) if p.endswith(".dcm"))
    assert len(paths) == 4
    for index, path in enumerate(paths):
        with default_storage.open(path) as handle:
            ds = dcmread(handle)
        assert (str(ds.PatientName), ds.PatientID) == ("V01", "V01")
        assert ds.ImagePositionPatient[0] == -30 + 4 * index
        assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
        assert np.array_equal(ds.pixel_array, phantom(4)[index])
