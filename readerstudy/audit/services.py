"""Writing to the trail and verifying it."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import TYPE_CHECKING, Any

from django.db import connection, models, transaction
from django.utils import timezone

from .models import Event

if TYPE_CHECKING:
    from readerstudy.accounts.models import User

GENESIS = "0" * 64


def record(
    action: str,
    actor: User | None,
    *,
    study_id: uuid.UUID | None = None,
    subject: models.Model | None = None,
    old: Any = None,
    new: Any = None,
    why: str = "",
) -> Event:
    """Append one event. Call it inside the transaction of the act it records.

    `old` and `new` are JSON-ready values and must carry no patient data.
    """
    with transaction.atomic():
        _serialise_appends()
        last = Event.objects.order_by("-sequence").first()
        event = Event(
            sequence=(last.sequence if last else 0) + 1,
            at=timezone.now(),
            actor=actor,
            action=action,
            study_id=study_id,
            subject_type=subject._meta.label_lower if subject is not None else "",
            subject_id=str(subject.pk) if subject is not None else "",
            old=old,
            new=new,
            why=why,
            previous_hash=last.hash if last else GENESIS,
        )
        event.hash = event_hash(event)
        event.save(force_insert=True)
    return event


def _serialise_appends() -> None:
    """One appender at a time. SQLite's IMMEDIATE transactions already are; PostgreSQL is told."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [0x52535F41])


def event_hash(event: Event) -> str:
    """SHA-256 over the canonical JSON of everything the event says, and the hash before it."""
    content = {
        "sequence": event.sequence,
        "at": event.at.isoformat(),
        "actor": event.actor_id,
        "action": event.action,
        "study": str(event.study_id) if event.study_id else None,
        "subject_type": event.subject_type,
        "subject_id": event.subject_id,
        "old": event.old,
        "new": event.new,
        "why": event.why,
        "previous_hash": event.previous_hash,
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
