"""Volunteers, readers, withdrawal with erasure, the acquisition table, pace and mail."""

from __future__ import annotations

import datetime
import uuid
from pathlib import Path

import pytest
from django.core import mail
from django.core.cache import cache
from django.core.files.storage import FileSystemStorage, default_storage
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from readerstudy.audit.models import Event
from readerstudy.conduct import dashboard as dashboard_module
from readerstudy.conduct.acquisition import (
    acquisition_table,
    do_enter_parameters,
    table_as_csv,
)
from readerstudy.conduct.dashboard import dashboard, paced_readers
from readerstudy.conduct.mail import do_mail_readers, session_link
from readerstudy.conduct.models import Participant, Withdrawal
from readerstudy.conduct.people import (
    do_describe_volunteers,
    do_set_experience,
    reader_lines,
    summary,
    volunteer_lines,
)
from readerstudy.conduct.readiness import readiness_grid
from readerstudy.conduct.services import do_launch
from readerstudy.conduct.withdrawals import do_withdraw, finish_erasures
from readerstudy.imaging.ingest import raw_path
from readerstudy.imaging.models import InboxSeries, Series, UploadedFile, Volunteer
from readerstudy.imaging.store_away import StoreTimeout
from readerstudy.imaging.uploads import do_create_upload
from readerstudy.imaging.volumes import delete_files
from readerstudy.jobs.heart import Heart
from readerstudy.jobs.worker import Worker
from readerstudy.measurements.models import Measurement
from readerstudy.measurements.services import do_place_regions_from_file
from readerstudy.reading.models import Item, Session
from readerstudy.reading.selectors import open_item
from readerstudy.reading.services import do_note_fetched
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Study
from tests.factories import make_coordinator
from tests.reading.imaged_study import make_imaged_study, reader_of, score_item, session_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    return make_imaged_study(volunteers=2)


def place_air(study: Study, code: str) -> None:
    region = {"slice": 1, "row": 4, "column": 4, "semi_axes_mm": [3, 3]}
    do_place_regions_from_file(Volunteer.objects.get(study=study, code=code), {"air": region}, None)


# --- Volunteers and readers -----------------------------------------------------------------------


def test_the_first_table_is_told_from_what_was_entered(study: Study) -> None:
    coordinator = make_coordinator(study)
    entered = {
        "V01": {"age_years": 31, "sex": "female", "ethics_reference": "EC 7/2024"},
        "V02": {"age_years": 45, "sex": "male", "consented_on": datetime.date(2024, 3, 1)},
    }
    assert do_describe_volunteers(study, coordinator, entered) == 2
    first, second = reader_lines(study)
    do_set_experience(study, coordinator, {first.membership.pk: 12, second.membership.pk: 3})
    assert summary(volunteer_lines(study), reader_lines(study)) == [
        "2 volunteers",
        "age 38.0 ± 9.9 years, range 31–45",
        "1 female, 1 male",
        "2 readers, 3, 12 years of experience",
    ]
    trail = Event.objects.filter(action="conduct.volunteer.described").first()
    assert trail is not None
    assert trail.new == {"volunteer": "V01", "fields": ["age_years", "sex", "ethics_reference"]}


def test_one_wrong_entry_keeps_all_out_and_is_named(study: Study) -> None:
    tomorrow = timezone.localdate() + datetime.timedelta(days=2)
    entered = {"V01": {"age_years": 31}, "V02": {"consented_on": tomorrow}, "V09": {"sex": "male"}}
    with pytest.raises(StudyError) as refused:
        do_describe_volunteers(study, None, entered)
    assert "V02: the date of consent lies in the future." in refused.value.messages
    assert "V09 is no volunteer of this study." in refused.value.messages


# --- Withdrawal -----------------------------------------------------------------------------------


def files_of(series: list[Series]) -> list[str]:
    return [f"{one.prefix}/volume.npy" for one in series]


def test_in_a_draft_nothing_of_a_volunteer_stays_but_the_trace(
    study: Study, django_capture_on_commit_callbacks: object
) -> None:
    place_air(study, "V01")
    files = files_of(list(Series.objects.filter(volunteer__code="V01")))
    others = files_of(list(Series.objects.filter(volunteer__code="V02")))
    assert all(map(default_storage.exists, files))
    coming = do_create_upload(
        study, None, name="Doe.zip", size=9, batch=uuid.uuid4(), volunteer="v01"
    )
    storing = InboxSeries.objects.create(
        study=study, number=1, state="assigning", prefix="inbox/x",
        rows=1, columns=1, slices=1, geometry={},
    )  # fmt: skip
    with pytest.raises(StudyError, match="being stored"):
        do_withdraw(Volunteer.objects.get(code="V01"), None, "Own wish.")
    storing.delete()
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        do_withdraw(Volunteer.objects.get(code="V01"), make_coordinator(study), "Own wish.")
    coming.refresh_from_db()
    assert (coming.state, coming.name) == ("cancelled", "file")
    assert not raw_path(coming.pk).exists()
    assert not any(map(default_storage.exists, files))
    assert all(map(default_storage.exists, others))
    assert not Volunteer.objects.filter(code="V01").exists()
    assert not Measurement.objects.exists()
    trace = Withdrawal.objects.get()
    assert (trace.volunteer_code, trace.reason, trace.pending) == ("V01", "Own wish.", [])
    assert len(trace.series) == 5
    assert all(len(one["volume_sha256"]) == 64 and one["dicom_files"] == 3 for one in trace.series)
    assert trace.erased_at is not None
    assert Event.objects.filter(action="conduct.volunteer.erased").exists()


def test_after_the_launch_images_go_and_readers_go_on(
    study: Study, django_capture_on_commit_callbacks: object
) -> None:
    place_air(study, "V01")
    do_describe_volunteers(study, None, {"V01": {"age_years": 40}})
    study = do_launch(study, None, seed="tests")
    session = session_of(study)
    item = open_item(session)
    assert item is not None
    score_item(item)
    code = item.volunteer.code
    scored = item.scores.count()
    files = files_of(list(Series.objects.filter(volunteer__code=code)))
    measured = Measurement.objects.filter(volunteer__code=code).count()
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        done = do_withdraw(item.volunteer, None, "Own wish.")
    assert not any(map(default_storage.exists, files))
    assert item.scores.count() == scored
    assert Measurement.objects.filter(volunteer__code=code).count() == measured
    assert not Participant.objects.filter(volunteer__code=code).exists()
    assert done.closed_items == 9, "of two readers, less the one that was read"
    left = Item.objects.filter(session=session, submitted_at=None)
    assert set(left.values_list("volunteer__code", flat=True)) == {"V01", "V02"} - {code}
    # The item that was read cannot be opened again; the next one can.
    client = Client()
    client.force_login(reader_of(session))
    assert client.get(f"/reading/item/{item.token}/data/").status_code in {404, 422}
    following = open_item(session)
    assert following is not None
    assert client.get(f"/reading/item/{following.token}/data/").status_code == 200
    states = {c.state.value for row in readiness_grid(study).rows for c in row.cells}
    assert states == {"ready", "withdrawn"}
    with pytest.raises(StudyError, match="withdrawn already"):
        do_withdraw(item.volunteer, None, "Again.")


def test_files_that_cannot_be_deleted_stay_pending_and_are_tried_again(
    study: Study, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: object
) -> None:
    def full(_prefix: str) -> None:
        raise OSError("The storage is away.")

    files = files_of(list(Series.objects.filter(volunteer__code="V01")))
    with monkeypatch.context() as patched:
        patched.setattr("readerstudy.conduct.withdrawals.delete_files", full)
        with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
            do_withdraw(Volunteer.objects.get(code="V01"), None, "Own wish.")
        trace = Withdrawal.objects.get()
        assert (len(trace.pending), trace.erased_at) == (5, None)
    assert finish_erasures() == 1
    assert Withdrawal.objects.get().erased_at is not None
    assert not any(map(default_storage.exists, files))
    assert not UploadedFile.objects.exists()


def test_a_storage_that_is_away_is_waited_for_once_a_round_and_what_was_deleted_is_noted(
    study: Study, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: object
) -> None:
    asked: list[str] = []

    def away_after(number: int) -> None:
        def delete(prefix: str) -> None:
            asked.append(prefix)
            if len(asked) > number:
                raise StoreTimeout("The object store did not answer in time.")
            delete_files(prefix)

        asked.clear()
        monkeypatch.setattr("readerstudy.conduct.withdrawals.delete_files", delete)

    def pending() -> list[int]:
        return [len(one.pending) for one in Withdrawal.objects.order_by("volunteer_code")]

    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        for code in ("V01", "V02"):
            away_after(0)
            do_withdraw(Volunteer.objects.get(code=code), None, "Own wish.")
    away_after(0)
    assert (finish_erasures(), len(asked), pending()) == (0, 1, [5, 5])
    away_after(2)
    assert (finish_erasures(), len(asked), sum(pending())) == (0, 3, 8)
    away_after(100)
    assert (finish_erasures(), len(asked), pending()) == (2, 8, [0, 0])
    assert not Withdrawal.objects.filter(erased_at=None).exists()


# --- Acquisition ----------------------------------------------------------------------------------


def test_the_table_says_what_comes_from_headers_and_what_was_entered(study: Study) -> None:
    Series.objects.filter(volunteer__code="V02", arm__code="DF").update(
        parameters={"RepetitionTime": 3200.0, "MagneticFieldStrength": 1.5}
    )
    do_enter_parameters(
        study,
        None,
        {("STD", "scan_time_s"): 240, ("DF", "scan_time_s"): 120, ("DF", "cs_factor"): 4},
    )
    table = acquisition_table(study)
    lines = {line.label: [(e.text, e.origin) for e in line.entries] for line in table.lines}
    assert [arm.code for arm in table.arms] == ["STD", "DF", "DLR_DF", "TF", "DLR_TF"]
    assert lines["Repetition time (ms)"][:3] == [
        ("3000", "header"),
        ("3000–3200", "header"),
        ("3000–3200", "header"),
    ]
    assert lines["Compressed-sensing factor"][1:3] == [("4", "entered"), ("4", "entered")]
    saved = lines["Time saved against the control"]
    assert saved == [("–", ""), ("50 %", "entered"), ("50 %", "entered"), ("", ""), ("", "")]
    assert "Scan time (s),DF,120,entered," in table_as_csv(table)
    # A header is believed before an entry.
    Series.objects.filter(arm__code="DF").update(parameters={"AcquisitionDuration": 118.5})
    line = next(x for x in acquisition_table(study).lines if x.label == "Scan time (s)")
    assert (line.entries[1].text, line.entries[1].origin) == ("118.5", "header")


@pytest.mark.parametrize("value", [0, -3, 1e9, float("nan")])
def test_a_scan_time_is_above_zero(study: Study, value: float) -> None:
    with pytest.raises(StudyError, match="above zero"):
        do_enter_parameters(study, None, {("DF", "scan_time_s"): value})


# --- Progress and mail ----------------------------------------------------------------------------


def test_pace_and_expected_end_come_from_times_alone(study: Study) -> None:
    study = do_launch(study, None, seed="tests")
    session = session_of(study)
    now = timezone.now()
    begun = now - datetime.timedelta(days=2)
    items = list(session.items.order_by("position"))
    for index, item in enumerate(items[:5]):
        late = datetime.timedelta(days=2 if index == 4 else 0)
        at = begun + datetime.timedelta(minutes=3 * index) + late - late / 100
        Item.objects.filter(pk=item.pk).update(submitted_at=at)
    first, second = paced_readers(study)
    assert first.minutes_an_item == pytest.approx(3)
    assert first.minutes_left == pytest.approx(15)
    assert first.time_left == "15 min"
    assert first.expected_end == (now + datetime.timedelta(days=2)).date()
    assert (second.minutes_an_item, second.expected_end) == (None, None)
    assert dashboard(study).workers == []
    Heart(Worker(["cpu"])).beat()
    shown = dashboard(study)
    assert len(shown.workers) == 1
    lying = [p for p in Path(default_storage.path("")).rglob("*") if p.is_file()]
    assert shown.storage_study == sum(path.stat().st_size for path in lying)
    assert shown.storage_study > 10 * 3 * 32 * 24 * (4 + 2)  # volumes and DICOM files


def test_storage_that_is_away_takes_its_figure_from_the_progress_and_nothing_else(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = do_launch(study, None, seed="tests")
    counted = dashboard(study).storage_study
    client = Client()
    client.force_login(make_coordinator(study))

    def away(*_: object) -> None:
        raise TimeoutError("The object store did not answer in time.")

    monkeypatch.setattr(FileSystemStorage, "listdir", away)
    monkeypatch.setattr(dashboard_module, "STORED_COUNTED_EVERY", -1)
    assert dashboard(study).storage_study == counted  # the last that is known
    cache.clear()
    assert dashboard(study).storage_study is None
    page = client.get(reverse("readiness", args=[study.slug])).content.decode()
    assert "not known just now" in page


def test_mail_brings_each_reader_the_link_to_their_own_session(study: Study) -> None:
    coordinator = make_coordinator(study)
    study = do_launch(study, None)
    sessions = list(Session.objects.order_by("reader_code"))
    client = Client()
    client.force_login(coordinator)
    page = client.get("/studies/lumbar/readiness/mail/")
    assert page.status_code == 200
    sent = {"sessions": [s.pk for s in sessions], "subject": "Reading", "text": "Please begin."}
    client.post("/studies/lumbar/readiness/mail/", sent)
    assert [message.to for message in mail.outbox] == [[reader_of(s).email] for s in sessions]
    for session, message in zip(sessions, mail.outbox, strict=True):
        assert session_link(session) in str(message.body)
        assert "Please begin." in str(message.body)
        assert "double-fast" not in str(message.body)
    assert Event.objects.filter(action="conduct.reader.mailed", actor=coordinator).count() == 2
    assert paced_readers(study)[0].last_mail is not None
    with pytest.raises(StudyError, match="one line"):
        do_mail_readers(study, coordinator, [sessions[0].pk], "Two\nlines", "Text")


def test_a_reader_is_not_kept_by_fetched_pixels(study: Study) -> None:
    """Items closed by a withdrawal take no further pixels."""
    study = do_launch(study, None, seed="tests")
    item = open_item(session_of(study))
    assert item is not None
    pane = item.panes.first()
    assert pane is not None
    do_note_fetched(pane)
    do_withdraw(item.volunteer, None, "Own wish.")
    client = Client()
    client.force_login(reader_of(item.session))
    assert client.get(f"/reading/pixels/{pane.token}/0").status_code == 404
