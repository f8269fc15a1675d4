"""Visual grading characteristics, non-inferiority of scores, and the share of good scores."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from analysis.bootstrap import bootstrap_interval
from analysis.estimates import Estimate, Interval
from analysis.paired import paired_differences, smallest_p

_ROUNDING = 1e-9
NO_VARIATION = "no width: the cases do not differ from each other, which does not mean certainty"


@dataclass(frozen=True)
class NonInferiority:
    """Whether b is non-inferior to a, decided from an interval.

    Attributes
    ----------
    difference : Estimate
        Mean of b - a over cases, with its interval.
    margin : float
        How much worse b may be, a positive number in the units of the scores.
    non_inferior : bool
        Whether the whole interval lies above -margin.
    """

    difference: Estimate
    margin: float
    non_inferior: bool

    @property
    def value(self) -> float:
        """The mean difference, b minus a."""
        return self.difference.value

    @property
    def reverse(self) -> bool:
        """Whether a is non-inferior to b, by the same interval and margin."""
        bounds = self.difference.interval
        return bounds is not None and bounds.high < self.margin - _ROUNDING

    @property
    def interval(self) -> Interval | None:
        """The interval that the decision rests on."""
        return self.difference.interval


def vgc(
    reference: npt.ArrayLike,
    test: npt.ArrayLike,
    *,
    paired: bool = False,
    level: float = 0.95,
) -> Estimate:
    """Area under the visual grading characteristics curve: P(test > reference) + P(equal) / 2.

    Parameters
    ----------
    reference, test : array_like, shape (n,) and (m,)
        Scores under the two conditions; NaN for missing.
    paired : bool
        False: DeLong's interval for independent images, None where its variance is zero (the
        conditions do not overlap, or all scores are equal). True: the same cases under both
        conditions (equal length, case by case), interval by a bootstrap over cases.
    level : float

    Returns
    -------
    Estimate
        0.5 where neither is preferred.

    Raises
    ------
    ValueError
        If a condition has fewer than two scores, or paired lists differ in length.

    References
    ----------
    Båth M, Månsson LG. Br J Radiol 2007;80:169-176. DeLong ER, DeLong DM, Clarke-Pearson DL.
    Biometrics 1988;44:837-845.

    Examples
    --------
    >>> vgc([2, 3, 3, 4], [3, 4, 4, 5]).value
    0.8125
    """
    first, second = np.asarray(reference, np.float64), np.asarray(test, np.float64)
    if np.isinf(first).any() or np.isinf(second).any():
        raise ValueError("A score is infinite; mark a missing score as NaN.")
    if paired:
        if first.shape != second.shape:
            raise ValueError("Paired scores must be two lists of the same length, case by case.")
        complete = ~(np.isnan(first) | np.isnan(second))
        first, second = first[complete], second[complete]
    else:
        first, second = first[~np.isnan(first)], second[~np.isnan(second)]
    if first.size < 2 or second.size < 2:
        raise ValueError("A VGC curve needs at least two scores under each condition.")
    # Rows: test; columns: reference.
    wins = (second[:, None] > first) + 0.5 * (second[:, None] == first)
    value = float(wins.mean())
    name = "visual grading characteristics, area under the curve"
    interval: Interval | None = None
    if paired:

        def area(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            return np.asarray(((weights @ wins) * weights).sum(axis=1) / weights.sum(axis=1) ** 2)

        interval = bootstrap_interval(area, np.arange(first.size), level=level)
    else:
        variance = wins.mean(axis=1).var(ddof=1) / second.size
        variance += wins.mean(axis=0).var(ddof=1) / first.size
        if variance < 1e-12:
            return Estimate(value, name, None, int(first.size))
        half = float(stats.norm.ppf((1 + level) / 2) * np.sqrt(variance))
        interval = Interval(max(0.0, value - half), min(1.0, value + half), level, "DeLong")
    return Estimate(value, name, interval, int(first.size))


def non_inferiority(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    margin: float,
    *,
    clusters: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> NonInferiority:
    """Whether b is worse than a by less than a margin stated before the study.

    Parameters
    ----------
    a, b : array_like, shape (n,)
        One value a case (over the readers), or one a case and reader with `clusters`; NaN for
        missing.
    margin : float
        Positive, in the units of the scores.
    clusters : array_like, shape (n,), optional
        The case of each entry. Readers are fixed: conclusions concern these readers.
    level : float
        Of the two-sided interval, a bootstrap over whole cases.

    Returns
    -------
    NonInferiority

    Raises
    ------
    ValueError
        If the margin is not positive, or the complete cases are too few for any interval at this
        level: six at 95 %.

    Notes
    -----
    With n cases, the range of their differences misses the centre of a symmetric distribution with
    probability 2 / 2**n, so that no interval made from fewer than six can hold 95 %.
    A difference that is not significant does not show equivalence; this interval can.

    References
    ----------
    Piaggio G et al. CONSORT extension for non-inferiority. JAMA 2012;308:2594-2604.

    Examples
    --------
    >>> found = non_inferiority([3, 3, 3, 3, 3, 3], [3, 4, 3, 3, 3, 4], margin=0.5)
    >>> found.difference.interval.low, found.non_inferior
    (0.0, True)
    """
    if not margin > 0:
        raise ValueError("The non-inferiority margin must be a positive number of score points.")
    differences, _ = paired_differences(a, b)
    complete = ~(np.isnan(np.asarray(a, np.float64)) | np.isnan(np.asarray(b, np.float64)))
    cases = np.arange(complete.size) if clusters is None else np.asarray(clusters)
    n_cases = int(np.unique(cases[complete]).size)
    if smallest_p(n_cases) > (1 - level) * (1 + 1e-9):
        noun = "complete case is" if n_cases == 1 else "complete cases are"
        raise ValueError(f"{n_cases} {noun} too few to decide from a {100 * level:g} % interval.")
    interval = bootstrap_interval(
        lambda weights: weights @ differences / weights.sum(axis=1), cases[complete], level=level
    )
    value = float(differences.mean())
    if interval is None:
        interval = Interval(value, value, level, NO_VARIATION)
    estimate = Estimate(value, "mean difference (b minus a)", interval, int(differences.size))
    # A limit on the margin does not show non-inferiority, on whichever side rounding left it.
    return NonInferiority(estimate, margin, interval.low > -margin + _ROUNDING)


def share_at_least(
    scores: npt.ArrayLike,
    threshold: float = 3.0,
    *,
    clusters: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """Share of scores at or above a threshold, by default 3: at least equivalent.

    Parameters
    ----------
    scores : array_like, shape (n,)
        NaN for missing.
    threshold : float
    clusters : array_like, shape (n,), optional
        The case of each score; with it the interval is a bootstrap over whole cases (Clopper and
        Pearson's over cases where all scores or none reach the threshold), otherwise Clopper and
        Pearson's.
    level : float

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If every score is missing.

    Examples
    --------
    >>> share = share_at_least([2, 3, 3, 4])
    >>> share.value, round(share.interval.low, 3), round(share.interval.high, 3)
    (0.75, 0.194, 0.994)
    """
    given = np.asarray(scores, dtype=np.float64)
    known = ~np.isnan(given)
    reached = (given[known] >= threshold).astype(np.float64)
    if reached.size == 0:
        raise ValueError("Every score is missing: no share can be given.")
    interval: Interval | None
    if clusters is None:
        exact = stats.binomtest(int(reached.sum()), reached.size).proportion_ci(level, "exact")
        interval = Interval(float(exact.low), float(exact.high), level, "Clopper-Pearson, exact")
    else:
        cases, place = np.unique(np.asarray(clusters)[known], return_inverse=True)
        # Sums over each case: with thousands of scores the bootstrap then handles cases alone.
        scored = np.bincount(place).astype(np.float64)
        sums = np.bincount(place, reached)
        interval = bootstrap_interval(
            lambda weights: weights @ sums / (weights @ scored), np.arange(cases.size), level=level
        )
        if reached.min() == reached.max():
            n = int(cases.size)
            exact = stats.binomtest(n * int(reached[0]), n).proportion_ci(level, "exact")
            method = f"Clopper-Pearson over {n} cases"
            interval = Interval(float(exact.low), float(exact.high), level, method)
    name = f"share of scores of {threshold:g} or more"
    return Estimate(float(reached.mean()), name, interval, int(reached.size))
