"""How the installation stands, for administrators, on one page."""

from __future__ import annotations

import shutil
from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from readerstudy.audit.selectors import last_time_of
from readerstudy.jobs.models import Job
from readerstudy.jobs.selectors import queue_lines, worker_lines
from readerstudy.reports.backup.content import BACKUP_MADE

from .health import checks
from .local_folders import local_folders


@require_safe
def operations(request: HttpRequest) -> HttpResponse:
    user: Any = request.user
    if not (user.is_active and user.is_superuser):
        raise Http404("No such page.")
    if not admin.site.has_permission(request):
        return redirect("admin:login")  # says that a second factor is needed, and where
    return render(
        request,
        "web/operations.html",
        {
            "checks": checks(),
            "backup_at": last_time_of(BACKUP_MADE),
            "queues": _queues(),
            "workers": worker_lines(),
            "disks": _disks(),
            "states": [state.label for state in Job.State],
        },
    )


def _queues() -> list[dict[str, Any]]:
    lines = queue_lines()
    return [
        {
            "name": queue,
            "counts": [line.count for line in lines if line.queue == queue],
            "longest_wait": _told(
                next(
                    line.oldest_seconds
                    for line in lines
                    if line.queue == queue and line.state == Job.State.QUEUED
                )
            ),
        }
        for queue in Job.Queue.values
    ]


def _told(seconds: float) -> str:
    """Empty where nothing waits."""
    if not seconds:
        return ""
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def _disks() -> list[dict[str, Any]]:
    found = []
    for name, folder in local_folders("images"):
        try:
            usage = shutil.disk_usage(folder)
        except OSError:
            found.append({"name": name, "missing": True})
        else:
            percent = round(100 * (usage.total - usage.free) / usage.total)
            found.append(
                {"name": name, "free": usage.free, "total": usage.total, "percent": percent}
            )
    return found
