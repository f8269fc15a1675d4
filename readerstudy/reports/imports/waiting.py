"""The file between upload and mapping: kept for its uploader alone, for a day."""

from __future__ import annotations

import datetime
import uuid

from django.core import signing
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.jobs.registry import periodic
from readerstudy.studies.models import Study
from readerstudy.studies.tables import TableFile

_FOLDER = "import-tables"
_SALT = "readerstudy.reports.imports"
_KEPT = datetime.timedelta(days=1)


def keep(file: TableFile, study: Study, user: User) -> str:
    """Store the file; the text by which the same person finds it again."""
    name = storages["uploads"].save(f"{_FOLDER}/{uuid.uuid4()}", ContentFile(file.content))
    return signing.dumps([name, file.name, str(study.pk), user.pk], salt=_SALT)


def find(text: str, study: Study, user: User) -> TableFile | None:
    try:
        name, shown, study_id, user_id = signing.loads(text, salt=_SALT, max_age=_KEPT)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    if (study_id, user_id) != (str(study.pk), user.pk):
        return None
    try:
        with storages["uploads"].open(name, "rb") as file:
            return TableFile(shown, file.read())
    except FileNotFoundError:
        return None


def forget(text: str) -> None:
    try:
        name = signing.loads(text, salt=_SALT)[0]
    except signing.BadSignature:
        return
    storages["uploads"].delete(name)


@periodic(3600)
def forget_old_tables() -> int:
    """Delete tables that nobody came back for. Returns how many."""
    storage = storages["uploads"]
    try:
        _, names = storage.listdir(_FOLDER)
    except FileNotFoundError:
        return 0
    old = [
        name
        for name in names
        if timezone.now() - storage.get_modified_time(f"{_FOLDER}/{name}") > _KEPT
    ]
    for name in old:
        storage.delete(f"{_FOLDER}/{name}")
    return len(old)
