"""Power and sample size of the planned signed-rank test, by simulation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.estimates import Estimate, Interval
from analysis.paired import Method, Zeros, signed_rank_p

MOST_CASES = 2000


@dataclass(frozen=True)
class SampleSize:
    """How many cases reach a power.

    Attributes
    ----------
    n : int
    power : Estimate
        Simulated at this n.
    """

    n: int
    power: Estimate

    @property
    def value(self) -> int:
        """The number of cases."""
        return self.n


def power_signed_rank(
    n: int,
    differences: Sequence[float],
    probabilities: Sequence[float],
    *,
    alpha: float = 0.05,
    method: Method = "exact",
    zeros: Zeros = "drop",
    simulations: int = 2000,
    seed: int = 1,
) -> Estimate:
    """Power of the planned signed-rank test for n cases, by simulation.

    Parameters
    ----------
    n : int
        Cases.
    differences, probabilities : sequence of float
        The differences b - a that a case may show, and how likely each is.
    alpha : float
        Level of one test; for m tests under Benjamini-Hochberg, alpha / m is the strict case.
    method, zeros : str
        As in `signed_rank_test`.
    simulations : int
    seed : int
        The same seed gives the same answer.

    Returns
    -------
    Estimate
        With the Clopper-Pearson interval of the simulation.

    Raises
    ------
    ValueError
        If the probabilities do not sum to 1, a difference is not finite, alpha does not lie
        between 0 and 1, or n is not a positive whole number.

    Examples
    --------
    >>> power_signed_rank(5, [0, 1], [0.1, 0.9]).value
    0.0
    >>> power_signed_rank(10, [0, 1], [0.1, 0.9], simulations=200).value > 0.95
    True
    """
    chances = np.asarray(probabilities, dtype=np.float64)
    fits = len(differences) == chances.size and bool((chances >= 0).all())
    if not fits or not abs(chances.sum() - 1) <= 1e-9:
        raise ValueError("Give one probability for each difference; together they must be 1.")
    if not np.isfinite(np.asarray(differences, dtype=np.float64)).all():
        raise ValueError("A difference is not a finite number.")
    if n != int(n) or n < 1 or simulations < 1:
        raise ValueError("The numbers of cases and of simulations must be positive whole numbers.")
    if not 0 < alpha < 1:
        raise ValueError("alpha must lie between 0 and 1.")
    generator = np.random.default_rng(seed)
    # Only how often each difference occurs matters, and few patterns recur: test each once.
    counts = generator.multinomial(n, chances / chances.sum(), size=simulations)
    patterns, times = np.unique(counts, axis=0, return_counts=True)
    steps = np.array([round(float(step), 6) for step in differences], dtype=np.float64)
    hits = 0
    for pattern, often in zip(patterns, times, strict=True):
        drawn = np.repeat(steps, pattern)
        p = signed_rank_p(drawn, method, zeros)
        hits += int(often) if p <= alpha else 0
    bounds = stats.binomtest(hits, simulations).proportion_ci(0.95, method="exact")
    interval = Interval(float(bounds.low), float(bounds.high), 0.95, "Clopper-Pearson, simulation")
    return Estimate(hits / simulations, "power of the signed-rank test", interval, n)


def sample_size_signed_rank(
    differences: Sequence[float],
    probabilities: Sequence[float],
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    method: Method = "exact",
    zeros: Zeros = "drop",
    simulations: int = 2000,
    seed: int = 1,
) -> SampleSize:
    """The smallest number of cases with which the planned test reaches a power, by simulation.

    Parameters
    ----------
    differences, probabilities, alpha, method, zeros, simulations, seed
        As in `power_signed_rank`.
    power : float
        What is to be reached.

    Returns
    -------
    SampleSize
        Found by bisection: near the power asked for, a neighbouring n may serve as well within the
        interval of the simulation.

    Raises
    ------
    ValueError
        If 2,000 cases do not reach the power, or as `power_signed_rank` raises it.

    Examples
    --------
    >>> found = sample_size_signed_rank([0, 1], [0.5, 0.5], power=0.9, simulations=500)
    >>> found.n, found.power.value >= 0.9
    (16, True)
    """
    if not 0 < power < 1:
        raise ValueError("The power must lie between 0 and 1.")

    def reached(n: int) -> Estimate:
        return power_signed_rank(
            n,
            differences,
            probabilities,
            alpha=alpha,
            method=method,
            zeros=zeros,
            simulations=simulations,
            seed=seed,
        )

    low, high = 1, 8
    found = reached(high)
    while found.value < power:
        if high >= MOST_CASES:
            raise ValueError(
                f"{MOST_CASES} cases reach a power of {found.value:.2f} only: the differences are "
                "too small or too evenly spread around zero."
            )
        low, high = high, min(2 * high, MOST_CASES)
        found = reached(high)
    while high - low > 1:
        middle = (low + high) // 2
        tried = reached(middle)
        if tried.value < power:
            low = middle
        else:
            high, found = middle, tried
    return SampleSize(high, found)
