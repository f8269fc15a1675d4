"""The exact null distribution of the signed-rank statistic, conditional on the ranks at hand.

Under the null hypothesis each rank is positive or negative with probability one half, so the
statistic's distribution is the convolution of one two-point distribution a rank. Ranks are doubled,
so that mid-ranks of ties (2.5) are whole numbers.

References
----------
Streitberg B, Roehmel J. Exact distributions for permutation and rank tests. Statistical Software
Newsletter 1986;12:10-17. Hollander M, Wolfe DA. Nonparametric Statistical Methods. 1973, p. 27.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt


def lower_tail(doubled_ranks: npt.NDArray[np.int64], doubled_statistic: int) -> float:
    """P(W <= w) under the null, for ranks and statistic both doubled.

    Parameters
    ----------
    doubled_ranks : numpy.ndarray, shape (n,), int64
        Twice the mid-ranks of the non-zero differences.
    doubled_statistic : int
        Twice w.

    Returns
    -------
    float
        The probability. Exact in floating point up to 52 ranks (all terms are dyadic fractions);
        beyond that the terms are positive sums, so the relative error stays near 1e-14 in the tail.

    Examples
    --------
    >>> lower_tail(np.array([2, 4, 6]), 0)
    0.125
    >>> lower_tail(np.array([3, 3]), 3)
    0.75
    """
    if doubled_statistic < 0:
        return 0.0
    total = int(doubled_ranks.sum())
    if doubled_statistic >= total:
        return 1.0
    if 2 * doubled_statistic >= total:
        # The distribution is symmetric: use the shorter tail.
        return 1.0 - lower_tail(doubled_ranks, total - doubled_statistic - 1)
    n = doubled_ranks.size
    if np.array_equal(np.sort(doubled_ranks), np.arange(2, 2 * n + 1, 2)):
        # Without ties the distribution depends on n alone: a table of many rows needs it once.
        return float(_untied_tails(n)[doubled_statistic // 2])
    return float(_tail_probabilities(doubled_ranks, doubled_statistic).sum())


# Subsets are counted, and the counts halved in bulk before 2**1023 ends the range of a float64.
_HALVE_EVERY = 512


def _tail_probabilities(ranks: npt.NDArray[np.int64], last: int) -> npt.NDArray[np.float64]:
    """P(W = k) for k = 0, step, 2 step ... up to `last`; step is the ranks' common divisor."""
    step = int(np.gcd.reduce(ranks)) if ranks.size else 1
    # Ascending order keeps the filled part of the array short for as long as possible.
    scaled = np.sort(ranks // step)
    size = last // step + 1
    counts = np.zeros(size)
    counts[0] = 1.0
    filled = 1
    pending = 0
    for rank in scaled.tolist():
        reach = min(size, filled + rank)
        if rank < reach:
            counts[rank:reach] += counts[: reach - rank]
        filled = reach
        pending += 1
        if pending == _HALVE_EVERY:
            counts *= 0.5**pending
            pending = 0
    return np.asarray(counts * 0.5**pending)


@lru_cache(maxsize=256)
def lower_quantile(n: int, probability: float) -> int:
    """The smallest w with P(W <= w) >= probability, for n untied ranks (R's ``qsignrank``).

    Examples
    --------
    >>> lower_quantile(9, 0.025)
    6
    """
    return int(np.searchsorted(_untied_tails(n), probability))


@lru_cache(maxsize=16)
def _untied_tails(n: int) -> npt.NDArray[np.float64]:
    """P(W <= w) for w = 0, 1, ... to the middle, for the ranks 1 to n."""
    ranks = np.arange(1, n + 1, dtype=np.int64)
    return np.asarray(np.cumsum(_tail_probabilities(ranks, n * (n + 1) // 4)))
