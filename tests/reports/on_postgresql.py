"""A backup while people work. Run on PostgreSQL alone (`test_on_postgresql`): SQLite lets nobody
write while its snapshot is read."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.core.management import call_command

from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.services import do_store_series
from readerstudy.reading.models import ScoreRevision
from readerstudy.reading.services import do_record_score
from tests.factories import make_study
from tests.imaging.datasets import phantom, series
from tests.imaging.on_postgresql import Thread
from tests.reading.imaged_study import first_item, make_reading_study, reader_of, session_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_backup_taken_while_people_work_restores_into_an_empty_site(tmp_path: Path) -> None:
    study = make_reading_study(volunteers=2, readers=1)
    draft = make_study("uploads")
    begun, over = threading.Event(), threading.Event()

    def score() -> None:
        item = first_item(session_of(study))
        reader = reader_of(item.session)
        codes = list(study.criteria.values_list("code", flat=True))
        count = 0
        while not over.is_set():
            lap, at = divmod(count, len(codes))
            do_record_score(item, codes[at], 1 + lap % 5, lap, reader)
            count += 1
            begun.set()
            over.wait(0.05)

    def store() -> None:
        arm = draft.arms.get(is_control=True)
        count = 0
        while not over.is_set():
            count += 1
            volunteer = Volunteer.objects.create(study=draft, code=f"U{count:03d}")
            do_store_series(volunteer, arm, series(phantom(2)))
            over.wait(0.05)

    people = [Thread(score), Thread(store)]
    path = tmp_path / "backup.tar.gz"
    try:
        assert begun.wait(20)
        before = ScoreRevision.objects.count(), Series.objects.count()
        call_command("backup", path, stdout=io.StringIO())
    finally:
        over.set()
    assert [thread.over() for thread in people] == [None, None]
    after = ScoreRevision.objects.count(), Series.objects.count()
    assert after > before  # they did go on meanwhile

    restoring = (
        "import django, io; django.setup()\n"
        "from django.core.files.storage import default_storage\n"
        "from django.core.management import call_command\n"
        "from readerstudy.audit.models import Event\n"
        "from readerstudy.imaging.models import Series\n"
        "from readerstudy.reading.models import ScoreRevision\n"
        "said = io.StringIO()\n"
        "call_command('migrate', verbosity=0)\n"
        f"call_command('restore', {str(path)!r}, stdout=said)\n"
        "call_command('verify_audit', stdout=said)\n"
        f"call_command('rederive_order', {study.slug!r}, stdout=said)\n"
        "for one in Series.objects.all():\n"
        "    assert default_storage.exists(f'{one.prefix}/volume.npy'), one\n"
        "scored = Event.objects.filter(action__startswith='reading.score').count()\n"
        "print(ScoreRevision.objects.count(), scored, Series.objects.count())"
    )
    done = subprocess.run(
        [sys.executable, "-c", restoring],
        env={
            **os.environ,
            "DATABASE_URL": f"sqlite:///{tmp_path}/restored.sqlite3",
            "READERSTUDY_VAR": str(tmp_path / "var"),
            "DJANGO_SETTINGS_MODULE": "readerstudy.settings",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    scores, events, stored = (int(number) for number in done.stdout.split())
    assert scores == events  # one moment: no score without its event, nor the other way
    assert before[0] <= scores <= after[0]
    assert before[1] <= stored <= after[1]
