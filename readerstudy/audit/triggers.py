"""Database triggers that refuse to change or delete an audit event.

SQLite's migrations rebuild tables and drop their triggers without a word, so the triggers are put
back after every migration (`post_migrate`) and `services.verify_chain` looks for them.
"""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

TABLE = "audit_event"
MESSAGE = "the audit trail is append-only"

_SQLITE = {
    "audit_event_no_update": (
        f"CREATE TRIGGER audit_event_no_update BEFORE UPDATE ON {TABLE} "
        f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
    ),
    "audit_event_no_delete": (
        f"CREATE TRIGGER audit_event_no_delete BEFORE DELETE ON {TABLE} "
        f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
    ),
    # INSERT OR REPLACE deletes the old row without firing a delete trigger.
    "audit_event_no_replace": (
        f"CREATE TRIGGER audit_event_no_replace BEFORE INSERT ON {TABLE} "  # noqa: S608
        f"WHEN EXISTS (SELECT 1 FROM {TABLE} WHERE id = NEW.id "
        "OR sequence = NEW.sequence OR hash = NEW.hash) "
        f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
    ),
}

_POSTGRESQL_FUNCTION = f"""
CREATE OR REPLACE FUNCTION audit_event_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN RAISE EXCEPTION '{MESSAGE}'; END$$
"""
# ALWAYS: also where session_replication_role switches ordinary triggers off.
_POSTGRESQL = {
    "audit_event_no_change": (
        f"CREATE TRIGGER audit_event_no_change BEFORE UPDATE OR DELETE ON {TABLE} "
        "FOR EACH ROW EXECUTE FUNCTION audit_event_append_only()"
    ),
    "audit_event_no_truncate": (
        f"CREATE TRIGGER audit_event_no_truncate BEFORE TRUNCATE ON {TABLE} "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_event_append_only()"
    ),
}


def _wanted(connection: BaseDatabaseWrapper) -> dict[str, str]:
    if connection.vendor == "sqlite":
        return _SQLITE
    if connection.vendor == "postgresql":
        return _POSTGRESQL
    raise NotImplementedError(
        f"The audit trail has no triggers for {connection.vendor}: use SQLite or PostgreSQL."
    )


def install(using: str = DEFAULT_DB_ALIAS) -> None:
    """(Re)create every trigger, if the table stands."""
    connection = connections[using]
    wanted = _wanted(connection)
    if TABLE not in connection.introspection.table_names():
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Inside a transaction that wrote events, their deferred checks must be done first.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for statement in drop_statements(using):
            cursor.execute(statement)
        if connection.vendor == "postgresql":
            cursor.execute(_POSTGRESQL_FUNCTION)
        for name, statement in wanted.items():
            cursor.execute(statement)
            if connection.vendor == "postgresql":
                cursor.execute(f"ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER {name}")


def drop_statements(using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """What takes the triggers away: for reinstalling them, and for emptying a test's database."""
    connection = connections[using]
    on_table = f" ON {TABLE}" if connection.vendor == "postgresql" else ""
    return [f"DROP TRIGGER IF EXISTS {name}{on_table}" for name in _wanted(connection)]


def missing(using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """The names of the triggers that are absent, switched off or say something else."""
    connection = connections[using]
    wanted = _wanted(connection)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s",
                [TABLE],
            )
            standing = dict(cursor.fetchall())
            return [name for name, sql in wanted.items() if standing.get(name) != sql]
        cursor.execute(
            "SELECT t.tgname, p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
            "WHERE t.tgrelid = %s::regclass AND NOT t.tgisinternal AND t.tgenabled = 'A'",
            [TABLE],
        )
        standing = dict(cursor.fetchall())
        return [name for name in wanted if MESSAGE not in standing.get(name, "")]


def reinstall_after_migrate(using: str = DEFAULT_DB_ALIAS, **_: Any) -> None:
    install(using)
