"""Rows locked by two at once. Run on PostgreSQL alone (`tests/test_on_postgresql`): SQLite has
one writer."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
from django.db import connections, transaction

from readerstudy.imaging import refreshing
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.services import do_delete_series, do_store_series
from readerstudy.jobs import leases
from readerstudy.jobs.context import JobContext, LostLease
from readerstudy.jobs.models import Job
from readerstudy.studies.services import do_update_study, lock_study
from tests.factories import make_study

from .datasets import phantom, series

pytestmark = pytest.mark.django_db(transaction=True)
PATIENCE = 20.0


class Thread(threading.Thread):
    """Says at its end what went wrong in it."""

    def __init__(self, body: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.body = body
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.body()
        except BaseException as error:  # noqa: BLE001 - told to whoever joins
            self.error = error
        finally:
            connections.close_all()

    def over(self) -> BaseException | None:
        self.join(PATIENCE)
        assert not self.is_alive()
        return self.error


@pytest.mark.parametrize("first", ["worker", "coordinator"])
def test_images_are_deleted_while_a_worker_publishes_what_it_made_of_them(first: str) -> None:
    study = make_study()
    volunteer = Volunteer.objects.create(study=study, code="V01")
    source = do_store_series(volunteer, study.arms.get(code="DF"), series(phantom(4)))
    job = leases.claim(("gpu",))
    assert job is not None
    context = JobContext(job)
    worker_began, coordinator_began = threading.Event(), threading.Event()

    def publish() -> None:
        if first == "coordinator":
            assert coordinator_began.wait(PATIENCE)
        with context.publish() as result:
            worker_began.set()
            if first == "worker":
                coordinator_began.wait(1.0)  # it waits for the study: it cannot begin
            lock_study(study)
            result["made"] = 1

    def delete() -> None:
        if first == "worker":
            assert worker_began.wait(PATIENCE)
        with transaction.atomic():
            lock_study(study)
            coordinator_began.set()
            worker_began.wait(1.0)  # it waits for the study before it holds its job
            do_delete_series(source, None)

    worker, coordinator = Thread(publish), Thread(delete)
    assert coordinator.over() is None
    ended = worker.over()
    job.refresh_from_db()
    assert not Series.objects.filter(pk=source.pk).exists()
    if first == "worker":
        assert ended is None
        assert job.state == Job.State.SUCCEEDED
    else:
        assert isinstance(ended, LostLease)
        assert job.state == Job.State.CANCELLED


def test_a_storage_that_hangs_keeps_no_other_study_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    study, other = make_study(), make_study(slug="other")
    volunteer = Volunteer.objects.create(study=study, code="V01")
    read, hangs, saved = refreshing.read_volume, threading.Event(), threading.Event()

    def hanging(one: Series) -> np.ndarray:
        hangs.set()
        assert saved.wait(PATIENCE), "a save in another study waited for the storage"
        return read(one)

    monkeypatch.setattr(refreshing, "read_volume", hanging)
    arm = study.arms.get(is_control=True)

    def store() -> None:
        do_store_series(volunteer, arm, series(phantom(4)))

    worker = Thread(store)
    assert hangs.wait(PATIENCE)
    do_update_study(other, None, minimum_gap=2)  # writes to the same trail
    do_update_study(study, None, minimum_gap=2)  # nor does its own study wait
    saved.set()
    assert worker.over() is None
    assert Series.objects.get().display_factor == 1.0
