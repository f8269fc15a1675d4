"""Storing the reading order, and what a reader does: open an item, score it, submit it.

Every act holds the study's row first, so that no score slips in beside a lock, and leaves an event
in the trail. A reader acts on items of their own sessions alone.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.studies.access import require_role
from readerstudy.studies.models import Arm, Role, Study
from readerstudy.studies.protocol import sha256_of
from readerstudy.studies.selectors import reader_memberships
from readerstudy.studies.services import lock_study

from .errors import ReadingError, ScoreConflict, ScoresMissing
from .models import Item, Randomisation, ScoreRevision, Session
from .randomisation import (
    ALGORITHM,
    Constraints,
    OrderImpossible,
    check_order_possible,
    derive_order,
)
from .selectors import Reach, latest_scores, open_item, reach_of, why_closed

FIRST_OCCASION = 1
REASON_LENGTH = 300

Permutation = dict[str, dict[str, list[list[str]]]]


# --- The stored order -----------------------------------------------------------------------------


def constraints_of(study: Study) -> Constraints:
    return Constraints(study.minimum_gap, study.repeat_percent, study.side_policy)


def check_randomisation(study: Study) -> None:
    """Raise `ReadingError` with everything that keeps the order from being stored now."""
    faults: list[str] = []
    if Randomisation.objects.filter(study=study).exists():
        faults.append("The reading order of this study is stored already.")
    readers = reader_memberships(study)
    if not readers:
        faults.append("The study has no readers yet.")
    faults += [
        f"Reader {member.user} has no reader code." for member in readers if not member.reader_code
    ]
    try:
        check_order_possible(study.volunteers.count(), study.arms.count(), constraints_of(study))
    except OrderImpossible as impossible:
        faults.append(str(impossible))
    faults += [
        f"{volunteer}: no images of {', '.join(missing)}."
        for volunteer, missing in _missing_series(study).items()
    ]
    if faults:
        raise ReadingError(*faults)


def _missing_series(study: Study) -> dict[str, list[str]]:
    """The arms that each incomplete volunteer lacks, by name."""
    present = set(Series.objects.filter(volunteer__study=study).values_list("volunteer", "arm"))
    arms = list(study.arms.all())
    missing = {
        volunteer.code: [arm.name for arm in arms if (volunteer.pk, arm.pk) not in present]
        for volunteer in study.volunteers.all()
    }
    return {code: names for code, names in missing.items() if names}


@transaction.atomic
def do_store_randomisation(
    study: Study, actor: User | None, seed: str | None = None
) -> Randomisation:
    """Draw and store every reader's order, with fresh random tokens. Part of the launch."""
    require_role(actor, study, Role.COORDINATOR)
    study = lock_study(study)
    check_randomisation(study)
    readers = reader_memberships(study)
    constraints = {
        **constraints_of(study).as_json(),
        "volunteers": sorted(study.volunteers.values_list("code", flat=True)),
        "arms": sorted(study.arms.values_list("code", flat=True)),
        "readers": [member.reader_code for member in readers],
        "occasions": [FIRST_OCCASION],
    }
    seed = seed or secrets.token_hex(16)
    try:
        permutation = derive_permutation(constraints, seed)
    except OrderImpossible as impossible:
        raise ReadingError(str(impossible)) from None
    randomisation = Randomisation.objects.create(
        study=study,
        seed=seed,
        algorithm=ALGORITHM,
        constraints=constraints,
        permutation=permutation,
        sha256=randomisation_hash(ALGORITHM, seed, constraints, permutation),
    )
    volunteers = {volunteer.code: volunteer for volunteer in study.volunteers.all()}
    arms = {arm.code: arm for arm in study.arms.all()}
    for member in readers:
        for occasion, rows in permutation[member.reader_code].items():
            session = Session.objects.create(
                study=study,
                reader=member.user,
                reader_code=member.reader_code,
                occasion=int(occasion),
            )
            Item.objects.bulk_create(_items(session, rows, volunteers, arms), batch_size=500)
    # The seed stays out of the trail: who could read it there could derive the order.
    record(
        "reading.randomisation.stored",
        actor,
        study_id=study.pk,
        subject=randomisation,
        new={
            "algorithm": ALGORITHM,
            "sha256": randomisation.sha256,
            "readers": constraints["readers"],
            "items_a_reader": len(next(iter(permutation.values()))[str(FIRST_OCCASION)]),
        },
    )
    return randomisation


def derive_permutation(constraints: dict[str, Any], seed: str) -> Permutation:
    """The whole permutation from what a `Randomisation` row holds: {reader: {occasion: rows}}."""
    rules = Constraints(
        constraints["minimum_gap"], constraints["repeat_percent"], constraints["side_policy"]
    )
    return {
        reader: {
            str(occasion): [
                presentation.as_row()
                for presentation in derive_order(
                    constraints["volunteers"],
                    constraints["arms"],
                    rules,
                    seed=seed,
                    reader=reader,
                    occasion=occasion,
                )
            ]
            for occasion in constraints["occasions"]
        }
        for reader in constraints["readers"]
    }


def randomisation_hash(
    algorithm: str, seed: str, constraints: dict[str, Any], permutation: Permutation
) -> str:
    return sha256_of(
        {
            "algorithm": algorithm,
            "seed": seed,
            "constraints": constraints,
            "permutation": permutation,
        }
    )


def _items(
    session: Session,
    rows: list[list[str]],
    volunteers: dict[str, Volunteer],
    arms: dict[str, Arm],
) -> list[Item]:
    return [
        Item(
            session=session,
            position=position,
            volunteer=volunteers[volunteer],
            arm=arms[arm],
            control_side=side,
            purpose=purpose,
        )
        for position, (volunteer, arm, side, purpose) in enumerate(rows, start=1)
    ]


def differences_from_stored(randomisation: Randomisation) -> list[str]:
    """In what the stored order is not the one that seed and constraints give; empty if it is."""
    if randomisation.algorithm != ALGORITHM:
        return [
            f"The order was drawn by “{randomisation.algorithm}”; this version has “{ALGORITHM}”."
        ]
    derived = derive_permutation(randomisation.constraints, randomisation.seed)
    found: list[str] = []
    if derived != randomisation.permutation:
        found.append("The stored permutation is not the one that the seed gives.")
    if randomisation.sha256 != randomisation_hash(
        ALGORITHM, randomisation.seed, randomisation.constraints, randomisation.permutation
    ):
        found.append("The stored hash does not belong to the stored seed and permutation.")
    stored = _stored_rows(randomisation.study)
    wanted = {
        (reader, int(occasion)): rows
        for reader, occasions in derived.items()
        for occasion, rows in occasions.items()
    }
    for reader, occasion in sorted(set(wanted) | set(stored)):
        found += _row_differences(
            f"reader {reader}, occasion {occasion}",
            wanted.get((reader, occasion), []),
            stored.get((reader, occasion), []),
        )
    return found


def _stored_rows(study: Study) -> dict[tuple[str, int], list[list[str]]]:
    rows: dict[tuple[str, int], list[list[str]]] = defaultdict(list)
    items = Item.objects.filter(session__study=study, session__is_imported=False)
    for item in items.select_related("session", "volunteer", "arm").order_by("session", "position"):
        rows[item.session.reader_code, item.session.occasion].append(
            [item.volunteer.code, item.arm.code, item.control_side, item.purpose]
        )
    return rows


def _row_differences(where: str, wanted: list[list[str]], stored: list[list[str]]) -> list[str]:
    found: list[str] = []
    if len(wanted) != len(stored):
        found.append(f"{where}: {len(stored)} items are stored, {len(wanted)} follow from the seed")
    found += [
        f"{where}, item {position}: stored {' '.join(is_)}, from the seed {' '.join(should)}"
        for position, (should, is_) in enumerate(zip(wanted, stored, strict=False), start=1)
        if should != is_
    ]
    return found


# --- Reading --------------------------------------------------------------------------------------


def check_own_item(item: Item, actor: User) -> None:
    """Only the session's reader acts on it, as a reader of the study, while reading is open."""
    if item.session.reader_id != actor.pk:
        raise PermissionDenied("This session belongs to another reader.")
    require_role(actor, item.session.study, Role.READER)
    closed = why_closed(item.session)
    if closed:
        raise ReadingError(closed)


def check_may_score(item: Item, actor: User) -> None:
    check_own_item(item, actor)
    reach = reach_of(item)
    if reach == Reach.EARLIER and not item.session.study.may_go_back:
        raise ReadingError("This item has been submitted: in this study it cannot be changed.")
    if reach not in {Reach.OPEN, Reach.EARLIER}:
        raise ReadingError("This item is not open yet: score the open one first.")


def _held(item: Item) -> Item:
    """The item as it stands now, with the study's row held until the transaction ends."""
    study = lock_study(item.session.study)
    held = Item.objects.select_for_update(of=("self",)).select_related("session").get(pk=item.pk)
    held.session.study = study
    return held


@transaction.atomic
def do_open_item(item: Item, actor: User) -> Item:
    """Note when the item was first shown; the first one starts the session."""
    item = _held(item)
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


@transaction.atomic
def do_record_score(
    item: Item, criterion_code: str, value: object, revision: int, actor: User, reason: str = ""
) -> ScoreRevision:
    """Add a revision of one score. `revision` is the one that the page showed: 0 for none.

    Raises `ScoreConflict` when another one is stored by now, unless it says the same: a save whose
    answer was lost may be sent again.
    """
    item = _held(item)
    check_may_score(item, actor)
    study = item.session.study
    criterion = study.criteria.filter(code=criterion_code).first()
    if criterion is None:
        raise ReadingError("There is no such criterion in this study.")
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 5:
        raise ReadingError("A score is a whole number from 1 to 5.")
    if len(reason) > REASON_LENGTH:
        raise ReadingError(f"The reason is too long: {REASON_LENGTH} characters at most.")
    last = item.scores.filter(criterion=criterion).order_by("-revision").first()
    if last is not None and last.value == value:
        return last
    stored = last.revision if last is not None else 0
    if revision != stored:
        raise ScoreConflict(last.value if last is not None else None, stored)
    score = ScoreRevision.objects.create(
        item=item, criterion=criterion, revision=stored + 1, value=value, reason=reason
    )
    record(
        "reading.score.recorded" if last is None else "reading.score.revised",
        actor,
        study_id=study.pk,
        subject=item,
        old=None if last is None else {"criterion": criterion.code, "value": last.value},
        new={"criterion": criterion.code, "value": value, "revision": score.revision},
        why=reason,
    )
    return score


@transaction.atomic
def do_submit_item(item: Item, actor: User) -> Item | None:
    """Close a fully scored item; returns the one to read next, None when the session is over.

    Submitting once more changes nothing: the answer to the first time may have been lost.
    """
    item = _held(item)
    check_own_item(item, actor)
    session = item.session
    if item.submitted_at is None:
        check_may_score(item, actor)
        _submit(item, actor)
    following = open_item(session)
    if following is None and session.completed_at is None:
        session.completed_at = timezone.now()
        session.save(update_fields=["completed_at"])
        record("reading.session.completed", actor, study_id=session.study_id, subject=session)
    return following


def _submit(item: Item, actor: User) -> None:
    scores = latest_scores(item)
    missing = [c for c in item.session.study.criteria.all() if c.code not in scores]
    if missing:
        raise ScoresMissing([c.code for c in missing], [c.name for c in missing])
    item.submitted_at = timezone.now()
    item.save(update_fields=["submitted_at"])
    record(
        "reading.item.submitted",
        actor,
        study_id=item.session.study_id,
        subject=item,
        new={code: score.value for code, score in scores.items()},
    )
