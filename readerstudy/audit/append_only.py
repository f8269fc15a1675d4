"""Tables whose rows are never changed, or no longer, kept so by the database itself.

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


@dataclass(frozen=True)
class FrozenTable:
    """Rows that may change until they are frozen.

    `frozen` is an SQL condition on a row, which it calls {row}. `columns` names those that are
    frozen, all if none is named; with `only_changes`, rows may still come and go. `name` tells
    several rules on one table apart.
    """

    table: str
    frozen: str
    message: str
    columns: Sequence[str] = ()
    only_changes: bool = False
    name: str = "frozen"

    def sqlite(self) -> Mapping[str, str]:
        statements = {
            f"{self.name}_update": f"BEFORE UPDATE ON {self.table} "
            f"WHEN ({self._touched('IS NOT')}) "
            f"AND ({self._of('OLD')} OR {self._of('NEW')})"
        }
        if not self.only_changes:
            # INSERT OR REPLACE deletes the old row without firing a delete trigger.
            twin = (
                f"SELECT 1 FROM {self.table} twin WHERE twin.id = NEW.id "  # noqa: S608
                f"AND {self._of('twin')}"
            )
            statements |= {
                f"{self.name}_delete": f"BEFORE DELETE ON {self.table} WHEN {self._of('OLD')}",
                f"{self.name}_insert": f"BEFORE INSERT ON {self.table} WHEN {self._of('NEW')} "
                f"OR EXISTS ({twin})",
            }
        return {
            f"{self.table}_{name}": f"CREATE TRIGGER {self.table}_{name} {what} "
            f"{_abort(self.message)}"
            for name, what in statements.items()
        }

    def postgresql(self) -> Mapping[str, str]:
        statements = {f"{self.name}_update": ("BEFORE UPDATE", "ROW")}
        if not self.only_changes:
            statements |= {
                f"{self.name}_delete": ("BEFORE DELETE", "ROW"),
                f"{self.name}_insert": ("BEFORE INSERT", "ROW"),
                f"{self.name}_truncate": ("BEFORE TRUNCATE", "STATEMENT"),
            }
        return {
            f"{self.table}_{name}": f"CREATE TRIGGER {self.table}_{name} {when} ON {self.table} "
            f"FOR EACH {each} EXECUTE FUNCTION {self.table}_{name}()"
            for name, (when, each) in statements.items()
        }

    def postgresql_functions(self) -> Sequence[str]:
        touched = self._touched("IS DISTINCT FROM")
        conditions = {
            f"{self.name}_update": (
                f"({touched}) AND ({self._of('OLD')} OR {self._of('NEW')})",
                "RETURN NEW;",
            )
        }
        if not self.only_changes:
            any_row = f"SELECT 1 FROM {self.table} twin WHERE {self._of('twin')}"  # noqa: S608
            conditions |= {
                f"{self.name}_delete": (self._of("OLD"), "RETURN OLD;"),
                f"{self.name}_insert": (self._of("NEW"), "RETURN NEW;"),
                f"{self.name}_truncate": (f"EXISTS ({any_row})", "RETURN NULL;"),
            }
        return [
            _function(
                f"{self.table}_{name}",
                f"IF {condition} THEN RAISE EXCEPTION '{self.message}'; END IF; {then}",
            )
            for name, (condition, then) in conditions.items()
        ]

    def message_of(self, trigger: str) -> str:
        return self.message

    def _of(self, row: str) -> str:
        return f"({self.frozen.format(row=row)})"

    def _touched(self, differs: str) -> str:
        """Whether one of the frozen columns changes; a row saved as it was is none the worse."""
        if not self.columns:
            return "1 = 1"
        return " OR ".join(f"OLD.{column} {differs} NEW.{column}" for column in self.columns)


GuardedTable = AppendOnlyTable | FrozenTable


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
_tables: list[GuardedTable] = [EVENTS]


def register(table: GuardedTable) -> None:
    """Have the database guard a further table from the next migration on."""
    if table not in _tables:
        _tables.append(table)


def guarded_tables() -> list[GuardedTable]:
    return list(_tables)
