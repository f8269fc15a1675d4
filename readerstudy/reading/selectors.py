"""What readers may see, as plain objects that name no arm and no volunteer.

Everything a reader's browser gets comes through `reader_sessions`, `item_content` and `pane_slice`.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import Http404
from django.utils import formats, timezone

from readerstudy.accounts.models import User
from readerstudy.imaging.selectors import (
    display_geometry,
    display_presets,
    display_slice,
    display_window,
    series_to_show,
)
from readerstudy.studies.models import Role, Study

from .answers import SIDES, answer_of, pane_letter, shown_value
from .models import CommentRevision, Item, MarksRevision, Pane, ScoreRevision, Session

CHECKED_FOR = datetime.timedelta(hours=12)  # a display is checked once a day of reading
FETCHED_AHEAD = 2  # items after the open one whose images may be fetched


class Reach(enum.Enum):
    """Where an item lies from the one that is to be read now."""

    EARLIER = "submitted before"
    OPEN = "to be read now"
    NEXT = "one of the next: its images may be fetched ahead"
    BEYOND = "later"


@dataclass(frozen=True)
class SessionSummary:
    token: str
    title: str
    notice: str
    instructions: str
    occasion: int
    submitted: int  # without practice
    total: int
    practice_submitted: int
    practice_total: int
    closed: str  # why no score can be given now; empty when one can
    may_go_back: bool
    is_begun: bool  # an answer was given, in practice too, be the item submitted or still open

    @property
    def is_done(self) -> bool:
        return self.submitted == self.total


# --- Sessions and items of one reader -------------------------------------------------------------


def _read_by(user: User, session: str = "") -> Q:
    """Sessions that the person reads; none through an office, none after leaving the study.

    `session` is the way to the session: `item__session__` from a pane.
    """
    own = {
        "reader": user,
        "is_imported": False,
        "study__memberships__user": user,
        "study__memberships__role": Role.READER,
    }
    draft = Q(**{f"{session}study__state": Study.State.DRAFT})
    return Q(**{f"{session}{name}": value for name, value in own.items()}) & ~draft


def _without_protocol(study: str = "study__") -> list[str]:
    """What of a study's row is long and no part of reading: not fetched a hundred times a minute.

    `study` is the way to the study.
    """
    return [f"{study}{name}" for name in ("protocol", "planning", "description", "credits")]


def _own_sessions(user: User) -> Any:
    sessions = Session.objects.filter(_read_by(user)).select_related("study")
    return sessions.defer(*_without_protocol())


def _any_answer() -> Any:
    """Whether anything was answered, commented or marked in a session, or submitted."""
    in_session = {"item__session": OuterRef("pk")}
    kinds = (ScoreRevision, CommentRevision, MarksRevision)
    found: Any = Exists(Item.objects.filter(session=OuterRef("pk"), submitted_at__isnull=False))
    for kind in kinds:
        found |= Exists(kind.objects.filter(**in_session))
    return found


def with_counts(sessions: QuerySet[Session]) -> Any:
    """Sessions with `total` and `submitted`, the same of practice, and `is_begun`."""
    practice = Q(items__purpose=Item.Purpose.PRACTICE)
    submitted = Q(items__submitted_at__isnull=False)
    return sessions.annotate(
        total=Count("items", filter=~practice),
        submitted=Count("items", filter=~practice & submitted),
        practice_total=Count("items", filter=practice),
        practice_submitted=Count("items", filter=practice & submitted),
        is_begun=_any_answer(),
    )


def reader_sessions(user: User) -> list[SessionSummary]:
    sessions = with_counts(_own_sessions(user))
    return [
        _summary(session)
        for session in sessions.order_by("completed_at", "study__title", "occasion")
    ]


def session_summary(session: Session) -> SessionSummary:
    return _summary(
        with_counts(Session.objects.filter(pk=session.pk)).select_related("study").get()
    )


def _summary(session: Any) -> SessionSummary:
    study = session.study
    return SessionSummary(
        token=session.token,
        title=study.title,
        notice=study.notice,
        instructions=study.reading_instructions,
        occasion=session.occasion,
        submitted=session.submitted,
        total=session.total,
        practice_submitted=session.practice_submitted,
        practice_total=session.practice_total,
        closed=why_closed(session),
        may_go_back=study.may_go_back,
        is_begun=session.is_begun,
    )


def why_closed(session: Session) -> str:
    """Why no score of the session can be given now, for people; empty when it can."""
    if session.is_imported:
        return "These scores were given elsewhere and cannot be changed here."
    if session.study.state != Study.State.READING:
        return "Reading is closed: scores can no longer be given or changed."
    if session.opens_at is None:
        if session.occasion == 1:
            return ""
        days = session.study.washout_days
        return (
            f"This session opens {days} {'day' if days == 1 else 'days'} after occasion "
            f"{session.occasion - 1} is finished."
        )
    if session.opens_at > timezone.now():
        opens = formats.date_format(timezone.localtime(session.opens_at), "j F Y, H:i")
        washout = ": until then the washout lasts" if session.occasion > 1 else ""
        return f"This session opens on {opens}{washout}."
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
        Item.objects.filter(_read_by(user, "session__"), token=token)
        .select_related("session__study", "volunteer")
        .defer(*_without_protocol("session__study__"))
        .first()
    )
    if item is None:
        raise Http404
    return item


@dataclass(frozen=True)
class NumberedItem:
    """An item as a list of them names it: practice has numbers of its own."""

    token: str
    position: int
    is_practice: bool


def numbered_items(session: Session) -> list[NumberedItem]:
    numbered = []
    counts = {True: 0, False: 0}
    for token, purpose in session.items.order_by("position").values_list("token", "purpose"):
        is_practice = purpose == Item.Purpose.PRACTICE
        counts[is_practice] += 1
        numbered.append(NumberedItem(token, counts[is_practice], is_practice))
    return numbered


def open_item(session: Session) -> Item | None:
    """The item to be read now: the first that is not submitted."""
    return session.items.filter(submitted_at=None).order_by("position").first()


def reach_of(item: Item) -> Reach:
    if item.submitted_at is not None:
        return Reach.EARLIER
    waiting_before = _waiting_before(item)
    if waiting_before == 0:
        return Reach.OPEN
    return Reach.NEXT if waiting_before <= FETCHED_AHEAD else Reach.BEYOND


def _waiting_before(item: Item) -> int:
    waiting = Item.objects.filter(session=item.session_id, submitted_at=None)
    return waiting.filter(position__lt=item.position).count()


def may_see(item: Item) -> bool:
    """Whether the images may leave: the open item, the next ones ahead of time, earlier ones
    where the study allows going back."""
    if why_closed(item.session) or not item.volunteer.display:
        return False  # an empty display: the images were erased, because the volunteer withdrew
    reach = reach_of(item)
    if reach == Reach.EARLIER:
        return item.session.study.may_go_back
    return reach in {Reach.OPEN, Reach.NEXT}


def reader_of_item(token: str) -> User | None:
    """Whose page it is; None for a token that nobody has."""
    item = Item.objects.filter(token=token).select_related("session__reader").first()
    return item.session.reader if item is not None else None


def item_number(item: Item) -> int:
    """The item's number as readers see it: among those of practice, or among the others."""
    practice = Q(purpose=Item.Purpose.PRACTICE)
    alike = practice if item.purpose == Item.Purpose.PRACTICE else ~practice
    return Item.objects.filter(alike, session=item.session_id, position__lte=item.position).count()


def display_check_wanted(session: Session) -> dict[str, Any]:
    """Whether the display is to be checked now, and on what the last check was done."""
    last = session.display_checks.order_by("-id").first()
    if last is None:
        return {"wanted": True, "last": None}
    contrast = last.content["contrast"]
    return {
        "wanted": timezone.now() - last.created_at > CHECKED_FOR,
        "last": {
            "saved_at": last.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "result": last.result,
            "ramp": contrast["ramp"] if contrast else None,
            "screen": last.content["screen"],
            "device_pixel_ratio": last.content["device_pixel_ratio"],
        },
    }


def latest_answers(item: Item) -> dict[str, ScoreRevision]:
    """The counting answer to each criterion answered so far, by its code."""
    revisions = item.scores.select_related("criterion").order_by("criterion__position", "revision")
    return {score.criterion.code: score for score in revisions}


def missing_criteria(item: Item) -> list[str]:
    answered = latest_answers(item)
    codes = item.session.study.criteria.values_list("code", flat=True)
    return [code for code in codes if code not in answered]


def items_ahead(item: Item) -> list[Item]:
    """The items after this one whose images may be fetched now."""
    following = Item.objects.filter(
        session=item.session_id, position__gt=item.position, submitted_at=None
    ).order_by("position")[:FETCHED_AHEAD]
    waiting_before = _waiting_before(item) + (item.submitted_at is None)
    return list(following)[: max(FETCHED_AHEAD + 1 - waiting_before, 0)]


def neighbour(item: Item, step: int) -> Item | None:
    """The item that many positions on, if the session has it."""
    return Item.objects.filter(session=item.session_id, position=item.position + step).first()


# --- What is sent ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class ShownPane:
    number: int
    role: str
    label: str
    side: str | None
    token: str


@dataclass(frozen=True)
class ItemContent:
    """Everything the reading page knows of an item."""

    mode: str
    is_practice: bool
    position: int  # among the items of practice, or among all others
    total: int
    submitted_count: int
    submitted: bool
    geometry: dict[str, Any]
    window: dict[str, float]
    presets: Sequence[dict[str, Any]]
    panes: Sequence[ShownPane]
    criteria: Sequence[dict[str, Any]]
    comment: dict[str, Any]
    marks: dict[str, Any]
    instructions: str
    notice: str


def item_content(item: Item) -> ItemContent:
    study = item.session.study
    mode = study.reading_mode
    is_practice = item.purpose == Item.Purpose.PRACTICE
    practice = Q(purpose=Item.Purpose.PRACTICE)
    like_this = Item.objects.filter(practice if is_practice else ~practice, session=item.session_id)
    comment = item.comments.order_by("-revision").first()
    marks = item.marks.order_by("-revision").first()
    return ItemContent(
        mode=mode,
        is_practice=is_practice,
        position=item_number(item),
        total=like_this.count(),
        submitted_count=like_this.exclude(submitted_at=None).count(),
        submitted=item.submitted_at is not None,
        geometry=display_geometry(item.volunteer),
        window=display_window(item.volunteer),
        presets=display_presets(item.volunteer),
        panes=_shown_panes(mode, item.panes.all()),
        criteria=_criteria(mode, item),
        comment={
            "text": comment.text if comment else "",
            "revision": comment.revision if comment else 0,
        },
        marks={
            "marks": marks.marks if marks else [],
            "revision": marks.revision if marks else 0,
        },
        instructions=study.reading_instructions,
        notice=study.notice,
    )


def _shown_panes(mode: str, panes: Iterable[Pane]) -> list[ShownPane]:
    """The panes from left to right, named for what a reader may know of them."""
    has_sides = mode in {Study.ReadingMode.RELATIVE, Study.ReadingMode.CHOICE}
    labels = {
        Study.ReadingMode.RELATIVE: lambda pane: str(pane.get_role_display()),
        Study.ReadingMode.ABSOLUTE: lambda pane: "Image",
        Study.ReadingMode.CHOICE: lambda pane: SIDES[pane.number - 1].capitalize(),
        Study.ReadingMode.RANKING: lambda pane: pane_letter(pane.number),
    }
    label = labels[Study.ReadingMode(mode)]
    return [
        ShownPane(
            number=pane.number,
            role=pane.role,
            label=label(pane),
            side=SIDES[pane.number - 1] if has_sides else None,
            token=pane.token,
        )
        for pane in panes
    ]


def _criteria(mode: str, item: Item) -> list[dict[str, Any]]:
    answered = latest_answers(item)
    shown = []
    for criterion in item.session.study.criteria.all():
        score = answered.get(criterion.code)
        shown.append(
            {
                "code": criterion.code,
                "name": criterion.name,
                "question": criterion.question,
                "anchors": criterion.anchors,
                "value": shown_value(mode, answer_of(score)) if score else None,
                "cannot_assess": score.cannot_assess if score else "",
                "revision": score.revision if score else 0,
            }
        )
    return shown


# What says whether a pane's images may leave, and which they are: asked for at every slice.
_OF_A_PANE = (
    *("arm_id", "fetched_at", "item__position", "item__submitted_at", "item__volunteer__display"),
    *(f"item__session__{name}" for name in ("is_imported", "occasion", "opens_at")),
    *(f"item__session__study__{name}" for name in ("state", "washout_days", "may_go_back")),
)


def get_pane(user: User, token: str) -> Pane:
    """A pane of the reader's own sessions whose images may leave now, else 404."""
    pane = (
        Pane.objects.filter(_read_by(user, "item__session__"), token=token)
        .select_related("item__session__study", "item__volunteer")
        .only(*_OF_A_PANE)
        .first()
    )
    if pane is None or not may_see(pane.item):
        raise Http404
    return pane


def pane_slice(pane: Pane, index: int) -> bytes:
    """One slice of one pane as it is displayed, else 404: the same steps for every arm."""
    series = series_to_show(pane.item.volunteer, pane.arm_id)
    if series is None or index >= series.slices:
        raise Http404
    return display_slice(series, index)
