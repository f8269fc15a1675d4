"""Is this process alive, and can it do its work? Answers for load balancers and supervisors.

Both are open to whoever can reach the address, so neither says more than names and plain words: no
host, no path, no version, no message of an exception.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from readerstudy.jobs.selectors import queues_without_worker

# A flood of questions costs one look at the storage in so many seconds.
KEPT_SECONDS = 5.0


@dataclass(frozen=True)
class Check:
    name: str
    fault: str  # empty: sound
    # Without it no page works; the others hold up jobs, while reading and scoring go on.
    is_vital: bool


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return ""


def _migrations() -> str:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return f"{len(plan)} migrations wait: run manage.py migrate" if plan else ""


def _storage() -> str:
    """Write, read back and delete a small file: a full or read-only store is found."""
    storage = storages["default"]
    content = uuid.uuid4().bytes
    name = storage.save(f"ready/{uuid.uuid4()}", ContentFile(content))
    try:
        with storage.open(name) as stored:
            kept = stored.read()
    finally:
        storage.delete(name)
    return "" if kept == content else "what was written was not read back"


def _workers() -> str:
    missing = queues_without_worker()
    return f"no worker for {' and '.join(missing)}" if missing else ""


def _broker() -> str:
    if settings.TASKS != "celery":
        return ""
    from readerstudy.jobs.broker import depths

    depths()
    return ""


_CHECKS: list[tuple[str, Callable[[], str], bool]] = [
    ("database", _database, True),
    ("migrations", _migrations, True),
    ("storage", _storage, True),
    ("workers", _workers, False),
    ("broker", _broker, False),
]


def checks() -> list[Check]:
    """Every check, each by itself: what one meets does not hide the others."""
    found = []
    for name, look, is_vital in _CHECKS:
        try:
            fault = look()
        except (DatabaseError, OSError):
            fault = "not usable"
            if name == "database":
                connection.close()
        except Exception:  # noqa: BLE001 - a client library's own error: told, not spelt out
            fault = "not usable"
        found.append(Check(name, fault, is_vital))
    return found


_kept: tuple[float, list[Check]] | None = None


def recent_checks() -> list[Check]:
    global _kept
    if _kept is None or time.monotonic() - _kept[0] > KEPT_SECONDS:
        _kept = (time.monotonic(), checks())
    return _kept[1]


@login_not_required
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """200 while the process answers: restart it if it does not."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 if pages can be served, else 503; jobs that nobody runs are told, with 200."""
    found = recent_checks()
    is_ready = not any(check.fault and check.is_vital for check in found)
    told = {check.name: check.fault or "ok" for check in found}
    return JsonResponse({"ready": is_ready, "checks": told}, status=200 if is_ready else 503)
