"""Agreement of any number of readers who score the same subjects, missing scores allowed.

Ratings are arrays (subjects, raters) with NaN for missing. Where subjects are not independent (the
arms of one volunteer), pass the volunteer of each subject as `clusters`: intervals then come from a
bootstrap over whole volunteers.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from analysis.bootstrap import bootstrap_interval
from analysis.estimates import Estimate, Interval

Array = npt.NDArray[np.float64]
Level = Literal["nominal", "ordinal", "interval", "ratio"]
Weights = Literal["unweighted", "linear", "quadratic", "ordinal"]


def rating_array(ratings: npt.ArrayLike) -> Array:
    """Ratings as a float array (subjects, raters), checked.

    Examples
    --------
    >>> rating_array([[1, 2], [3, float("nan")]]).shape
    (2, 2)
    """
    array = np.asarray(ratings, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] < 2:
        raise ValueError("Agreement needs ratings by at least two readers: (subjects, raters).")
    if np.isinf(array).any():
        raise ValueError("A rating is infinite; mark a missing rating as NaN.")
    return array


def _counts(ratings: Array, categories: Sequence[float] | None) -> tuple[Array, Array]:
    """How many raters put each subject in each category: (subjects, categories), and the scale."""
    used = np.unique(ratings[~np.isnan(ratings)])
    scale = used if categories is None else np.unique(np.asarray(categories, dtype=np.float64))
    strange = np.setdiff1d(used, scale)
    if strange.size:
        raise ValueError(f"A rating of {strange[0]:g} is not among the categories.")
    return (ratings[:, :, None] == scale).sum(axis=1).astype(np.float64), scale


def _paired(counts: Array) -> npt.NDArray[np.bool_]:
    """Subjects with at least two ratings: only they can agree or disagree."""
    paired = counts.sum(axis=1) >= 2
    if not paired.any():
        raise ValueError("No subject was rated by two readers: agreement cannot be estimated.")
    return np.asarray(paired)


def _weight_matrix(weights: Weights, scale: Array) -> Array:
    """Agreement weights, 1 on the diagonal (Gwet 2014, chapter 3): linear and quadratic by the
    distance of the scores, ordinal by their places in the scale."""
    size = scale.size
    steps = np.abs(np.subtract.outer(np.arange(size), np.arange(size))).astype(np.float64)
    if weights == "unweighted" or size == 1:
        return np.asarray((steps == 0).astype(np.float64))
    apart = np.abs(np.subtract.outer(scale, scale)) / (scale[-1] - scale[0])
    if weights == "linear":
        return np.asarray(1 - apart)
    if weights == "quadratic":
        return np.asarray(1 - apart**2)
    if weights == "ordinal":
        return np.asarray(1 - steps * (steps + 1) / (size * (size - 1)))
    raise ValueError(f'weights is one of unweighted, linear, quadratic, ordinal, not "{weights}".')


def percent_agreement(
    ratings: npt.ArrayLike,
    *,
    clusters: npt.ArrayLike | None = None,
    level: float = 0.95,
    within: float = 0.0,
) -> Estimate:
    """Share of reader pairs that give a subject the same score, averaged over subjects.

    Parameters
    ----------
    ratings : array_like, shape (subjects, raters)
        NaN for missing; subjects with fewer than two ratings are left out.
    clusters : array_like, shape (subjects,), optional
        The case of each subject; each subject is its own case by default.
    level : float
    within : float
        Scores at most this far apart agree; 0 asks for equal scores.

    Returns
    -------
    Estimate
        From 0 to 1. With two raters and no clusters the interval is Clopper-Pearson's; otherwise a
        bootstrap over cases.

    Raises
    ------
    ValueError
        If fewer than two readers rated, or no subject has two ratings.

    Examples
    --------
    >>> percent_agreement([[3, 3], [4, 4], [2, 3], [5, 5]]).value
    0.75
    """
    array = rating_array(ratings)
    first, second = np.triu_indices(array.shape[1], 1)
    apart = np.abs(array[:, first] - array[:, second])
    pairs = (~np.isnan(apart)).sum(axis=1).astype(np.float64)
    rated = pairs > 0
    if not rated.any():
        raise ValueError("No subject was rated by two readers: agreement cannot be estimated.")
    shares = (apart[rated] <= within + 1e-12).sum(axis=1) / pairs[rated]
    n = int(rated.sum())
    value = float(shares.mean())
    interval: Interval | None
    if clusters is None and array.shape[1] == 2:
        exact = stats.binomtest(int(shares.sum()), n).proportion_ci(level, method="exact")
        interval = Interval(float(exact.low), float(exact.high), level, "Clopper-Pearson, exact")
    else:
        cases = np.arange(array.shape[0]) if clusters is None else np.asarray(clusters)
        interval = bootstrap_interval(
            lambda weights: _ratio(weights @ shares, weights.sum(axis=1)),
            cases[rated],
            level=level,
        )
    name = "percent agreement" if within == 0 else f"percent agreement within {within:g}"
    return Estimate(value, name, interval, n)


def krippendorff_alpha(
    ratings: npt.ArrayLike,
    level: Level = "ordinal",
    *,
    clusters: npt.ArrayLike | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """Krippendorff's alpha: 1 - observed / expected disagreement.

    Parameters
    ----------
    ratings : array_like, shape (subjects, raters)
        NaN for missing; subjects with one rating do not count.
    level : {"nominal", "ordinal", "interval", "ratio"}
        Level of measurement, which sets the distance between two scores.
    clusters : array_like, shape (subjects,), optional
    confidence : float
        Level of the interval, a bootstrap over cases.

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If no subject has two ratings, or all ratings are equal: alpha is then undefined.

    References
    ----------
    Krippendorff K. Content Analysis. 3rd ed. 2013, chapter 12. Hayes AF, Krippendorff K. Commun
    Methods Meas 2007;1:77-89.

    Examples
    --------
    >>> round(krippendorff_alpha([[1, 1], [2, 2], [3, 4], [4, 4]]).value, 4)
    0.9103
    """
    if level not in ("nominal", "ordinal", "interval", "ratio"):
        raise ValueError(f'level is one of nominal, ordinal, interval, ratio, not "{level}".')
    array = rating_array(ratings)
    counts, scale = _counts(array, None)
    paired = _paired(counts)
    counts = counts[paired]
    size = scale.size
    raters = counts.sum(axis=1)
    # One coincidence matrix a subject, flattened: (subjects, categories squared).
    coincidences = counts[:, :, None] * counts[:, None, :]
    coincidences[:, np.arange(size), np.arange(size)] -= counts
    flat = (coincidences / (raters - 1)[:, None, None]).reshape(len(counts), size * size)

    def alpha(weights: Array) -> Array:
        observed = (weights @ flat).reshape(-1, size, size)
        totals = observed.sum(axis=2)
        distance = _distances(totals, scale, level)
        pairs = totals[:, :, None] * totals[:, None, :]
        n = totals.sum(axis=1)
        disagreement = (observed * distance).sum(axis=(1, 2))
        expected = (pairs * distance).sum(axis=(1, 2)) / np.where(n > 1, n - 1, np.nan)
        return 1 - _ratio(disagreement, expected)

    value = float(alpha(np.ones((1, len(counts))))[0])
    if np.isnan(value):
        raise ValueError("All ratings are equal: Krippendorff's alpha is undefined.")
    cases = np.arange(array.shape[0]) if clusters is None else np.asarray(clusters)
    interval = bootstrap_interval(alpha, cases[paired], level=confidence)
    return Estimate(value, f"Krippendorff's alpha, {level}", interval, len(counts))


def _distances(totals: Array, scale: Array, level: Level) -> Array:
    """Squared distances between categories: (replicates or 1, categories, categories)."""
    if level == "ordinal":
        # Half of both end categories and all between them, by how often they were used.
        middle = np.cumsum(totals, axis=1) - totals / 2
        return np.asarray((middle[:, :, None] - middle[:, None, :]) ** 2)
    apart = np.subtract.outer(scale, scale)
    if level == "nominal":
        return np.asarray((apart != 0).astype(np.float64)[None])
    if level == "interval":
        return np.asarray((apart**2)[None])
    sums = np.add.outer(scale, scale)
    return np.asarray((_ratio(apart, np.where(apart == 0, 1.0, sums)) ** 2)[None])


def gwet_ac(
    ratings: npt.ArrayLike,
    weights: Weights = "unweighted",
    *,
    categories: Sequence[float] | None = None,
    clusters: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """Gwet's AC1 (unweighted) or AC2 (weighted): agreement beyond chance, stable when one score
    is given nearly always.

    Parameters
    ----------
    ratings : array_like, shape (subjects, raters)
        NaN for missing.
    weights : {"unweighted", "linear", "quadratic", "ordinal"}
    categories : sequence of float, optional
        The whole scale; the scores in use by default. It enters the chance agreement. Linear and
        quadratic weights go by the distance of the scores themselves: 2 and 5 are three apart,
        whether or not 3 and 4 were used.
    clusters : array_like, shape (subjects,), optional
        With clusters the interval is a bootstrap over cases, otherwise Gwet's linearised variance
        with t quantiles.
    level : float

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If no subject has two ratings or all ratings are equal on a scale of one category.

    References
    ----------
    Gwet KL. Br J Math Stat Psychol 2008;61:29-48. Gwet KL. Handbook of Inter-Rater Reliability.
    4th ed. 2014.

    Examples
    --------
    >>> round(gwet_ac([[1, 1], [2, 2], [3, 4], [4, 4]], "quadratic").value, 4)
    0.9098
    """
    array = rating_array(ratings)
    all_counts, scale = _counts(array, categories)
    rated = all_counts.sum(axis=1) > 0
    counts = all_counts[rated]
    paired = _paired(counts)
    size = scale.size
    if size < 2:
        raise ValueError("All ratings are equal: give the categories of the scale.")
    matrix = _weight_matrix(weights, scale)
    raters = counts.sum(axis=1)
    agreeing = (counts * (counts @ matrix - 1)).sum(axis=1)
    pairs = np.where(paired, raters * (raters - 1), 1.0)
    observed = np.where(paired, agreeing / pairs, 0.0)
    shares = counts / raters[:, None]
    factor = matrix.sum() / (size * (size - 1))

    def coefficient(case_weights: Array) -> Array:
        agreement = _ratio(case_weights @ observed, case_weights @ paired.astype(np.float64))
        prevalence = (case_weights @ shares) / case_weights.sum(axis=1, keepdims=True)
        chance = factor * (prevalence * (1 - prevalence)).sum(axis=1)
        return _ratio(agreement - chance, 1 - chance)

    n = len(counts)
    value = float(coefficient(np.ones((1, n)))[0])
    kind = "AC1" if weights == "unweighted" else f"AC2, {weights} weights"
    if clusters is not None:
        interval = bootstrap_interval(coefficient, np.asarray(clusters)[rated], level=level)
    else:
        interval = _gwet_interval(value, observed, paired, shares, factor, level)
    return Estimate(value, f"Gwet's {kind}", interval, int(paired.sum()))


def _gwet_interval(
    value: float,
    observed: Array,
    paired: npt.NDArray[np.bool_],
    shares: Array,
    factor: float,
    level: float,
) -> Interval | None:
    """Gwet's variance over subjects (raters fixed), as in the author's irrCAC."""
    n = len(observed)
    if n < 2:
        return None
    prevalence = shares.mean(axis=0)
    chance = factor * float((prevalence * (1 - prevalence)).sum())
    subject_chance = factor * (shares @ (1 - prevalence))
    influence = (n / paired.sum()) * (observed - chance * paired) / (1 - chance)
    influence = influence - 2 * (1 - value) * (subject_chance - chance) / (1 - chance)
    error = float(np.sqrt(((influence - value) ** 2).sum() / (n * (n - 1))))
    if error < 1e-12:
        # Subjects that do not differ tell nothing about uncertainty.
        return None
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * error
    return Interval(
        max(-1.0, value - half),
        min(1.0, value + half),
        level,
        f"t interval, standard error {error:.5f} over {n} subjects",
    )


def _ratio(top: Array, bottom: Array) -> Array:
    """top / bottom, NaN where bottom is zero."""
    return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom != 0)
