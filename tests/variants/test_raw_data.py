"""Raw k-space that a coordinator sends fills arms: as measured, and by recipes of its own."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.storage import default_storage, storages
from django.test import Client
from pydicom import dcmread

from readerstudy.audit.models import Event
from readerstudy.imaging.models import Series, Upload, UploadedFile, Volunteer
from readerstudy.imaging.selectors import display_slice, load_volume
from readerstudy.imaging.services import do_delete_series, do_store_series
from readerstudy.jobs.models import Job
from readerstudy.jobs.worker import run_pending
from readerstudy.studies.models import Study
from readerstudy.variants.models import RawData, Variant
from readerstudy.variants.raw_services import do_delete_raw, samples_of
from tests.denoise_engine.kspace_files import phantom_kspace, write_scan
from tests.factories import make_coordinator, make_study
from tests.imaging.datasets import phantom, series
from tests.imaging.uploading import refusals, send, send_zip
from tests.reading.imaged_study import first_item, reader_of, session_of, start_reading
from tests.variants.scans import add_derived_arm

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage_apart")]

SENSE = {"method": "sense", "acceleration": 2, "centre": 16}


@pytest.fixture
def study() -> Study:
    study = make_study(readers=1)
    study.comparisons.all().delete()
    study.arms.filter(kind="derived").delete()
    return study


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Two slices of 64 × 64 from 6 coils, with a noise adjustment; the header names somebody."""
    kspace, _images = phantom_kspace(coils=6)
    path = tmp_path_factory.mktemp("raw") / "Doe_Jane.h5"
    return write_scan(path, kspace, noise_sd=1.0).read_bytes()


def send_scan(study: Study, scan: bytes, volunteer: str = "V01") -> Job:
    arm = study.arms.get(code="STD")
    return send(study, {"Doe_Jane.h5": scan}, volunteer=volunteer, arm=arm)


def states() -> dict[str, str]:
    return {v.arm.code: v.job.state for v in Variant.objects.select_related("arm", "job") if v.job}


def errors() -> list[str]:
    return [job.error for job in Job.objects.exclude(error="")]


def test_one_raw_file_fills_arms_that_readers_see_like_any_other(
    study: Study, scan: bytes, client: Client
) -> None:
    study.arms.filter(code__in=["DF", "TF"]).delete()
    add_derived_arm(study, "SENSE_R2", SENSE, source="STD")
    denoised = {"method": "wavelet", "strength": {"kind": "full"}, "noise": "map"}
    add_derived_arm(study, "DENOISED", denoised, source="STD")
    send_scan(study, scan)
    assert refusals(study) == {}
    assert states() == {"STD": "queued"}
    assert Job.objects.get(kind="variants.derive").queue == "gpu"
    assert run_pending("gpu") == 3
    assert set(states().values()) == {"succeeded"}, errors()
    # The denoiser takes the noise map that the reconstruction made, and estimates none.
    said = Series.objects.get(arm__code="DENOISED").provenance
    assert said["sigma_method"] == "given as a map"
    standard, sense = (Series.objects.get(arm__code=code) for code in ("STD", "SENSE_R2"))
    full, fast = load_volume(standard), load_volume(sense)
    truth = phantom_kspace(coils=6)[1]
    for volume, most in ((full, 0.06), (fast, 0.12)):
        scaled = volume * float((volume * truth).sum() / (volume * volume).sum())
        assert np.linalg.norm(scaled - truth) / np.linalg.norm(truth) < most
    assert sense.geometry == standard.geometry
    made = sense.provenance
    assert (made["kind"], made["method"], made["retrospective"]) == (
        "reconstruction",
        "sense",
        True,
    )
    assert made["undersampling"] == {"kind": "regular", "acceleration": 2.0, "centre": 16}
    assert made["acceleration"] == pytest.approx(64 / 40, rel=0.02)
    assert made["source_sha256"] == RawData.objects.get().sha256
    assert made["coils"] == 6
    assert made["maps"]["noise_sd"]["median"] > 0
    assert standard.provenance["retrospective"] is False
    assert standard.parameters["EchoTime"] == 12.5
    # What a reader gets: the stored pixels, of one length, under opaque tokens.
    send_scan(study, scan, volunteer="V02")
    run_pending("gpu")
    start_reading(study)
    session = session_of(study)
    client.force_login(reader_of(session))
    item = first_item(session)
    for pane in item.panes.select_related("arm"):
        answer = client.get(f"/reading/pixels/{pane.token}/0")
        shown = Series.objects.get(arm=pane.arm, volunteer=item.volunteer)
        assert answer.content == display_slice(shown, 0)
        assert len(answer.content) == 64 * 64 * 2


def test_pages_tell_coordinators_how_images_came_out_of_raw_data(
    study: Study, scan: bytes, client: Client
) -> None:
    coordinator = make_coordinator(study)
    client.force_login(coordinator)
    address = f"/studies/{study.slug}/variants/"
    typed = {
        "name": "SENSE, R = 2",
        "code": "SENSE_R2",
        "source": study.arms.get(code="STD").pk,
        "method": "sense",
        "acceleration": "2",
        "centre": "16",
        "sampling": "regular",
    }
    assert client.post(address, typed).status_code == 302
    assert study.arms.get(code="SENSE_R2").recipe == SENSE
    client.post(address, {**typed, "code": "B", "name": "B", "acceleration": "2.5"})
    assert not study.arms.filter(code="B").exists()
    send_scan(study, scan)
    run_pending("gpu")
    page = client.get(address).content.decode()
    for words in ("2 slices, 64 × 64", "SENSE of standard, R = 2", "Every n-th line", "measured"):
        assert words in page
    grid = client.get(f"/studies/{study.slug}/readiness/").content.decode()
    sense, standard = (Series.objects.get(arm__code=code) for code in ("SENSE_R2", "STD"))
    for series_made, said, pictures in (
        (sense, "made from standard’s raw data", ("input", "output", "removed", "noise")),
        (standard, "made from its raw data", ("output", "noise")),
    ):
        page_of = f"{address}{series_made.pk}/"
        assert page_of in grid
        text = client.get(page_of).content.decode()
        assert said in text
        assert f"SHA-256 {RawData.objects.get().sha256[:12]}" in text
        for name in pictures:
            assert f"{page_of}{name}/1.png" in text
            assert client.get(f"{page_of}{name}/1.png").status_code == 200
    assert client.get(f"{address}{standard.pk}/removed/1.png").status_code == 404
    raw = RawData.objects.get()
    assert client.post(f"{address}raw/{raw.pk}/remove/").status_code == 302
    assert not RawData.objects.exists()
    assert not Series.objects.exists()
    assert client.post(f"{address}raw/{raw.pk}/remove/").status_code == 404


def test_the_new_images_are_mr_images_that_name_nobody(
    study: Study, scan: bytes, dciodvfy: str, tmp_path: Path
) -> None:
    from tests.dciodvfy import errors_found

    add_derived_arm(study, "SENSE_R2", SENSE, source="STD")
    send_scan(study, scan)
    run_pending("gpu")
    heads, files = {}, []
    for item in Series.objects.select_related("arm"):
        with default_storage.open(f"{item.prefix}/dicom/0002.dcm") as handle:
            content = handle.read()
        files.append(tmp_path / f"{item.arm.code}.dcm")
        files[-1].write_bytes(content)
        heads[item.arm.code] = dcmread(io.BytesIO(content))
        for word in (b"Doe", b"DOE", b"HN-4711", b"19700101", b"20240506", b"Elsewhere"):
            assert word not in content
    assert not errors_found(dciodvfy, files)
    standard, sense = heads["STD"], heads["SENSE_R2"]
    assert (list(standard.ImageType)[:2], list(sense.ImageType)[:2]) == (
        ["ORIGINAL", "PRIMARY"],
        ["DERIVED", "PRIMARY"],
    )
    assert standard.PatientID == "V01"
    assert standard.StudyInstanceUID == sense.StudyInstanceUID
    assert standard.FrameOfReferenceUID == sense.FrameOfReferenceUID
    assert standard.SeriesInstanceUID != sense.SeriesInstanceUID
    assert '"retrospective":true' in sense.DerivationDescription
    with default_storage.open(f"{RawData.objects.get().prefix}/scan.json") as handle:
        assert b"Doe" not in handle.read()


def test_raw_data_need_a_place_and_an_empty_cell(study: Study, scan: bytes) -> None:
    send(study, {"scan.h5": scan})
    assert "say of which volunteer and for which arm" in refusals(study)["scan.h5"]
    assert not RawData.objects.exists()
    send(study, {"V02/DF/scan.h5": scan})  # the folders say it
    assert RawData.objects.get().volunteer.code == "V02"
    send(study, {"again.h5": scan}, volunteer="V02", arm=study.arms.get(code="DF"))
    assert "already has raw data" in refusals(study)["again.h5"]
    volunteer = Volunteer.objects.create(study=study, code="V03")
    do_store_series(volunteer, study.arms.get(code="DF"), series(phantom(3)))
    send(study, {"third.h5": scan}, volunteer="V03", arm=study.arms.get(code="DF"))
    assert "already has a series" in refusals(study)["third.h5"]
    attempts = [f"raw/{study.pk}/{t}" for t in default_storage.listdir(f"raw/{study.pk}")[0]]
    kept = [scan for folder in attempts for scan in default_storage.listdir(folder)[0]]
    assert kept == [str(RawData.objects.get().pk)]  # refused ones leave nothing
    assert list(Path(storages["uploads"].path("")).iterdir()) == []


def test_a_refused_file_is_told_by_name_with_its_reason(study: Study, scan: bytes) -> None:
    arm = study.arms.get(code="STD")
    truncated = scan[: len(scan) // 2]
    buffer = io.BytesIO()
    np.savez(buffer, kspace=np.asarray([{"a": 1}], dtype=object))
    files = {"short.h5": truncated, "pickled.npz": buffer.getvalue()}
    for name, content in files.items():
        send(study, {name: content}, volunteer="V01", arm=arm)
    said = refusals(study)
    assert said["short.h5"].startswith("The raw-data file is truncated")
    assert "pickled Python objects" in said["pickled.npz"]
    assert not Volunteer.objects.exists()
    assert Upload.objects.filter(state="done").count() == 2


def test_what_takes_too_much_memory_is_stopped_in_its_own_process(
    study: Study, scan: bytes, settings: Any
) -> None:
    settings.RAW_MEMORY_BYTES = 96 * 1024**2  # not enough for the libraries
    send_scan(study, scan)
    assert "memory" in refusals(study)["Doe_Jane.h5"]
    assert not RawData.objects.exists()


def test_a_failure_says_why_and_can_be_tried_again(study: Study, scan: bytes) -> None:
    arm = add_derived_arm(study, "R16", {**SENSE, "acceleration": 3, "centre": 96}, source="STD")
    add_derived_arm(study, "FROM_IMAGES", SENSE, source="TF")
    volunteer = Volunteer.objects.create(study=study, code="V01")
    send_scan(study, scan)
    run_pending("gpu")
    variant = Variant.objects.select_related("job").get(arm=arm)
    assert variant.job is not None
    assert variant.job.state == Job.State.FAILED
    assert "A centre of 96 lines leaves nothing of 64" in variant.job.error
    arm.recipe = SENSE
    arm.save()
    from readerstudy.variants.services import do_request_variant

    do_request_variant(volunteer, arm, None)
    run_pending("gpu")
    assert states()["R16"] == "succeeded", errors()
    other = Volunteer.objects.create(study=study, code="V02")
    do_store_series(other, study.arms.get(code="TF"), series(phantom(3)))
    run_pending("gpu")
    assert "was sent as images" in Variant.objects.get(arm__code="FROM_IMAGES").job.error


def test_deleting_raw_data_or_their_series_takes_everything_along(
    study: Study, scan: bytes, django_capture_on_commit_callbacks: Any
) -> None:
    add_derived_arm(study, "SENSE_R2", SENSE, source="STD")
    for act in ("raw", "series"):
        send_scan(study, scan)
        run_pending("gpu")
        raw = RawData.objects.get()
        prefixes = [raw.prefix, *Series.objects.values_list("prefix", flat=True)]
        assert len(prefixes) == 3
        with django_capture_on_commit_callbacks(execute=True):
            if act == "raw":
                do_delete_raw(raw, None)
            else:
                do_delete_series(Series.objects.get(arm__code="STD"), None)
        assert not Series.objects.exists()
        assert not RawData.objects.exists()
        assert not Variant.objects.exists()
        assert not any(default_storage.exists(prefix) for prefix in prefixes)
    assert Event.objects.filter(action="variants.raw.deleted").count() == 2


def test_raw_data_in_an_archive_of_images_are_refused_by_name(study: Study, scan: bytes) -> None:
    send_zip(study, {"V01/STD/scan.h5": scan})
    assert "files of their own" in refusals(study)["V01/STD/scan.h5"]


def test_the_command_line_takes_raw_data_too(
    study: Study, scan: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from django.core.management import call_command

    path = tmp_path / "V01" / "STD"
    path.mkdir(parents=True)
    (path / "scan.h5").write_bytes(scan)
    call_command("ingest", study.slug, str(tmp_path))
    assert '"accepted": 1' in capsys.readouterr().out
    assert UploadedFile.objects.get(accepted=True).name == "V01/STD/raw data"
    assert RawData.objects.count() == 1


def test_a_fault_of_whoever_uses_the_samples_is_not_taken_for_an_object_store(
    study: Study, scan: bytes
) -> None:
    send_scan(study, scan)
    with (
        pytest.raises(NotImplementedError, match="of the method"),
        samples_of(RawData.objects.get()),
    ):
        raise NotImplementedError("of the method")
