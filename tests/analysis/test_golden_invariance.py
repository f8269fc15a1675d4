"""The published tables do not depend on the order of rows nor on what the arms are called."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis import run_plan
from tests.analysis.published_study import ARMS, PLAN, PUBLISHED, regions, scores

# Names that sort otherwise than the protocol, with spaces, accents and digits.
NAMES = ("zeta", "Ärmel 2", "10", "b c", "9", "alpha")


@pytest.fixture(scope="module")
def expected() -> pd.DataFrame:
    return pd.read_csv(PUBLISHED / "expected_tests.csv")


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    names=st.permutations(NAMES).map(lambda names: names[: len(ARMS)]),
    seed=st.integers(0, 2**32 - 1),
    order=st.permutations(range(len(ARMS))),
)
def test_the_68_p_and_q_survive_shuffled_rows_and_renamed_arms(
    expected: pd.DataFrame, names: list[str], seed: int, order: list[int]
) -> None:
    called = dict(zip(ARMS, names, strict=True))
    plan = replace(
        PLAN,
        # The order of the arms is one of presentation: no number may follow it.
        arms=tuple(called[ARMS[place]] for place in order),
        control=called["STD"],
        comparisons=tuple((called[a], called[b]) for a, b in PLAN.comparisons),
        dlr_arms=(),
        agreement=(),
    )
    frames = [
        frame.sample(frac=1, random_state=seed).assign(arm=lambda rows: rows["arm"].map(called))
        for frame in (scores(), regions())
    ]
    tests = run_plan(frames[0], frames[1], plan).tests
    back = {name: arm for arm, name in called.items()}
    tests = tests.assign(a=tests["a"].map(back), b=tests["b"].map(back))
    both = expected.merge(tests, on=["metric", "row", "a", "b"], validate="one_to_one")
    assert len(both) == 68
    np.testing.assert_allclose(both["p"], both["p_exact"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(both["q"], both["q_bh_row_m4"], rtol=0, atol=1e-9)
