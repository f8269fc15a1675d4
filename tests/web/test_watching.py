"""What Prometheus is told to ask and to make of it, held against what the site says."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client

from readerstudy.audit.services import record
from readerstudy.imaging.store_away import StoreTimeout
from readerstudy.reports.backup.writing import write_backup
from readerstudy.web import health
from tests.factories import make_administrator

pytestmark = pytest.mark.django_db
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
TOKEN = "a-token-of-some-length"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def rules() -> dict[str, str]:
    """Alert and expression."""
    groups = parsed("alerts.yml")["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


@pytest.fixture
def watched(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A site with figures, of which errors are answered as in a web process."""
    monkeypatch.setattr(health, "_kept", None)
    settings.METRICS_TOKEN = TOKEN
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django_prometheus.middleware.PrometheusAfterMiddleware",
    ]
    return Client(raise_request_exception=False)


def figures(client: Client) -> Samples:
    from prometheus_client.parser import text_string_to_metric_families

    text = client.get("/metrics", headers=BEARER).content.decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def chosen(expression: str, samples: Samples) -> float:
    """The sum of what the expression's one selector takes, as Prometheus reads it."""
    ((name, matchers),) = re.findall(r"(\w+)\{(.*?)\}", expression)
    wanted = re.findall(r'(\w+)(=~|!~|!=|=)"(.*?)"', matchers)
    job = parsed("prometheus.yml")["scrape_configs"][0]["job_name"]  # Prometheus adds it

    def takes(labels: dict[str, str]) -> bool:
        for label, how, value in wanted:
            found = labels.get(label, "")
            is_one = bool(re.fullmatch(value, found)) if "~" in how else found == value
            if is_one is how.startswith("!"):
                return False
        return True

    return sum(
        number
        for (metric, labels), number in samples.items()
        if metric == name and takes({**dict(labels), "job": job})
    )


def test_slow_images_wake_nobody_as_if_pages_failed(
    watched: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.force_login(make_administrator())
    errors, slow = (rules()[name] for name in ("ReaderStudyErrors", "ReaderStudyImagesSlow"))
    before = figures(watched)

    def raised_by(status: int) -> tuple[float, float]:
        """By how much one page, answered so, raises both sums."""
        nonlocal before
        assert watched.get("/operations/").status_code == status
        now = figures(watched)
        by = (
            chosen(errors, now) - chosen(errors, before),
            chosen(slow, now) - chosen(slow, before),
        )
        before = now
        return by

    def fails_with(error: Exception) -> None:
        def checks() -> None:
            raise error

        monkeypatch.setattr("readerstudy.web.operations.checks", checks)

    assert raised_by(200) == (0, 0)
    fails_with(StoreTimeout("The object store did not answer in time."))
    assert raised_by(503) == (0, 1)
    fails_with(RuntimeError("a fault"))
    assert raised_by(500) == (1, 0)

    # A probe that finds the site not ready has an alert of its own.
    fault = health.Check("storage", True, "", fault="not usable")
    monkeypatch.setattr(health, "_kept", (time.monotonic() + 3600, [fault]))
    assert watched.get("/ready").status_code == 503
    now = figures(watched)
    assert (chosen(errors, now), chosen(slow, now)) == (
        chosen(errors, before),
        chosen(slow, before),
    )


def test_whatever_makes_a_site_not_ready_pages_somebody(watched: Client) -> None:
    samples = figures(watched)
    expression = rules()["ReaderStudyCheckFails"]
    vital = [check.name for check, _ in health._CHECKS if check.is_vital]
    assert "database" in vital
    for name in vital:
        its_own = {("readerstudy_check", frozenset({("check", name)})): 1.0}
        assert its_own.keys() <= samples.keys()
        assert chosen(expression, its_own) == 1, name


def test_the_time_of_the_last_backup_is_a_figure(watched: Client, tmp_path: Path) -> None:
    name = ("readerstudy_backup_made_timestamp_seconds", frozenset[tuple[str, str]]())
    assert name[0] in rules()["ReaderStudyBackupOld"]
    record("studies.created", None)  # what else is done is no backup
    assert figures(watched)[name] == 0
    watched.force_login(make_administrator())
    assert "none was made yet" in watched.get("/operations/").content.decode()
    before = time.time()
    write_backup(tmp_path / "backup.tar.gz")
    assert before - 1 < figures(watched)[name] < time.time() + 1
    assert "none was made yet" not in watched.get("/operations/").content.decode()


def test_prometheus_asks_under_the_name_that_the_rules_ask_for(
    watched: Client, settings: Any
) -> None:
    configured = parsed("prometheus.yml")
    (job,) = configured["scrape_configs"]
    assert all((DEPLOY / name).is_file() for name in configured["rule_files"])
    asked_for = set(re.findall(r'job="(.*?)"', " ".join(rules().values())))
    assert asked_for == {job["job_name"]}
    # Each target is asked by its own name.
    target = job["static_configs"][0]["targets"][0]
    settings.ALLOWED_HOSTS = ["readerstudy.hospital.example"]
    asked = {"path": job["metrics_path"], "headers": {**BEARER, "Host": target}}
    assert watched.get(**asked).status_code == 400
    settings.ALLOWED_HOSTS.append(target.split(":")[0])
    assert watched.get(**asked).status_code == 200


def test_the_processes_of_one_host_add_their_figures_up_wherever_they_run() -> None:
    web = parsed("compose.yml")["services"]["web"]
    folder = web["environment"]["PROMETHEUS_MULTIPROC_DIR"]
    assert folder in web["tmpfs"]
    assert "/tmp" in web["tmpfs"]  # which all others have
    unit = (DEPLOY / "systemd" / "readerstudy-web.service").read_text(encoding="utf-8")
    assert f"RuntimeDirectory={folder.removeprefix('/run/')}\n" in unit
    assert f"Environment=PROMETHEUS_MULTIPROC_DIR={folder}\n" in unit
