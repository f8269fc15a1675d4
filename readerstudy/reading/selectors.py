"""What readers may see, as plain objects that name no arm and no volunteer; and what others ask.

Everything a reader's browser gets comes through `reader_sessions`, `item_content` and `pane_slice`.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q
from django.http import Http404
from django.utils import formats, timezone

from readerstudy.accounts.models import User
from readerstudy.imaging.selectors import (
    control_series,
    display_geometry,
    display_slice,
    display_window,
    get_series,
)
from readerstudy.studies.models import Role, Study

from .models import Item, ScoreRevision, Session


class Reach(enum.Enum):
    """Where an item lies from the one that is to be read now."""

    EARLIER = "submitted before"
    OPEN = "to be read now"
    NEXT = "the one after: its images may be fetched ahead"
    BEYOND = "later"


@dataclass(frozen=True)
class SessionSummary:
    token: str
    title: str
    notice: str
    instructions: str
    occasion: int
    submitted: int
    total: int
    closed: str  # why no score can be given now; empty when one can
    may_go_back: bool

    @property
    def is_done(self) -> bool:
        return self.submitted == self.total


@dataclass(frozen=True)
class StoredScore:
    value: int
    revision: int


# --- Sessions and items of one reader -------------------------------------------------------------


def _own_sessions(user: User) -> Any:
    """Sessions that the person reads; none through an office, none after leaving the study."""
    return (
        Session.objects.filter(
            reader=user,
            is_imported=False,
            study__memberships__user=user,
            study__memberships__role=Role.READER,
        )
        .exclude(study__state=Study.State.DRAFT)
        .select_related("study")
    )


def reader_sessions(user: User) -> list[SessionSummary]:
    sessions = _own_sessions(user).annotate(
        total=Count("items"), submitted=Count("items", filter=Q(items__submitted_at__isnull=False))
    )
    return [
        _summary(session, session.submitted, session.total)
        for session in sessions.order_by("completed_at", "study__title", "occasion")
    ]


def session_summary(session: Session) -> SessionSummary:
    total = session.items.count()
    return _summary(session, session.items.exclude(submitted_at=None).count(), total)


def _summary(session: Session, submitted: int, total: int) -> SessionSummary:
    study = session.study
    return SessionSummary(
        token=session.token,
        title=study.title,
        notice=study.notice,
        instructions=study.reading_instructions,
        occasion=session.occasion,
        submitted=submitted,
        total=total,
        closed=why_closed(session),
        may_go_back=study.may_go_back,
    )


def why_closed(session: Session) -> str:
    """Why no score of the session can be given now, for people; empty when it can."""
    if session.is_imported:
        return "These scores were given elsewhere and cannot be changed here."
    if session.study.state != Study.State.READING:
        return "Reading is closed: scores can no longer be given or changed."
    if session.opens_at is not None and session.opens_at > timezone.now():
        opens = formats.date_format(timezone.localtime(session.opens_at), "j F Y, H:i")
        return f"This session opens on {opens}."
    return ""


def get_session(user: User, token: str) -> Session:
    """The reader's own session of that token, else 404."""
    try:
        session: Session = _own_sessions(user).get(token=token)
    except Session.DoesNotExist:
        raise Http404 from None
    return session


def get_item(user: User, token: str) -> Item:
    """An item of the reader's own sessions, else 404."""
    item = (
        Item.objects.filter(token=token, session__in=_own_sessions(user))
        .select_related("session__study", "volunteer", "arm")
        .first()
    )
    if item is None:
        raise Http404
    return item


def open_item(session: Session) -> Item | None:
    """The item to be read now: the first that is not submitted."""
    return session.items.filter(submitted_at=None).order_by("position").first()


def reach_of(item: Item) -> Reach:
    if item.submitted_at is not None:
        return Reach.EARLIER
    waiting_before = Item.objects.filter(
        session=item.session_id, submitted_at=None, position__lt=item.position
    ).count()
    return {0: Reach.OPEN, 1: Reach.NEXT}.get(waiting_before, Reach.BEYOND)


def may_see(item: Item) -> bool:
    """Whether the images may leave: the open item, the next one ahead of time, earlier ones
    where the study allows going back."""
    if why_closed(item.session):
        return False
    reach = reach_of(item)
    if reach == Reach.EARLIER:
        return item.session.study.may_go_back
    return reach in {Reach.OPEN, Reach.NEXT}


def latest_scores(item: Item) -> dict[str, StoredScore]:
    """The counting score of each criterion scored so far, by its code."""
    revisions = item.scores.select_related("criterion").order_by("criterion__position", "revision")
    return {score.criterion.code: StoredScore(score.value, score.revision) for score in revisions}


def missing_criteria(item: Item) -> list[str]:
    scores = latest_scores(item)
    codes = item.session.study.criteria.values_list("code", flat=True)
    return [code for code in codes if code not in scores]


def neighbour(item: Item, step: int) -> Item | None:
    """The item that many positions on, if the session has it."""
    return Item.objects.filter(session=item.session_id, position=item.position + step).first()


# --- What is sent ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pane:
    role: str  # "control" or "candidate"
    side: str
    token: str


@dataclass(frozen=True)
class ItemContent:
    """Everything the reading page knows of an item."""

    position: int
    total: int
    submitted_count: int
    submitted: bool
    geometry: dict[str, Any]
    window: dict[str, float]
    panes: Sequence[Pane]
    criteria: Sequence[dict[str, Any]]
    notice: str


def item_content(item: Item) -> ItemContent:
    study = item.session.study
    scores = latest_scores(item)
    other = {Item.Side.LEFT: Item.Side.RIGHT, Item.Side.RIGHT: Item.Side.LEFT}
    panes = [
        Pane("control", item.control_side, item.control_token),
        Pane("candidate", other[Item.Side(item.control_side)].value, item.candidate_token),
    ]
    items = Item.objects.filter(session=item.session_id)
    return ItemContent(
        position=item.position,
        total=items.count(),
        submitted_count=items.exclude(submitted_at=None).count(),
        submitted=item.submitted_at is not None,
        geometry=display_geometry(item.volunteer),
        window=display_window(item.volunteer),
        panes=panes,
        criteria=[
            {
                "code": criterion.code,
                "name": criterion.name,
                "question": criterion.question,
                "anchors": criterion.anchors,
                "value": scores[criterion.code].value if criterion.code in scores else None,
                "revision": scores[criterion.code].revision if criterion.code in scores else 0,
            }
            for criterion in study.criteria.all()
        ],
        notice=study.notice,
    )


def pane_slice(user: User, token: str, index: int) -> bytes:
    """One slice of one pane as it is displayed, else 404: the same steps for every arm."""
    item = (
        Item.objects.filter(
            Q(control_token=token) | Q(candidate_token=token), session__in=_own_sessions(user)
        )
        .select_related("session__study", "volunteer", "arm")
        .first()
    )
    if item is None or not may_see(item):
        raise Http404
    if token == item.candidate_token:
        series = get_series(item.volunteer, item.arm)
    else:
        series = control_series(item.volunteer)
    if series is None or index >= series.slices:
        raise Http404
    return display_slice(series, index)


# --- What other rooms ask -------------------------------------------------------------------------


@dataclass(frozen=True)
class ReaderProgress:
    reader_code: str
    occasion: int
    submitted: int
    total: int
    is_imported: bool

    @property
    def is_done(self) -> bool:
        return self.submitted == self.total


def progress(study: Study) -> list[ReaderProgress]:
    """How far each reader is: figures of progress, never of scores."""
    sessions = Session.objects.filter(study=study).annotate(
        total=Count("items"), submitted=Count("items", filter=Q(items__submitted_at__isnull=False))
    )
    found = [
        ReaderProgress(s.reader_code, s.occasion, s.submitted, s.total, s.is_imported)
        for s in sessions
    ]
    return sorted(found, key=lambda p: (len(p.reader_code), p.reader_code, p.occasion))


def scores_frame(study: Study) -> list[dict[str, Any]]:
    """The scores of the primary analysis, one row each, for a data frame.

    Submitted primary items of the first occasion; the latest revision of each score. Columns:
    volunteer, arm, reader, criterion (codes), score, item_id, revision.
    """
    revisions = (
        ScoreRevision.objects.filter(
            item__session__study=study,
            item__session__occasion=1,
            item__purpose=Item.Purpose.PRIMARY,
            item__submitted_at__isnull=False,
        )
        .order_by(
            "item__volunteer__code",
            "item__arm__position",
            "item__session__reader_code",
            "criterion__position",
            "criterion_id",
            "item_id",
            "revision",
        )
        .values_list(
            "item_id",
            "criterion_id",
            "item__volunteer__code",
            "item__arm__code",
            "item__session__reader_code",
            "criterion__code",
            "value",
            "revision",
        )
    )
    latest: dict[tuple[int, int], dict[str, Any]] = {}
    for item_id, criterion_id, volunteer, arm, reader, criterion, value, revision in revisions:
        latest[item_id, criterion_id] = {
            "volunteer": volunteer,
            "arm": arm,
            "reader": reader,
            "criterion": criterion,
            "score": value,
            "item_id": item_id,
            "revision": revision,
        }
    return list(latest.values())
