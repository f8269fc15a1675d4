"""Writing to the trail and verifying it."""

from __future__ import annotations

import datetime
import hashlib
import json
import uuid
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from django.db import connection, models, transaction
from django.utils import timezone

from . import anchors, isolation, triggers
from .models import Event

if TYPE_CHECKING:
    from readerstudy.accounts.models import User

GENESIS = "0" * 64
# Wide enough for any integer or float that an event holds, so that nothing is rounded.
_EXACT = Context(prec=1000)


@dataclass(frozen=True)
class Verification:
    """What `verify_chain` found: the length and head of the sound part, and the first fault."""

    count: int
    head: str
    fault: str = ""

    @property
    def is_sound(self) -> bool:
        return not self.fault


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

    `old` and `new` are JSON-ready values and must carry no patient data. ValueError for NaN and
    infinities, which JSON does not know.
    """
    old, new = _as_stored(old), _as_stored(new)
    with transaction.atomic(savepoint=False):  # an act whose event fails is undone as a whole
        sequence, head = _held_head()
        event = Event(
            sequence=sequence + 1,
            at=timezone.now(),
            actor=actor,
            action=action,
            study_id=study_id,
            subject_type=subject._meta.label_lower if subject is not None else "",
            subject_id=str(subject.pk) if subject is not None else "",
            old=old,
            new=new,
            why=why,
            previous_hash=head,
        )
        event.hash = event_hash(event)
        event.save(force_insert=True)
    return event


_LAST = "SELECT sequence, hash FROM audit_event ORDER BY sequence DESC LIMIT 1"
_HOLD_END = f"SELECT pg_advisory_xact_lock({0x52535F41}), current_setting('transaction_isolation')"


def _held_head() -> tuple[int, str]:
    """Number and hash of the last event, with the end of the chain held: one appender at a time.

    SQLite's IMMEDIATE transactions already are. PostgreSQL is told, in the same message that asks
    for the row, since whoever scores waits for everything that is done while this is held. Two
    statements, not one: only the second looks at the rows as they are once the waiting is over,
    and only under READ COMMITTED.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"{_HOLD_END}; {_LAST}")
            isolation.demand_read_committed(str(cursor.fetchone()[1]))
            cursor.nextset()  # type: ignore[attr-defined]
        else:
            cursor.execute(_LAST)
        row = cursor.fetchone()
    return (int(row[0]), str(row[1])) if row else (0, GENESIS)


def _as_stored(value: Any) -> Any:
    """The value as it comes back from the database: tuples as lists, keys as strings."""
    return json.loads(json.dumps(value, allow_nan=False))


def event_hash(event: Event) -> str:
    """SHA-256 over the canonical JSON of everything the event says, and the hash before it."""
    content = {
        "sequence": event.sequence,
        "at": event.at.astimezone(datetime.UTC).isoformat(timespec="microseconds"),
        "actor": event.actor_id,
        "action": event.action,
        "study": str(event.study_id) if event.study_id else None,
        "subject_type": event.subject_type,
        "subject_id": event.subject_id,
        "old": _canonical(event.old),
        "new": _canonical(event.new),
        "why": event.why,
        "previous_hash": event.previous_hash,
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _canonical(value: Any) -> Any:
    """Numbers as exact decimal text: PostgreSQL gives 1e+20 back as an integer, and -0.0 as 0.0."""
    if isinstance(value, dict):
        return {key: _canonical(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_canonical(inner) for inner in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = Decimal(repr(value))
        return {"number": format(number.normalize(_EXACT), "f") if number else "0"}
    return value


def verify_chain() -> Verification:
    """Walk the whole chain and name the first row that is missing, out of place or altered.

    A tail that was cut off leaves a sound, shorter chain: compare count and head with a copy kept
    outside the database (`check_anchor`).
    """
    missing = triggers.missing()
    kept = {anchor.hash: anchor.what for anchor in anchors.anchors()}
    count, head = 0, GENESIS
    for event in Event.objects.order_by("sequence").iterator(chunk_size=2000):
        if event.sequence != count + 1:
            return Verification(count, head, _gap(count + 1, event))
        name = f"row {event.sequence} ({event.action})"
        if event.previous_hash != head:
            return Verification(
                count, head, f"{name} does not continue the row before it: one of the two is forged"
            )
        if event_hash(event) != event.hash:
            return Verification(count, head, f"{name} was altered: its content has another hash")
        count, head = event.sequence, event.hash
        kept.pop(event.hash, None)
    if kept:
        what = next(iter(kept.values()))
        return Verification(
            count,
            head,
            f"{what} wrote down a head that no row has: the trail was forged or cut off",
        )
    if missing:
        return Verification(
            count,
            head,
            f"the trigger {missing[0]} is missing or altered, so rows could be changed; "
            "manage.py migrate puts it back",
        )
    return Verification(count, head)


def _gap(expected: int, event: Event) -> str:
    if event.sequence > expected:
        last = event.sequence - 1
        rows = f"row {expected} is" if last == expected else f"rows {expected} to {last} are"
        return f"{rows} missing before row {event.sequence} ({event.action})"
    return f"row {event.sequence} ({event.action}) is out of place: {expected} was expected"


def check_anchor(sequence: int, head: str) -> str:
    """Compare the chain with a head kept elsewhere. Empty if it still holds, else the fault."""
    event = Event.objects.filter(sequence=sequence).first()
    if event is None:
        return f"row {sequence} is missing: the trail was cut off before it"
    if event.hash != head:
        return f"row {sequence} ({event.action}) has another hash than the one kept elsewhere"
    return ""
