"""The order of the items: what it promises, for any size of study."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readerstudy.reading.randomisation import (
    BALANCED,
    CONTROL_LEFT,
    LEFT,
    PRIMARY,
    REPEAT,
    RIGHT,
    Constraints,
    Draws,
    OrderImpossible,
    Presentation,
    check_order_possible,
    derive_order,
    repeat_count,
)

ARMS = ["STD", "DF", "DLR_DF", "TF", "DLR_TF"]


def volunteers(n: int) -> list[str]:
    return [f"V{number:02d}" for number in range(1, n + 1)]


def lumbar(seed: str = "a", reader: str = "R1", occasion: int = 1) -> list[Presentation]:
    return derive_order(
        volunteers(10),
        ARMS,
        Constraints(2, 20, BALANCED),
        seed=seed,
        reader=reader,
        occasion=occasion,
    )


@st.composite
def designs(draw: st.DrawFn) -> tuple[int, int, Constraints]:
    n_volunteers = draw(st.integers(2, 23))
    constraints = Constraints(
        minimum_gap=draw(st.integers(1, n_volunteers - 1)),
        repeat_percent=draw(st.integers(0, 50)),
        side_policy=draw(st.sampled_from([CONTROL_LEFT, BALANCED])),
    )
    return n_volunteers, draw(st.integers(2, 9)), constraints


@given(designs(), st.text(max_size=8), st.integers(1, 3))
@settings(max_examples=300, deadline=None)
def test_any_possible_design_yields_an_order_that_keeps_every_promise(
    design: tuple[int, int, Constraints], seed: str, occasion: int
) -> None:
    n_volunteers, n_arms, constraints = design
    people, arms = volunteers(n_volunteers), [f"A{number}" for number in range(n_arms)]

    order = derive_order(people, arms, constraints, seed=seed, reader="R1", occasion=occasion)

    primary = [item for item in order if item.purpose == PRIMARY]
    repeats = [item for item in order if item.purpose == REPEAT]
    # Every arm of every volunteer, the control included, is a candidate exactly once.
    assert Counter((item.volunteer, item.arm) for item in primary) == Counter(
        (person, arm) for person in people for arm in arms
    )
    assert_gap_kept(order, constraints.minimum_gap)
    assert_arms_balanced(primary, n_volunteers, n_arms)
    assert_sides_kept(primary, constraints.side_policy)
    assert len(repeats) == repeat_count(n_volunteers, n_arms, constraints.repeat_percent)
    assert_repeats_follow_their_first_showing(order)


def assert_gap_kept(order: list[Presentation], gap: int) -> None:
    places = defaultdict(list)
    for place, item in enumerate(order):
        places[item.volunteer].append(place)
    for of_one in places.values():
        assert all(later - earlier > gap for earlier, later in pairwise(of_one))


def assert_arms_balanced(primary: list[Presentation], n_volunteers: int, n_arms: int) -> None:
    for start in range(0, len(primary), n_volunteers):
        one_round = primary[start : start + n_volunteers]
        assert len({item.volunteer for item in one_round}) == n_volunteers
        counts = Counter(item.arm for item in one_round)
        shares = [counts[f"A{number}"] for number in range(n_arms)]
        assert max(shares) - min(shares) <= 1


def assert_sides_kept(primary: list[Presentation], policy: str) -> None:
    if policy == CONTROL_LEFT:
        assert {item.control_side for item in primary} == {LEFT}
        return
    sides = Counter(item.control_side for item in primary)
    assert abs(sides[LEFT] - sides[RIGHT]) <= 1
    for arm in {item.arm for item in primary}:
        of_arm = Counter(item.control_side for item in primary if item.arm == arm)
        assert abs(of_arm[LEFT] - of_arm[RIGHT]) <= 1


def assert_repeats_follow_their_first_showing(order: list[Presentation]) -> None:
    seen: dict[tuple[str, str], Presentation] = {}
    repeated: set[tuple[str, str]] = set()
    for item in order:
        pair = (item.volunteer, item.arm)
        if item.purpose == PRIMARY:
            seen[pair] = item
        else:
            assert pair in seen
            assert pair not in repeated
            assert item.control_side == seen[pair].control_side
            repeated.add(pair)


def test_repeats_are_spread_over_arms_and_volunteers_and_come_late() -> None:
    order = lumbar()
    repeats = [item for item in order if item.purpose == REPEAT]
    first = {
        (item.volunteer, item.arm): place
        for place, item in enumerate(order)
        if item.purpose == PRIMARY
    }
    assert len(repeats) == 10
    assert set(Counter(item.arm for item in repeats).values()) == {2}
    assert set(Counter(item.volunteer for item in repeats).values()) == {1}
    waits = [
        place - first[item.volunteer, item.arm]
        for place, item in enumerate(order)
        if item.purpose == REPEAT
    ]
    assert min(waits) >= 12


def test_the_same_seed_gives_the_same_order_whatever_order_the_names_come_in() -> None:
    again = derive_order(
        volunteers(10)[::-1], ARMS[::-1], Constraints(2, 20, BALANCED), seed="a", reader="R1"
    )
    assert again == lumbar()


def test_readers_occasions_and_seeds_each_have_an_order_of_their_own() -> None:
    orders = [lumbar(), lumbar(reader="R2"), lumbar(occasion=2), lumbar(seed="b")]
    assert len({tuple(order) for order in orders}) == 4


def test_the_algorithm_has_not_changed_under_its_version() -> None:
    """Stored orders must stay re-derivable: a change of these values needs a new ALGORITHM."""
    draws = Draws("a key")
    assert [draws.below(1000) for _ in range(8)] == KNOWN_DRAWS
    order = derive_order(
        ["V01", "V02", "V03"], ["STD", "DF"], Constraints(1, 34, BALANCED), seed="s", reader="R1"
    )
    assert ["/".join(item.as_row()) for item in order] == KNOWN_ORDER


KNOWN_DRAWS = [96, 629, 187, 985, 894, 601, 155, 770]
KNOWN_ORDER = [
    "V03/STD/left/primary",
    "V01/STD/left/primary",
    "V02/DF/left/primary",
    "V01/DF/right/primary",
    "V02/STD/right/primary",
    "V03/DF/right/primary",
    "V01/DF/right/repeat",
    "V02/STD/right/repeat",
]


def test_draws_below_a_number_are_even() -> None:
    draws = Draws("even")
    counts = Counter(draws.below(7) for _ in range(70_000))
    expected = 10_000
    chi_square = sum((counts[value] - expected) ** 2 / expected for value in range(7))
    assert chi_square < 22.5  # p = 0.001 at 6 degrees of freedom


def test_every_allowed_order_of_three_volunteers_is_about_equally_likely() -> None:
    """Gap 1, two arms: 6 first rounds x 4 second rounds, uniform by construction."""
    counts = Counter(
        "".join(
            item.volunteer[-1]
            for item in derive_order(
                volunteers(3), ["A", "B"], Constraints(), seed=str(number), reader="R1"
            )
        )
        for number in range(4800)
    )
    assert len(counts) == 24
    chi_square = sum((count - 200) ** 2 / 200 for count in counts.values())
    assert chi_square < 49.7  # p = 0.001 at 23 degrees of freedom


@pytest.mark.parametrize(
    ("n_volunteers", "n_arms", "constraints", "words"),
    [
        (1, 5, Constraints(1), "at least 2 volunteers, but the study has 1 volunteer"),
        (4, 5, Constraints(4), "at least 5 volunteers, but the study has 4 volunteers"),
        (0, 5, Constraints(1), "no volunteers yet"),
        (6, 1, Constraints(1), "at least one other arm"),
        (6, 5, Constraints(0), "must be at least 1"),
        (6, 5, Constraints(1, 51), "between 0 and 50"),
        (6, 5, Constraints(1, 0, "sometimes"), "not a rule for the sides"),
    ],
)
def test_an_impossible_order_is_refused_in_words(
    n_volunteers: int, n_arms: int, constraints: Constraints, words: str
) -> None:
    with pytest.raises(OrderImpossible, match=words):
        check_order_possible(n_volunteers, n_arms, constraints)
