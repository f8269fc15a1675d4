"""PostgreSQL's transactions are READ COMMITTED: asked of the settings when workers and most
commands start, and of the transaction itself at every event.

Whoever waited for the end of the trail, for a study or for a session reads it afterwards as others
left it. At a higher level it would be read as it was before the waiting: two events would continue
the same one, and a score would pass a lock.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured

READ_COMMITTED = "read committed"
_NAMES = {1: "read uncommitted", 2: READ_COMMITTED, 3: "repeatable read", 4: "serializable"}
HINT = (
    "Take isolation_level out of DATABASE_URL (and of the OPTIONS of DATABASES, where settings of "
    "your own replace readerstudy.settings), then restart web and workers. The server's own "
    "default_transaction_isolation may be what it is."
)


def check_settings(**_: Any) -> list[CheckMessage]:
    """A system check: the level that was asked for by configuration."""
    found: list[CheckMessage] = []
    for alias, database in settings.DATABASES.items():
        level = str(database.get("OPTIONS", {}).get("isolation_level", READ_COMMITTED))
        name = _NAMES.get(int(level), level) if level.isdecimal() else level.lower()
        if str(database.get("ENGINE", "")).endswith("postgresql") and name != READ_COMMITTED:
            found.append(
                Error(
                    f"The database “{alias}” is to be used with isolation level "
                    f"{name.upper()}. Only READ COMMITTED keeps the audit trail one chain.",
                    hint=HINT,
                    id="audit.E001",
                )
            )
    return found


def demand_read_committed(level: str) -> None:
    """Raise `ImproperlyConfigured`, in words for an operator, if a transaction has another."""
    if level != READ_COMMITTED:
        raise ImproperlyConfigured(
            f"This transaction is {level.upper()}, and the audit trail is written under READ "
            f"COMMITTED alone: nothing was recorded and nothing changed. {HINT}"
        )
