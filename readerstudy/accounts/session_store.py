"""Sessions in the database, as Django keeps them, but for what a database that is away looks like.

Django takes any fault on saving for a session that somebody ended meanwhile, and answers 400, which
browsers take for final. A database that is being restarted is no such thing: its own error goes on,
becomes a 500, and is tried again.
"""

from __future__ import annotations

from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import UpdateError
from django.db import OperationalError


class SessionStore(db.SessionStore):
    def save(self, must_create: bool = False) -> None:
        try:
            super().save(must_create=must_create)
        except UpdateError as error:
            if isinstance(error.__context__, OperationalError):
                raise error.__context__ from None
            raise
