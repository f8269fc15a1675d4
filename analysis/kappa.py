"""Cohen's and Fleiss' kappa, by statsmodels, with missing ratings handled openly."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats
from statsmodels.stats import inter_rater

from analysis.agreement import rating_array
from analysis.bootstrap import bootstrap_interval
from analysis.estimates import Estimate, Interval


def cohen_kappa(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    weights: Literal["linear", "quadratic"] | None = None,
    *,
    categories: Sequence[float] | None = None,
    clusters: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """Cohen's kappa of two readers, or of one reader on two occasions.

    Parameters
    ----------
    a, b : array_like, shape (subjects,)
        NaN for missing: the subject is left out.
    weights : {None, "linear", "quadratic"}
        None counts equal scores alone; the others give part credit by the distance of the
        scores themselves.
    categories : sequence of float, optional
        The whole scale; the scores in use by default.
    clusters : array_like, shape (subjects,), optional
        The case of each subject, where subjects depend on each other (the arms of one volunteer).
    level : float

    Returns
    -------
    Estimate
        The interval is the large-sample one of Fleiss, Cohen and Everitt (1969), None where that
        variance is zero (kappa of 1, one reader with one score throughout); with clusters a
        bootstrap over cases.

    Raises
    ------
    ValueError
        If no subject has both ratings, or all ratings are equal: kappa is then undefined.

    References
    ----------
    Cohen J. Educ Psychol Meas 1960;20:37-46; Psychol Bull 1968;70:213-220. Fleiss JL, Cohen J,
    Everitt BS. Psychol Bull 1969;72:323-327.

    Examples
    --------
    >>> round(cohen_kappa([1, 2, 3, 3, 2], [1, 2, 3, 2, 2], "quadratic").value, 4)
    0.8
    """
    if weights not in (None, "linear", "quadratic"):
        raise ValueError(f'weights is None, "linear" or "quadratic", not "{weights}".')
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError("a and b must be two lists of the same length, subject by subject.")
    if np.isinf(first).any() or np.isinf(second).any():
        raise ValueError("A rating is infinite; mark a missing rating as NaN.")
    both = ~(np.isnan(first) | np.isnan(second))
    first, second = first[both], second[both]
    if first.size == 0:
        raise ValueError("No subject was rated twice: kappa cannot be estimated.")
    used = np.unique(np.concatenate([first, second]))
    scale = used if categories is None else np.unique(np.asarray(categories, dtype=np.float64))
    if np.setdiff1d(used, scale).size:
        raise ValueError(f"A rating of {np.setdiff1d(used, scale)[0]:g} is not a category.")
    if used.size < 2:
        raise ValueError("All ratings are equal: kappa is undefined.")
    places = np.searchsorted(scale, first), np.searchsorted(scale, second)
    table = np.zeros((scale.size, scale.size))
    np.add.at(table, places, 1)
    # The scores themselves set the distances: 2 and 5 are three apart, whichever were used.
    with np.errstate(invalid="ignore"):
        # A variance that rounds to below zero is met below.
        found = inter_rater.cohens_kappa(
            table, weights=None if weights is None else scale, wt=weights
        )
    value, variance = float(found.kappa), float(found.var_kappa)
    interval: Interval | None = None
    # Rounding may leave a variance of zero on either side of it.
    if variance > 1e-12:
        half = float(stats.norm.ppf((1 + level) / 2)) * float(np.sqrt(variance))
        interval = Interval(
            max(-1.0, value - half),
            min(1.0, value + half),
            level,
            "large sample (Fleiss, Cohen, Everitt 1969)",
        )
    if clusters is not None:
        cases = np.asarray(clusters)[both]
        interval = bootstrap_interval(
            lambda drawn: _weighted_kappa(places, scale, weights, drawn), cases, level=level
        )
    kind = "unweighted" if weights is None else f"{weights} weights"
    return Estimate(value, f"Cohen's kappa, {kind}", interval, int(first.size))


def _weighted_kappa(
    places: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]],
    scale: npt.NDArray[np.float64],
    weights: str | None,
    drawn: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Kappa when each subject counts as often as it was drawn; one a row."""
    size = scale.size
    steps = np.abs(np.subtract.outer(scale, scale))
    distance = (steps > 0).astype(np.float64) if weights is None else steps
    if weights == "quadratic":
        distance = distance**2
    first, second = (drawn @ np.eye(size)[place] for place in places)
    n = drawn.sum(axis=1)
    observed = drawn @ distance[places] / n
    expected = ((first @ distance) * second).sum(axis=1) / n**2
    agreement = np.divide(observed, expected, out=np.full(n.shape, np.nan), where=expected > 0)
    return np.asarray(1 - agreement)


def fleiss_kappa(
    ratings: npt.ArrayLike,
    *,
    clusters: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """Fleiss' kappa of any number of readers; every subject rated by the same number.

    Parameters
    ----------
    ratings : array_like, shape (subjects, raters)
        NaN for missing: a subject with a missing rating is left out (`n` tells how many stayed).
    clusters : array_like, shape (subjects,), optional
        The case of each subject.
    level : float
        Of the interval, a bootstrap over cases.

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If no subject was rated by all readers, or all ratings are equal.

    References
    ----------
    Fleiss JL. Measuring nominal scale agreement among many raters. Psychol Bull 1971;76:378-382.

    Examples
    --------
    >>> round(fleiss_kappa([[1, 1, 1], [2, 2, 1], [3, 3, 3], [2, 2, 2]]).value, 4)
    0.7447
    """
    array = rating_array(ratings)
    complete = ~np.isnan(array).any(axis=1)
    kept = array[complete]
    if kept.size == 0:
        raise ValueError("No subject was rated by all readers: Fleiss' kappa cannot be estimated.")
    scale = np.unique(kept)
    if scale.size < 2:
        raise ValueError("All ratings are equal: Fleiss' kappa is undefined.")
    counts = (kept[:, :, None] == scale).sum(axis=1).astype(np.float64)
    value = float(inter_rater.fleiss_kappa(counts, method="fleiss"))
    raters = array.shape[1]
    agreeing = ((counts**2).sum(axis=1) - raters) / (raters * (raters - 1))

    def weighted(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        total = weights.sum(axis=1)
        chance = (((weights @ counts) / (raters * total)[:, None]) ** 2).sum(axis=1)
        room = np.where(chance < 1, 1 - chance, np.nan)
        return np.asarray((weights @ agreeing / total - chance) / room)

    cases = np.arange(len(array)) if clusters is None else np.asarray(clusters)
    interval = bootstrap_interval(weighted, cases[complete], level=level)
    return Estimate(value, "Fleiss' kappa", interval, len(kept))
