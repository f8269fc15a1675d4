"""Tables whose rows are never changed, kept so by the database itself.

A floor above registers a table (`register`); `triggers` installs what refuses UPDATE, DELETE and,
where the table says so, rows that come too late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class AppendOnlyTable:
    """`unique` are the columns, or groups of columns, that no two rows share.

    `closed` is an SQL condition on NEW under which no row may be added any more.
    """

    table: str
    message: str
    unique: Sequence[Sequence[str]] = (("id",),)
    closed: str = ""
    closed_message: str = ""

    def sqlite(self) -> Mapping[str, str]:
        same = " OR ".join(
            _all_of([f"{column} = NEW.{column}" for column in columns]) for columns in self.unique
        )
        twin = f"SELECT 1 FROM {self.table} WHERE {same}"  # noqa: S608 - names of ours alone
        statements = {
            "no_update": f"BEFORE UPDATE ON {self.table} {_abort(self.message)}",
            "no_delete": f"BEFORE DELETE ON {self.table} {_abort(self.message)}",
            # INSERT OR REPLACE deletes the old row without firing a delete trigger.
            "no_replace": f"BEFORE INSERT ON {self.table} WHEN EXISTS ({twin}) "
            f"{_abort(self.message)}",
        }
        if self.closed:
            statements["not_late"] = (
                f"BEFORE INSERT ON {self.table} WHEN {self.closed} {_abort(self.closed_message)}"
            )
        return {
            f"{self.table}_{name}": f"CREATE TRIGGER {self.table}_{name} {what}"
            for name, what in statements.items()
        }

    def postgresql(self) -> Mapping[str, str]:
        statements = {
            "no_change": ("BEFORE UPDATE OR DELETE", "ROW", "append_only"),
            "no_truncate": ("BEFORE TRUNCATE", "STATEMENT", "append_only"),
        }
        if self.closed:
            statements["not_late"] = ("BEFORE INSERT", "ROW", "closed")
        return {
            f"{self.table}_{name}": f"CREATE TRIGGER {self.table}_{name} {when} ON {self.table} "
            f"FOR EACH {each} EXECUTE FUNCTION {self.table}_{function}()"
            for name, (when, each, function) in statements.items()
        }

    def postgresql_functions(self) -> Sequence[str]:
        functions = [_function(f"{self.table}_append_only", f"RAISE EXCEPTION '{self.message}';")]
        if self.closed:
            functions.append(
                _function(
                    f"{self.table}_closed",
                    f"IF {self.closed} THEN RAISE EXCEPTION '{self.closed_message}'; END IF; "
                    "RETURN NEW;",
                )
            )
        return functions

    def message_of(self, trigger: str) -> str:
        """What the trigger's function must say, or it was rewritten."""
        return self.closed_message if trigger.endswith("_not_late") else self.message


def _all_of(conditions: Sequence[str]) -> str:
    return conditions[0] if len(conditions) == 1 else f"({' AND '.join(conditions)})"


def _abort(message: str) -> str:
    return f"BEGIN SELECT RAISE(ABORT, '{message}'); END"


def _function(name: str, body: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$BEGIN {body} END$$"
    )


EVENTS = AppendOnlyTable(
    "audit_event", "the audit trail is append-only", (("id",), ("sequence",), ("hash",))
)
_tables: dict[str, AppendOnlyTable] = {EVENTS.table: EVENTS}


def register(table: AppendOnlyTable) -> None:
    """Have the database guard a further table from the next migration on."""
    _tables[table.table] = table


def guarded_tables() -> list[AppendOnlyTable]:
    return list(_tables.values())
