"""Database triggers that keep append-only tables so: the trail itself, and those registered.

SQLite's migrations rebuild tables and drop their triggers without a word, and a trigger that looks
into another table stands in the way of that table's rebuilding. So the triggers are taken away
before every migration and put back after it (`pre_migrate`, `post_migrate`), and
`services.verify_chain` looks for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from .append_only import GuardedTable, guarded_tables


def _wanted(connection: BaseDatabaseWrapper, table: GuardedTable) -> Mapping[str, str]:
    if connection.vendor == "sqlite":
        return table.sqlite()
    if connection.vendor == "postgresql":
        return table.postgresql()
    raise ImproperlyConfigured(
        f"The audit trail has no triggers for {connection.vendor}: use SQLite or PostgreSQL."
    )


def _standing_tables(connection: BaseDatabaseWrapper) -> list[GuardedTable]:
    names = set(connection.introspection.table_names())
    return [table for table in guarded_tables() if table.table in names]


def install(using: str = DEFAULT_DB_ALIAS) -> None:
    """(Re)create every trigger of every guarded table that stands."""
    connection = connections[using]
    standing = _standing_tables(connection)
    if not standing:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Inside a transaction that wrote rows, their deferred checks must be done first.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for statement in drop_statements(using):
            cursor.execute(statement)
        for table in standing:
            if connection.vendor == "postgresql":
                for function in table.postgresql_functions():
                    cursor.execute(function)
            for name, statement in _wanted(connection, table).items():
                cursor.execute(statement)
                if connection.vendor == "postgresql":
                    # ALWAYS: also where session_replication_role switches ordinary ones off.
                    cursor.execute(f"ALTER TABLE {table.table} ENABLE ALWAYS TRIGGER {name}")


def drop_statements(using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """What takes the triggers away: for reinstalling them, and for emptying a test's database."""
    connection = connections[using]
    on_table = " ON {}" if connection.vendor == "postgresql" else ""
    return [
        f"DROP TRIGGER IF EXISTS {name}{on_table.format(table.table)}"
        for table in _standing_tables(connection)
        for name in _wanted(connection, table)
    ]


def missing(using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """The names of the triggers that are absent, switched off or say something else."""
    connection = connections[using]
    found: list[str] = []
    with connection.cursor() as cursor:
        for table in guarded_tables():
            wanted = _wanted(connection, table)
            if connection.vendor == "sqlite":
                cursor.execute(
                    "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s",
                    [table.table],
                )
                standing = dict(cursor.fetchall())
                found += [name for name, sql in wanted.items() if standing.get(name) != sql]
                continue
            cursor.execute(
                "SELECT t.tgname, p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
                "WHERE t.tgrelid = to_regclass(%s) AND NOT t.tgisinternal AND t.tgenabled = 'A'",
                [table.table],
            )
            standing = dict(cursor.fetchall())
            found += [
                name for name in wanted if table.message_of(name) not in standing.get(name, "")
            ]
    return found


def remove_before_migrate(using: str = DEFAULT_DB_ALIAS, **_: Any) -> None:
    with connections[using].cursor() as cursor:
        for statement in drop_statements(using):
            cursor.execute(statement)


def reinstall_after_migrate(using: str = DEFAULT_DB_ALIAS, **_: Any) -> None:
    install(using)
