"""Is this process alive, and can it do its work? Answers for load balancers and supervisors.

Both are open to whoever can reach the address, so neither says more than names and plain words: no
host, no path, no version, no message of an exception.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from readerstudy.imaging import trial_files
from readerstudy.imaging.models import Series
from readerstudy.imaging.volumes import VOLUME
from readerstudy.jobs.selectors import queues_without_worker

from .slow_store import briefly

# A flood of questions costs one look at the storage in so many seconds.
KEPT_SECONDS = 5.0
# Sixteen bytes are taken, given back and deleted in this time by a store that is usable; one that
# hangs is given up after a second, by the first of these requests.
STORE_SECONDS = 2.0
LOOKED_FOR = 3  # of the newest series; one alone may just be being deleted
# A look that takes longer than this meets something that hangs: what was found before it says
# nothing any more.
STUCK_SECONDS = 15.0

NO_PAGE = "no page works"
NO_IMAGES = "no images come and jobs wait; scores are saved"
NO_JOBS = "jobs wait; reading and scoring go on"


@dataclass(frozen=True)
class Check:
    name: str
    is_vital: bool  # without it the process is not ready
    without: str  # what a fault means for people
    fault: str = ""  # empty: sound


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return ""


def _migrations() -> str:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return f"{len(plan)} migrations wait: run manage.py migrate" if plan else ""


def _pages() -> str:
    """Every page names the same few files, by the names that collectstatic gave them."""
    try:
        for name in ("css/app.css", "js/app.js", "img/favicon.svg"):
            staticfiles_storage.url(name)
    except ValueError:
        return "styles and scripts are missing: run manage.py collectstatic, then start this anew"
    return ""


def _storage() -> str:
    """Write, read back and delete a small file: a full or read-only store is found.

    Before it, images are looked for that have to be there: in the place of a share that is not
    mounted lies an empty folder, which can be written to.
    """
    storage = storages["default"]
    content = uuid.uuid4().bytes
    newest = Series.objects.order_by("-created_at").values_list("prefix", flat=True)
    volumes = [f"{prefix}/{VOLUME}" for prefix in newest[:LOOKED_FOR]]
    with briefly(STORE_SECONDS):
        if volumes and not any(storage.exists(name) for name in volumes):
            return "stored images are not there: is the folder that holds them mounted?"
        name = storage.save(f"{trial_files.FOLDER}/{uuid.uuid4()}", ContentFile(content))
        try:
            with storage.open(name) as stored:
                kept = stored.read()
        finally:
            storage.delete(name)  # what cannot be deleted now, housekeeping deletes
    return "" if kept == content else "what was written was not read back"


def _workers() -> str:
    missing = queues_without_worker()
    return f"no worker for {' and '.join(missing)}" if missing else ""


def _broker() -> str:
    from readerstudy.jobs.broker import depths

    depths()
    return ""


# An object store that hangs hangs for every web process: taken out of the proxy for it, they could
# not save a score either. A folder is the disk of the site itself.
_CHECKS: list[tuple[Check, Callable[[], str]]] = [
    (Check("database", True, NO_PAGE), _database),
    (Check("migrations", True, NO_PAGE), _migrations),
    (Check("pages", True, NO_PAGE), _pages),
    (Check("storage", not settings.S3_BUCKET, NO_IMAGES), _storage),
    (Check("workers", False, NO_JOBS), _workers),
    (Check("broker", False, NO_JOBS), _broker),
]


def _used() -> list[tuple[Check, Callable[[], str]]]:
    """Where no broker is used there is nothing to say of one."""
    return [each for each in _CHECKS if each[0].name != "broker" or settings.TASKS == "celery"]


def checks() -> list[Check]:
    """Every check, each by itself: what one meets does not hide the others."""
    found = []
    for check, look in _used():
        try:
            fault = look()
        except (DatabaseError, OSError):
            fault = "not usable"
            if check.name == "database":
                connection.close()
        except Exception:  # noqa: BLE001 - a client library's own error: told, not spelt out
            fault = "not usable"
        found.append(replace(check, fault=fault))
    return found


STUCK = "no answer for a while: this or another of these checks hangs"
_kept: tuple[float, list[Check]] | None = None
_began: float | None = None
_looking = threading.Lock()


def recent_checks() -> list[Check]:
    """What was found last; one thread looks anew, and the others do not wait for it."""
    global _kept, _began
    kept = _kept
    if kept is None:
        if not _looking.acquire(timeout=STUCK_SECONDS):  # the first look hangs
            return [replace(check, fault=STUCK) for check, _ in _used()]
    elif time.monotonic() - kept[0] <= KEPT_SECONDS:
        return kept[1]
    elif not _looking.acquire(blocking=False):
        began = _began  # of the look that is under way
        is_stuck = began is not None and time.monotonic() - began > STUCK_SECONDS
        return [replace(one, fault=STUCK) for one in kept[1]] if is_stuck else kept[1]
    try:
        if _kept is None or _kept is kept:
            _began = time.monotonic()
            found = checks()
            _kept = (time.monotonic(), found)
        return _kept[1]
    finally:
        _began = None
        _looking.release()


@login_not_required
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """200 while the process answers: restart it if it does not."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 if pages can be served, else 503, also while a check gets no answer.

    Jobs that nobody runs are told, with 200.
    """
    found = recent_checks()
    is_ready = not any(check.fault and check.is_vital for check in found)
    told = {check.name: check.fault or "ok" for check in found}
    return JsonResponse({"ready": is_ready, "checks": told}, status=200 if is_ready else 503)
