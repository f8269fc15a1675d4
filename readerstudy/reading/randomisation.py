"""The order in which one reader sees the items: a pure function of seed, reader and protocol.

Stored at launch and never recomputed for reading; `manage.py rederive_order` computes it again to
show that the stored order is the one that the seed gives. Studies launched today use version 2
(`arrangement`), which knows every mode of reading and stands on the same parts; version 1 stays,
for the studies that it ordered.

The algorithm, version 1 (`ALGORITHM`):

1. *Bits.* SHA-256 in counter mode over a text that names algorithm, seed, reader and occasion.
   Whole numbers below n by rejection, shuffles by Fisher and Yates. Nothing of Python's `random`
   is used, whose sequences are promised for fewer methods and versions than a study must last.
2. *Arms.* The session is built of as many rounds as there are arms, each showing every volunteer
   once. Volunteers are taken in groups; each group follows a Latin square with shuffled rows,
   columns and symbols, so that in every round each arm appears equally often, give or take one.
3. *Volunteers.* Within a round the order is uniform among those that keep the minimum gap to the
   round before.
4. *Sides.* Fixed, or for every arm as often left as right (give or take one), and so in total.
5. *Hidden repeats* are inserted, late after their first showing, spread evenly over arms and
   volunteers, never breaking the gap. They show the item as it was shown first, sides included.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

ALGORITHM = "sha256-latin-rounds-1"
LEFT, RIGHT = "left", "right"
PRIMARY, REPEAT = "primary", "repeat"
CONTROL_LEFT, BALANCED = "control_left", "balanced"

T = TypeVar("T")


class OrderImpossible(ValueError):
    """The constraints cannot be met; the message says which and what to change."""


@dataclass(frozen=True)
class Constraints:
    """What the protocol asks of every reader's order."""

    minimum_gap: int = 1  # items of other volunteers between two items of one volunteer
    repeat_percent: int = 0  # hidden repeats, % of the primary items
    side_policy: str = CONTROL_LEFT

    def as_json(self) -> dict[str, int | str]:
        return asdict(self)


@dataclass(frozen=True)
class Presentation:
    """One item to be: a candidate arm of a volunteer beside that volunteer's control."""

    volunteer: str
    arm: str
    control_side: str
    purpose: str

    def as_row(self) -> list[str]:
        return [self.volunteer, self.arm, self.control_side, self.purpose]


class Draws:
    """Random draws that are the same on every machine and every Python, for one key."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        self._block = 0
        self._bytes = b""

    def _word(self) -> int:
        """The next 64 bits."""
        if not self._bytes:
            counter = self._block.to_bytes(8, "big")
            self._bytes = hashlib.sha256(self._key + b"\x00" + counter).digest()
            self._block += 1
        word, self._bytes = self._bytes[:8], self._bytes[8:]
        return int.from_bytes(word, "big")

    def below(self, n: int) -> int:
        """A whole number 0 … n - 1, each equally likely: the uneven tail is thrown away."""
        if n < 1:
            raise ValueError("There is nothing to draw from.")
        limit = 2**64 - 2**64 % n
        while (word := self._word()) >= limit:
            pass
        return word % n

    def choice(self, values: Sequence[T]) -> T:
        return values[self.below(len(values))]

    def shuffled(self, values: Sequence[T]) -> list[T]:
        """A shuffled copy (Fisher and Yates)."""
        shuffled = list(values)
        for last in range(len(shuffled) - 1, 0, -1):
            other = self.below(last + 1)
            shuffled[last], shuffled[other] = shuffled[other], shuffled[last]
        return shuffled


def repeat_count(n_volunteers: int, n_arms: int, repeat_percent: int) -> int:
    """How many hidden repeats a session holds: the percentage of the items, halves rounded up."""
    return (2 * n_volunteers * n_arms * repeat_percent + 100) // 200


def check_order_possible(n_volunteers: int, n_arms: int, constraints: Constraints) -> None:
    """Raise `OrderImpossible`, in words for the coordinator, if no order can meet the constraints.

    With at least one volunteer more than the gap, an order always exists: the volunteers can
    simply take turns.
    """
    if n_volunteers < 1:
        raise OrderImpossible("The study has no volunteers yet: there is nothing to read.")
    if n_arms < 2:
        raise OrderImpossible("The study needs the control and at least one other arm.")
    if not 0 <= constraints.repeat_percent <= 50:
        raise OrderImpossible("Hidden repeats must be between 0 and 50 % of the items.")
    if constraints.minimum_gap < 1:
        raise OrderImpossible(
            "The minimum gap must be at least 1: a volunteer is never shown twice in a row."
        )
    if constraints.side_policy not in {CONTROL_LEFT, BALANCED}:
        raise OrderImpossible(f"“{constraints.side_policy}” is not a rule for the sides.")
    if n_volunteers < constraints.minimum_gap + 1:
        needed = constraints.minimum_gap + 1
        noun = "volunteer" if n_volunteers == 1 else "volunteers"
        raise OrderImpossible(
            f"A minimum gap of {constraints.minimum_gap} needs at least {needed} volunteers, but "
            f"the study has {n_volunteers} {noun}. Add volunteers or lower the minimum gap."
        )


def derive_order(
    volunteers: Sequence[str],
    arms: Sequence[str],
    constraints: Constraints,
    *,
    seed: str,
    reader: str,
    occasion: int = 1,
) -> list[Presentation]:
    """One reader's whole session. `arms` include the control, which is scored against itself.

    The result depends on the sets of volunteers and arms, not on the order they come in.
    """
    volunteers, arms = sorted(set(volunteers)), sorted(set(arms))
    check_order_possible(len(volunteers), len(arms), constraints)
    draws = Draws("\x1f".join([ALGORITHM, seed, reader, str(occasion)]))
    rounds = arms_by_round(volunteers, arms, draws)
    pairs: list[tuple[str, str]] = []
    previous: list[str] = []
    for assigned in rounds:
        previous = round_order(volunteers, previous, constraints.minimum_gap, draws)
        pairs += [(volunteer, assigned[volunteer]) for volunteer in previous]
    sides = sides_of(pairs, arms, constraints.side_policy, draws)
    order = [Presentation(*pair, sides[pair], PRIMARY) for pair in pairs]
    for _ in range(repeat_count(len(volunteers), len(arms), constraints.repeat_percent)):
        insert_repeat(order, constraints.minimum_gap, draws)
    return order


def arms_by_round(
    volunteers: Sequence[str], arms: Sequence[str], draws: Draws
) -> list[dict[str, str]]:
    """For every round, which arm each volunteer shows: rows of shuffled Latin squares."""
    n_arms = len(arms)
    rounds: list[dict[str, str]] = [{} for _ in arms]
    shuffled = draws.shuffled(volunteers)
    for start in range(0, len(shuffled), n_arms):
        symbols = draws.shuffled(arms)
        rows = draws.shuffled(range(n_arms))
        columns = draws.shuffled(range(n_arms))
        for row, volunteer in zip(rows, shuffled[start : start + n_arms], strict=False):
            for this_round, column in zip(rounds, columns, strict=True):
                this_round[volunteer] = symbols[(row + column) % n_arms]
    return rounds


def round_order(
    volunteers: Sequence[str], previous: Sequence[str], gap: int, draws: Draws
) -> list[str]:
    """The volunteers of one round, uniform among the orders that keep the gap to `previous`.

    Who stood at place p of m before may stand at place q now if m - p + q > gap. Places are filled
    from the first on; who may stand at a place may also stand at any later one, so there is always
    somebody left, and every allowed order is equally likely.
    """
    before = {volunteer: place for place, volunteer in enumerate(previous)}
    waiting, order = list(volunteers), []
    for place in range(len(volunteers)):
        allowed = [v for v in waiting if v not in before or len(previous) - before[v] + place > gap]
        chosen = draws.choice(allowed)
        waiting.remove(chosen)
        order.append(chosen)
    return order


def sides_of(
    pairs: Sequence[tuple[str, str]], arms: Sequence[str], policy: str, draws: Draws
) -> dict[tuple[str, str], str]:
    """The control's side for each item."""
    if policy == CONTROL_LEFT:
        return dict.fromkeys(pairs, LEFT)
    sides: dict[tuple[str, str], str] = {}
    odd_ones = draws.shuffled([LEFT, RIGHT])  # the odd item of an arm: left and right in turn
    for number, arm in enumerate(draws.shuffled(arms)):
        of_arm = draws.shuffled([pair for pair in pairs if pair[1] == arm])
        half = len(of_arm) // 2
        places = [LEFT] * half + [RIGHT] * half
        if len(of_arm) % 2:
            places.append(odd_ones[number % 2])
        # Only odd items use up a turn; all arms have equally many items, so all or none do.
        sides.update(zip(of_arm, places, strict=True))
    return sides


def insert_repeat(order: list[Presentation], gap: int, draws: Draws) -> None:
    """Insert one more hidden repeat, in place.

    Arms and volunteers with the fewest repeats come first; as far as possible half a session lies
    between the two showings, else a quarter, and so on.
    """
    shown_at = {
        (item.volunteer, item.arm): index
        for index, item in enumerate(order)
        if item.purpose == PRIMARY
    }
    repeats = [item for item in order if item.purpose == REPEAT]
    done = {(item.volunteer, item.arm) for item in repeats}
    by_arm = Counter(item.arm for item in repeats)
    by_volunteer = Counter(item.volunteer for item in repeats)
    candidates = draws.shuffled(sorted(pair for pair in shown_at if pair not in done))
    candidates.sort(key=lambda pair: (by_volunteer[pair[0]], by_arm[pair[1]]))
    free: dict[str, list[int]] = {}
    distance = len(order) // 2
    while True:
        distance = max(distance, gap + 1)
        for volunteer, arm in candidates:
            if volunteer not in free:
                free[volunteer] = _free_places(order, volunteer, gap)
            first = shown_at[volunteer, arm]
            places = [place for place in free[volunteer] if place - first >= distance]
            if places:
                shown = order[first]
                repeat = Presentation(volunteer, arm, shown.control_side, REPEAT)
                order.insert(draws.choice(places), repeat)
                return
        if distance == gap + 1:
            raise OrderImpossible(
                "The hidden repeats do not fit between the other items. Lower the share of "
                "repeats or the minimum gap."
            )
        distance //= 2


def _free_places(order: Sequence[Presentation], volunteer: str, gap: int) -> list[int]:
    """The indices at which one more item of the volunteer can be inserted, keeping the gap."""
    taken: set[int] = set()
    for index, item in enumerate(order):
        if item.volunteer == volunteer:
            # Inserted at `place`, it has place - index - 1 items between it and this one when it
            # comes after, and index - place when it comes before.
            taken.update(range(index - gap + 1, index + gap + 1))
    return [place for place in range(len(order) + 1) if place not in taken]
