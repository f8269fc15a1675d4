"""Resumable uploads over tus, for the study's coordinators alone."""

from __future__ import annotations

import base64
import errno
import json
import os
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from readerstudy.imaging import housekeeping, uploads
from readerstudy.imaging.ingest import raw_path
from readerstudy.imaging.models import Series, Upload
from readerstudy.jobs.models import Job
from readerstudy.jobs.worker import run_pending
from readerstudy.studies.models import Study
from tests.factories import make_coordinator, make_reader, make_statistician, make_study

from .datasets import as_files, phantom, series
from .uploading import zipped

pytestmark = pytest.mark.django_db
TUS = {"Tus-Resumable": "1.0.0"}


@pytest.fixture
def study() -> Study:
    return make_study()


@pytest.fixture
def coordinator(study: Study) -> Client:
    client = Client()
    client.force_login(make_coordinator(study))
    return client


def metadata(**values: str) -> str:
    return ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in values.items())


def create(
    client: Client, study: Study, size: int, headers: dict[str, str] | None = None, **meta: str
) -> Any:
    meta.setdefault("filename", "images.zip")
    meta.setdefault("batch", str(uuid.uuid4()))
    return client.post(
        f"/studies/{study.slug}/uploads/tus/",
        headers={**TUS, "Upload-Length": str(size), "Upload-Metadata": metadata(**meta)}
        | (headers or {}),
    )


def patch(client: Client, location: str, offset: int, data: bytes) -> Any:
    return client.patch(
        location,
        data,
        content_type="application/offset+octet-stream",
        headers={**TUS, "Upload-Offset": str(offset)},
    )


def finish(client: Client, study: Study, batch: str) -> Any:
    return client.post(
        f"/studies/{study.slug}/uploads/finish/",
        json.dumps({"batch": batch}),
        content_type="application/json",
    )


def test_an_upload_is_sent_in_pieces_resumed_and_read(study: Study, coordinator: Client) -> None:
    content = zipped(as_files(series(phantom(4)), "V01/STD"))
    batch = str(uuid.uuid4())
    created = create(coordinator, study, len(content), batch=batch)
    assert created.status_code == 201
    location = created["Location"]
    half = len(content) // 2
    assert patch(coordinator, location, 0, content[:half])["Upload-Offset"] == str(half)
    early = finish(coordinator, study, batch)
    assert early.status_code == 409
    assert "not fully arrived" in early.json()["error"]

    head = coordinator.head(location, headers=TUS)  # after a break the browser asks where it was
    assert head["Upload-Offset"] == str(half)
    assert head["Upload-Length"] == str(len(content))
    assert head["Cache-Control"] == "no-store"
    assert patch(coordinator, location, 0, content[half:]).status_code == 409
    assert patch(coordinator, location, half, content[half:]).status_code == 204

    first, second = finish(coordinator, study, batch), finish(coordinator, study, batch)
    assert first.status_code == 202
    assert first.json() == second.json()
    assert Job.objects.filter(kind="imaging.ingest").count() == 1
    run_pending("cpu")
    assert Series.objects.get().slices == 4
    (record,) = coordinator.get(f"/studies/{study.slug}/uploads/status/").json()["uploads"]
    assert (record["state"], record["stored"], record["accepted"]) == ("done", 1.0, 4)
    assert patch(coordinator, location, len(content), b"more").status_code == 422


def test_an_upload_into_a_full_folder_is_told_so_and_goes_on_from_there_once_there_is_room(
    study: Study, coordinator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = zipped(as_files(series(phantom(4)), "V01/STD"))
    half = len(content) // 2
    batch = str(uuid.uuid4())
    location = create(coordinator, study, len(content), batch=batch)["Location"]
    assert patch(coordinator, location, 0, content[:half]).status_code == 204

    def fills_up(descriptor: int, piece: bytes) -> None:
        os.write(descriptor, piece[: len(piece) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(uploads, "_write", fills_up)
        told = patch(coordinator, location, half, content[half:])
    assert (told.status_code, told.content.decode()) == (
        507,
        "The server's disk is full: tell its administrator.",
    )
    assert coordinator.head(location, headers=TUS)["Upload-Offset"] == str(half)
    assert finish(coordinator, study, batch).status_code == 409  # nothing is read half
    assert patch(coordinator, location, half, content[half:]).status_code == 204
    assert finish(coordinator, study, batch).status_code == 202
    run_pending("cpu")
    assert Series.objects.get().slices == 4


def test_room_that_is_asked_for_twice_is_made_once(study: Study, coordinator: Client) -> None:
    """The first answer was lost: a second upload, empty for ever, would hold up the batch."""
    facts = {"batch": str(uuid.uuid4()), "id": str(uuid.uuid4())}
    location = create(coordinator, study, 4, **facts)["Location"]
    raw_path(Upload.objects.get().pk).unlink()  # killed before the file was made
    assert create(coordinator, study, 4, **facts)["Location"] == location
    assert patch(coordinator, location, 0, b"abcd").status_code == 204
    # A request that was held up arrives after all: what was received stays.
    assert create(coordinator, study, 4, **facts)["Location"] == location
    assert coordinator.head(location, headers=TUS)["Upload-Offset"] == "4"
    assert create(coordinator, study, 5, **facts).status_code == 422
    assert create(coordinator, study, 4, **facts | {"id": "x"}).status_code == 400
    assert finish(coordinator, study, facts["batch"]).status_code == 202
    assert create(coordinator, study, 4, **facts).status_code == 422
    assert Upload.objects.count() == 1
    other = {"batch": str(uuid.uuid4()), "id": str(uuid.uuid4())}
    location = create(coordinator, study, 4, **other)["Location"]
    assert coordinator.delete(location, headers=TUS).status_code == 204
    assert create(coordinator, study, 4, **other)["Location"] != location  # begins anew
    stranger = make_study("other")
    coordinator.force_login(make_coordinator(stranger))
    assert create(coordinator, stranger, 4, **facts).status_code == 422


def test_a_chosen_volunteer_and_arm_travel_with_the_files(
    study: Study, coordinator: Client
) -> None:
    batch = str(uuid.uuid4())
    for name, content in as_files(series(phantom(3))).items():
        made = create(
            coordinator, study, len(content), filename=name, batch=batch, volunteer="V07", arm="df"
        )
        patch(coordinator, made["Location"], 0, content)
    finish(coordinator, study, batch)
    run_pending("cpu")
    item = Series.objects.get()
    assert (item.volunteer.code, item.arm.code, item.slices) == ("V07", "DF", 3)


def test_the_server_says_what_it_speaks(study: Study, coordinator: Client) -> None:
    options = coordinator.options(f"/studies/{study.slug}/uploads/tus/")
    assert options.status_code == 204
    assert options["Tus-Version"] == "1.0.0"
    assert options["Tus-Extension"] == "creation,termination"
    without = coordinator.post(f"/studies/{study.slug}/uploads/tus/")
    assert without.status_code == 412


def test_an_upload_is_cancelled_and_its_bytes_go(study: Study, coordinator: Client) -> None:
    location = create(coordinator, study, 10)["Location"]
    patch(coordinator, location, 0, b"12345")
    upload = Upload.objects.get()
    assert raw_path(upload.pk).read_bytes() == b"12345"
    assert coordinator.delete(location, headers=TUS).status_code == 204
    assert not raw_path(upload.pk).exists()
    assert coordinator.head(location, headers=TUS).status_code == 410


@pytest.mark.parametrize(
    ("meta", "length", "status", "said"),
    [
        ({"arm": "DLR_DF"}, "5", 422, "derived arm"),
        ({"arm": "NOPE"}, "5", 422, "no such arm"),
        ({"volunteer": "Jane Doe"}, "5", 422, "cannot be a volunteer"),
        ({"batch": "x"}, "5", 400, "Upload-Metadata"),
        ({}, "many", 400, "Upload-Length"),
        ({}, str(10**13), 413, "larger"),
    ],
)
def test_a_wrong_request_is_refused_with_the_reason(
    study: Study, coordinator: Client, meta: dict[str, str], length: str, status: int, said: str
) -> None:
    answer = create(coordinator, study, 5, {"Upload-Length": length}, **meta)
    assert answer.status_code == status
    assert said in answer.content.decode()
    assert not Upload.objects.exists()


def test_nobody_but_coordinators_sees_or_sends_uploads(study: Study, coordinator: Client) -> None:
    location = create(coordinator, study, 5)["Location"]
    other = make_study("other", "Another")
    people = [make_reader(study), make_statistician(study), make_coordinator(other)]
    base = f"/studies/{study.slug}/uploads/"
    for person in people:
        client = Client()
        client.force_login(person)
        assert create(client, study, 5).status_code == 404
        assert client.head(location, headers=TUS).status_code == 404
        assert patch(client, location, 0, b"12345").status_code == 404
        assert client.delete(location, headers=TUS).status_code == 404
        assert client.get(base).status_code == 404
        assert client.get(f"{base}status/").status_code == 404
        assert finish(client, study, str(Upload.objects.get().batch)).status_code == 404
    assert Upload.objects.get().received == 0
    stranger = Client().get(base)
    assert stranger.status_code == 302


def test_sending_needs_the_csrf_header(study: Study) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_coordinator(study))
    assert create(client, study, 5).status_code == 403
    client.get(f"/studies/{study.slug}/uploads/")
    token = client.cookies["csrftoken"].value
    assert create(client, study, 5, {"X-CSRFToken": token}).status_code == 201


def test_a_launched_study_takes_no_upload(study: Study, coordinator: Client) -> None:
    Study.objects.filter(pk=study.pk).update(state=Study.State.READING)
    answer = create(coordinator, study, 5)
    assert answer.status_code == 422
    assert "frozen" in answer.content.decode()


def test_abandoned_and_failed_uploads_are_closed_and_their_bytes_deleted(
    study: Study, coordinator: Client
) -> None:
    create(coordinator, study, 5)
    abandoned = Upload.objects.get()
    Upload.objects.filter(pk=abandoned.pk).update(updated_at=timezone.now() - timedelta(hours=25))
    batch = str(uuid.uuid4())
    location = create(coordinator, study, 5, batch=batch)["Location"]
    patch(coordinator, location, 0, b"12345")
    finish(coordinator, study, batch)
    failed = Upload.objects.exclude(pk=abandoned.pk).get()
    Job.objects.filter(pk=failed.job_id).update(state=Job.State.FAILED, error="It was killed.")
    assert housekeeping.tidy() >= 2
    abandoned.refresh_from_db()
    failed.refresh_from_db()
    assert abandoned.state == Upload.State.CANCELLED
    assert (failed.state, failed.error) == (Upload.State.FAILED, "It was killed.")
    assert not raw_path(abandoned.pk).exists()
    assert not raw_path(failed.pk).exists()


def test_the_page_lists_series_and_refused_files(study: Study, coordinator: Client) -> None:
    content = zipped({**as_files(series(phantom(4)), "V01/STD"), "V01/STD/<b>notes</b>.txt": b"no"})
    batch = str(uuid.uuid4())
    location = create(coordinator, study, len(content), batch=batch)["Location"]
    patch(coordinator, location, 0, content)
    finish(coordinator, study, batch)
    run_pending("cpu")
    page = coordinator.get(f"/studies/{study.slug}/uploads/").content.decode()
    assert "V01/STD/&lt;b&gt;notes&lt;/b&gt;.txt" in page
    assert "This is not a DICOM file." in page
    assert f'data-tus-url="/studies/{study.slug}/uploads/tus/"' in page
    item = Series.objects.get()
    gone = coordinator.post(f"/studies/{study.slug}/series/{item.pk}/delete/")
    assert gone.status_code == 302
    assert not Series.objects.exists()


def test_outputs_of_a_killed_attempt_are_deleted_and_no_others(study: Study) -> None:
    """A killed worker leaves half its outputs; the next attempt writes under its own token."""
    import os
    import time
    from pathlib import Path

    from django.core.files.storage import default_storage, storages

    from readerstudy.imaging.models import Volunteer
    from readerstudy.imaging.services import do_store_series
    from readerstudy.imaging.storing import token_prefix
    from readerstudy.imaging.volumes import write_file

    volunteer = Volunteer.objects.create(study=study, code="V01")
    stored = do_store_series(volunteer, study.arms.get(code="STD"), series(phantom(3)))
    killed, running, fresh = (uuid.uuid4() for _ in range(3))
    Job.objects.create(kind="imaging.ingest", state=Job.State.RUNNING, token=running)
    for token in (killed, running, fresh):
        name = f"{token_prefix(study.pk, token)}/{uuid.uuid4()}/dicom/0001.dcm"
        write_file(name, b"half")
        if token != fresh:
            old = time.time() - 7200
            os.utime(default_storage.path(name), (old, old))
    Path(storages["uploads"].path(f"scratch-{killed}")).mkdir()
    Path(storages["uploads"].path(f"scratch-{running}")).mkdir()
    assert housekeeping.tidy() == 2
    assert not Path(storages["uploads"].path(f"scratch-{killed}")).exists()
    assert Path(storages["uploads"].path(f"scratch-{running}")).exists()
    assert not default_storage.exists(token_prefix(study.pk, killed))
    for kept in (token_prefix(study.pk, running), token_prefix(study.pk, fresh), stored.prefix):
        assert default_storage.exists(kept)


def test_a_name_is_kept_only_to_say_what_was_refused(study: Study, coordinator: Client) -> None:
    from datetime import timedelta

    from django.utils import timezone

    content = zipped({**as_files(series(phantom(3)), "V01/STD"), "V01/STD/Doe_Jane.txt": b"no"})
    for filename in ("Mueller_Hans.zip", "Mueller_Hans_again.zip"):
        batch = str(uuid.uuid4())
        made = create(coordinator, study, len(content), filename=filename, batch=batch)
        patch(coordinator, made["Location"], 0, content)
        finish(coordinator, study, batch)
    run_pending("cpu")
    page = coordinator.get(f"/studies/{study.slug}/uploads/").content.decode()
    assert "Mueller" not in page
    assert "zip archive, sent 20" in page
    assert "Doe_Jane.txt" in page
    assert set(Upload.objects.values_list("name", flat=True)) == {"zip archive"}
    create(coordinator, study, 10, filename="Mueller_Hans.dcm")
    waiting = Upload.objects.get(state=Upload.State.RECEIVING)
    waiting.state = Upload.State.CANCELLED
    waiting.save()
    assert housekeeping.tidy() == 1  # the bytes of the cancelled one
    month = timezone.now() - timedelta(days=31)
    Upload.objects.update(created_at=month)
    assert housekeeping.tidy() > 0
    page = coordinator.get(f"/studies/{study.slug}/uploads/").content.decode()
    assert "Mueller" not in page
    assert "Doe_Jane" not in page
    assert "deleted after 30 days" in page
    assert housekeeping.tidy() == 0


def test_an_upload_cancelled_before_its_job_begins_stays_cancelled(study: Study) -> None:
    """The attempt looked at its batch before the cancelling and reads after it."""
    from readerstudy.imaging.ingest import Ingest
    from readerstudy.imaging.uploads import do_cancel_upload
    from readerstudy.jobs import leases
    from readerstudy.jobs.context import JobContext

    from .uploading import send

    send(study, {"a.dcm": b"a", "b.dcm": b"b"}, run=False)
    claimed = leases.claim(("cpu",))
    assert claimed is not None
    first = Upload.objects.get(name="a.dcm")
    attempt = Ingest(JobContext(claimed), study.pk, first.batch)
    do_cancel_upload(first, None)
    attempt.run()
    first.refresh_from_db()
    assert first.state == Upload.State.CANCELLED
    assert Upload.objects.get(state=Upload.State.DONE).pk != first.pk


def test_cancelled_failed_and_expired_uploads_are_in_the_trail_without_names(
    study: Study, coordinator: Client
) -> None:
    from datetime import timedelta

    from django.utils import timezone

    from readerstudy.audit.models import Event

    location = create(coordinator, study, 10, filename="Mueller_1.dcm")["Location"]
    coordinator.delete(location, headers=TUS)
    create(coordinator, study, 10, filename="Mueller_2.dcm", batch=str(uuid.uuid4()))
    Upload.objects.filter(state="receiving").update(updated_at=timezone.now() - timedelta(days=2))
    housekeeping.tidy()
    batch = str(uuid.uuid4())
    made = create(coordinator, study, 6, filename="Mueller_3.zip", batch=batch)
    patch(coordinator, made["Location"], 0, b"PK\x03\x04no")
    finish(coordinator, study, batch)
    run_pending("cpu")
    events = Event.objects.filter(action__startswith="imaging.upload.")
    said = {event.action for event in events}
    assert said >= {f"imaging.upload.{end}" for end in ("cancelled", "expired", "failed")}
    assert "Mueller" not in repr(list(Event.objects.values()))
