"""What a backup holds, row by row, in a form that SQLite and PostgreSQL share.

Every table of the platform but those that hold nothing worth keeping (sign-in sessions, counters of
wrong passwords, the cache). Values go through Django's own serialisers, so that a backup of one
database restores into the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.utils.crypto import salted_hmac

BACKUP_MADE = "reports.backup.made"  # in the trail
FORMAT = "readerstudy backup 1"
MANIFEST, ROWS, STORED = "backup.json", "database", "storage"
# Made anew, or of the day: signed-in people sign in again.
_OF_SIGNED_IN = {"sessions.session", "accounts.signin"}
_LEFT_OUT = _OF_SIGNED_IN | {
    "axes.accessattempt",
    "axes.accessfailurelog",
    "axes.accesslog",
    "jobs.workerprocess",
}


class BackupError(Exception):
    """Nothing was made or restored; the message is for people."""


def first_line(error: BaseException) -> str:
    """What an error says, for a sentence that ends after it."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(". ")


def backed_up_models() -> list[type[models.Model]]:
    """Every model with a table of its own."""
    found = [
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed
        and not model._meta.proxy
        and model._meta.label_lower not in _LEFT_OUT
    ]
    return sorted(found, key=lambda model: model._meta.label_lower)


def tables_to_clear() -> list[str]:
    """Of what is backed up, and of who is signed in, which refers to it."""
    cleared = [model for model in apps.get_models() if model._meta.label_lower in _OF_SIGNED_IN]
    return [model._meta.db_table for model in (*cleared, *backed_up_models())]


def rows_of(model: type[models.Model]) -> Iterator[bytes]:
    """One JSON document a row, in the order of the primary key."""
    for row in model._base_manager.order_by("pk").iterator(chunk_size=500):
        yield line_of(row)


def line_of(row: models.Model) -> bytes:
    # Columns, not relations: many-to-many tables are models of their own here.
    values = {field.attname: field.value_to_string(row) for field in _textual(row)}
    values |= {
        field.attname: _plain(getattr(row, field.attname))
        for field in row._meta.concrete_fields
        if field.attname not in values
    }
    text = json.dumps(values, cls=DjangoJSONEncoder, sort_keys=True, ensure_ascii=False)
    return text.encode("utf-8") + b"\n"


def _textual(row: models.Model) -> list[models.Field[Any, Any]]:
    """Times with every microsecond: the JSON encoder would cut them to thousandths."""
    return [
        field
        for field in row._meta.concrete_fields
        if isinstance(field, models.DateTimeField) and getattr(row, field.attname) is not None
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, memoryview | bytes):
        raise BackupError("A table holds bytes, which backups do not know.")
    return value


def row_from(model: type[models.Model], line: bytes) -> models.Model:
    values = json.loads(line)
    row = model()
    for field in model._meta.concrete_fields:
        value = values[field.attname]
        setattr(row, field.attname, field.to_python(value) if not field.is_relation else value)
    return row


def migrations_applied() -> list[list[str]]:
    return sorted([app, name] for app, name in MigrationRecorder(connection).applied_migrations())


def marks_of_keys() -> dict[str, str]:
    """By which a key is known again; it cannot be had from its mark."""
    names = ("SECRET_KEY", "DEIDENTIFICATION_KEY")
    marks = {name: salted_hmac(name, FORMAT, getattr(settings, name)) for name in names}
    return {name: mark.hexdigest()[:16] for name, mark in marks.items()}


def other_keys(marks: dict[str, str]) -> list[str]:
    """Those of this installation that are not the ones of these marks."""
    return [name for name, mark in marks_of_keys().items() if marks.get(name, mark) != mark]


def check_migrated() -> None:
    """Raise `BackupError` where the database is not of this version of the platform."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        if not executor.loader.applied_migrations:
            raise BackupError("This database has no tables yet. Run manage.py migrate first.")
        raise BackupError(
            "The database is of an earlier version of the platform. Run manage.py migrate first; "
            "or, to keep it as it is, back it up with the version that it is of."
        )
