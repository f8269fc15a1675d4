"""The command line: what people can mend is told in a sentence, not in a trace.

`--traceback` shows the trace all the same.
"""

from __future__ import annotations

import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

# Not 1: `verify_audit` and its like say by that that something was altered.
CANNOT_RUN = 2
NO_DRIVER = (
    "DATABASE_URL names PostgreSQL, and Python's driver for it is not installed: "
    "pip install -r requirements-postgres.txt"
)


def run(arguments: list[str]) -> None:
    from django.db import DatabaseError

    try:
        execute_from_command_line(arguments)
    except (ImproperlyConfigured, DatabaseError) as error:
        said = "" if "--traceback" in arguments else _sentence(error, arguments[1:2])
        if not said:
            raise
        print(said, file=sys.stderr)
        raise SystemExit(CANNOT_RUN) from None


def _sentence(error: Exception, command: list[str]) -> str:
    if isinstance(error, ImproperlyConfigured):
        return NO_DRIVER if "psycopg" in str(error) else str(error)
    return "" if command == ["migrate"] else _said_of_the_database(error)


def _said_of_the_database(error: Exception) -> str:
    """Empty where the database is there and of this version: then the fault is the program's."""
    from django.db import DatabaseError

    from readerstudy.jobs.unmigrated import migrations_wait

    try:
        return migrations_wait()
    except DatabaseError:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return f"The database cannot be used: {first}"
