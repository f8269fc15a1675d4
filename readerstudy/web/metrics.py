"""Figures for Prometheus. Off unless METRICS_TOKEN is set; without the token there is no such page.

Requests by view, with how long each took (a save is `view="reading_scores"`), come from
django-prometheus; jobs, workers and storage are read from where they are when they are asked for.
No label names a study, a person or a file.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe

from readerstudy.audit.selectors import last_time_of
from readerstudy.jobs.selectors import queue_lines, worker_lines
from readerstudy.reports.backup.content import BACKUP_MADE

from .health import recent_checks
from .local_folders import local_folders

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric


@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    known = settings.METRICS_TOKEN
    if not known or kind != "Bearer" or not constant_time_compare(token, known):
        raise Http404("No such page.")
    from django_prometheus.exports import ExportToDjangoView
    from prometheus_client import CollectorRegistry, generate_latest

    of_site = CollectorRegistry()
    of_site.register(_Site())
    of_requests = ExportToDjangoView(request)
    body = generate_latest(of_site) + of_requests.content
    return HttpResponse(body, content_type=of_requests["Content-Type"])


class _Site:
    """Read when asked: the same answer from every web process."""

    def describe(self) -> list[Any]:
        return []

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.metrics_core import GaugeMetricFamily

        jobs = GaugeMetricFamily(
            "readerstudy_jobs", "Jobs by queue and state", labels=["queue", "state"]
        )
        ages = GaugeMetricFamily(
            "readerstudy_job_oldest_seconds",
            "Age of the oldest job that waits or runs",
            labels=["queue", "state"],
        )
        for line in queue_lines():
            jobs.add_metric([line.queue, line.state], line.count)
            if line.state in {"queued", "running"}:
                ages.add_metric([line.queue, line.state], line.oldest_seconds)
        yield jobs
        yield ages

        workers = GaugeMetricFamily(
            "readerstudy_worker_silent_seconds",
            "Time since a worker last said that it lives",
            labels=["worker", "queues"],
        )
        living = dict.fromkeys(("cpu", "gpu"), 0)
        for worker in worker_lines():
            # One that was killed cannot take its row away: where another was started in its place,
            # nobody needs to hear of it.
            if not worker.is_replaced:
                workers.add_metric(
                    [f"{worker.host}:{worker.pid}", worker.queues], worker.silent_seconds
                )
            for queue in worker.queues.split() if not worker.is_gone else []:
                living[queue] += 1
        yield workers
        count = GaugeMetricFamily("readerstudy_workers", "Living workers", labels=["queue"])
        for queue, number in living.items():
            count.add_metric([queue], number)
        yield count

        backup = GaugeMetricFamily(
            "readerstudy_backup_made_timestamp_seconds",
            "When the last backup was made, since 1970; 0 if none ever was",
        )
        made = last_time_of(BACKUP_MADE)
        backup.add_metric([], made.timestamp() if made else 0.0)
        yield backup

        sound = GaugeMetricFamily("readerstudy_check", "1 if sound, by check", labels=["check"])
        checks = recent_checks()
        for check in checks:
            sound.add_metric([check.name], 0.0 if check.fault else 1.0)
        yield sound
        # One that was just found not to answer is not asked again: readerstudy_check tells it.
        if not any(check.name == "broker" and check.fault for check in checks):
            yield from _depths()
        yield from _disk()


def _depths() -> Iterator[Metric]:
    if settings.TASKS != "celery":
        return
    from prometheus_client.metrics_core import GaugeMetricFamily

    from readerstudy.jobs.broker import BROKER_ERRORS, depths

    try:
        found = depths()
    except BROKER_ERRORS:
        return  # the next readerstudy_check{check="broker"} says it
    depth = GaugeMetricFamily(
        "readerstudy_queue_depth", "Messages that wait in the broker", labels=["queue"]
    )
    for queue, number in found.items():
        depth.add_metric([queue], number)
    yield depth


def _disk() -> Iterator[Metric]:
    from prometheus_client.metrics_core import GaugeMetricFamily

    free = GaugeMetricFamily(
        "readerstudy_storage_free_bytes", "Room left on the folder's disk", labels=["folder"]
    )
    size = GaugeMetricFamily(
        "readerstudy_storage_size_bytes", "Size of the folder's disk", labels=["folder"]
    )
    for name, folder in local_folders("storage"):
        try:
            usage = shutil.disk_usage(folder)
        except OSError:
            continue
        free.add_metric([name], usage.free)
        size.add_metric([name], usage.total)
    yield free
    yield size
