"""How much a study takes in storage: everything under its own folders, whoever wrote it there."""

from __future__ import annotations

from django.core.files.storage import default_storage
from django.db.models import Sum

from readerstudy.studies.models import Study

from .models import Upload

UNREAD = (Upload.State.RECEIVING, Upload.State.QUEUED, Upload.State.READING)


def stored_bytes(study: Study) -> int:
    """Images as DICOM and as volumes, the inbox, raw data, evidence, exports, and what was sent
    and is not read yet. What lies in storage lies under KIND/STUDY/…."""
    kinds, _files = default_storage.listdir("")
    waiting = Upload.objects.filter(study=study, state__in=UNREAD).aggregate(n=Sum("received"))
    return sum(_bytes_under(f"{kind}/{study.pk}") for kind in kinds) + (waiting["n"] or 0)


def _bytes_under(folder: str) -> int:
    listed = getattr(default_storage, "bytes_under", None)  # of an object store: sizes in bulk
    if listed is not None:
        return int(listed(folder))
    if not default_storage.exists(folder):
        return 0
    folders, names = default_storage.listdir(folder)
    total = sum(_bytes_under(f"{folder}/{name}") for name in folders)
    for name in names:
        try:
            total += default_storage.size(f"{folder}/{name}")
        except FileNotFoundError:  # deleted since it was listed
            continue
    return total
