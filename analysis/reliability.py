"""Reliability of measurements and scores: ICC, Kendall's W, Bland-Altman, repeatability."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import stats

from analysis.agreement import rating_array
from analysis.bootstrap import bootstrap_interval
from analysis.estimates import Estimate, Interval
from analysis.paired import paired_differences

IccForm = Literal["ICC(1,1)", "ICC(2,1)", "ICC(3,1)", "ICC(1,k)", "ICC(2,k)", "ICC(3,k)"]
# Below this share of the squared range, a mean square is what rounding left of zero.
_ROUNDING = 1e-12
_FORM_NAMES = {
    "1": "one-way random",
    "2": "two-way random, absolute agreement",
    "3": "two-way mixed, consistency",
}


@dataclass(frozen=True)
class BlandAltman:
    """Bias and limits of agreement of a - b, each with its interval.

    Attributes
    ----------
    n, n_missing : int
    bias, lower_limit, upper_limit : Estimate
        In the units of a and b.
    sd : float
        SD of the differences (divisor n - 1).
    """

    n: int
    n_missing: int
    bias: Estimate
    lower_limit: Estimate
    upper_limit: Estimate
    sd: float

    @property
    def value(self) -> float:
        """The bias, a minus b."""
        return self.bias.value

    @property
    def interval(self) -> Interval | None:
        """The interval of the bias."""
        return self.bias.interval


@dataclass(frozen=True)
class Repeatability:
    """How a measurement repeated under the same conditions scatters.

    Attributes
    ----------
    within_sd : Estimate
        Within-subject SD.
    coefficient : Estimate
        1.96 sqrt(2) within_sd: two repeats differ by less in 95 % of subjects.
    """

    within_sd: Estimate
    coefficient: Estimate

    @property
    def value(self) -> float:
        """The repeatability coefficient."""
        return self.coefficient.value

    @property
    def interval(self) -> Interval | None:
        """The interval of the repeatability coefficient."""
        return self.coefficient.interval


def icc(
    ratings: npt.ArrayLike,
    form: IccForm = "ICC(2,1)",
    *,
    clusters: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """Intraclass correlation, one of the six forms of Shrout and Fleiss.

    Parameters
    ----------
    ratings : array_like, shape (subjects, raters)
        NaN for missing: a subject with a missing rating is left out (`n` tells how many stayed).
    form : str
        "ICC(model,unit)": model 1 one-way random, 2 two-way random with absolute agreement,
        3 two-way mixed with consistency; unit 1 for one rater, k for the mean of all.
    clusters : array_like, shape (subjects,), optional
        The case of each subject, where subjects depend on each other (the arms of one volunteer).
    level : float

    Returns
    -------
    Estimate
        With the F interval (for model 2 Satterthwaite's degrees of freedom), None where a mean
        square that it needs is zero; with clusters a bootstrap over cases.

    Raises
    ------
    ValueError
        If the form is unknown, fewer than two subjects are complete, or the coefficient divides
        by zero (nothing varies, or the subjects do not differ).

    References
    ----------
    Shrout PE, Fleiss JL. Psychol Bull 1979;86:420-428. McGraw KO, Wong SP. Psychol Methods
    1996;1:30-46.

    Examples
    --------
    >>> ratings = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8],
    ...            [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    >>> round(icc(ratings, "ICC(2,1)").value, 2), round(icc(ratings, "ICC(3,k)").value, 2)
    (0.29, 0.91)
    """
    if form not in get_args(IccForm):
        raise ValueError(f'form is one of {", ".join(get_args(IccForm))}, not "{form}".')
    array = rating_array(ratings)
    complete = ~np.isnan(array).any(axis=1)
    array = array[complete]
    n, k = array.shape
    if n < 2:
        raise ValueError("An ICC needs at least two subjects rated by all readers.")
    # Mean squares are not moved by a shift; without it equal ratings of .1 would seem to vary.
    array = array - array.flat[0]
    size = float(np.abs(array).max())
    if size == 0:
        raise ValueError("All ratings are equal: the ICC is undefined.")
    grand = array.mean()
    between = k * ((array.mean(axis=1) - grand) ** 2).sum() / (n - 1)
    within = ((array - array.mean(axis=1, keepdims=True)) ** 2).sum() / (n * (k - 1))
    raters = n * ((array.mean(axis=0) - grand) ** 2).sum() / (k - 1)
    rest = (within * n * (k - 1) - raters * (k - 1)) / ((n - 1) * (k - 1))
    # What the arithmetic leaves of a zero must not be divided by.
    between, within, raters, rest = (
        0.0 if square < _ROUNDING * size**2 else float(square)
        for square in (between, within, raters, rest)
    )
    model, unit = form[4], form[6]
    alpha = 1 - level
    error = within if model == "1" else rest
    extra = k * (raters - rest) / n if model == "2" else 0.0
    room = between + (k - 1) * error + extra if unit == "1" else between + extra / k
    if room < _ROUNDING * size**2:
        raise ValueError(f"The subjects do not differ in a way that {form} could measure.")
    value = (between - error) / room
    limits: tuple[float, float] | None = None
    if between > 0 and (error > 0 or (model == "2" and raters > 0)):
        if model == "2":
            single = (between - rest) / (between + (k - 1) * rest + extra)
            limits = _absolute_limits(single, n, k, between, raters, rest, alpha)
        else:
            freedom = n * (k - 1) if model == "1" else (n - 1) * (k - 1)
            ratio = between / error
            f_low = ratio / stats.f.ppf(1 - alpha / 2, n - 1, freedom)
            f_high = ratio * stats.f.ppf(1 - alpha / 2, freedom, n - 1)
            limits = (f_low - 1) / (f_low + k - 1), (f_high - 1) / (f_high + k - 1)
        if unit == "k":
            # A lower limit at or below -1 / (k - 1) is none for the mean: there it has its pole.
            bounded = 1 + (k - 1) * limits[0] > _ROUNDING
            limits = (_of_the_mean(limits[0], k), _of_the_mean(limits[1], k)) if bounded else None
    name = f"{form}, {_FORM_NAMES[model]}, {'one rater' if unit == '1' else f'mean of {k} raters'}"
    interval = limits and Interval(float(limits[0]), float(limits[1]), level, "F distribution")
    if clusters is not None:
        cases = np.asarray(clusters)[complete]
        interval = bootstrap_interval(
            lambda weights: _weighted_icc(array, weights, model, unit), cases, level=level
        )
    return Estimate(value, name, interval, n)


def _of_the_mean(single: float, k: int) -> float:
    """The coefficient of the mean of k raters, from that of one (Spearman and Brown)."""
    return k * single / (1 + (k - 1) * single)


def _weighted_icc(
    ratings: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], model: str, unit: str
) -> npt.NDArray[np.float64]:
    """The coefficient when each subject counts as often as its weight; one a row of weights."""
    k = ratings.shape[1]
    n = weights.sum(axis=1)
    rows = ratings.mean(axis=1)
    columns = weights @ ratings / n[:, None]
    grand = columns.mean(axis=1)
    between = k * (weights @ rows**2 - n * grand**2) / (n - 1)
    inside = weights @ ((ratings - rows[:, None]) ** 2).sum(axis=1)
    raters = n * ((columns - grand[:, None]) ** 2).sum(axis=1) / (k - 1)
    error = inside / (n * (k - 1))
    extra = np.zeros_like(n)
    if model != "1":
        error = np.maximum(inside - raters * (k - 1), 0) / ((n - 1) * (k - 1))
    if model == "2":
        extra = k * (raters - error) / n
    least = _ROUNDING * float(np.abs(ratings).max()) ** 2
    single = _quotient(between - error, between + (k - 1) * error + extra, least)
    if unit == "1":
        return single
    return _quotient(k * single, 1 + (k - 1) * single, _ROUNDING)


def _quotient(
    top: npt.NDArray[np.float64], bottom: npt.NDArray[np.float64], least: float
) -> npt.NDArray[np.float64]:
    """top / bottom, NaN where bottom is zero but for rounding, or below it."""
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > least)


def _absolute_limits(
    single: float, n: int, k: int, between: float, raters: float, rest: float, alpha: float
) -> tuple[float, float]:
    """Limits of ICC(2,1) by Satterthwaite's approximation (Shrout and Fleiss 1979, p. 424)."""
    freedom = float(k - 1)
    # As the residual goes to zero, the degrees of freedom go to k - 1.
    if rest > 0:
        f_raters = raters / rest
        share = k * single * f_raters + n * (1 + (k - 1) * single) - k * single
        freedom = (k - 1) * (n - 1) * share**2
        freedom /= (n - 1) * k**2 * single**2 * f_raters**2 + (
            n * (1 + (k - 1) * single) - k * single
        ) ** 2
    upper = stats.f.ppf(1 - alpha / 2, n - 1, freedom)
    lower = stats.f.ppf(1 - alpha / 2, freedom, n - 1)
    error = k * raters + (k * n - k - n) * rest
    low = n * (between - upper * rest) / (upper * error + n * between)
    high = n * (lower * between - rest) / (error + n * lower * between)
    return float(low), float(high)


def kendall_w(
    ratings: npt.ArrayLike, *, clusters: npt.ArrayLike | None = None, level: float = 0.95
) -> Estimate:
    """Kendall's coefficient of concordance W, corrected for ties, from 0 to 1.

    Parameters
    ----------
    ratings : array_like, shape (subjects, raters)
        NaN for missing: a subject with a missing rating is left out.
    clusters : array_like, shape (subjects,), optional
        The case of each subject.
    level : float
        Of the interval, a bootstrap over cases that keeps each rater's ranks.

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If fewer than two subjects are complete, or every rater gives one score throughout.

    References
    ----------
    Kendall MG, Babington Smith B. Ann Math Stat 1939;10:275-287.

    Examples
    --------
    >>> round(kendall_w([[1, 2], [2, 1], [3, 3], [4, 4]]).value, 3)
    0.9
    """
    array = rating_array(ratings)
    complete = ~np.isnan(array).any(axis=1)
    kept = array[complete]
    if len(kept) < 2:
        raise ValueError("Kendall's W needs at least two subjects rated by all readers.")
    value = _concordance(kept)
    if np.isnan(value):
        raise ValueError("Every reader gives one score throughout: Kendall's W is undefined.")
    cases = np.arange(len(array)) if clusters is None else np.asarray(clusters)

    def weighted(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        rows = [np.repeat(kept, row.astype(int), axis=0) for row in weights]
        return np.array([_concordance(row) for row in rows])

    interval = bootstrap_interval(weighted, cases[complete], level=level, replicates=1000)
    return Estimate(value, "Kendall's W, corrected for ties", interval, len(kept))


def _concordance(ratings: npt.NDArray[np.float64]) -> float:
    n, raters = ratings.shape
    ranks = stats.rankdata(ratings, axis=0)
    spread = ((ranks.sum(axis=1) - raters * (n + 1) / 2) ** 2).sum()
    ties = 0.0
    for column in ratings.T:
        counts = np.unique(column, return_counts=True)[1].astype(np.float64)
        ties += float((counts**3 - counts).sum())
    room = raters**2 * (n**3 - n) - raters * ties
    return float(12 * spread / room) if room > 0 else float("nan")


def bland_altman(a: npt.ArrayLike, b: npt.ArrayLike, *, level: float = 0.95) -> BlandAltman:
    """Bias and 95 % limits of agreement of a - b.

    Parameters
    ----------
    a, b : array_like, shape (n,)
        NaN for missing.
    level : float
        Level of the intervals; the limits themselves are bias ± 1.96 SD.

    Returns
    -------
    BlandAltman

    Raises
    ------
    ValueError
        If fewer than two pairs are complete.

    References
    ----------
    Bland JM, Altman DG. Lancet 1986;1:307-310; Stat Methods Med Res 1999;8:135-160.

    Examples
    --------
    >>> found = bland_altman([10, 12, 14, 11], [11, 11, 14, 13])
    >>> found.bias.value, round(found.lower_limit.value, 2)
    (-0.5, -3.03)
    """
    differences, n_missing = paired_differences(b, a)
    n = int(differences.size)
    if n < 2:
        raise ValueError("Limits of agreement need at least two complete pairs.")
    bias, sd = float(differences.mean()), float(differences.std(ddof=1))
    quantile = float(stats.t.ppf((1 + level) / 2, n - 1))
    bias_half = quantile * sd / np.sqrt(n)
    limit_half = quantile * sd * np.sqrt(1 / n + 1.96**2 / (2 * (n - 1)))

    # Equal differences tell nothing about uncertainty: no interval, rather than one of no width.
    varies = bool(np.ptp(np.round(differences, 9)) > 0)

    def estimate(value: float, name: str, half: float) -> Estimate:
        low, high = float(value - half), float(value + half)
        interval = Interval(low, high, level, "t distribution") if varies else None
        return Estimate(value, name, interval, n)

    return BlandAltman(
        n=n,
        n_missing=n_missing,
        bias=estimate(bias, "bias (a minus b)", bias_half),
        lower_limit=estimate(bias - 1.96 * sd, "lower limit of agreement", limit_half),
        upper_limit=estimate(bias + 1.96 * sd, "upper limit of agreement", limit_half),
        sd=sd,
    )


def repeatability(repeats: npt.ArrayLike, *, level: float = 0.95) -> Repeatability:
    """Within-subject SD and repeatability coefficient of repeated scores or measurements.

    Parameters
    ----------
    repeats : array_like, shape (subjects, repeats)
        NaN for missing; a subject with one value is left out.
    level : float

    Returns
    -------
    Repeatability
        Intervals from the chi-square distribution of the pooled within-subject variance; none where
        all repeats are equal.

    Raises
    ------
    ValueError
        If no subject was measured twice.

    References
    ----------
    Bland JM, Altman DG. Stat Methods Med Res 1999;8:135-160, section 5.

    Examples
    --------
    >>> found = repeatability([[3, 4], [2, 2], [5, 4], [3, 3]])
    >>> round(found.within_sd.value, 3), round(found.coefficient.value, 3)
    (0.5, 1.386)
    """
    array = rating_array(repeats)
    counts = (~np.isnan(array)).sum(axis=1)
    kept = array[counts >= 2]
    if len(kept) == 0:
        raise ValueError("No subject was measured twice: repeatability cannot be estimated.")
    freedom = int((counts[counts >= 2] - 1).sum())
    squares = float(np.nansum((kept - np.nanmean(kept, axis=1, keepdims=True)) ** 2))
    if (np.nanmax(kept, axis=1) == np.nanmin(kept, axis=1)).all():
        # Without this, the mean of three equal repeats of .1 would leave a scatter of 1e-17.
        squares = 0.0
    bounds = stats.chi2.ppf([(1 + level) / 2, (1 - level) / 2], freedom)
    within = [np.sqrt(squares / freedom), *np.sqrt(squares / bounds)]

    def estimate(factor: float, name: str) -> Estimate:
        value, low, high = (float(factor * sd) for sd in within)
        interval = Interval(low, high, level, "chi-square") if squares > 0 else None
        return Estimate(value, name, interval, len(kept))

    return Repeatability(
        estimate(1.0, "within-subject SD"),
        estimate(1.96 * np.sqrt(2), "repeatability coefficient, 1.96 sqrt(2) within-subject SD"),
    )
