"""How fast the statistics are: python benchmarks/analysis.py

Prints the time of one exact signed-rank p at several sizes and kinds of ties, and the time and peak
memory of a plan over 1,000 cases, 20 readers, 6 criteria and 5 arms. Times are those of the
processor, so that other work on the machine does not change them. Ends with an error when a figure
lies beyond its limit; the limits leave room for a slow machine.
"""

import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analysis import AnalysisPlan, run_plan, signed_rank_test

ARMS = ("STD", "DF", "DLR_DF", "TF", "DLR_TF")
REPEATS = 3
# Milliseconds for one exact p of 200 cases, seconds and MiB for the plan.
LONGEST_TEST, LONGEST_PLAN, MOST_MEMORY = 50.0, 60.0, 1024.0
TISSUES = ("fat", "csf", "vertebra", "disc", "cord", "muscle")


def exact_test() -> float:
    """Prints each figure; answers with the slowest of 200 cases, in milliseconds."""
    slowest = 0.0
    generator = np.random.default_rng(0)
    for n in (10, 50, 200, 1000):
        for name, differences in (
            ("no ties", generator.normal(0.05, 1, n)),
            ("five-point scores", generator.integers(-2, 3, n).astype(float)),
            ("medians, halves", generator.integers(-8, 9, n) / 2),
            ("one tie in three", np.round(generator.normal(0.05, 1, n), 1)),
        ):
            zeros = np.zeros(n)
            spent = 0.0
            for repeat in range(REPEATS):
                # Another set of ranks each time, so that nothing is remembered from the last.
                kept = differences[repeat:]
                start = time.process_time()
                signed_rank_test(zeros[repeat:], kept)
                spent += (time.process_time() - start) / REPEATS
            if n == 200:
                slowest = max(slowest, spent * 1e3)
            print(f"exact test with effect sizes, n = {n:4d}, {name:17s}: {spent * 1e3:7.2f} ms")
    return slowest


def whole_plan(cases: int = 1000, readers: int = 20, criteria: int = 6) -> tuple[float, float]:
    """Prints the figures of one plan; answers with seconds and MiB."""
    generator = np.random.default_rng(1)
    names = [f"criterion {number + 1}" for number in range(criteria)]
    index = pd.MultiIndex.from_product(
        [[f"V{case:04d}" for case in range(cases)], ARMS, range(readers), names],
        names=["volunteer", "arm", "reader", "criterion"],
    )
    scores = index.to_frame(index=False)
    scores["score"] = generator.integers(1, 6, len(scores)).astype(float)
    regions = pd.MultiIndex.from_product(
        [scores["volunteer"].unique(), ARMS, (*TISSUES, "air")],
        names=["volunteer", "arm", "tissue"],
    ).to_frame(index=False)
    air = regions["tissue"] == "air"
    regions["mean"] = np.where(air, 7.6, generator.normal(200, 40, len(regions)))
    regions["sd"] = generator.normal(4, 0.3, len(regions))
    regions = regions.assign(n_pixels=45, area_mm2=30.0)
    plan = AnalysisPlan(
        arms=ARMS,
        control="STD",
        comparisons=(("DF", "DLR_DF"), ("TF", "DLR_TF"), ("STD", "DLR_DF"), ("STD", "DLR_TF")),
        criteria=tuple(names),
        tissues=TISSUES,
        score_range=(1, 5),
    )
    start = time.process_time()
    results = run_plan(scores, regions, plan)
    spent = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"plan over {cases} cases, {readers} readers, {criteria} criteria, {len(ARMS)} arms "
        f"({len(scores)} scores, {len(results.tests)} tests): {spent:.1f} s, peak {peak:.0f} MiB"
    )
    return spent, peak


if __name__ == "__main__":
    test_time = exact_test()
    plan_time, memory = whole_plan()
    if test_time > LONGEST_TEST or plan_time > LONGEST_PLAN or memory > MOST_MEMORY:
        sys.exit(
            f"beyond a limit: {LONGEST_TEST:g} ms a test of 200 cases, {LONGEST_PLAN:g} s and "
            f"{MOST_MEMORY:g} MiB a plan"
        )
