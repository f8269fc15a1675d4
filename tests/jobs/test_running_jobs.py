"""Jobs in this process: what a task's end does to its row, and who may see it."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.audit.models import Event
from readerstudy.jobs import access, leases, registry
from readerstudy.jobs.context import JobContext, JobError, LostLease
from readerstudy.jobs.models import Job
from readerstudy.jobs.services import do_cancel, do_enqueue
from readerstudy.jobs.tasks import forget_expired_sessions
from readerstudy.jobs.worker import Worker, run_pending

pytestmark = pytest.mark.django_db


@pytest.fixture
def tasks() -> Iterator[dict[str, registry.Task]]:
    """The registry, put back as it was after the test."""
    registry.periodic_tasks()  # all are known
    before = dict(registry._tasks)
    yield registry._tasks
    registry._tasks.clear()
    registry._tasks.update(before)


def register(body: Any, queue: str = "cpu") -> str:
    name = f"tests.{uuid.uuid4().hex}"
    registry.task(name, queue=queue)(body)
    return name


def test_a_job_runs_once_and_keeps_its_result(tasks: Any) -> None:
    seen = []

    def body(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
        seen.append(payload["n"])
        context.progress(1, 2, "half")
        return {"square": payload["n"] ** 2}

    job = do_enqueue(register(body), {"n": 7})
    assert run_pending() == 1
    assert run_pending() == 0
    job.refresh_from_db()
    assert seen == [7]
    assert (job.state, job.result, job.attempts) == ("succeeded", {"square": 49}, 1)
    assert job.progress_done == job.progress_total == 2
    assert list(Event.objects.values_list("action", flat=True)) == [
        "jobs.enqueued",
        "jobs.succeeded",
    ]


def test_a_gpu_worker_leaves_cpu_jobs_alone(tasks: Any) -> None:
    cpu = do_enqueue(register(lambda context, payload: None), {})
    gpu = do_enqueue(register(lambda context, payload: None, queue="gpu"), {})
    assert run_pending("gpu") == 1
    cpu.refresh_from_db()
    gpu.refresh_from_db()
    assert (cpu.state, gpu.state) == ("queued", "succeeded")


def test_a_job_error_fails_at_once_with_its_message_for_people(tasks: Any) -> None:
    def body(context: JobContext, payload: dict[str, Any]) -> None:
        raise JobError("Series 3 has no pixel data; export it again.")

    job = do_enqueue(register(body), {"secret": "PATIENT^NAME"})
    assert run_pending() == 1
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", "Series 3 has no pixel data; export it again.")
    assert Event.objects.filter(action="jobs.failed", subject_id=str(job.pk)).count() == 1
    assert "PATIENT" not in str(list(Event.objects.values()))


def test_an_unexpected_error_is_retried_then_fails_and_never_logs_its_message(
    tasks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def body(context: JobContext, payload: dict[str, Any]) -> None:
        raise ValueError("PATIENT^NAME is not a number")

    job = do_enqueue(register(body), {}, max_attempts=3)
    with caplog.at_level(logging.INFO):
        assert run_pending() == 3
    job.refresh_from_db()
    assert (job.state, job.attempts) == ("failed", 3)
    assert "ValueError" in job.error
    assert "PATIENT" not in job.error
    assert "PATIENT" not in caplog.text
    assert "test_running_jobs.py" in caplog.text


def test_a_second_attempt_can_succeed(tasks: Any) -> None:
    def body(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
        if context.attempt == 1:
            raise OSError("the disk was full")
        return {"attempt": context.attempt}

    job = do_enqueue(register(body), {})
    assert run_pending() == 2
    job.refresh_from_db()
    assert (job.state, job.result, job.error) == ("succeeded", {"attempt": 2}, "")


def test_outputs_become_visible_with_the_success_or_not_at_all(tasks: Any) -> None:
    def body(context: JobContext, payload: dict[str, Any]) -> None:
        with context.publish() as result:
            User.objects.create_user(f"made{context.attempt}@example.org")
            result["made"] = True
            if context.attempt == 1:
                raise OSError("in mid-publication")

    job = do_enqueue(register(body), {})
    assert run_pending() == 2
    job.refresh_from_db()
    assert (job.state, job.result) == ("succeeded", {"made": True})
    assert list(User.objects.values_list("email", flat=True)) == ["made2@example.org"]


def test_a_fenced_worker_publishes_and_notes_nothing(tasks: Any) -> None:
    job = do_enqueue(register(lambda context, payload: None), {})
    stale_job = leases.claim(["cpu"])
    assert stale_job is not None
    stale = JobContext(stale_job)
    Job.objects.update(lease_until=timezone.now() - timezone.timedelta(seconds=1))
    taken = leases.claim(["cpu"])
    assert taken is not None
    assert taken.token != stale.token

    with pytest.raises(LostLease), transaction.atomic(), stale.publish():
        User.objects.create_user("ghost@example.org")
    with pytest.raises(LostLease):
        stale.progress(1, 1)
    leases.fail(stale_job, stale.token, "too late")
    leases.retry_later(stale_job, stale.token, "too late")
    leases.hand_back(stale_job, stale.token)
    job.refresh_from_db()
    assert (job.state, job.token, job.error, job.attempts) == ("running", taken.token, "", 2)
    assert not User.objects.exists()


def test_a_job_whose_workers_died_on_every_attempt_fails_with_the_reason(tasks: Any) -> None:
    job = do_enqueue(register(lambda context, payload: None), {}, max_attempts=2)
    for _ in range(2):
        assert leases.claim(["cpu"]) is not None
        Job.objects.update(lease_until=timezone.now() - timezone.timedelta(seconds=1))
    assert leases.claim(["cpu"]) is None
    job.refresh_from_db()
    assert job.state == "failed"
    assert "stopped in the middle of this job 2 times" in job.error
    assert Event.objects.filter(action="jobs.failed").count() == 1


def test_a_cancelled_job_does_not_run_and_fences_out_its_worker(tasks: Any) -> None:
    waiting = do_enqueue(register(lambda context, payload: None), {})
    assert do_cancel(waiting, actor=None)
    assert run_pending() == 0

    def body(context: JobContext, payload: dict[str, Any]) -> None:
        do_cancel(Job.objects.get(pk=context.job_id), actor=None)
        context.progress(1, 1)

    running = do_enqueue(register(body), {})
    assert run_pending() == 1
    running.refresh_from_db()
    assert running.state == "cancelled"
    assert not do_cancel(running, actor=None)


def test_an_unknown_task_cannot_be_queued_and_fails_where_a_worker_is_older(tasks: Any) -> None:
    with pytest.raises(LookupError):
        do_enqueue("tests.nowhere", {})
    name = register(lambda context, payload: None)
    job = do_enqueue(name, {})
    del tasks[name]
    assert run_pending() == 1
    job.refresh_from_db()
    assert job.state == "failed"
    assert "same version" in job.error


def test_a_job_queued_in_a_rolled_back_transaction_never_was(tasks: Any) -> None:
    name = register(lambda context, payload: None)

    def queue_then_fail() -> None:
        with transaction.atomic():
            do_enqueue(name, {})
            raise OSError("after the job was queued")

    with pytest.raises(OSError, match="after the job"):
        queue_then_fail()
    assert not Job.objects.exists()
    assert not Event.objects.exists()


def test_housekeeping_runs_when_due_and_its_failure_stops_nothing() -> None:
    runs: list[str] = []

    def fails() -> None:
        runs.append("fails")
        raise OSError

    before = dict(registry._periodic)
    try:
        registry.periodic(3600)(fails)
        registry.periodic(0)(lambda: runs.append("works"))
        worker = Worker()
        worker.run_periodic()
        worker.run_periodic()
    finally:
        registry._periodic.clear()
        registry._periodic.update(before)
    assert runs == ["fails", "works", "works"]


def test_a_job_is_shown_only_to_whom_a_registered_check_admits(
    tasks: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "_checks", [])

    def body(context: JobContext, payload: dict[str, Any]) -> None:
        raise JobError("No room left.")

    job = do_enqueue(register(body), {}, study_id=uuid.uuid4())
    run_pending()
    url = reverse("job_status", args=[job.pk])
    friend = User.objects.create_user("friend@example.org")
    stranger = User.objects.create_user("stranger@example.org")

    assert client.get(url).status_code == 302  # signed out: to the sign-in page
    client.force_login(friend)
    assert client.get(url).status_code == 404  # no check registered: nobody
    access.register(lambda user, job: user == friend)
    answer = client.get(url)
    assert answer.json() == {
        "state": "failed",
        "done": 0,
        "total": 0,
        "message": "",
        "error": "No room left.",
    }
    client.force_login(stranger)
    assert client.get(url).status_code == 404
    assert client.get(reverse("job_status", args=[uuid.uuid4()])).status_code == 404


def test_sessions_that_have_ended_are_forgotten() -> None:
    now = timezone.now()
    for key, days in (("old", -1), ("current", 1)):
        Session.objects.create(
            session_key=key, session_data="", expire_date=now + timezone.timedelta(days=days)
        )
    assert forget_expired_sessions() == 1
    assert list(Session.objects.values_list("session_key", flat=True)) == ["current"]
