"""Storing the reading order at the launch, and showing later that it is the one the seed gives."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.studies.access import require_role
from readerstudy.studies.models import Arm, Comparison, Role, Study
from readerstudy.studies.protocol import sha256_of
from readerstudy.studies.selectors import control_arm, reader_memberships, unread_arms
from readerstudy.studies.services import lock_study

from .arrangement import (
    ARRANGEMENT,
    CHOICE,
    CONTROL_MARK,
    PRACTICE,
    Design,
    Showing,
    check_design,
    derive_showings,
)
from .errors import ReadingError
from .models import Item, Pane, Randomisation, Session
from .randomisation import ALGORITHM, LEFT, RIGHT, Constraints, OrderImpossible, derive_order

Permutation = dict[str, dict[str, list[list[str]]]]


def design_of(study: Study) -> Design:
    """What the protocol asks, as the algorithm takes it."""
    practice = set(study.practice_volunteers)
    codes = study.volunteers.order_by("code").values_list("code", flat=True)
    control = control_arm(study)
    unread = [arm.pk for arm in unread_arms(study)]
    read = study.arms.exclude(pk__in=unread).order_by("code")
    return Design(
        mode=study.reading_mode,
        volunteers=tuple(code for code in codes if code not in practice),
        arms=tuple(read.values_list("code", flat=True)),
        control=control.code if control else "",
        comparisons=tuple(study.comparisons.values_list("first__code", "second__code")),
        minimum_gap=study.minimum_gap,
        repeat_percent=study.repeat_percent,
        side_policy=study.side_policy,
        occasions=study.occasions,
        practice_items=study.practice_items,
        practice_volunteers=tuple(sorted(practice)),
    )


def local_volunteers(study: Study) -> dict[str, list[str]]:
    """Whom each local reader reads: {reader code: volunteers' codes of the reader's site}.

    Readers without a site read all and are not named.
    """
    local = {m.reader_code: m.site_id for m in reader_memberships(study) if m.site_id is not None}
    codes: dict[int, list[str]] = defaultdict(list)
    rows = Volunteer.objects.filter(study=study, site__in=set(local.values()))
    for site, code in rows.order_by("code").values_list("site", "code"):
        codes[site].append(code)
    return {reader: codes[site] for reader, site in local.items()}


def of_reader(design: Design, local: Mapping[str, Sequence[str]], reader: str) -> Design:
    """The design with the volunteers that this reader reads."""
    if reader not in local:
        return design
    own = set(local[reader])
    return replace(
        design,
        volunteers=tuple(code for code in design.volunteers if code in own),
        practice_volunteers=tuple(code for code in design.practice_volunteers if code in own),
    )


def _local_faults(study: Study, design: Design) -> list[str]:
    faults = []
    local = local_volunteers(study)
    for reader in local:
        own = of_reader(design, local, reader)
        try:
            if design.practice_items and design.practice_volunteers and not own.practice_volunteers:
                raise OrderImpossible("None of the volunteers of practice is of the reader's site.")
            check_design(own)
        except OrderImpossible as impossible:
            faults.append(f"{reader}, who reads one site: {impossible}")
    return faults


def order_faults(study: Study) -> list[str]:
    """Why no order can keep the protocol's rules, in words; empty when one can."""
    design = design_of(study)
    unknown = sorted(
        set(design.practice_volunteers) - set(study.volunteers.values_list("code", flat=True))
    )
    faults = [f"{code} is to be read in practice, but is no volunteer." for code in unknown]
    try:
        check_design(design)
    except OrderImpossible as impossible:
        faults.append(str(impossible))
    else:
        faults += _local_faults(study, design)
    return faults


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
    faults += order_faults(study)
    if control_arm(study) is None:
        faults.append("No arm is the control.")
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


@dataclass(frozen=True)
class DrawnOrder:
    """Every reader's order, not stored yet."""

    seed: str
    constraints: dict[str, Any]
    permutation: Permutation


def draw_order(study: Study, seed: str | None = None) -> DrawnOrder:
    """Draw every reader's order for the study as it is stored now.

    Outside of the transaction that stores it: seconds a reader in a large study, in which nobody
    is to be kept waiting.
    """
    constraints = _constraints_of(Study.objects.get(pk=study.pk))
    seed = seed or secrets.token_hex(16)
    try:
        permutation = derive_permutation(ARRANGEMENT, constraints, seed)
    except OrderImpossible as impossible:
        raise ReadingError(str(impossible)) from None
    return DrawnOrder(seed, constraints, permutation)


def _constraints_of(study: Study) -> dict[str, Any]:
    """Everything but the seed that the order depends on."""
    constraints = {
        **design_of(study).as_json(),
        "readers": [member.reader_code for member in reader_memberships(study)],
    }
    local = local_volunteers(study)
    return {**constraints, "local": local} if local else constraints


@transaction.atomic
def do_store_randomisation(study: Study, actor: User | None, drawn: DrawnOrder) -> Randomisation:
    """Store every reader's order, with fresh random tokens. Part of the launch.

    Raises `ReadingError` where the study is no longer what the order was drawn for.
    """
    require_role(actor, study, Role.COORDINATOR)
    study = lock_study(study)
    check_randomisation(study)
    readers = reader_memberships(study)
    seed, constraints, permutation = drawn.seed, drawn.constraints, drawn.permutation
    if constraints != _constraints_of(study):
        raise ReadingError(
            "The study was changed while its reading order was drawn: nothing was stored. Look at "
            "what was changed, and try again."
        )
    randomisation = Randomisation.objects.create(
        study=study,
        seed=seed,
        algorithm=ARRANGEMENT,
        constraints=constraints,
        permutation=permutation,
        sha256=randomisation_hash(ARRANGEMENT, seed, constraints, permutation),
    )
    stored = _StoredParts(study)
    for member in readers:
        for occasion, rows in permutation[member.reader_code].items():
            session = Session.objects.create(
                study=study,
                reader=member.user,
                reader_code=member.reader_code,
                occasion=int(occasion),
            )
            stored.write(session, [Showing.from_row(row) for row in rows])
    # The seed stays out of the trail: who could read it there could derive the order.
    record(
        "reading.randomisation.stored",
        actor,
        study_id=study.pk,
        subject=randomisation,
        new={
            "algorithm": ARRANGEMENT,
            "sha256": randomisation.sha256,
            "readers": constraints["readers"],
            **_items(permutation, by_reader="local" in constraints),
            "practice_items": study.practice_items,
            "occasions": study.occasions,
        },
    )
    return randomisation


def _items(permutation: Permutation, *, by_reader: bool) -> dict[str, Any]:
    """How many items each reader has on an occasion; local readers differ."""
    counts = {
        reader: sum(row[3] != PRACTICE for row in occasions["1"])
        for reader, occasions in permutation.items()
    }
    return {"items_by_reader": counts} if by_reader else {"items_a_reader": max(counts.values())}


class _StoredParts:
    """The rows of a study that showings name by their codes."""

    def __init__(self, study: Study) -> None:
        self.mode = study.reading_mode
        self.volunteers: dict[str, Volunteer] = {v.code: v for v in study.volunteers.all()}
        self.arms: dict[str, Arm] = {arm.code: arm for arm in study.arms.all()}
        self.comparisons: dict[str, Comparison] = {
            f"{pair.first.code}:{pair.second.code}": pair
            for pair in study.comparisons.select_related("first", "second")
        }

    def write(self, session: Session, showings: Sequence[Showing]) -> None:
        items = [
            Item(
                session=session,
                position=position,
                volunteer=self.volunteers[showing.volunteer],
                arm=self.arms.get(showing.condition) if self.mode != CHOICE else None,
                comparison=self.comparisons.get(showing.condition),
                purpose=showing.purpose,
            )
            for position, showing in enumerate(showings, start=1)
        ]
        Item.objects.bulk_create(items, batch_size=500)
        panes = [
            Pane(item=item, number=index + 1, role=_role(showing, index), arm=self.arms[arm])
            for item, showing in zip(items, showings, strict=True)
            for index, arm in enumerate(showing.panes)
        ]
        Pane.objects.bulk_create(panes, batch_size=500)


def _role(showing: Showing, index: int) -> str:
    if showing.control is None:
        return Pane.Role.IMAGE
    return Pane.Role.CONTROL if index == showing.control else Pane.Role.CANDIDATE


# --- Deriving it anew -----------------------------------------------------------------------------


def derive_permutation(algorithm: str, constraints: dict[str, Any], seed: str) -> Permutation:
    """The whole permutation from what a `Randomisation` row holds: {reader: {occasion: rows}}."""
    if algorithm == ALGORITHM:
        return _derive_version_1(constraints, seed)
    design = Design.from_json(constraints)
    local = constraints.get("local", {})
    return {
        reader: {
            str(occasion): [
                showing.as_row()
                for showing in derive_showings(
                    of_reader(design, local, reader), seed=seed, reader=reader, occasion=occasion
                )
            ]
            for occasion in range(1, design.occasions + 1)
        }
        for reader in constraints["readers"]
    }


def _derive_version_1(constraints: dict[str, Any], seed: str) -> Permutation:
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


def differences_from_stored(randomisation: Randomisation) -> list[str]:
    """In what the stored order is not the one that seed and constraints give; empty if it is."""
    algorithm = randomisation.algorithm
    if algorithm not in {ALGORITHM, ARRANGEMENT}:
        return [
            f"The order was drawn by “{algorithm}”; this version has “{ALGORITHM}” and "
            f"“{ARRANGEMENT}”."
        ]
    derived = derive_permutation(algorithm, randomisation.constraints, randomisation.seed)
    found: list[str] = []
    if derived != randomisation.permutation:
        found.append("The stored permutation is not the one that the seed gives.")
    if randomisation.sha256 != randomisation_hash(
        algorithm, randomisation.seed, randomisation.constraints, randomisation.permutation
    ):
        found.append("The stored hash does not belong to the stored seed and permutation.")
    stored = _stored_rows(randomisation)
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


def _stored_rows(randomisation: Randomisation) -> dict[tuple[str, int], list[list[str]]]:
    """Every stored item, as the algorithm of the study writes a row."""
    as_row = _row_of_version_1 if randomisation.algorithm == ALGORITHM else _row_of_version_2
    rows: dict[tuple[str, int], list[list[str]]] = defaultdict(list)
    items = (
        Item.objects.filter(session__study=randomisation.study_id, session__is_imported=False)
        .select_related("session", "volunteer", "arm", "comparison__first", "comparison__second")
        .prefetch_related("panes__arm")
        .order_by("session", "position")
    )
    for item in items:
        rows[item.session.reader_code, item.session.occasion].append(as_row(item))
    return rows


def _row_of_version_1(item: Item) -> list[str]:
    roles = [pane.role for pane in item.panes.all()]
    side = LEFT if roles[:1] == [Pane.Role.CONTROL] else RIGHT
    candidates = [p.arm.code for p in item.panes.all() if p.role == Pane.Role.CANDIDATE]
    arm = item.arm.code if item.arm else ""
    # What stands in the pane and what the item says must be one arm.
    shown = arm if candidates == [arm] else f"{arm} (shown: {' '.join(candidates)})"
    return [item.volunteer.code, shown, side, item.purpose]


def _row_of_version_2(item: Item) -> list[str]:
    if item.comparison is not None:
        condition = f"{item.comparison.first.code}:{item.comparison.second.code}"
    else:
        condition = item.arm.code if item.arm else "all"
    panes = [
        f"{pane.arm.code}{CONTROL_MARK if pane.role == Pane.Role.CONTROL else ''}"
        for pane in item.panes.all()
    ]
    return [item.volunteer.code, condition, " ".join(panes), item.purpose]


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
