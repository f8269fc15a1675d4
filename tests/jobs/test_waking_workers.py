"""TASKS=celery in this process: what is sent, what a message does, what the sweep makes good."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from readerstudy.jobs import broker, dispatch, leases, registry
from readerstudy.jobs.heart import Heart
from readerstudy.jobs.models import Job, WorkerProcess
from readerstudy.jobs.selectors import worker_lines
from readerstudy.jobs.services import do_cancel, do_enqueue
from readerstudy.jobs.worker import Worker
from tests.postgresql import free_port

pytestmark = pytest.mark.django_db


@pytest.fixture
def celery(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A broker in memory, and a task of one's own on each queue: `cpu` and `gpu`."""
    settings.TASKS = "celery"
    settings.BROKER_URL = "memory://"
    monkeypatch.setattr(broker, "app", broker._application())
    monkeypatch.setattr(broker, "sender", broker._sender())
    monkeypatch.setattr(broker, "_worker", None)
    monkeypatch.setattr(dispatch._pause, "until", 0.0, raising=False)
    registry.periodic_tasks()  # all are known
    before = dict(registry._tasks)
    for queue in ("cpu", "gpu"):
        registry.task(f"tests.{queue}", queue=queue)(lambda context, payload: None)
    with broker.app.connection_for_write() as connection:
        for queue in broker.QUEUES.values():
            queue(connection.default_channel).declare()
            queue(connection.default_channel).purge()
    yield broker.app
    registry._tasks.clear()
    registry._tasks.update(before)


def test_a_committed_job_sends_one_message_to_its_queue_and_a_rolled_back_one_none(
    celery: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        do_enqueue("tests.gpu", {"file": "PATIENT^NAME"})
        assert broker.depths() == {"cpu": 0, "gpu": 0}  # not before the commit
    assert broker.depths() == {"cpu": 0, "gpu": 1}
    with celery.connection_for_write() as connection:
        message = broker.QUEUES["gpu"](connection.default_channel).get()
        assert "PATIENT" not in str(message.body)
        assert str(Job.objects.get().pk) not in str(message.body)  # the queue's name, no more

    def fails() -> None:
        with transaction.atomic():
            do_enqueue("tests.gpu", {})
            raise OSError

    with django_capture_on_commit_callbacks(execute=True), pytest.raises(OSError):  # noqa: PT011
        fails()
    assert broker.depths() == {"cpu": 0, "gpu": 0}


def test_a_message_claims_a_row_or_does_nothing(celery: Any) -> None:
    broker.wake("cpu")  # for a job that was cancelled or taken: no row, no harm
    job, gpu = do_enqueue("tests.cpu", {}), do_enqueue("tests.gpu", {})
    cancelled = do_enqueue("tests.cpu", {})
    do_cancel(cancelled, actor=None)
    broker.wake("cpu")
    broker.wake("cpu")  # the same message twice
    broker.wake("a queue that is not ours")
    job.refresh_from_db()
    gpu.refresh_from_db()
    assert (job.state, job.attempts, gpu.state) == ("succeeded", 1, "queued")


def test_the_sweep_sends_what_is_missing_and_no_more(celery: Any) -> None:
    assert broker.sweep() == 0
    for _ in range(3):
        do_enqueue("tests.cpu", {})  # their messages were never sent: nothing was committed
    do_enqueue("tests.gpu", {})
    later = do_enqueue("tests.cpu", {})
    Job.objects.filter(pk=later.pk).update(run_after=timezone.now() + timezone.timedelta(hours=1))
    assert broker.sweep() == 4
    assert broker.depths() == {"cpu": 3, "gpu": 1}
    assert broker.sweep() == 0  # they wait in the broker

    # A worker dies with a row in hand: nothing while its lease lasts, one message afterwards.
    assert leases.claim(["gpu"]) is not None
    with celery.connection_for_write() as connection:
        broker.QUEUES["gpu"](connection.default_channel).purge()
    assert broker.sweep() == 0
    Job.objects.filter(queue="gpu").update(
        lease_until=timezone.now() - timezone.timedelta(seconds=1)
    )
    assert broker.sweep() == 1


def test_a_broker_that_is_away_fails_no_page_and_is_left_alone_for_a_while(
    celery: Any,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    django_capture_on_commit_callbacks: Any,
) -> None:
    settings.BROKER_URL = f"amqp://name:SECRET@127.0.0.1:{free_port()}//"
    monkeypatch.setattr(broker, "app", broker._application())
    monkeypatch.setattr(broker, "sender", broker._sender())
    with django_capture_on_commit_callbacks(execute=True):
        do_enqueue("tests.cpu", {})
    assert "The message broker took no message" in caplog.text
    assert "SECRET" not in caplog.text
    caplog.clear()
    with django_capture_on_commit_callbacks(execute=True):
        do_enqueue("tests.cpu", {})
    assert caplog.text == ""
    assert Job.objects.filter(state="queued").count() == 2

    Heart(Worker(["cpu"])).sweep()
    assert "message broker not usable" in caplog.text
    assert "SECRET" not in caplog.text


def test_a_worker_writes_that_it_lives_and_those_long_gone_are_forgotten() -> None:
    old = timezone.now() - timezone.timedelta(hours=2)
    WorkerProcess.objects.create(host="gone", pid=1, queues="cpu", started_at=old, seen_at=old)
    heart = Heart(Worker(["cpu", "gpu"]))
    heart.beat()
    first = WorkerProcess.objects.get()
    heart.beat()
    row = WorkerProcess.objects.get()
    assert (row.pk, row.queues, row.job_id) == (first.pk, "cpu gpu", None)
    assert row.seen_at > first.seen_at
    assert row.started_at == first.started_at
    # One that was killed just before this one began, once its hour is over.
    WorkerProcess.objects.create(host="killed", pid=2, queues="cpu", started_at=old, seen_at=old)
    heart.beat()
    assert WorkerProcess.objects.get().pk == row.pk
    heart.stop()
    assert not WorkerProcess.objects.exists()


def test_a_killed_worker_is_replaced_by_one_of_its_kind_that_was_started_since() -> None:
    """As a supervisor does; one that went on meanwhile does not stand for it."""
    now = timezone.now()

    def worker(pid: int, started: float, seen: float, host: str = "one", card: str = "") -> None:
        """Started and last seen so many seconds ago."""
        WorkerProcess.objects.create(
            host=host, pid=pid, queues="cpu", device=card,
            started_at=now - timezone.timedelta(seconds=started),
            seen_at=now - timezone.timedelta(seconds=seen),
        )  # fmt: skip

    def replaced() -> set[int]:
        return {line.pid for line in worker_lines() if line.is_replaced}

    worker(1, started=9000, seen=900)
    worker(2, started=9000, seen=0)
    assert replaced() == set()
    worker(3, started=800, seen=0, card="1")
    worker(4, started=800, seen=0, host="two")
    assert replaced() == set()
    worker(5, started=898, seen=600)  # and is killed itself
    assert replaced() == {1}
    worker(6, started=598, seen=0)
    assert replaced() == {1, 5}
    worker(7, started=9000, seen=500)  # a third, for which nobody was started
    assert replaced() == {1, 5}


def test_polling_needs_no_broker_package() -> None:
    """Celery is imported only where it is configured: by neither web nor worker otherwise."""
    code = (
        "import sys, django; django.setup()\n"
        "import readerstudy.urls, readerstudy.jobs.management.commands.worker\n"
        "print([n for n in ('celery', 'kombu', 'boto3', 'prometheus_client') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_plain()
    )
    assert done.stdout.strip() == "[]"


def _plain() -> dict[str, str]:
    import os

    left = {"TASKS", "BROKER_URL", "METRICS_TOKEN", "S3_BUCKET"}
    return {name: value for name, value in os.environ.items() if name not in left}


def test_a_lost_job_is_known_by_its_name(celery: Any) -> None:
    job = do_enqueue("tests.cpu", {}, study_id=uuid.uuid4())
    worker = Worker(["cpu"])
    assert worker.job_in_hand is None
    assert worker.run_one(["cpu"])
    assert not worker.run_one(["cpu"])
    worker.stopping.set()
    do_enqueue("tests.cpu", {})
    assert not worker.run_one(["cpu"])  # asked to stop: it claims nothing more
    job.refresh_from_db()
    assert job.state == "succeeded"
