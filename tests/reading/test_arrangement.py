"""The order of version 2: what it promises in every mode, for any size of study."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readerstudy.reading.arrangement import (
    ABSOLUTE,
    CHOICE,
    MODES,
    PRACTICE,
    RANKING,
    RELATIVE,
    Design,
    Showing,
    check_design,
    derive_showings,
)
from readerstudy.reading.randomisation import (
    BALANCED,
    CONTROL_LEFT,
    PRIMARY,
    REPEAT,
    OrderImpossible,
    repeat_count,
)


def named(letter: str, n: int) -> tuple[str, ...]:
    return tuple(f"{letter}{number:02d}" for number in range(1, n + 1))


@st.composite
def designs(draw: st.DrawFn) -> Design:
    mode = draw(st.sampled_from(MODES))
    n_volunteers, n_arms = draw(st.integers(2, 14)), draw(st.integers(2, 6))
    arms = named("A", n_arms)
    pairs = list(combinations(arms, 2))
    chosen = draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=5, unique=True))
    design = Design(
        mode=mode,
        volunteers=named("V", n_volunteers),
        arms=arms,
        control="A01",
        comparisons=tuple(chosen),
        minimum_gap=draw(st.integers(1, n_volunteers - 1)),
        repeat_percent=draw(st.integers(0, 50)) if mode != RANKING else 0,
        side_policy=BALANCED if mode == CHOICE else draw(st.sampled_from([CONTROL_LEFT, BALANCED])),
        practice_volunteers=draw(st.sampled_from([(), ("P1",), ("P1", "P2")])),
    )
    most = len(design.practice_pool) * len(design.conditions)
    return replace(design, practice_items=draw(st.integers(0, min(most, 6))))


@given(designs(), st.text(max_size=8), st.integers(1, 2))
@settings(max_examples=150, deadline=None)
def test_any_possible_design_yields_an_order_that_keeps_every_promise(
    design: Design, seed: str, occasion: int
) -> None:
    order = derive_showings(design, seed=seed, reader="R1", occasion=occasion)

    practice = [showing for showing in order if showing.purpose == PRACTICE]
    primary = [showing for showing in order if showing.purpose == PRIMARY]
    repeats = [showing for showing in order if showing.purpose == REPEAT]
    assert order[: len(practice)] == practice
    assert len(practice) == (design.practice_items if occasion == 1 else 0)
    assert {showing.volunteer for showing in practice} <= set(design.practice_pool)
    assert len({(s.volunteer, s.condition) for s in practice}) == len(practice)
    assert Counter((s.volunteer, s.condition) for s in primary) == Counter(
        (volunteer, condition) for volunteer in design.volunteers for condition in design.conditions
    )
    assert len(repeats) == repeat_count(
        len(design.volunteers), len(design.conditions), design.repeat_percent
    )
    # Practice on the study's own volunteers keeps the gap too.
    assert_gap_kept(
        [s for s in order if s.volunteer in design.volunteers], design.minimum_gap, order
    )
    assert_rounds_balanced(primary, design)
    assert_panes(order, design)
    shown_first = {(s.volunteer, s.condition): s.panes for s in primary}
    for showing in repeats:
        assert showing.panes == shown_first[showing.volunteer, showing.condition]
    assert [Showing.from_row(showing.as_row()) for showing in order] == order


def assert_gap_kept(showings: list[Showing], gap: int, order: list[Showing]) -> None:
    places = defaultdict(list)
    for place, showing in enumerate(order):
        places[showing.volunteer].append(place)
    for volunteer in {showing.volunteer for showing in showings}:
        of_one = places[volunteer]
        assert all(later - earlier > gap for earlier, later in pairwise(of_one))


def assert_rounds_balanced(primary: list[Showing], design: Design) -> None:
    """In every round each volunteer once, each condition equally often, give or take one."""
    n = len(design.volunteers)
    for start in range(0, len(primary), n):
        one_round = primary[start : start + n]
        assert len({showing.volunteer for showing in one_round}) == n
        counts = Counter(showing.condition for showing in one_round)
        shares = [counts[condition] for condition in design.conditions]
        assert max(shares) - min(shares) <= 1


def assert_panes(order: list[Showing], design: Design) -> None:
    primary = [showing for showing in order if showing.purpose == PRIMARY]
    for showing in order:
        if design.mode == RELATIVE:
            assert sorted(showing.panes) == sorted([design.control, showing.condition])
            assert showing.control is not None
            assert showing.panes[showing.control] == design.control
        else:
            assert showing.control is None
        if design.mode == ABSOLUTE:
            assert showing.panes == (showing.condition,)
        if design.mode == CHOICE:
            assert sorted(showing.panes) == sorted(showing.condition.split(":"))
        if design.mode == RANKING:
            assert sorted(showing.panes) == sorted(design.arms)
    if design.mode == RELATIVE and design.side_policy == CONTROL_LEFT:
        assert {showing.control for showing in order} == {0}
    elif design.mode in {RELATIVE, CHOICE}:
        for condition in design.conditions:
            first = condition.split(":")[0] if design.mode == CHOICE else design.control
            of_one = [s for s in primary if s.condition == condition]
            on_left = sum(
                s.control == 0 if s.control is not None else s.panes[0] == first for s in of_one
            )
            assert abs(2 * on_left - len(of_one)) <= 1
    if design.mode == RANKING:
        n, places = len(primary), len(design.arms)
        for place in range(places):
            counts = Counter(showing.panes[place] for showing in primary)
            assert max(counts.values()) <= n // places + 1


LUMBAR = Design(
    RELATIVE, ("V01", "V02", "V03"), ("STD", "DF"), "STD", (("STD", "DF"),),
    repeat_percent=34, side_policy=BALANCED, practice_items=2, practice_volunteers=("P1", "P2"),
)  # fmt: skip


@pytest.mark.parametrize(("mode", "known"), [(RELATIVE, 0), (CHOICE, 1), (RANKING, 2)])
def test_the_algorithm_has_not_changed_under_its_version(mode: str, known: int) -> None:
    """Stored orders must stay re-derivable: a change of these values needs a new ARRANGEMENT."""
    order = derive_showings(replace(LUMBAR, mode=mode), seed="s", reader="R1")
    assert ["/".join(showing.as_row()) for showing in order] == KNOWN[known]


KNOWN = [
    [
        "P1/DF/STD* DF/practice",
        "P2/STD/STD STD*/practice",
        "V01/STD/STD STD*/primary",
        "V02/STD/STD* STD/primary",
        "V03/DF/DF STD*/primary",
        "V01/DF/STD* DF/primary",
        "V02/DF/STD* DF/primary",
        "V03/STD/STD STD*/primary",
        "V01/STD/STD STD*/repeat",
        "V03/DF/DF STD*/repeat",
    ],
    [
        "P1/STD:DF/STD DF/practice",
        "P2/STD:DF/DF STD/practice",
        "V01/STD:DF/DF STD/primary",
        "V03/STD:DF/STD DF/primary",
        "V02/STD:DF/STD DF/primary",
        "V03/STD:DF/STD DF/repeat",
    ],
    [
        "P1/all/DF STD/practice",
        "P2/all/STD DF/practice",
        "V01/all/DF STD/primary",
        "V03/all/STD DF/primary",
        "V02/all/STD DF/primary",
        "V01/all/DF STD/repeat",
    ],
]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"volunteers": ("V01",)}, "at least 2 volunteers, but the study has 1 volunteer"),
        ({"volunteers": ()}, "no volunteers yet"),
        ({"arms": ("STD",)}, "at least one other arm"),
        ({"minimum_gap": 0}, "must be at least 1"),
        ({"repeat_percent": 51}, "between 0 and 50"),
        ({"side_policy": "sometimes"}, "not a rule for the sides"),
        ({"mode": "guessing"}, "not a mode"),
        ({"mode": CHOICE, "side_policy": CONTROL_LEFT}, "needs balanced sides"),
        ({"mode": CHOICE, "comparisons": ()}, "at least one comparison"),
        ({"mode": RANKING, "arms": named("A", 13)}, "At most 12 arms"),
        ({"practice_volunteers": ("V01",)}, "V01: read in practice alone, or in the study"),
        ({"practice_items": 5}, "5 practice items are asked for, but .* only 4"),
    ],
)
def test_an_impossible_design_is_refused_in_words(changes: dict[str, object], words: str) -> None:
    with pytest.raises(OrderImpossible, match=words):
        check_design(replace(LUMBAR, **changes))  # type: ignore[arg-type]


def test_practice_on_the_studys_own_volunteers_is_possible() -> None:
    design = replace(LUMBAR, practice_volunteers=(), practice_items=6)
    practice = derive_showings(design, seed="s", reader="R1")[:6]
    assert len({(showing.volunteer, showing.condition) for showing in practice}) == 6
