"""What a reader does: open an item, score it, comment on it, mark it, submit it.

Every act holds the study first, together with other readers, so that no score slips in beside a
lock, and leaves an event in the trail. A reader acts on items of their own sessions alone.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.studies.access import require_role
from readerstudy.studies.models import Role, Study
from readerstudy.studies.protocol import sha256_of

from .answers import (
    SHORTEST_REASON,
    Answer,
    answer_of,
    as_written,
    read_answer,
    shown_value,
)
from .errors import (
    Closed,
    Conflict,
    NoGoingBack,
    NotOpen,
    ReasonNeeded,
    ScoresMissing,
    TooLong,
    UnknownCriterion,
    Unseen,
)
from .holding import hold_session
from .marks import read_marks
from .models import CommentRevision, Item, MarksRevision, Pane, ScoreRevision, Session
from .models.answers import COMMENT_LENGTH, REASON_LENGTH
from .selectors import Reach, latest_answers, open_item, reach_of, why_closed

# What stands as the reason of a change made before the item was submitted, when none is asked for.
STILL_OPEN = "changed before submission"


def check_own_item(item: Item, actor: User) -> None:
    """Only the session's reader acts on it, as a reader of the study, while reading is open."""
    check_own_session(item.session, actor)


def check_own_session(session: Session, actor: User) -> None:
    if session.reader_id != actor.pk:
        raise PermissionDenied("This session belongs to another reader.")
    require_role(actor, session.study, Role.READER)
    closed = why_closed(session)
    if closed:
        raise Closed(closed)


def check_may_score(item: Item, actor: User) -> None:
    check_own_item(item, actor)
    reach = reach_of(item)
    if reach == Reach.EARLIER and not item.session.study.may_go_back:
        raise NoGoingBack
    if reach not in {Reach.OPEN, Reach.EARLIER}:
        raise NotOpen


def held_item(item: Item) -> Item:
    """The item as it stands now, held with its session until the transaction ends.

    Session first, as in every act: in another order two windows of a reader could wait for each
    other for ever.
    """
    hold_session(item.session)
    rows = Item.objects.select_for_update(of=("self",)).select_related("session__study")
    return rows.defer("session__study__protocol").get(pk=item.pk)


def needs_reason(item: Item) -> bool:
    """Whether a change of what is stored for the item needs a reason now."""
    rule = item.session.study.change_reason
    if rule == Study.ChangeReason.ALWAYS:
        return True
    return rule == Study.ChangeReason.SUBMITTED and item.submitted_at is not None


def _reason_of_change(item: Item, stored_revision: int, reason: str) -> str:
    """The reason to be stored with a change; nothing for a first answer."""
    reason = reason.strip()
    if len(reason) > REASON_LENGTH:
        raise TooLong(f"The reason is too long: {REASON_LENGTH} characters at most.")
    if stored_revision == 0:
        return ""
    if needs_reason(item) and len(reason) < SHORTEST_REASON:
        raise ReasonNeeded
    return reason or (STILL_OPEN if item.submitted_at is None else "")


# --- Opening --------------------------------------------------------------------------------------


@transaction.atomic
def do_open_item(item: Item, actor: User) -> Item:
    """Note when the item was first shown; the first one starts the session."""
    item = held_item(item)
    check_own_item(item, actor)
    if reach_of(item) != Reach.OPEN or item.opened_at:
        return item
    now = timezone.now()
    item.opened_at = now
    item.save(update_fields=["opened_at"])
    session = item.session
    if session.started_at is None:
        session.started_at = now
        session.save(update_fields=["started_at"])
        record("reading.session.started", actor, study_id=session.study_id, subject=session)
    return item


def do_note_fetched(pane: Pane) -> None:
    """Note when a pane's pixels first left."""
    if pane.fetched_at is None:
        Pane.objects.filter(pk=pane.pk, fetched_at=None).update(fetched_at=timezone.now())


# --- Answering ------------------------------------------------------------------------------------


@transaction.atomic
def do_record_score(
    item: Item,
    criterion_code: str,
    value: object,
    revision: int,
    actor: User,
    reason: str = "",
    cannot_assess: str = "",
) -> ScoreRevision:
    """Add a revision of one answer. `revision` is the one that the page showed: 0 for none.

    Raises `Conflict` when another one is stored by now, unless it says the same.
    """
    item = held_item(item)
    check_may_score(item, actor)
    study = item.session.study
    criterion = study.criteria.filter(code=criterion_code).first()
    if criterion is None:
        raise UnknownCriterion
    mode = study.reading_mode
    answer = read_answer(mode, item.panes.count(), value, cannot_assess)
    last = item.scores.filter(criterion=criterion).order_by("-revision").first()
    if last is not None and answer_of(last) == answer:
        return last
    stored = last.revision if last is not None else 0
    if revision != stored:
        raise Conflict(_stored_score(mode, criterion.code, last))
    why = _reason_of_change(item, stored, reason or answer.cannot_assess)
    score = ScoreRevision.objects.create(
        item=item,
        criterion=criterion,
        revision=stored + 1,
        value=answer.value,
        ranks=answer.ranks,
        cannot_assess=answer.cannot_assess,
        reason=why,
    )
    record(
        "reading.score.recorded" if last is None else "reading.score.revised",
        actor,
        study_id=study.pk,
        subject=item,
        old=None if last is None else as_written(mode, criterion, answer_of(last)),
        new={**as_written(mode, criterion, answer), "revision": score.revision},
        why=why,
    )
    return score


def _stored_score(mode: str, code: str, last: ScoreRevision | None) -> dict[str, Any]:
    answer = answer_of(last) if last is not None else Answer()
    return {
        "criterion": code,
        "value": shown_value(mode, answer),
        "cannot_assess": answer.cannot_assess,
        "revision": last.revision if last is not None else 0,
    }


@transaction.atomic
def do_comment(
    item: Item, text: str, revision: int, actor: User, reason: str = ""
) -> CommentRevision | None:
    """Add a revision of the item's comment; an empty one takes it back. None if nothing changed."""
    item = held_item(item)
    check_may_score(item, actor)
    text = text.strip()
    if len(text) > COMMENT_LENGTH:
        raise TooLong(f"The comment is too long: {COMMENT_LENGTH} characters at most.")
    last = item.comments.order_by("-revision").first()
    stored = last.revision if last is not None else 0
    if text == (last.text if last is not None else ""):
        return last
    if revision != stored:
        raise Conflict({"text": last.text if last is not None else "", "revision": stored})
    why = _reason_of_change(item, stored, reason)
    comment = CommentRevision.objects.create(item=item, revision=stored + 1, text=text, reason=why)
    # The text stays out of the trail, which is to hold no patient data: people write what they see.
    record(
        "reading.comment.recorded" if last is None else "reading.comment.revised",
        actor,
        study_id=item.session.study_id,
        subject=item,
        old=None if last is None else {"revision": stored, "sha256": sha256_of(last.text)},
        new={"revision": comment.revision, "sha256": sha256_of(text), "characters": len(text)},
        why=why,
    )
    return comment


@transaction.atomic
def do_mark(
    item: Item, content: object, revision: int, actor: User, reason: str = ""
) -> MarksRevision | None:
    """Store the item's arrows as they stand now; None if there were none and are none."""
    item = held_item(item)
    check_may_score(item, actor)
    marks = read_marks(item, content)
    last = item.marks.order_by("-revision").first()
    stored = last.revision if last is not None else 0
    standing = last.marks if last is not None else []
    if marks == standing:
        return last
    if revision != stored:
        raise Conflict({"marks": standing, "revision": stored})
    why = _reason_of_change(item, stored, reason)
    marked = MarksRevision.objects.create(item=item, revision=stored + 1, marks=marks, reason=why)
    record(
        "reading.marks.recorded" if last is None else "reading.marks.revised",
        actor,
        study_id=item.session.study_id,
        subject=item,
        old=None if last is None else {"revision": stored, "marks": standing},
        new={"revision": marked.revision, "marks": marks},
        why=why,
    )
    return marked


# --- Submitting -----------------------------------------------------------------------------------


@transaction.atomic
def do_submit_item(item: Item, actor: User, shown: Collection[int]) -> Item | None:
    """Close a fully answered item; returns the one to read next, None when the session is over.

    `shown` are the numbers of the panes that the page has drawn. Submitting once more changes
    nothing: the answer to the first time may have been lost.
    """
    item = held_item(item)
    check_own_item(item, actor)
    session = item.session
    if item.submitted_at is None:
        check_may_score(item, actor)
        _submit(item, actor, shown)
    following = open_item(session)
    if following is None and session.completed_at is None:
        _complete(session, actor)
    return following


def _submit(item: Item, actor: User, shown: Collection[int]) -> None:
    study = item.session.study
    answers = latest_answers(item)
    criteria = list(study.criteria.all())
    missing = [criterion for criterion in criteria if criterion.code not in answers]
    if missing:
        raise ScoresMissing([c.code for c in missing], [c.name for c in missing])
    unseen = [
        pane.number
        for pane in item.panes.all()
        if pane.number not in shown or pane.fetched_at is None
    ]
    if unseen:
        raise Unseen(unseen)
    item.submitted_at = timezone.now()
    item.save(update_fields=["submitted_at"])
    record(
        "reading.item.submitted",
        actor,
        study_id=item.session.study_id,
        subject=item,
        new={
            criterion.code: shown_value(study.reading_mode, answer_of(answers[criterion.code]))
            for criterion in criteria
        },
    )


def _complete(session: Session, actor: User) -> None:
    """The session is over; the washout before the reader's next occasion begins."""
    session.completed_at = timezone.now()
    session.save(update_fields=["completed_at"])
    record("reading.session.completed", actor, study_id=session.study_id, subject=session)
    following = Session.objects.filter(
        study=session.study_id, reader_code=session.reader_code, occasion=session.occasion + 1
    ).first()
    if following is not None and following.opens_at is None:
        washout = datetime.timedelta(days=session.study.washout_days)
        following.opens_at = session.completed_at + washout
        following.save(update_fields=["opens_at"])
        record(
            "reading.session.washout_began",
            actor,
            study_id=session.study_id,
            subject=following,
            new={"opens_at": following.opens_at.isoformat()},
        )
