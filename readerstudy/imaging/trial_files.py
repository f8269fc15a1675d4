"""The small files by which the health check tries the storage: written, read back, deleted at once.

They belong to no study. One whose deletion the storage refused is deleted here, and a backup, which
may meet one between its two lives, leaves them all out.
"""

from __future__ import annotations

import datetime

from django.core.files.storage import default_storage
from django.utils import timezone

from readerstudy.jobs.registry import periodic

FOLDER = "ready"
_KEPT = datetime.timedelta(hours=1)


@periodic(3600)
def forget_old_trials() -> int:
    """Delete what was left over. Returns how many."""
    try:
        _, names = default_storage.listdir(FOLDER)
    except FileNotFoundError:
        return 0
    deleted = 0
    for name in names:
        path = f"{FOLDER}/{name}"
        try:
            if timezone.now() - default_storage.get_modified_time(path) <= _KEPT:
                continue
        except FileNotFoundError:  # the check that wrote it has deleted it
            continue
        default_storage.delete(path)
        deleted += 1
    return deleted
