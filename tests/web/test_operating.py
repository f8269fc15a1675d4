"""What operators see: health, readiness, figures, the page, and log lines that belong together."""

from __future__ import annotations

import json
import logging
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.files.storage import storages
from django.test import Client
from django.utils import timezone
from whitenoise.storage import CompressedManifestStaticFilesStorage

from readerstudy.jobs import selectors
from readerstudy.jobs.models import Job, WorkerProcess
from readerstudy.web import health
from readerstudy.web.logs import JsonFormatter, RequestIdFilter
from tests.factories import make_administrator, make_coordinator, make_reader, make_study
from tests.reading.imaged_study import make_reading_study

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_kept", None)


def make_worker(queues: str, silent_seconds: float = 0) -> WorkerProcess:
    seen = timezone.now() - timezone.timedelta(seconds=silent_seconds)
    return WorkerProcess.objects.create(
        host="gpu-host-1", pid=77, queues=queues, started_at=seen, seen_at=seen
    )


def test_ready_looks_at_database_migrations_storage_and_workers(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/health").content == b"ok\n"
    make_worker("cpu")
    make_worker("gpu", silent_seconds=31)
    answer = client.get("/ready")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "checks": {
            "database": "ok",
            "migrations": "ok",
            "pages": "ok",
            "storage": "ok",
            "workers": "no worker for gpu",
        },
    }  # and nothing of a broker, where none is used

    def full(*_: Any, **__: Any) -> str:
        raise OSError(28, "No space left on device", "/srv/secret/place")

    monkeypatch.setattr(health, "_kept", None)
    monkeypatch.setattr(type(storages["default"]), "_save", full)
    answer = client.get("/ready")
    assert (answer.status_code, answer.json()["checks"]["storage"]) == (503, "not usable")
    assert "secret" not in answer.content.decode()


def test_a_look_that_hangs_is_told_when_what_was_found_before_is_stale(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get("/ready").status_code == 200
    found, since = health._kept[1], time.monotonic() - 20  # type: ignore[index]
    monkeypatch.setattr(health, "_kept", (since, found))
    with health._looking:  # another thread asks a database that does not answer
        monkeypatch.setattr(health, "_began", time.monotonic())
        assert client.get("/ready").status_code == 200
        monkeypatch.setattr(health, "_began", since)
        answer = client.get("/ready")
    assert answer.status_code == 503
    assert "hangs" in answer.json()["checks"]["database"]
    assert client.get("/ready").status_code == 200


def test_a_first_look_that_hangs_holds_no_other_for_ever(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "STUCK_SECONDS", 0.1)
    with health._looking:
        answer = client.get("/ready")
    assert answer.status_code == 503
    assert "hangs" in answer.json()["checks"]["database"]


def test_a_broker_that_is_used_and_away_is_told_and_keeps_nobody_from_reading(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> dict[str, int]:
        raise ConnectionError

    settings.TASKS = "celery"
    monkeypatch.setattr("readerstudy.jobs.broker.depths", away)
    answer = client.get("/ready")
    assert (answer.status_code, answer.json()["checks"]["broker"]) == (200, "not usable")


def test_a_missing_migration_makes_a_site_not_ready(client: Client) -> None:
    from django.db.migrations.recorder import MigrationRecorder

    MigrationRecorder.Migration.objects.filter(app="jobs", name="0002_worker_process").delete()
    answer = client.get("/ready")
    assert answer.status_code == 503
    assert answer.json()["checks"]["migrations"] == "1 migrations wait: run manage.py migrate"


def test_a_site_whose_styles_were_not_collected_is_not_ready(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else each page is a fault, and the proxy sends people there."""
    empty = CompressedManifestStaticFilesStorage(location=tmp_path, base_url="/static/")
    monkeypatch.setattr(health, "staticfiles_storage", empty)
    answer = client.get("/ready")
    assert answer.status_code == 503
    assert "run manage.py collectstatic" in answer.json()["checks"]["pages"]


def test_figures_answer_to_the_token_alone(client: Client, settings: Any) -> None:
    bearer = {"Authorization": "Bearer a-token-of-some-length"}
    assert client.get("/metrics", headers=bearer).status_code == 404  # none is configured
    settings.METRICS_TOKEN = "a-token-of-some-length"
    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics", headers={"Authorization": "Bearer guess"}).status_code == 404
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404

    make_worker("cpu gpu")
    old = Job.objects.create(kind="imaging.read", queue="cpu", label="V01 of a study")
    Job.objects.filter(pk=old.pk).update(created_at=timezone.now() - timezone.timedelta(hours=1))
    text = client.get("/metrics", headers=bearer).content.decode()
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(lines['readerstudy_jobs{queue="cpu",state="queued"}']) == 1
    assert float(lines['readerstudy_jobs{queue="gpu",state="failed"}']) == 0
    age = float(lines['readerstudy_job_oldest_seconds{queue="cpu",state="queued"}'])
    assert 3600 <= age < 3700
    assert float(lines['readerstudy_workers{queue="gpu"}']) == 1
    assert float(lines['readerstudy_check{check="storage"}']) == 1
    assert float(lines['readerstudy_storage_free_bytes{folder="storage"}']) > 0
    assert "V01" not in text
    # What the alert rules ask of this site is what it says.
    rules = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text(encoding="utf-8"))
    asked = " ".join(rule["expr"] for group in rules["groups"] for rule in group["rules"])
    figures = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    assert figures >= set(re.findall(r"readerstudy_\w+", asked))


def test_a_killed_worker_whose_place_is_taken_troubles_nobody(
    client: Client, settings: Any
) -> None:
    settings.METRICS_TOKEN = "a-token-of-some-length"

    def silent() -> list[str]:
        text = client.get(
            "/metrics", headers={"Authorization": "Bearer a-token-of-some-length"}
        ).content.decode()
        return re.findall(r'^readerstudy_worker_silent_seconds{.*worker="(.*?)"}', text, re.M)

    killed = make_worker("cpu", silent_seconds=90)
    assert silent() == ["gpu-host-1:77"]
    restarted = make_worker("cpu")
    WorkerProcess.objects.filter(pk=restarted.pk).update(pid=78)
    assert silent() == ["gpu-host-1:78"]
    client.force_login(make_administrator())
    page = client.get("/operations/").content.decode()
    assert "replaced" in page
    assert ">silent<" not in page
    assert WorkerProcess.objects.filter(pk=killed.pk).exists()


@pytest.mark.parametrize(
    ("seconds", "told"), [(45, r"\d{2,3} s"), (23757, "6 h 36 min"), (3600 * 51, "2 d 3 h")]
)
def test_how_long_the_oldest_job_waits_is_told_as_people_count(
    client: Client, seconds: int, told: str
) -> None:
    job = Job.objects.create(kind="imaging.read", queue="cpu", label="V01 of a study")
    sent = timezone.now() - timezone.timedelta(seconds=seconds)
    Job.objects.filter(pk=job.pk).update(created_at=sent)
    client.force_login(make_administrator())
    page = client.get("/operations/").content.decode()
    assert re.search(f'<td class="num">{told}</td>', page)
    assert page.count("none waits") == 1  # of the other queue


def test_the_operations_page_is_for_administrators(client: Client) -> None:
    study = make_study()
    make_worker("cpu", silent_seconds=90)
    Job.objects.create(kind="imaging.read", queue="cpu", label="V01 of a study")
    for person in (make_coordinator(study), make_reader(study)):
        client.force_login(person)
        assert client.get("/operations/").status_code == 404
    client.force_login(make_administrator())
    page = client.get("/operations/").content.decode()
    assert "silent" in page
    assert "no worker for cpu and gpu" in page
    assert "V01" not in page
    # What a fault means, as the alert rules say it.
    rows = re.findall(
        r'<th scope="row">(\w+)</th>\s*<td>.*?</td>\s*<td>(.*?)</td>', page, re.DOTALL
    )
    assert rows[:5] == [
        ("Database", "no page works"),
        ("Migrations", "no page works"),
        ("Pages", "no page works"),
        ("Storage", "no images come and jobs wait; scores are saved"),
        ("Workers", "jobs wait; reading and scoring go on"),
    ]
    assert selectors.queues_without_worker() == ["cpu", "gpu"]


def test_the_operations_page_asks_for_a_second_factor(client: Client, settings: Any) -> None:
    settings.ADMIN_SECOND_FACTOR = True
    client.force_login(make_administrator())
    assert client.get("/operations/").url == "/admin/login/"
    page = client.get("/operations/", follow=True).content.decode()
    assert "This page needs a second factor" in page
    assert "administration site needs" not in page


def test_a_new_site_has_no_fault_for_want_of_uploads_and_a_share_that_is_away_is_one(
    client: Client, settings: Any, tmp_path: Path
) -> None:
    client.force_login(make_administrator())
    settings.UPLOAD_ROOT = tmp_path / "var" / "uploads"
    settings.IS_UPLOAD_DIR_CONFIGURED = False
    assert "the folder is not there" not in client.get("/operations/").content.decode()
    assert settings.UPLOAD_ROOT.is_dir()
    settings.UPLOAD_ROOT = tmp_path / "share" / "uploads"
    settings.IS_UPLOAD_DIR_CONFIGURED = True
    page = client.get("/operations/").content.decode()
    # In the columns of figures, as they are.
    told = r'<th scope="row">Uploads</th>\s*<td class="num" colspan="3">.*?the folder is not there'
    assert re.search(told, page, re.DOTALL)
    assert not settings.UPLOAD_ROOT.exists()  # a folder in its place would hide it


def test_every_line_of_a_request_carries_its_id(client: Client, settings: Any) -> None:
    seen: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(JsonFormatter().format(record))

    handler = Keep()
    handler.addFilter(RequestIdFilter())
    logger = logging.getLogger("django.request")
    logger.addHandler(handler)
    try:
        forged = {"X-Request-ID": "handed-down-by-proxy-1"}
        answer = client.get("/jobs/none/", headers=forged)
        own = answer.headers["X-Request-ID"]
        settings.BEHIND_PROXY = True
        handed = client.get("/health", headers=forged).headers["X-Request-ID"]
        broken = client.get("/health", headers={"X-Request-ID": 'x" {}' * 9})
    finally:
        logger.removeHandler(handler)
    assert len(own) == 32
    assert handed == "handed-down-by-proxy-1"
    assert len(broken.headers["X-Request-ID"]) == 32
    line = json.loads(seen[0])
    assert (line["request"], line["status"], line["level"]) == (own, 404, "WARNING")


def test_a_share_that_is_not_mounted_makes_a_site_not_ready(
    client: Client, own_storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its place lies an empty folder, which can be written to."""
    make_worker("cpu")
    make_worker("gpu")
    make_reading_study(volunteers=2, readers=1)
    assert client.get("/ready").status_code == 200
    shutil.rmtree(own_storage / "storage")
    monkeypatch.setattr(health, "_kept", None)
    answer = client.get("/ready")
    assert answer.status_code == 503
    assert "is the folder that holds them mounted?" in answer.json()["checks"]["storage"]
