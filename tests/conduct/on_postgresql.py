"""Two at once, and hosts whose clocks differ. Run on PostgreSQL alone (`test_on_postgresql`):
SQLite has one writer and one host."""

from __future__ import annotations

import datetime
import html
import io
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import cast

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from readerstudy.accounts.models import Signature, User
from readerstudy.audit.models import Event
from readerstudy.audit.services import verify_chain
from readerstudy.conduct.locking import do_lock
from readerstudy.conduct.locking_models import Locking
from readerstudy.conduct.services import do_launch
from readerstudy.jobs import leases
from readerstudy.jobs.heart import Heart
from readerstudy.jobs.models import Job, WorkerProcess
from readerstudy.jobs.selectors import queues_without_worker
from readerstudy.jobs.worker import Worker
from readerstudy.reading.errors import Closed
from readerstudy.reading.holding import hold_session
from readerstudy.reading.models import Item, Randomisation, ScoreRevision
from readerstudy.reading.services import do_record_score
from readerstudy.reading.signing import sheet_sha256
from readerstudy.reports.models import Snapshot
from readerstudy.reports.plans import drafted_plan, plan_sha256
from readerstudy.studies.errors import StudyError
from readerstudy.studies.holding import hold_alone
from readerstudy.studies.models import PlanVersion, Study
from readerstudy.studies.services import draw_arm_letters
from tests.factories import PASSWORD, make_coordinator, make_statistician, make_study
from tests.imaging.on_postgresql import Thread
from tests.reading.imaged_study import (
    first_item,
    make_imaged_study,
    make_reading_study,
    read_to_the_end,
    reader_of,
    session_of,
)

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


def both(study: Study, address: str, content: dict[str, str], *people: User) -> list[HttpResponse]:
    """The same form sent by two at once: each waits in the midst of its act until both do."""
    pages: list[HttpResponse] = []
    clients = [Client() for _ in people]
    for client, person in zip(clients, people, strict=True):
        client.force_login(person)

    def send(client: Client) -> None:
        pages.append(cast(HttpResponse, client.post(address, content)))

    with transaction.atomic():
        hold_alone(study.pk)
        threads = [Thread(partial(send, client)) for client in clients]
        wait_until_queued(2)
    assert [thread.over() for thread in threads] == [None, None]
    return sorted(pages, key=lambda page: page.status_code)


def test_of_two_locks_at_once_one_freezes_the_study_and_the_other_is_told_who_did() -> None:
    study = make_reading_study(volunteers=2, readers=1)
    Study.objects.update(arm_letters=draw_arm_letters(study))  # as the launch does
    people = [make_coordinator(study), make_coordinator(study)]
    form = {"confirmed": "on", "reason": "The end."}
    done, told = both(study, reverse("lock", args=[study.slug]), form, *people)
    assert (done.status_code, told.status_code) == (302, 422)
    locking = Locking.objects.get()
    assert f"is locked already, since {locking.locked_at:%Y-%m-%d %H:%M} UTC by" in escaped(told)
    assert Snapshot.objects.count() == 1
    assert Event.objects.filter(action="conduct.study.locked").count() == 1
    said = io.StringIO()
    call_command("verify_snapshot", study.slug, stdout=said)
    assert "sound" in said.getvalue()
    assert verify_chain().is_sound


def test_of_two_signatures_at_once_one_stands_and_both_windows_show_it() -> None:
    study = make_reading_study(volunteers=2, readers=1)
    session = session_of(study)
    read_to_the_end(session)
    reader = reader_of(session)
    address = reverse("reading_sign", args=[session.token])
    form = {"password": PASSWORD, "sha256": sheet_sha256(session)}
    pages = both(study, address, form, reader, reader)
    assert [(page.status_code, page.headers["Location"]) for page in pages] == [(302, address)] * 2
    signature = Signature.objects.get()
    assert signature.record_sha256 == sheet_sha256(session)
    assert Event.objects.filter(action="reading.session.signed").count() == 1
    client = Client()
    client.force_login(reader)
    page = client.get(address).content.decode()
    assert page.count(f"Signed by {signature.name} on") == 1
    assert verify_chain().is_sound


def test_of_two_signatures_under_a_plan_at_once_one_makes_the_version() -> None:
    study = make_study(readers=1)
    people = [make_statistician(study), make_statistician(study)]
    address = reverse("plan_sign", args=[study.slug])
    form = {"password": PASSWORD, "meaning": "author", "sha256": plan_sha256(drafted_plan(study))}
    done, told = both(study, address, form, *people)
    assert (done.status_code, told.status_code) == (302, 422), escaped(told)
    version = PlanVersion.objects.get()
    assert f"Version 1 says the same and was signed by {version.signed_name}" in escaped(told)
    assert Event.objects.filter(action="reports.plan.signed").count() == 1
    assert verify_chain().is_sound


def escaped(page: HttpResponse) -> str:
    return html.unescape(page.content.decode())


def test_readers_save_beside_one_another_and_a_lock_comes_between_those_before_and_after() -> None:
    study = make_reading_study(volunteers=2, readers=2)
    Study.objects.update(arm_letters=draw_arm_letters(study))  # as the launch does
    one, other = session_of(study, "R1"), session_of(study, "R2")

    def save(code: str) -> Callable[[], None]:
        item, reader = first_item(other), reader_of(other)

        @transaction.atomic
        def body() -> None:
            hold_session(other)
            do_record_score(item, code, 3, 0, reader)

        return body

    first, second = study.criteria.all()[:2]
    with transaction.atomic():
        hold_session(one)  # an act of the one reader is in hand
        assert Thread(save(first.code)).over() is None  # the other's does not wait for it
        locking = Thread(lambda: void(do_lock(study, None, "The end.")))
        wait_until_queued(1)
        late = Thread(save(second.code))
        wait_until_queued(2)  # behind the lock, which scores would keep waiting otherwise
    assert locking.over() is None
    assert isinstance(late.over(), Closed)
    assert [score.criterion for score in ScoreRevision.objects.all()] == [first]


def void(_: object) -> None:
    """What a thread's body makes is nobody's."""


def wait_until_queued(number: int) -> None:
    """So many wait for the study."""
    deadline = time.monotonic() + 20
    while True:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")  # else one look a transaction
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            if cursor.fetchone()[0] == number:
                return
        assert time.monotonic() < deadline
        time.sleep(0.02)


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
