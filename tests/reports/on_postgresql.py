"""A backup while people work, and two acts at once. Run on PostgreSQL alone (`test_on_postgresql`):
SQLite lets nobody write while its snapshot is read."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client

from readerstudy.audit.models import Event
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.services import do_store_series
from readerstudy.reading.models import ScoreRevision
from readerstudy.reports.api.tokens import do_create_token, do_revoke_token
from tests.conduct.on_postgresql import wait_until_queued
from tests.factories import make_statistician, make_study
from tests.imaging.datasets import phantom, series
from tests.imaging.on_postgresql import Thread
from tests.object_store import KEY, SECRET, object_store, settings_of
from tests.postgresql import create_database
from tests.reading.exchange import Page
from tests.reading.imaged_study import make_reading_study, reader_of, session_of
from tests.reports.published import make_published_study

pytestmark = pytest.mark.django_db(transaction=True)
# On the other site: an empty database, an empty bucket, and nothing else of the first.
RESTORING = """
import django, hashlib, io, json, sys, tarfile
django.setup()
from django.core.files.storage import default_storage
from django.core.management import call_command
from readerstudy.audit.models import Event
from readerstudy.imaging.models import Series
from readerstudy.reading.models import ScoreRevision
from readerstudy.studies.models import Study

path, said = sys.argv[1], io.StringIO()
assert not Study.objects.exists()
call_command("restore", path, stdout=said)
call_command("verify_audit", stdout=said)
call_command("verify_snapshot", all=True, stdout=said)
call_command("rederive_order", sys.argv[2], stdout=said)
with tarfile.open(path) as archive:
    manifest = json.loads(archive.extractfile("backup.json").read())
    for name, sha256 in manifest["storage"].items():
        with default_storage.open(name) as file:
            assert hashlib.sha256(file.read()).hexdigest() == sha256, name
for one in Series.objects.all():
    with default_storage.open(f"{one.prefix}/volume.npy") as file:
        assert hashlib.sha256(file.read()).hexdigest() == one.volume_sha256, one
of_study = Study.objects.get(slug=sys.argv[2])
scores = ScoreRevision.objects.filter(item__session__study=of_study).count()
events = Event.objects.filter(action__startswith="reading.score", study_id=of_study.pk).count()
files = len(manifest["storage"])
print(json.dumps([said.getvalue(), scores, events, Series.objects.count(), files]))
"""


@pytest.fixture
def store(settings: Any) -> Iterator[str]:
    """This site's images lie in an object store; its address."""
    from readerstudy.web.object_storage import client_config

    with object_store() as (address, _process):
        storages = {name: dict(storage) for name, storage in settings.STORAGES.items()}
        storages["default"] = {
            "BACKEND": "readerstudy.web.object_storage.ObjectStorage",
            "OPTIONS": {
                **{"bucket_name": "images", "endpoint_url": address, "region_name": "us-east-1"},
                **{"access_key": KEY, "secret_key": SECRET},
                "client_config": client_config(3.0, 20.0),
            },
        }
        settings.STORAGES = storages
        for bucket in ("images", "restored"):
            default_storage.connection.create_bucket(Bucket=bucket)  # type: ignore[attr-defined]
        yield address


@pytest.fixture
def other_database() -> str:
    """Migrated and empty: a copy of this one before anything is in it."""
    own = connection.settings_dict
    connection.close()  # PostgreSQL copies what nobody uses
    return create_database(
        f"postgres://{own['USER']}@{own['HOST']}:{own['PORT']}",
        f"restored_{uuid.uuid4().hex}",
        str(own["NAME"]),
    )


def test_a_backup_taken_while_people_work_restores_into_an_empty_site(
    other_database: str, store: str, tmp_path: Path
) -> None:
    make_published_study("locked")
    study = make_reading_study(volunteers=2, readers=1)
    draft = make_study("uploads")
    session = session_of(study)
    client = Client()
    client.force_login(reader_of(session))
    begun, over = threading.Event(), threading.Event()

    def score() -> None:
        """As the reading page does, by requests, but without a network between."""
        page = Page(session, client)
        item = page.item
        page.act("open", {}, item=item)
        codes = list(study.criteria.values_list("code", flat=True))
        count = 0
        while not over.is_set():
            lap, at = divmod(count, len(codes))
            said = {"criterion": codes[at], "value": 1 + lap % 5, "revision": lap}
            page.act("scores", said, item=item)
            count += 1
            begun.set()
            over.wait(0.05)

    def store_series() -> None:
        arm = draft.arms.get(is_control=True)
        count = 0
        while not over.is_set():
            count += 1
            volunteer = Volunteer.objects.create(study=draft, code=f"U{count:03d}")
            do_store_series(volunteer, arm, series(phantom(2)))
            over.wait(0.05)

    def counts() -> tuple[int, int]:
        scores = ScoreRevision.objects.filter(item__session=session)
        return scores.count(), Series.objects.count()

    people = [Thread(score), Thread(store_series)]
    path = tmp_path / "backup.tar.gz"
    try:
        assert begun.wait(20)
        before = counts()
        call_command("backup", path, stdout=io.StringIO())
    finally:
        over.set()
    assert [thread.over() for thread in people] == [None, None]
    after = counts()
    assert after[0] > before[0]  # they did go on meanwhile
    assert after[1] > before[1]

    done = subprocess.run(
        [sys.executable, "-c", RESTORING, str(path), study.slug],
        env={
            **os.environ,
            **settings_of(store, "restored"),
            "DATABASE_URL": other_database,
            "READERSTUDY_VAR": str(tmp_path / "var"),
            "DJANGO_SETTINGS_MODULE": "readerstudy.settings",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    said, scores, events, stored, files = json.loads(done.stdout)
    assert "The audit trail is sound" in said
    assert "stored rows are sound" in said
    assert files > stored  # every one of them has been held against its hash
    assert scores == events  # one moment: no score without its event, nor the other way
    assert before[0] <= scores <= after[0]
    assert before[1] <= stored <= after[1]


def test_a_token_that_two_revoke_at_once_is_revoked_once() -> None:
    study = make_study("tokens")
    user = make_statistician(study)
    token, _ = do_create_token(study, user, "notebook", 30)

    def again() -> None:
        do_revoke_token(study, user, token.pk)

    with transaction.atomic():
        do_revoke_token(study, user, token.pk)
        other = Thread(again)
        wait_until_queued(1)  # for the row
    assert other.over() is None
    assert Event.objects.filter(action="reports.token.revoked").count() == 1
