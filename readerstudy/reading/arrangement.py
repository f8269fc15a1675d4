"""The order in which one reader sees the items, in every mode: a pure function of seed and design.

The algorithm, version 2 (`ARRANGEMENT`), builds on the parts of version 1 (`randomisation`):

1. A *condition* is what is asked of a volunteer once: a candidate arm (relative), one arm
   (absolute), one comparison (choice), or all arms together (ranking). Conditions take the place
   of arms in version 1: rounds from Latin squares, the minimum gap, balanced sides, hidden repeats.
2. *Panes*, left to right. Relative: control and candidate, on the sides drawn. Absolute: the arm.
   Choice: the two arms of the comparison, the first on the side drawn. Ranking: all arms, their
   places from Latin squares over the volunteers, so that each arm stands at each place equally
   often, give or take one for an incomplete square.
3. *Practice* comes before the first item of the first occasion: volunteers in turn, conditions
   in turn, each pair once. The first round keeps the gap to it.

Bits come from SHA-256 over algorithm, seed, reader and occasion; practice has a stream of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .randomisation import (
    BALANCED,
    CONTROL_LEFT,
    LEFT,
    PRIMARY,
    RIGHT,
    Draws,
    OrderImpossible,
    Presentation,
    arms_by_round,
    insert_repeat,
    repeat_count,
    round_order,
    sides_of,
)

ARRANGEMENT = "sha256-latin-rounds-2"
RELATIVE, ABSOLUTE, CHOICE, RANKING = "relative", "absolute", "choice", "ranking"
MODES = (RELATIVE, ABSOLUTE, CHOICE, RANKING)
PRACTICE = "practice"
ALL_ARMS = "all"
CONTROL_MARK = "*"  # behind the arm of the pane that is labelled as the control
MOST_PANES = 12


@dataclass(frozen=True)
class Design:
    """What the protocol asks of every reader's order."""

    mode: str
    volunteers: tuple[str, ...]
    arms: tuple[str, ...]
    control: str
    comparisons: tuple[tuple[str, str], ...] = ()
    minimum_gap: int = 1  # items of other volunteers between two items of one volunteer
    repeat_percent: int = 0  # hidden repeats, % of the primary items
    side_policy: str = CONTROL_LEFT
    occasions: int = 1
    practice_items: int = 0
    practice_volunteers: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        content = asdict(self)
        content["comparisons"] = [list(pair) for pair in self.comparisons]
        for name in ("volunteers", "arms", "practice_volunteers"):
            content[name] = list(content[name])
        return content

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Design:
        names = [field for field in cls.__dataclass_fields__ if field in content]
        values = {name: content[name] for name in names}
        values["comparisons"] = tuple((a, b) for a, b in content["comparisons"])
        for name in ("volunteers", "arms", "practice_volunteers"):
            values[name] = tuple(values[name])
        return cls(**values)

    @property
    def conditions(self) -> list[str]:
        """What is asked of each volunteer, each once."""
        if self.mode == CHOICE:
            return sorted(f"{first}:{second}" for first, second in self.comparisons)
        return [ALL_ARMS] if self.mode == RANKING else sorted(self.arms)

    @property
    def practice_pool(self) -> list[str]:
        return sorted(self.practice_volunteers or self.volunteers)


@dataclass(frozen=True)
class Showing:
    """One item to be: what it asks, and the arms of its panes from left to right."""

    volunteer: str
    condition: str
    panes: tuple[str, ...]
    control: int | None  # the index of the pane labelled as the control
    purpose: str

    def as_row(self) -> list[str]:
        marked = [
            f"{arm}{CONTROL_MARK}" if index == self.control else arm
            for index, arm in enumerate(self.panes)
        ]
        return [self.volunteer, self.condition, " ".join(marked), self.purpose]

    @classmethod
    def from_row(cls, row: Sequence[str]) -> Showing:
        volunteer, condition, panes, purpose = row
        marked = panes.split(" ")
        control = next((i for i, arm in enumerate(marked) if arm.endswith(CONTROL_MARK)), None)
        arms = tuple(arm.removesuffix(CONTROL_MARK) for arm in marked)
        return cls(volunteer, condition, arms, control, purpose)


def check_design(design: Design) -> None:
    """Raise `OrderImpossible`, in words for the coordinator, if no order can meet the design.

    With at least one volunteer more than the gap, an order always exists: the volunteers can
    simply take turns.
    """
    n_volunteers = len(design.volunteers)
    if design.mode not in MODES:
        raise OrderImpossible(f"“{design.mode}” is not a mode of reading.")
    if n_volunteers < 1:
        raise OrderImpossible("The study has no volunteers yet: there is nothing to read.")
    if len(design.arms) < 2:
        raise OrderImpossible("The study needs the control and at least one other arm.")
    if design.mode == CHOICE and not design.comparisons:
        raise OrderImpossible("A forced choice needs at least one comparison to choose in.")
    if design.mode == RANKING and len(design.arms) > MOST_PANES:
        raise OrderImpossible(f"At most {MOST_PANES} arms can be ranked side by side.")
    if not 0 <= design.repeat_percent <= 50:
        raise OrderImpossible("Hidden repeats must be between 0 and 50 % of the items.")
    if design.minimum_gap < 1:
        raise OrderImpossible(
            "The minimum gap must be at least 1: a volunteer is never shown twice in a row."
        )
    if design.side_policy not in {CONTROL_LEFT, BALANCED}:
        raise OrderImpossible(f"“{design.side_policy}” is not a rule for the sides.")
    if design.mode == CHOICE and design.side_policy != BALANCED:
        raise OrderImpossible(
            "A forced choice needs balanced sides: with fixed ones the side would tell the arm."
        )
    if n_volunteers < design.minimum_gap + 1:
        needed = design.minimum_gap + 1
        noun = "volunteer" if n_volunteers == 1 else "volunteers"
        raise OrderImpossible(
            f"A minimum gap of {design.minimum_gap} needs at least {needed} volunteers, but "
            f"the study has {n_volunteers} {noun}. Add volunteers or lower the minimum gap."
        )
    both = sorted(set(design.practice_volunteers) & set(design.volunteers))
    if both:
        raise OrderImpossible(f"{', '.join(both)}: read in practice alone, or in the study.")
    most = len(design.practice_pool) * len(design.conditions)
    if design.practice_items > most:
        raise OrderImpossible(
            f"{design.practice_items} practice items are asked for, but the volunteers give only "
            f"{most} different ones."
        )


def derive_showings(design: Design, *, seed: str, reader: str, occasion: int = 1) -> list[Showing]:
    """One reader's whole session, practice first.

    The result depends on the sets of volunteers and arms, not on the order they come in.
    """
    check_design(design)
    volunteers, conditions = sorted(design.volunteers), design.conditions
    practice = _practice(design, seed, reader) if occasion == 1 else []
    draws = Draws("\x1f".join([ARRANGEMENT, seed, reader, str(occasion)]))
    assigned = arms_by_round(volunteers, conditions, draws)
    pairs: list[tuple[str, str]] = []
    previous = _last_different(practice, len(volunteers)) if not design.practice_volunteers else []
    for round_conditions in assigned:
        previous = round_order(volunteers, previous, design.minimum_gap, draws)
        pairs += [(volunteer, round_conditions[volunteer]) for volunteer in previous]
    policy = design.side_policy if design.mode in {RELATIVE, CHOICE} else CONTROL_LEFT
    sides = sides_of(pairs, conditions, policy, draws)
    places = arms_by_round(volunteers, sorted(design.arms), draws) if design.mode == RANKING else []
    order = [Presentation(*pair, sides[pair], PRIMARY) for pair in pairs]
    for _ in range(repeat_count(len(volunteers), len(conditions), design.repeat_percent)):
        insert_repeat(order, design.minimum_gap, draws)
    return practice + [
        _showing(design, item, [place[item.volunteer] for place in places]) for item in order
    ]


def _showing(design: Design, item: Presentation, ranked: Sequence[str]) -> Showing:
    """The panes of an item; `ranked` are the arms in the places drawn for the volunteer."""
    volunteer, condition = item.volunteer, item.arm
    control: int | None = None
    panes: list[str]
    if design.mode == RANKING:
        panes = list(ranked)
    elif design.mode == ABSOLUTE:
        panes = [condition]
    else:
        first, second = (
            condition.split(":") if design.mode == CHOICE else (design.control, condition)
        )
        left = item.control_side == LEFT
        panes = [first, second] if left else [second, first]
        if design.mode == RELATIVE:
            control = 0 if left else 1
    return Showing(volunteer, condition, tuple(panes), control, item.purpose)


def _practice(design: Design, seed: str, reader: str) -> list[Showing]:
    """The practice items: no volunteer with one condition twice, volunteers in turn."""
    draws = Draws("\x1f".join([ARRANGEMENT, seed, reader, PRACTICE]))
    volunteers = draws.shuffled(design.practice_pool)
    conditions = draws.shuffled(design.conditions)
    turn = draws.shuffled([LEFT, RIGHT])
    is_balanced = design.side_policy == BALANCED
    showings: list[Showing] = []
    for number in range(design.practice_items):
        lap, at = divmod(number, len(volunteers))
        condition = conditions[(lap + at) % len(conditions)]
        side = turn[number % 2] if is_balanced else LEFT
        ranked = draws.shuffled(sorted(design.arms)) if design.mode == RANKING else []
        item = Presentation(volunteers[at], condition, side, PRACTICE)
        showings.append(_showing(design, item, ranked))
    return showings


def _last_different(practice: Sequence[Showing], most: int) -> list[str]:
    """The volunteers of the last practice items, as a round before the first one."""
    return [showing.volunteer for showing in practice][-most:]
