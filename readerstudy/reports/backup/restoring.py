"""Putting a backup back: everything or nothing, into an empty installation or, with --replace,
over what is there."""

from __future__ import annotations

import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.core.management.color import no_style
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    connection,
    models,
    transaction,
)
from django.utils import timezone

from readerstudy.audit import triggers
from readerstudy.audit.models import Event
from readerstudy.audit.services import record, verify_chain
from readerstudy.jobs.stopping import Heard, unstoppable
from readerstudy.reports.export_models import ApiToken

from .content import (
    ROWS,
    STORED,
    BackupError,
    backed_up_models,
    check_migrated,
    first_line,
    migrations_applied,
    other_keys,
    row_from,
    tables_to_clear,
)
from .placing import Place, place_of_storage
from .undone import RESTORED, as_lines, undone_since
from .writing import Say, check_backup, stored_files

_BATCH = 500
_DATABASE_FAULTS = (DatabaseError, InterfaceError)
# How often, and how far apart, a database that broke off is asked whether it has committed.
_LOOKS, _LOOK_AGAIN_SECONDS = 5, 3.0
STOPPED = "it was stopped"


def restore_backup(
    path: Path,
    *,
    replace: bool = False,
    say: Say = lambda _: None,
    foretell: Callable[[list[str]], None] = lambda _: None,
) -> dict[str, Any]:
    """Check the archive wholly, then restore it. Raises `BackupError`; then nothing has changed,
    unless the message says that nobody knows.

    Files take the storage's place last, before the database commits: where that fails, or is
    stopped, they give the place back. It can be stopped until they have taken it, and again once
    all is restored, when files of before are deleted; the commit is not halted. `foretell` is given
    what the restore undoes before it begins.

    The manifest gains "left_over", why files of before could not be deleted; "tokens_ended", how
    many tokens of the API stood in the backup, and stand no more; "undone", what was done since and
    must be done again; "other_keys", the names of keys that are not those of the installation that
    was backed up; and "stop_came_late", whether it was to be stopped when that was no longer
    possible.
    """
    if not path.is_file():
        raise BackupError(f"{path} does not exist.")
    with _faults_in_words():
        check_migrated()
        manifest = check_backup(path)
        _check_fits(manifest)
        if not replace:
            _check_empty()
        undone = undone_since(manifest)
        lines = as_lines(undone)
    foretell(lines)
    place = place_of_storage()
    event: Event | None = None
    heard: Heard | None = None
    with ExitStack() as last:
        try:
            place.begin()
            say(f"{len(manifest['storage'])} files")
            with tarfile.open(path, "r:gz") as tar, _checks_deferred():
                _clear()
                _load(tar, place)
                _reset_sequences()
                _check_whole(manifest)
                say(f"{manifest['rows']} rows")
                tokens = _end_tokens()
                # What is undone is nowhere else once the trail that told of it is replaced.
                own = record(
                    RESTORED,
                    None,
                    new={
                        "file": path.name,
                        "made_at": manifest["made_at"],
                        "replaced": replace,
                        "tokens_ended": tokens,
                        "undone": undone,
                    },
                )
                place.take()
                event = own
                heard = last.enter_context(unstoppable())
        except BaseException as error:
            heard = heard or last.enter_context(unstoppable())
            is_fault = isinstance(error, (OSError, *_DATABASE_FAULTS))
            if event is None or not is_fault or not _has_committed(event, place, error):
                place.give_back()
                if is_fault:
                    raise BackupError(f"Nothing was restored: {first_line(error)}.") from None
                raise
        ContentType.objects.clear_cache()
        left_over = _forget(place, last)
        return manifest | {
            "left_over": left_over,
            "tokens_ended": tokens,
            "undone": lines,
            "other_keys": other_keys(manifest.get("keys", {})),
            "stop_came_late": heard.a_stop or left_over == STOPPED,
        }


@contextmanager
def _faults_in_words() -> Iterator[None]:
    try:
        yield
    except (OSError, *_DATABASE_FAULTS) as error:
        raise BackupError(f"Nothing was restored: {first_line(error)}.") from None


def _has_committed(event: Event, place: Place, error: BaseException) -> bool:
    """Whether the restore stands, by its own event, where its end met a fault: a connection that
    breaks while the database commits leaves that open. BackupError where nobody can tell."""
    for look in range(_LOOKS):
        if look:
            time.sleep(_LOOK_AGAIN_SECONDS)
        try:
            connection.close()
            return _stands(event)
        except _DATABASE_FAULTS:
            continue
    raise BackupError(
        f"Nobody knows whether the backup is restored: the database broke off as it committed, and "
        f"does not answer ({first_line(error)}). Images are kept both ways: "
        f"{place.where_both_are()}. Leave web and workers stopped and, once the database answers, "
        "restore again with --replace: that puts rows and images in order."
    ) from None


def _stands(event: Event) -> bool:
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                # A restore that the database has not ended yet holds the table: its end is awaited.
                cursor.execute("SET LOCAL lock_timeout = '60s'")
        return Event.objects.filter(hash=event.hash).exists()


def _end_tokens() -> int:
    """Tokens that stood when the backup was made may have been revoked since."""
    return ApiToken.objects.filter(revoked_at=None).update(revoked_at=timezone.now())


def _forget(place: Place, last: ExitStack) -> str:
    """Why files of before are still there, if they are: the restore is committed all the same.

    To delete many takes long, and may be stopped; what comes after it, no more.
    """
    try:
        last.close()
        place.forget()
        last.enter_context(unstoppable())
    except (OSError, KeyboardInterrupt) as error:
        last.enter_context(unstoppable())
        return STOPPED if isinstance(error, KeyboardInterrupt) else first_line(error)
    return ""


def _check_fits(manifest: dict[str, Any]) -> None:
    here, there = migrations_applied(), manifest["migrations"]
    if here != there:
        newer = [name for name in there if name not in here]
        raise BackupError(
            "The backup is of another version of the platform"
            + (f" (it knows {'.'.join(newer[0])})" if newer else "")
            + f": install version {manifest['software']}, run manage.py migrate, restore, then "
            "upgrade."
        )
    known = {model._meta.label_lower for model in backed_up_models()}
    strange = sorted(set(manifest["tables"]) ^ known)
    if strange:
        raise BackupError(f"The backup and this installation differ in the table {strange[0]}.")


def _check_empty() -> None:
    """People, studies and stored files are what nobody wants to lose."""
    for label in ("accounts.user", "studies.study"):
        model = apps.get_model(label)
        if model._base_manager.exists():
            raise BackupError(
                "This installation holds data: nothing was restored. To replace all of it by the "
                "backup, give --replace; make a backup of it first."
            )
    if next(stored_files(), None) is not None:
        raise BackupError(
            "The storage holds files: nothing was restored. To replace all of it, give --replace."
        )


class _checks_deferred:
    """One transaction without foreign-key checks or triggers, both of which hold at its end."""

    def __enter__(self) -> None:
        if connection.vendor == "sqlite":
            # Has no effect inside a transaction, so before it.
            connection.disable_constraint_checking()
        self._atomic = transaction.atomic()
        self._atomic.__enter__()
        with connection.cursor() as cursor:
            for statement in triggers.drop_statements():
                cursor.execute(statement)
            if connection.vendor == "postgresql":
                cursor.execute("SET CONSTRAINTS ALL DEFERRED")
                # It writes images between its rows, and web and workers are stopped meanwhile.
                cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            self._atomic.__exit__(kind, error, trace)
        finally:
            if connection.vendor == "sqlite":
                connection.enable_constraint_checking()


def _clear() -> None:
    tables = tables_to_clear()
    quote = connection.ops.quote_name
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            names = ", ".join(quote(table) for table in tables)
            cursor.execute(f"TRUNCATE {names} CASCADE")
            return
        for table in tables:
            cursor.execute(f"DELETE FROM {quote(table)}")  # noqa: S608 - names of ours alone


def _load(tar: tarfile.TarFile, place: Place) -> None:
    by_name = {f"{ROWS}/{model._meta.label_lower}.jsonl": model for model in backed_up_models()}
    # Foreign keys of PostgreSQL wait for the end of the transaction, those of SQLite are off.
    for entry in tar:
        file = tar.extractfile(entry)
        if file is None:
            continue
        if entry.name in by_name:
            _insert(by_name[entry.name], file)
        elif entry.name.startswith(f"{STORED}/"):
            place.put(entry.name.removeprefix(f"{STORED}/"), file)


def _insert(model: type[models.Model], lines: Any) -> None:
    # Times that a model sets by itself when it is saved must stay those of the backup.
    automatic = [
        (field, name)
        for field in model._meta.concrete_fields
        for name in ("auto_now", "auto_now_add")
        if getattr(field, name, False)
    ]
    for field, name in automatic:
        setattr(field, name, False)
    try:
        rows: list[models.Model] = []
        for line in lines:
            rows.append(row_from(model, line))
            if len(rows) == _BATCH:
                model._base_manager.bulk_create(rows)
                rows = []
        model._base_manager.bulk_create(rows)
    finally:
        for field, name in automatic:
            setattr(field, name, True)


def _reset_sequences() -> None:
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), backed_up_models()):
            cursor.execute(statement)


def _check_whole(manifest: dict[str, Any]) -> None:
    """Raise BackupError for what is wrong with the restored database, before it is committed."""
    try:
        connection.check_constraints()
    except IntegrityError as error:
        raise BackupError(
            f"The tables of the backup do not hold together ({first_line(error)}). Nothing was "
            "restored."
        ) from None
    for model in backed_up_models():
        wanted = manifest["tables"][model._meta.label_lower]["rows"]
        count = model._base_manager.count()
        if count != wanted:
            raise BackupError(
                f"{model._meta.label}: {count} rows instead of {wanted}. Nothing was restored."
            )
    triggers.install()
    chain = verify_chain()
    if chain.fault:
        raise BackupError(
            f"The restored audit trail is broken: {chain.fault}. Nothing was restored."
        )
    if chain.head != manifest["audit"]["head"]:
        raise BackupError(
            "The restored audit trail has another head than the backup. Nothing was restored."
        )
