"""What has no place, or may show text, waits de-identified until a coordinator decides."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from django.core.exceptions import PermissionDenied
from django.core.files.storage import default_storage, storages
from django.test import Client
from PIL import Image, ImageDraw, ImageFont
from pydicom import dcmread
from pydicom.dataset import Dataset

from readerstudy.audit.models import Event
from readerstudy.imaging.burned_in_text import looks_written
from readerstudy.imaging.errors import ImagingError
from readerstudy.imaging.inbox import Assignment, do_assign, do_clear_text, do_discard
from readerstudy.imaging.inbox_selectors import inbox_of
from readerstudy.imaging.models import ImagingRules, InboxSeries, Series, Upload
from readerstudy.imaging.rules import do_change_rules
from readerstudy.imaging.selectors import load_volume, off_the_control
from readerstudy.jobs.worker import run_pending
from readerstudy.studies.access import Reach
from readerstudy.studies.models import Arm, Study
from tests.factories import make_coordinator, make_reader, make_study

from .datasets import as_files, phantom, series
from .uploading import refusals, send, send_zip

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage_apart")]

SHIFTED = {
    "dates": ImagingRules.Dates.SHIFTED,
    "volunteer_pattern": r"V\d{2}",
    "receiver_title": "",
    "senders": [],
}


@pytest.fixture
def study() -> Study:
    return make_study()


def named(patient: str, description: str = "", **more: object):
    def change(ds: Dataset, _index: int) -> None:
        ds.PatientID, ds.SeriesDescription = patient, description
        for keyword, value in more.items():
            setattr(ds, keyword, value)

    return change


def waiting(study: Study) -> InboxSeries:
    return InboxSeries.objects.get(study=study)


def stored_dicom(prefix: str, number: int = 1) -> Dataset:
    with default_storage.open(f"{prefix}/dicom/{number:04d}.dcm") as handle:
        return dcmread(io.BytesIO(handle.read()))


def arm_of(study: Study, code: str) -> Arm:
    return study.arms.get(code=code)


def test_volunteer_and_arm_are_guessed_from_the_headers_and_confirmed(study: Study) -> None:
    pixels = phantom(4)
    change = named("hosp^V07", "t2_tse double-fast sag")
    send(study, as_files(series(pixels, change=change)))
    row = waiting(study)
    assert (row.volunteer_guess, row.arm_guess and row.arm_guess.code) == ("V07", "DF")
    assert not Series.objects.exists()
    assert stored_dicom(row.prefix).PatientID == "UNPLACED"
    assert [p for p in Path(storages["uploads"].path("")).rglob("*") if p.is_file()] == []

    do_assign(study, None, [Assignment(row, "V07", arm_of(study, "DF"))])
    run_pending("cpu")
    item = Series.objects.get()
    assert (item.volunteer.code, item.arm.code, item.slices) == ("V07", "DF", 4)
    assert np.array_equal(load_volume(item), pixels.astype(np.float32))
    assert stored_dicom(item.prefix, 2).PatientID == "V07"
    assert item.deidentification["rules"]["kept"] > 0
    assert not InboxSeries.objects.exists()
    assert not default_storage.exists(row.prefix)
    actions = list(Event.objects.filter(action__startswith="imaging.inbox").order_by("sequence"))
    assert [event.action.rpartition(".")[2] for event in actions] == [
        "received",
        "assigned",
        "stored",
    ]


@pytest.mark.parametrize(
    ("patient", "description", "volunteer", "arm"),
    [
        ("H-4711", "localizer", "", ""),
        ("Mueller^V1234567", "t2", "", ""),  # not the form of a code
        ("H-0815", "triple fast, standard", "", "TF"),  # the longer name
        ("v03", "STD", "v03", "STD"),
    ],
)
def test_nothing_but_a_known_form_is_taken_from_a_header(
    study: Study, patient: str, description: str, volunteer: str, arm: str
) -> None:
    send(study, as_files(series(phantom(2), change=named(patient, description))))
    row = waiting(study)
    assert row.volunteer_guess == volunteer
    assert (row.arm_guess.code if row.arm_guess else "") == arm
    assert patient not in repr(InboxSeries.objects.values().get()) or patient == volunteer


def test_an_arm_is_guessed_from_how_stored_series_were_acquired(study: Study) -> None:
    def fast(ds: Dataset, _index: int) -> None:
        ds.EchoTrainLength, ds.FlipAngle, ds.PatientID = 32, 150, "B"

    send_zip(study, as_files(series(phantom(3), change=fast), "V01/DF"))
    send_zip(study, as_files(series(phantom(3), change=named("A", FlipAngle=120)), "V01/STD"))
    send(study, as_files(series(phantom(3), change=fast)))
    (person,) = inbox_of(Reach(study))
    (item,) = person.series
    assert item.arm_guess == arm_of(study, "DF")
    assert "acquired like" in item.because
    assert item.description == "TESTER · sagittal · SE 2D · TR 3000 ms, TE 100 ms"


def test_a_folder_of_two_people_waits_as_two(study: Study) -> None:
    files = as_files(series(phantom(3), change=named("A")), "V01/STD/a")
    files |= as_files(series(phantom(3), change=named("B")), "V01/STD/b")
    send_zip(study, files)
    assert not Series.objects.exists()
    people = inbox_of(Reach(study))
    assert len(people) == 2
    assert all("2 different people" in s.note for s in InboxSeries.objects.all())


def test_echoes_b_values_and_orientations_are_split(study: Study) -> None:
    files: dict[str, bytes] = {}
    uid = "1.2.3.4.5"
    for index, changed in enumerate([{}, {"EchoTime": 90}, {"DiffusionBValue": 800.0}]):
        change = named("A", **changed)
        files |= as_files(series(phantom(3), change=change, series_uid=uid), f"x/{index}")
    coronal = series(
        phantom(3),
        change=named("A"),
        series_uid=uid,
        orientation=(1, 0, 0, 0, 0, -1),
        step=(0, 4, 0),
    )
    files |= as_files(coronal, "x/3")
    send_zip(study, files)
    assert refusals(study) == {}
    rows = list(InboxSeries.objects.order_by("number"))
    assert [row.slices for row in rows] == [3, 3, 3, 3]
    assert len(inbox_of(Reach(study))) == 1  # one person
    assert inbox_of(Reach(study))[0].series[3].description.split(" · ")[1] == "coronal"


def test_a_place_that_does_not_fit_is_refused_and_the_series_still_waits(study: Study) -> None:
    send_zip(study, as_files(series(phantom(4)), "V01/STD"))
    send(study, as_files(series(phantom(4), spacing=(0.5, 0.6))))
    row = waiting(study)
    with pytest.raises(ImagingError, match="already has a series"):
        do_assign(study, None, [Assignment(row, "V01", arm_of(study, "STD"))])
    with pytest.raises(ImagingError, match="derived"):
        do_assign(study, None, [Assignment(row, "V01", arm_of(study, "DLR_DF"))])
    with pytest.raises(ImagingError, match="cannot be a volunteer"):
        do_assign(study, None, [Assignment(row, "Jane Doe", arm_of(study, "DF"))])
    with pytest.raises(PermissionDenied):
        do_assign(study, make_reader(study), [Assignment(row, "V01", arm_of(study, "DF"))])
    with pytest.raises(ImagingError, match="names the arm standard"):
        do_assign(study, None, [Assignment(row, "STD", arm_of(study, "DF"))])


def test_a_series_off_the_controls_grid_is_stored_once_that_was_said(
    study: Study, client: Client
) -> None:
    """As one that was sent for its place is; whoever has mistaken the volunteer hears of it."""
    send_zip(study, as_files(series(phantom(4)), "V01/STD"))
    send(study, as_files(series(phantom(4), spacing=(0.5, 0.6))))
    row = waiting(study)
    client.force_login(make_coordinator(study))
    address = f"/studies/{study.slug}/uploads/inbox/"
    chosen = {f"take-{row.pk}": "on", f"volunteer-{row.number}": "v01", f"arm-{row.pk}": "DF"}
    asked = client.post(address, chosen)
    assert asked.status_code == 400
    page = asked.content.decode()
    assert "column spacing 0.6 mm instead of 0.625 mm" in page
    assert 'name="off-grid"' in page
    row.refresh_from_db()
    assert row.state == InboxSeries.State.WAITING
    assert client.post(address, {**chosen, "off-grid": "on"}).status_code == 302
    with pytest.raises(ImagingError, match="being stored already"):
        do_assign(study, None, [Assignment(row, "V02", arm_of(study, "DF"))])
    run_pending("cpu")
    stored = Series.objects.get(arm__code="DF")
    assert stored.volunteer.code == "V01"
    assert off_the_control(stored)


def written(text: str = "MUELLER HANS 1968", value: int = 4095, slices: int = 4) -> np.ndarray:
    """A phantom that a workstation has written on."""
    volume = np.repeat(phantom(slices, 128, 160), 1, axis=0)
    volume[:, letters(text) > 0] = value
    return volume


def letters(text: str = "MUELLER HANS 1968", size: int = 0) -> np.ndarray:
    """How much of each pixel is written on: all or nothing, or smoothed, of a height in pixels."""
    image = Image.new("L" if size else "1", (160, 128))
    font = ImageFont.load_default(size=size) if size else None
    ImageDraw.Draw(image).text((4, 4), text, fill=255 if size else 1, font=font)
    return np.asarray(image) / (255 if size else 1)


def test_written_text_is_found_and_anatomy_is_not() -> None:
    assert looks_written(written())
    assert looks_written(written(slices=1))
    assert not looks_written(phantom(4, 128, 160))
    clipped = np.minimum(phantom(4, 128, 160), 250)  # saturated tissue
    assert not looks_written(clipped)


def test_text_is_found_whatever_its_grey_and_on_one_slice_too() -> None:
    brightest = int(phantom(4, 128, 160).max())
    beside_a_hot_pixel = written()
    beside_a_hot_pixel[2, 100, 100] = 6000
    assert looks_written(beside_a_hot_pixel)
    assert looks_written(written(value=int(0.8 * brightest)))
    assert looks_written(written(value=int(0.4 * brightest)))
    first_alone = phantom(4, 128, 160)
    first_alone[0, letters() > 0] = brightest
    assert looks_written(first_alone)
    each_its_own = phantom(4, 128, 160)
    for plane in each_its_own:
        plane[letters() > 0] = plane.max()
    assert looks_written(each_its_own)
    for size in (12, 18):
        share = letters(size=size)
        smoothed = np.rint(phantom(4, 128, 160) * (1 - share) + brightest * share)
        assert looks_written(smoothed), size


def test_images_with_text_are_quarantined_until_somebody_has_looked(study: Study) -> None:
    coordinator = make_coordinator(study)
    send_zip(study, as_files(series(written()), "V01/STD"))
    row = waiting(study)
    assert row.is_quarantined
    with pytest.raises(ImagingError, match="may show text"):
        do_assign(study, None, [Assignment(row, "V01", arm_of(study, "STD"))])
    with pytest.raises(PermissionDenied):
        do_clear_text(row, make_reader(study))
    do_clear_text(row, coordinator)
    event = Event.objects.get(action="imaging.inbox.text_cleared")
    assert event.actor == coordinator
    do_assign(study, coordinator, [Assignment(row, "V01", arm_of(study, "STD"))])
    run_pending("cpu")
    item = Series.objects.get()
    assert "cleared by a person" in item.deidentification["burned_in_text"]["decision"]
    assert stored_dicom(item.prefix).BurnedInAnnotation == "NO"


def test_a_discarded_series_is_gone_with_its_files_and_the_reason_stays(study: Study) -> None:
    send_zip(study, as_files(series(written()), "V01/STD"))
    row = waiting(study)
    with pytest.raises(ImagingError, match="why it is deleted"):
        do_discard(row, None, " ")
    with pytest.raises(PermissionDenied):
        do_discard(row, make_reader(study), "A name is burned in.")
    do_discard(row, None, "A name is burned in.")
    run_pending("cpu")
    assert not InboxSeries.objects.exists()
    assert Event.objects.get(action="imaging.inbox.discarded").why == "A name is burned in."


def test_dates_are_shifted_by_one_secret_offset_a_volunteer(study: Study) -> None:
    """Placed at once and placed from the inbox alike, intervals between scans stay."""
    do_change_rules(study, None, SHIFTED)

    def dated(day: str):
        return named("A", StudyDate=day, AcquisitionDate=day, ContentDate=day, StudyTime="101112")

    send_zip(study, as_files(series(phantom(3), change=dated("20260314")), "V01/STD"))
    send(study, as_files(series(phantom(3), change=dated("20260321"))))
    row = waiting(study)
    hidden = str(stored_dicom(row.prefix).StudyDate)
    do_assign(study, None, [Assignment(row, "v01", arm_of(study, "DF"))])
    run_pending("cpu")
    send_zip(study, as_files(series(phantom(3), change=dated("20260314")), "V02/STD"))
    first, second, other = (
        stored_dicom(Series.objects.get(volunteer__code=v, arm__code=a).prefix)
        for v, a in (("V01", "STD"), ("V01", "DF"), ("V02", "STD"))
    )
    days = [np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}") for d in (first.StudyDate, second.StudyDate)]
    assert days[1] - days[0] == np.timedelta64(7, "D")
    assert first.StudyDate not in {"20260314", other.StudyDate}
    assert hidden not in {"20260321", second.StudyDate}
    assert first.AcquisitionDate == first.StudyDate
    assert "ContentDate" not in first
    assert first.StudyTime == ""
    assert first.LongitudinalTemporalInformationModified == "MODIFIED"
    assert [c.CodeValue for c in first.DeidentificationMethodCodeSequence] == ["113100", "113107"]
    report = Series.objects.get(volunteer__code="V02").deidentification
    assert report["attributes"]["date shifted by a secret number of days"] == {
        "AcquisitionDate": 3,
        "StudyDate": 3,
    }
    secret = ImagingRules.objects.get(study=study).date_secret
    assert secret not in repr(list(Event.objects.values()))


def test_the_pages_of_the_inbox_show_guess_decide_and_report(study: Study, client: Client) -> None:
    client.force_login(make_coordinator(study))
    send_zip(study, as_files(series(phantom(3), change=named("V05", "standard")), "whatever"))
    send_zip(study, as_files(series(written(), change=named("B")), "V01/DF"))
    clean, suspect = InboxSeries.objects.order_by("number")
    base = f"/studies/{study.slug}/uploads"
    assert "2 series wait" in client.get(f"{base}/").content.decode()
    page = client.get(f"{base}/inbox/").content.decode()
    assert 'value="V05"' in page
    assert "may show text" in page
    detail = client.get(f"{base}/inbox/{suspect.pk}/").content.decode()
    assert "look like written text" in detail
    sheet = client.get(f"{base}/inbox/{suspect.pk}/sheet.png")
    assert Image.open(io.BytesIO(sheet.content)).size[0] > 400
    client.post(f"{base}/inbox/{suspect.pk}/clear/")
    suspect.refresh_from_db()
    assert suspect.cleared_at is not None
    refused = client.post(f"{base}/inbox/", {f"take-{clean.pk}": "on", "volunteer-1": "V05"})
    assert refused.status_code == 400
    assert "Choose the arm of series 1" in refused.content.decode()
    taken = {f"take-{clean.pk}": "on", "volunteer-1": "V05", f"arm-{clean.pk}": "STD"}
    assert client.post(f"{base}/inbox/", taken).status_code == 302
    run_pending("cpu")
    assert Series.objects.get().volunteer.code == "V05"
    client.post(f"{base}/inbox/{suspect.pk}/discard/", {"why": "Sent by mistake."})
    assert not InboxSeries.objects.exists()
    report = client.get(f"{base}/deidentification/?format=json").json()
    rows = {(row["rule"], row["attribute"]): row["count"] for row in report["rows"]}
    assert rows["kept", "EchoTime"] == 3
    assert rows["removed: not on the allow-list", "SeriesDescription"] == 3
    assert report["burned_in_text"] == {
        "suspected of showing text": 1,
        "looked at and cleared": 1,
        "deleted": 1,
    }
    assert "EchoTime" in client.get(f"{base}/deidentification/").content.decode()
    lines = client.get(f"{base}/deidentification/?format=csv").content.decode().splitlines()
    assert lines[0] == "table version,rule,attribute,count"
    assert Upload.objects.count() == 2
