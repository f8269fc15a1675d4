"""Bootstrap over whole cases, for statistics that are functions of case weights.

The interval is Hesterberg's expanded percentile interval: the plain one leaves too little room with
the ten or twenty volunteers of a reader study (for a mean it is short by sqrt((n - 1) / n) and by
the difference between normal and t quantiles; here that is made good).
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import stats

from analysis.estimates import Interval, check_level

REPLICATES = 2000
# Rows of weights handled at once: bounds the memory for thousands of subjects.
_CHUNK = 200
# Draws of more cases than this are made anew each time.
_MOST_KEPT = 2000
# An interval is withheld when more replicates than this share are undefined.
_MOST_UNDEFINED = 0.05

WeightedStatistic = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]


def bootstrap_interval(
    statistic: WeightedStatistic,
    clusters: npt.ArrayLike,
    *,
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 1,
) -> Interval | None:
    """Expanded percentile interval of a statistic when whole clusters are drawn with replacement.

    Parameters
    ----------
    statistic : callable
        Takes weights, shape (replicates, subjects), and answers with values, shape (replicates,);
        NaN where undefined.
    clusters : array_like, shape (subjects,)
        The case that each subject belongs to: subjects of one case stay together.
    level : float
    replicates : int
    seed : int
        Of numpy's PCG64: the same data give the same interval.

    Returns
    -------
    Interval or None
        None with fewer than two clusters, when over 5 % of the replicates are undefined, and when
        all replicates are equal: clusters that do not vary tell nothing about uncertainty.

    References
    ----------
    Hesterberg TC. What teachers should know about the bootstrap. Am Stat 2015;69:371-386, section
    3.3. Efron B, Tibshirani RJ. An Introduction to the Bootstrap. 1993, chapter 13.

    Examples
    --------
    >>> import numpy as np
    >>> values = np.array([1.0, 2.0, 3.0, 4.0])
    >>> mean = lambda weights: weights @ values / weights.sum(axis=1)
    >>> interval = bootstrap_interval(mean, [1, 2, 3, 4])
    >>> interval.low, interval.high
    (1.0, 4.0)
    """
    check_level(level)
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    n_clusters = int(index.max()) + 1 if index.size else 0
    if n_clusters < 2:
        return None
    values = np.concatenate(
        [
            statistic(draws[:, index].astype(np.float64))
            for draws in _drawn(n_clusters, replicates, seed)
        ]
    )
    known = values[~np.isnan(values)]
    if known.size < (1 - _MOST_UNDEFINED) * replicates:
        return None
    tail = expanded_tail((1 - level) / 2, n_clusters)
    low, high = np.quantile(known, [tail, 1 - tail])
    # Equal but for rounding is equal.
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        return None
    return Interval(
        float(low),
        float(high),
        level,
        f"expanded percentile bootstrap over {n_clusters} cases, {replicates} replicates",
    )


def _drawn(n: int, replicates: int, seed: int) -> Iterable[npt.NDArray[np.uint16]]:
    """How often each of n cases is drawn, some replicates at a time."""
    return _kept_draws(n, replicates, seed) if n <= _MOST_KEPT else _draws(n, replicates, seed)


@lru_cache(maxsize=4)
def _kept_draws(n: int, replicates: int, seed: int) -> tuple[npt.NDArray[np.uint16], ...]:
    """A plan asks for the same draws dozens of times."""
    return tuple(_draws(n, replicates, seed))


def _draws(n: int, replicates: int, seed: int) -> Iterator[npt.NDArray[np.uint16]]:
    generator = np.random.default_rng(seed)
    shares = np.full(n, 1 / n)
    for start in range(0, replicates, _CHUNK):
        rows = min(_CHUNK, replicates - start)
        # Nobody is drawn 65,536 times: two bytes hold a count.
        yield generator.multinomial(n, shares, size=rows).astype(np.uint16)


def expanded_tail(tail: float, n: int) -> float:
    """The tail probability at which the bootstrap distribution of n cases is cut.

    Examples
    --------
    >>> round(expanded_tail(0.025, 10), 4), round(expanded_tail(0.025, 1000), 4)
    (0.0086, 0.0248)
    """
    quantile = stats.t.ppf(tail, n - 1) * np.sqrt(n / (n - 1))
    return float(stats.norm.cdf(quantile))
