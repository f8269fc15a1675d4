"""An act that is sent twice is done once: the second time gets the answer of the first.

A page gives every act of the reader an id of its own and keeps it through all repetitions. The
answer is stored with the act, in one transaction, so that after a crash either both stand or none.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.utils import timezone

from readerstudy.studies.protocol import sha256_of

from .errors import IdReused
from .holding import hold_session
from .models import Receipt, Session

Json = dict[str, Any]


def answer_once(
    session: Session, client_id: uuid.UUID, act: str, content: Json, do: Callable[[], Json]
) -> Json:
    """Do the act and keep its answer, or give back the answer that it had before.

    `act` and `content` say what is asked: another content under the same id raises `IdReused`. What
    `do` refuses leaves nothing behind. The session's row is held throughout, and the study with
    other readers.
    """
    digest = sha256_of(content)
    with transaction.atomic():
        hold_session(session)
        before = Receipt.objects.filter(session=session, client_id=client_id).first()
        if before is not None:
            if (before.act, before.content_sha256) != (act, digest):
                raise IdReused
            return {**before.answer, "repeated": True}
        answer = {
            "id": str(client_id),
            "saved_at": as_text(timezone.now()),
            "repeated": False,
            **do(),
        }
        Receipt.objects.create(
            session=session, client_id=client_id, act=act, content_sha256=digest, answer=answer
        )
        return answer


def as_text(moment: Any) -> str:
    """A moment as the pages have it: ISO 8601 in UTC, with a Z."""
    return str(moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
