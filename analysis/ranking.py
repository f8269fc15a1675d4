"""Ranking of all arms at once: Friedman's test, mean ranks and the pairwise follow-up."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy import stats

from analysis.bootstrap import bootstrap_interval
from analysis.estimates import Estimate, Interval
from analysis.multiplicity import benjamini_hochberg
from analysis.paired import Method, SignedRankResult, Zeros, signed_rank_test


@dataclass(frozen=True)
class FollowUp:
    """One pair of arms after Friedman's test; effects are b minus a.

    Attributes
    ----------
    a, b : str
    test : SignedRankResult
    q : float
        Benjamini-Hochberg over all pairs of the ranking.
    """

    a: str
    b: str
    test: SignedRankResult
    q: float


@dataclass(frozen=True)
class Ranking:
    """What `rank_arms` found.

    Attributes
    ----------
    n, n_missing : int
        Cases with a value in every arm, and those left out.
    chi_square : float
        Friedman's statistic, corrected for ties.
    freedom : int
    p : float
        Of the chi-square distribution. 1 when every case ties all arms.
    concordance : Estimate
        Kendall's W of the cases over the arms, from 0 (no common order) to 1.
    mean_ranks : tuple of Estimate
        One an arm, in their order; 1 is the lowest value of a case.
    follow_up : tuple of FollowUp
        Every pair of arms, in their order.
    """

    n: int
    n_missing: int
    chi_square: float
    freedom: int
    p: float
    concordance: Estimate
    mean_ranks: tuple[Estimate, ...]
    follow_up: tuple[FollowUp, ...]

    @property
    def value(self) -> float:
        """Kendall's W, the effect size of the ranking."""
        return self.concordance.value

    @property
    def interval(self) -> Interval | None:
        """The interval of Kendall's W."""
        return self.concordance.interval


def rank_arms(
    values: npt.ArrayLike,
    arms: Sequence[str] | None = None,
    *,
    method: Method = "exact",
    zeros: Zeros = "drop",
    decimals: int = 6,
    level: float = 0.95,
) -> Ranking:
    """Friedman's test over all arms, with the signed-rank test of every pair.

    Parameters
    ----------
    values : array_like, shape (cases, arms)
        NaN for missing: a case with a missing arm is left out of the ranking (and counted), and of
        the pairs that need it.
    arms : sequence of str, optional
        Names, in the order of the columns; "1", "2", ... by default.
    method, zeros, decimals
        Of the follow-up, as in `signed_rank_test`; values are rounded before ranking too.
    level : float
        Of the intervals (bootstrap over cases for ranks and concordance).

    Returns
    -------
    Ranking

    Raises
    ------
    ValueError
        With fewer than three arms or two complete cases.

    References
    ----------
    Friedman M. J Am Stat Assoc 1937;32:675-701. Hollander M, Wolfe DA. Nonparametric Statistical
    Methods. 1973, p. 139-146.

    Examples
    --------
    >>> found = rank_arms([[2, 3, 4], [3, 3, 5], [2, 4, 4], [1, 3, 2]], ["DF", "STD", "DLR"])
    >>> round(found.chi_square, 3), round(found.p, 3), [rank.value for rank in found.mean_ranks]
    (5.571, 0.062, [1.125, 2.25, 2.625])
    >>> [(pair.a, pair.b, pair.q) for pair in found.follow_up][:1]
    [('DF', 'STD', 0.375)]
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 3:
        raise ValueError("A ranking needs (cases, arms) with at least three arms.")
    if np.isinf(table).any():
        raise ValueError("A value is infinite; mark a missing value as NaN.")
    names = [str(number + 1) for number in range(table.shape[1])] if arms is None else list(arms)
    if len(names) != table.shape[1]:
        raise ValueError("Give one name for each arm.")
    rounded = np.round(table, decimals)
    complete = ~np.isnan(rounded).any(axis=1)
    kept = rounded[complete]
    n, k = kept.shape
    if n < 2:
        raise ValueError("A ranking needs at least two cases with a value in every arm.")
    ranks = stats.rankdata(kept, axis=1)
    chi_square, p = 0.0, 1.0
    # All arms tied in every case: no order at all, where the statistic would be 0 / 0.
    if (kept != kept[:, :1]).any():
        found = stats.friedmanchisquare(*kept.T)
        chi_square, p = float(found.statistic), float(found.pvalue)
    return Ranking(
        n=n,
        n_missing=int((~complete).sum()),
        chi_square=chi_square,
        freedom=k - 1,
        p=p,
        concordance=_concordance(ranks, level),
        mean_ranks=tuple(_mean_rank(name, ranks[:, i], level) for i, name in enumerate(names)),
        follow_up=_follow_up(table, names, method, zeros, decimals),
    )


def _concordance(ranks: npt.NDArray[np.float64], level: float) -> Estimate:
    """Kendall's W of the cases as judges, corrected for ties; 0 where every case ties all arms."""
    n, k = ranks.shape
    ties = np.zeros(n)
    for row, case in enumerate(ranks):
        counts = np.unique(case, return_counts=True)[1].astype(np.float64)
        ties[row] = (counts**3 - counts).sum()

    def weighted(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        cases = weights.sum(axis=1)
        spread = ((weights @ ranks - cases[:, None] * (k + 1) / 2) ** 2).sum(axis=1)
        room = cases**2 * (k**3 - k) - cases * (weights @ ties)
        return np.divide(12 * spread, room, out=np.zeros(len(cases)), where=room > 0)

    value = float(weighted(np.ones((1, n)))[0])
    interval = bootstrap_interval(weighted, np.arange(n), level=level)
    return Estimate(value, "Kendall's W of the cases over the arms", interval, n)


def _mean_rank(arm: str, ranks: npt.NDArray[np.float64], level: float) -> Estimate:
    interval = bootstrap_interval(
        lambda weights: weights @ ranks / weights.sum(axis=1), np.arange(ranks.size), level=level
    )
    return Estimate(float(ranks.mean()), f"mean rank, {arm}", interval, int(ranks.size))


def _follow_up(
    table: npt.NDArray[np.float64],
    names: Sequence[str],
    method: Method,
    zeros: Zeros,
    decimals: int,
) -> tuple[FollowUp, ...]:
    pairs = list(combinations(range(len(names)), 2))
    tests = [
        signed_rank_test(table[:, first], table[:, second], method, zeros, decimals)
        for first, second in pairs
    ]
    q = benjamini_hochberg([test.p for test in tests])
    return tuple(
        FollowUp(names[first], names[second], test, float(adjusted))
        for (first, second), test, adjusted in zip(pairs, tests, q, strict=True)
    )
