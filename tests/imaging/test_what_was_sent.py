"""What the uploads page and the command line say of what was sent, and why it waits."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from readerstudy.conduct.dashboard import dashboard
from readerstudy.imaging import upload_history
from readerstudy.imaging.inbox_selectors import inbox_of
from readerstudy.imaging.models import InboxSeries, Series
from readerstudy.imaging.upload_history import sent_together
from readerstudy.imaging.uploads import do_create_uploads
from readerstudy.jobs import leases
from readerstudy.jobs.models import Job, WorkerProcess
from readerstudy.jobs.selectors import NO_WORKER, why_waiting
from readerstudy.jobs.services import do_enqueue
from readerstudy.studies.access import Reach
from readerstudy.studies.models import Role, Study
from readerstudy.studies.services import do_add_member
from readerstudy.studies.sites import do_add_site
from tests.factories import make_coordinator, make_study, make_user

from .datasets import as_bytes, as_files, phantom, series
from .uploading import refusals, send, send_zip

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    return make_study()


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_a_broken_off_batch_is_listed_however_many_came_after_it(
    study: Study,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    monkeypatch.setattr(upload_history, "SHOWN_BATCHES", 2)
    batch = uuid.uuid4()
    do_create_uploads(study, None, [(f"N05/{n}.dcm", 10) for n in range(30)], batch=batch)
    for number in range(3):
        send(study, {f"{number}.txt": b"no image"})
    with django_assert_max_num_queries(12):  # whatever the number of files
        records = sent_together(Reach(study))
    assert [record["number"] for record in records] == [4, 3, 1]
    assert [record["outcome"] for record in records[:2]] == ["nothing taken"] * 2
    left = records[-1]
    assert (left["name"], left["state"], left["files"]) == ("N05: 30 files", "receiving", 30)
    assert (left["arrived"], left["received"], left["size"]) == (0, 0, 300)
    (whole,) = sent_together(Reach(study), batch)
    assert len(whole["uploads"]) == 30


def test_what_was_chosen_is_checked_before_anything_is_sent(study: Study) -> None:
    client = Client()
    client.force_login(make_coordinator(study))

    def ask(**chosen: str) -> tuple[int, str]:
        sent = json.dumps({"batch": str(uuid.uuid4()), **chosen})
        answer = client.post(
            f"/studies/{study.slug}/uploads/places/", sent, content_type="application/json"
        )
        return answer.status_code, answer.json().get("error", "")

    assert ask(volunteer="V01", arm="STD") == (200, "")
    assert ask(volunteer="V01", arm="NOPE")[0] == 422
    status, said = ask(volunteer="Jane Doe <b>")
    assert status == 422
    assert "letters, digits, hyphen and underscore" in said
    status, said = ask(mapping="a,b\n", mapping_name="places.csv")
    assert "The first line of places.csv has to name its columns" in said
    assert "“a,b”" in said
    assert "brace" in ask(pattern="{volunteer}/{arm")[1]
    Study.objects.filter(pk=study.pk).update(state=Study.State.READING)
    assert ask(volunteer="V01", arm="STD")[0] == 422
    page = client.get(f"/studies/{study.slug}/uploads/").content.decode()
    assert "js/upload.js" not in page  # its form is not there either


def test_images_are_read_before_denoising_that_was_asked_for_earlier(study: Study) -> None:
    long = do_enqueue("variants.derive", {}, study_id=study.pk, label="DLR of V01")
    job = send_zip(study, as_files(series(phantom(3)), "V01/STD"), run=False)
    assert why_waiting(job, names_work=True) == NO_WORKER
    assert "no worker for this kind of work is running" in NO_WORKER
    now = timezone.now()
    WorkerProcess.objects.create(host="a", pid=1, queues="cpu gpu", started_at=now, seen_at=now)
    soon = "Waiting: the worker takes it up in a moment."
    assert why_waiting(job, names_work=True) == soon
    Job.objects.filter(pk=long.pk).update(state=Job.State.RUNNING)
    (record,) = sent_together(Reach(study))
    assert record["message"] == "Waiting: the worker is busy with “DLR of V01”."
    Job.objects.filter(pk=long.pk).update(state=Job.State.QUEUED)
    first = leases.claim(("cpu", "gpu"))
    assert first is not None
    assert first.pk == job.pk


def test_a_kind_of_work_without_a_worker_is_told_and_not_while_one_of_its_jobs_runs(
    study: Study,
) -> None:
    long, other = (do_enqueue("variants.derive", {}, study_id=study.pk) for _ in range(2))
    now = timezone.now()
    WorkerProcess.objects.create(host="a", pid=1, queues="cpu", started_at=now, seen_at=now)
    assert why_waiting(other, names_work=True) == NO_WORKER
    assert dashboard(study).waiting_without_worker
    # By `worker --once`, which keeps no row of its own.
    assert leases.claim(("gpu",)) == long
    told = "Waiting: the worker is busy with other work."
    assert why_waiting(other, names_work=False) == told
    assert not dashboard(study).waiting_without_worker
    Job.objects.filter(pk=long.pk).update(lease_until=now)  # and died
    assert why_waiting(other, names_work=True) == NO_WORKER
    assert dashboard(study).waiting_without_worker


def test_a_site_coordinator_is_not_told_whose_images_the_worker_is_busy_with(study: Study) -> None:
    zurich = do_add_site(study, None, "ZRH", "Zürich")
    do_add_site(study, None, "BSL", "Basel")
    user = do_add_member(study, None, make_user(), Role.SITE_COORDINATOR, site=zurich).user
    other = do_enqueue("variants.derive", {}, study_id=study.pk, label="DLR of BSL01")
    send_zip(study, as_files(series(phantom(3)), "V01/STD"), site=zurich, run=False)
    now = timezone.now()
    WorkerProcess.objects.create(host="a", pid=1, queues="cpu gpu", started_at=now, seen_at=now)
    Job.objects.filter(pk=other.pk).update(state=Job.State.RUNNING)
    client = Client()
    for one, told in ((user, "other work"), (make_coordinator(study), "“DLR of BSL01”")):
        client.force_login(one)
        (record,) = client.get(f"/studies/{study.slug}/uploads/status/").json()["uploads"]
        assert record["message"] == f"Waiting: the worker is busy with {told}."
    client.force_login(user)
    assert "BSL01" not in client.get(f"/studies/{study.slug}/uploads/").content.decode()


def test_the_folder_given_to_the_command_may_be_the_volunteer(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write(tmp_path / "N05", as_files(series(phantom(3)), "STD"))
    write(folder, as_files(series(phantom(4)), "scout"))
    call_command("ingest", study.slug, str(folder))
    summary = json.loads(capsys.readouterr().out)
    assert summary["state"] == "all taken"
    (stored,), (waiting,) = summary["series"], summary["inbox"]
    assert (stored["volunteer"], stored["arm"], stored["from"]) == ("N05", "STD", "N05/STD")
    assert waiting["from"] == "N05/scout"
    assert "deidentification" not in stored
    assert Series.objects.count() == InboxSeries.objects.count() == 1
    (person,) = inbox_of(Reach(study))
    assert person.series[0].sent.startswith("upload 1, sent 20")


def test_the_command_fails_where_nothing_was_taken_and_names_unused_lines(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = write(tmp_path / "tree", {"scan 1/a.txt": b"no", "scan 2/b.zip": b"no zip"})
    mapping = tmp_path / "places.csv"
    mapping.write_text("path,volunteer,arm\nscan 1,V01,STD\nscan 9,V02,STD\n")
    with pytest.raises(CommandError, match="every file was refused"):
        call_command("ingest", study.slug, str(tree), mapping=mapping)
    summary = json.loads(capsys.readouterr().out)
    assert (summary["state"], summary["unmatched"]) == ("nothing taken", ["scan 9"])
    assert "no zip archive, though its name says so" in refusals(study)["tree/scan 2/b.zip"]
    mapping.write_text("folder,who\n")
    with pytest.raises(CommandError, match=r"first line of places\.csv .*“folder,who”"):
        call_command("ingest", study.slug, str(tree), mapping=mapping)


def test_an_incomplete_series_names_every_file_that_hinders(study: Study) -> None:
    (dataset,) = series(phantom(1))
    files = as_files(series(phantom(4)), "V01/STD")
    files |= {f"V01/STD/{name}.dcm": as_bytes(dataset)[:400] for name in ("cut", "short")}
    send_zip(study, files)
    said = refusals(study)["V01/STD/IM0001.dcm"]
    assert "V01/STD/cut.dcm and V01/STD/short.dcm are damaged or cannot be used" in said
