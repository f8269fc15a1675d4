"""Two at once, and hosts whose clocks differ. Run on PostgreSQL alone (`test_on_postgresql`):
SQLite has one writer and one host."""

from __future__ import annotations

import datetime
import threading

import pytest
from django.utils import timezone

from readerstudy.audit.models import Event
from readerstudy.conduct.services import do_launch
from readerstudy.jobs import leases
from readerstudy.jobs.heart import Heart
from readerstudy.jobs.models import Job, WorkerProcess
from readerstudy.jobs.selectors import queues_without_worker
from readerstudy.jobs.worker import Worker
from readerstudy.reading.models import Item, Randomisation
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Study
from tests.imaging.on_postgresql import Thread
from tests.reading.imaged_study import make_imaged_study

pytestmark = pytest.mark.django_db(transaction=True)


def test_of_two_launches_at_once_one_is_done_and_the_other_is_told() -> None:
    study = make_imaged_study(volunteers=2, readers=1)
    together = threading.Barrier(2, timeout=20)

    def launch() -> None:
        own = Study.objects.get(pk=study.pk)  # each page has read a draft
        together.wait()
        do_launch(own, None)

    ended = [thread.over() for thread in [Thread(launch), Thread(launch)]]
    (refused,) = [error for error in ended if error is not None]
    assert isinstance(refused, StudyError)
    assert "has been launched" in str(refused)
    assert Randomisation.objects.count() == 1
    assert Item.objects.count() == 2 * 5
    assert Event.objects.filter(action="conduct.study.launched").count() == 1


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_worker_whose_clock_is_wrong_neither_takes_a_running_job_nor_loses_its_own(
    hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    Job.objects.create(kind="tests.any")
    held = leases.claim(("cpu",))
    assert held is not None
    assert held.token is not None
    right = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: right() + datetime.timedelta(hours=hours))
    assert leases.claim(("cpu",)) is None  # its lease runs, by the database's clock
    Heart(Worker(("cpu", "gpu"))).beat()
    assert leases.renew(held.pk, held.token)
    monkeypatch.undo()  # a host with the right time looks at what the other wrote
    held.refresh_from_db()
    left = (held.lease_until or right()) - right()
    assert datetime.timedelta(0) < left <= datetime.timedelta(seconds=20)
    assert leases.claim(("cpu",)) is None
    assert abs(WorkerProcess.objects.get().seen_at - right()) < datetime.timedelta(seconds=20)
    assert queues_without_worker() == []
