"""The record of a session: visits, displays, pauses. For the statistician, after the lock.

Visits and displays are written once. The trail holds their hashes and not what they say.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.studies.protocol import sha256_of

from .errors import NotOpen, PauseRunning, RecordFull, TooManyRequests
from .holding import hold_study_of
from .models import DisplayCheck, Item, Pause, Session, Visit
from .record_content import check_content, result_of, visit_content
from .selectors import Reach, display_geometry, reach_of
from .services import check_own_item, check_own_session, held_item

MOST_VISITS = 200  # of one item
MOST_MS = 2**31 - 1  # what the column takes, 24 days; the interruptions themselves are all kept
MOST_CHECKS = 200  # of one session
FAULTS_ALLOWED = 20
FAULTS_SECONDS = 600


@transaction.atomic
def do_record_visit(item: Item, content: Mapping[str, Any], actor: User) -> Visit:
    """Store how an item was looked at, from its showing until it was left."""
    item = held_item(item)
    check_own_item(item, actor)
    if reach_of(item) not in {Reach.OPEN, Reach.EARLIER}:
        raise NotOpen
    if item.visits.count() >= MOST_VISITS:
        raise RecordFull(f"{MOST_VISITS} visits of this item are recorded: no more are taken.")
    slices = int(display_geometry(item.volunteer)["slices"])
    stored = visit_content(content, item.panes.count(), slices)
    interrupted = sum(one["ms"] for one in stored["interruptions"])
    visit = Visit.objects.create(
        item=item,
        active_ms=stored["active_ms"],
        interrupted_ms=min(interrupted, MOST_MS),
        content=stored,
    )
    record(
        "reading.visit.recorded",
        actor,
        study_id=item.session.study_id,
        subject=visit,
        new={"item": item.pk, "sha256": sha256_of(stored)},
    )
    return visit


@transaction.atomic
def do_check_display(
    session: Session, content: Mapping[str, Any], actor: User
) -> tuple[DisplayCheck, list[str]]:
    """Store what the session is read on; returns it with what the reader may do about it."""
    session.study = hold_study_of(session)
    check_own_session(session, actor)
    if session.display_checks.count() >= MOST_CHECKS:
        raise RecordFull(
            f"{MOST_CHECKS} looks at the display are recorded in this session: no more are taken."
        )
    stored = check_content(content)
    result, advice = result_of(stored)
    check = DisplayCheck.objects.create(session=session, result=result, content=stored)
    record(
        "reading.display.checked",
        actor,
        study_id=session.study_id,
        subject=check,
        new={"sha256": sha256_of(stored)},
    )
    return check, advice


# --- Pauses ---------------------------------------------------------------------------------------


def running_pause(session: Session) -> Pause | None:
    return session.pauses.filter(ended_at=None).first()


def active_since_pause(session: Session) -> datetime.timedelta:
    """How long the reader has read since the last rest, by the visits' active time.

    A rest is a pause of the protocol, or any time as long as one between or within visits.
    """
    rest = datetime.timedelta(minutes=session.study.pause_minutes)
    last = session.pauses.order_by("-id").first()
    visits = Visit.objects.filter(item__session=session).order_by("-created_at", "-id")
    if last is not None:
        visits = visits.filter(created_at__gt=last.began_at)
    total = datetime.timedelta(0)
    later_start: datetime.datetime | None = None
    for visit in visits.iterator(chunk_size=50):
        if later_start is not None and later_start - visit.created_at >= rest:
            break
        total += datetime.timedelta(milliseconds=visit.active_ms)
        longest = max((one["ms"] for one in visit.content["interruptions"]), default=0)
        if datetime.timedelta(milliseconds=longest) >= rest:
            break
        spent = datetime.timedelta(milliseconds=visit.active_ms + visit.interrupted_ms)
        later_start = visit.created_at - spent
    return total


@transaction.atomic
def do_begin_pause_if_due(session: Session, actor: User) -> Pause | None:
    """The pause that runs now, or begins now because the protocol's time is reached.

    Hold the session. Called when an item was submitted and another one follows.
    """
    study = session.study
    running = running_pause(session)
    if running is not None or not study.pause_after_minutes:
        return running
    if active_since_pause(session) < datetime.timedelta(minutes=study.pause_after_minutes):
        return None
    now = timezone.now()
    pause = Pause.objects.create(
        session=session, began_at=now, until=now + datetime.timedelta(minutes=study.pause_minutes)
    )
    record("reading.pause.began", actor, study_id=study.pk, subject=pause)
    return pause


@transaction.atomic
def do_end_pause(session: Session, actor: User) -> Pause | None:
    """The reader goes on; `PauseRunning` before the pause has lasted. None when none runs."""
    session.study = hold_study_of(session)
    check_own_session(session, actor)
    pause = running_pause(session)
    if pause is None:
        return None
    now = timezone.now()
    if now < pause.until:
        raise PauseRunning(pause.until, math.ceil((pause.until - now).total_seconds() / 60))
    pause.ended_at = now
    pause.save(update_fields=["ended_at"])
    record("reading.pause.ended", actor, study_id=session.study_id, subject=pause)
    return pause


# --- Faults of the page ---------------------------------------------------------------------------


def check_fault_rate(user: User) -> None:
    """Count a fault that a page reports; `TooManyRequests` for a page that does nothing else."""
    key = f"reading.faults.{user.pk}"
    cache.add(key, 0, FAULTS_SECONDS)
    try:
        count = cache.incr(key)
    except ValueError:  # gone between the two
        cache.set(key, 1, FAULTS_SECONDS)
        count = 1
    if count > FAULTS_ALLOWED:
        raise TooManyRequests("Too many faults were reported: no more are taken.", FAULTS_SECONDS)
