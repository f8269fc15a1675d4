"""Two arms in the same cases: the Wilcoxon signed-rank test and its effect sizes.

The direction is everywhere *b minus a*: a positive effect favours b.
"""

from dataclasses import dataclass
from math import atanh, sqrt, tanh
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import stats

from analysis.estimates import Estimate, Interval, check_level
from analysis.signed_rank_distribution import lower_quantile, lower_tail

Method = Literal["exact", "asymptotic"]
Zeros = Literal["drop", "pratt"]
Alternative = Literal["two-sided", "greater", "less"]

# Below this many non-zero pairs the smallest two-sided exact p, 2 / 2**n, lies above .05.
FEWEST_NONZERO_PAIRS = 6


@dataclass(frozen=True)
class SignedRankResult:
    """What `signed_rank_test` found; the direction is b minus a.

    Attributes
    ----------
    n : int
        Complete pairs.
    n_missing : int
        Pairs left out because a or b is missing.
    n_nonzero : int
        Complete pairs whose rounded difference is not zero.
    w_plus, w_minus : float
        Rank sums of the positive and the negative differences.
    p : float
    p_smallest : float
        The smallest p that the exact test could give with this many non-zero pairs.
    method, zeros, alternative : str
        The named choices that made `p`.
    mean_difference, median_difference : float
    hodges_lehmann, rank_biserial : Estimate
    wins, ties, losses : int
        Cases in which b lies above, equal to and below a.
    warning : str
        Empty, or what a reader of `p` must know.
    """

    n: int
    n_missing: int
    n_nonzero: int
    w_plus: float
    w_minus: float
    p: float
    p_smallest: float
    method: Method
    zeros: Zeros
    alternative: Alternative
    mean_difference: float
    median_difference: float
    hodges_lehmann: Estimate
    rank_biserial: Estimate
    wins: int
    ties: int
    losses: int
    warning: str


def paired_differences(a: npt.ArrayLike, b: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], int]:
    """b minus a over the complete pairs, and the number of incomplete ones.

    Examples
    --------
    >>> differences, missing = paired_differences([1, 2, float("nan")], [2, 2, 3])
    >>> differences.tolist(), missing
    ([1.0, 0.0], 1)
    """
    first = np.asarray(a, dtype=np.float64)
    second = np.asarray(b, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(
            f"a and b must be two lists of the same length, case by case; "
            f"they have the shapes {first.shape} and {second.shape}."
        )
    if np.isinf(first).any() or np.isinf(second).any():
        raise ValueError("a or b holds an infinite value; mark a missing value as NaN.")
    complete = ~(np.isnan(first) | np.isnan(second))
    return second[complete] - first[complete], int((~complete).sum())


def signed_rank_test(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    method: Method = "exact",
    zeros: Zeros = "drop",
    decimals: int = 6,
    *,
    alternative: Alternative = "two-sided",
    correction: bool = False,
    level: float = 0.95,
) -> SignedRankResult:
    """Wilcoxon signed-rank test of b against a in the same cases.

    Parameters
    ----------
    a, b : array_like, shape (n,)
        One value a case, in the same order of cases; NaN for missing (the pair is left out and
        counted).
    method : {"exact", "asymptotic"}
        "exact" is the permutation distribution conditional on the mid-ranks, with ties and zeros as
        they are, by convolution; it never turns into another method. "asymptotic" is scipy's normal
        approximation with the tie correction.
    zeros : {"drop", "pratt"}
        "drop" leaves zero differences out before ranking (Wilcoxon); "pratt" ranks them and then
        leaves their ranks out.
    decimals : int
        Differences are rounded to this many decimals before ranking: floating-point noise would
        otherwise break ties and move the p value.
    alternative : {"two-sided", "greater", "less"}
        "greater" means b above a.
    correction : bool
        Continuity correction, of the asymptotic method alone.
    level : float
        Level of the effect sizes' intervals.

    Returns
    -------
    SignedRankResult
        When all differences are zero, p is 1.

    Raises
    ------
    ValueError
        If the lists differ in length, hold infinities, have no complete pair, or an option is
        unknown.

    Notes
    -----
    The two-sided exact p is twice the smaller tail, at most 1. scipy's
    ``wilcoxon(method="exact")`` ignores ties, and its "auto" turns asymptotic without a word.

    References
    ----------
    Wilcoxon F. Biometrics Bull 1945;1:80-83. Pratt JW. J Am Stat Assoc 1959;54:655-667.
    Hollander M, Wolfe DA. Nonparametric Statistical Methods. 1973, p. 27-33.

    Examples
    --------
    >>> before = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    >>> after = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
    >>> result = signed_rank_test(before, after)
    >>> result.w_plus, result.w_minus, result.p
    (40.0, 5.0, 0.0390625)
    >>> signed_rank_test([3, 3, 3], [3, 3, 4]).warning[:31]
    'Only 1 of 3 pairs is not a tie:'
    """
    _check_choice("method", method, Method)
    _check_choice("zeros", zeros, Zeros)
    _check_choice("alternative", alternative, Alternative)
    raw, n_missing = paired_differences(a, b)
    if raw.size == 0:
        raise ValueError("No case has a value in both arms, so the two cannot be compared.")
    differences = np.round(raw, decimals)
    doubled, positive = _doubled_ranks(differences, zeros)
    twice_plus = int(doubled[positive].sum())
    twice_minus = int(doubled[~positive].sum())
    n_nonzero = int(np.count_nonzero(differences))
    p = signed_rank_p(differences, method, zeros, alternative=alternative, correction=correction)
    sides = 2 if alternative == "two-sided" else 1
    smallest = min(1.0, sides * 0.5**n_nonzero)
    return SignedRankResult(
        n=int(differences.size),
        n_missing=n_missing,
        n_nonzero=n_nonzero,
        w_plus=twice_plus / 2,
        w_minus=twice_minus / 2,
        p=p,
        p_smallest=smallest,
        method=method,
        zeros=zeros,
        alternative=alternative,
        mean_difference=float(raw.mean()),
        median_difference=float(np.median(differences)),
        hodges_lehmann=_hodges_lehmann(differences, level),
        rank_biserial=_rank_biserial(twice_plus, twice_minus, n_nonzero, level),
        wins=int((differences > 0).sum()),
        ties=int((differences == 0).sum()),
        losses=int((differences < 0).sum()),
        warning=_too_few(int(differences.size), n_nonzero, smallest),
    )


def signed_rank_p(
    differences: npt.NDArray[np.float64],
    method: Method = "exact",
    zeros: Zeros = "drop",
    *,
    alternative: Alternative = "two-sided",
    correction: bool = False,
) -> float:
    """The p value of `signed_rank_test` alone, from differences b - a that are rounded already.

    Examples
    --------
    >>> signed_rank_p(np.array([1.0, 2.0, -1.0, 3.0, 0.0]))
    0.375
    """
    doubled, positive = _doubled_ranks(differences, zeros)
    if doubled.size == 0:
        return 1.0
    if method == "asymptotic":
        return _asymptotic_p(differences, zeros, alternative, correction)
    plus = int(doubled[positive].sum())
    return _exact_p(doubled, plus, int(doubled.sum()) - plus, alternative)


def hodges_lehmann(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    level: float = 0.95,
    decimals: int = 6,
    *,
    zeros: Literal["keep", "drop"] = "keep",
) -> Estimate:
    """The Hodges-Lehmann shift from a to b: the median of the Walsh averages of the differences.

    Parameters
    ----------
    a, b : array_like, shape (n,)
        One value a case; NaN for missing.
    level : float
        Level of the interval.
    decimals : int
        Differences are rounded to this many decimals first, as in the test.
    zeros : {"keep", "drop"}
        "keep" (the estimate proper) uses every difference; "drop" leaves zero differences out, as
        R's ``wilcox.test`` does, which moves the estimate away from zero.

    Returns
    -------
    Estimate
        In the units of a and b. The interval inverts the exact signed-rank test (order statistics
        of the Walsh averages); it is closed, so with ties its coverage is at least `level`. None
        when fewer than six differences (at 95 %) make that level unreachable.

    References
    ----------
    Hodges JL, Lehmann EL. Ann Math Stat 1963;34:598-611. Hollander M, Wolfe DA. 1973, p. 33-38.

    Examples
    --------
    >>> before = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    >>> after = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
    >>> shift = hodges_lehmann(before, after)
    >>> round(shift.value, 3), round(shift.interval.low, 3), round(shift.interval.high, 3)
    (0.46, 0.01, 0.786)
    """
    if zeros not in ("keep", "drop"):
        raise ValueError(f'zeros is "keep" or "drop", not "{zeros}".')
    raw, _ = paired_differences(a, b)
    differences = np.round(raw, decimals)
    if zeros == "drop":
        differences = differences[differences != 0]
    if differences.size == 0:
        raise ValueError("No case has a usable difference between the two arms.")
    return _hodges_lehmann(differences, level)


def rank_biserial(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    level: float = 0.95,
    decimals: int = 6,
    *,
    zeros: Zeros = "drop",
) -> Estimate:
    """Matched-pairs rank-biserial correlation, (W+ - W-) / (W+ + W-), from -1 to 1.

    Parameters
    ----------
    a, b : array_like, shape (n,)
        One value a case; NaN for missing.
    level : float
        Level of the interval.
    decimals : int
        Rounding of the differences, as in the test.
    zeros : {"drop", "pratt"}
        The zero rule of the ranks.

    Returns
    -------
    Estimate
        0 when every difference is zero. The interval is a large-sample one on Fisher's z scale,
        with the null standard error of W; it does not exist at -1 and 1.

    References
    ----------
    Kerby DS. Comprehensive Psychology 2014;3:11.IT.3.1. King BM, Rosopa PJ, Minium EW. Statistical
    Reasoning in the Behavioral Sciences, 2011.

    Examples
    --------
    >>> rank_biserial([1, 2, 3, 4], [2, 4, 6, 3]).value
    0.7
    """
    _check_choice("zeros", zeros, Zeros)
    raw, _ = paired_differences(a, b)
    if raw.size == 0:
        raise ValueError("No case has a value in both arms, so the two cannot be compared.")
    doubled, positive = _doubled_ranks(np.round(raw, decimals), zeros)
    return _rank_biserial(
        int(doubled[positive].sum()), int(doubled[~positive].sum()), doubled.size, level
    )


def smallest_p(n_nonzero: int) -> float:
    """The smallest two-sided exact p with this many non-zero pairs, for the planning screen.

    Parameters
    ----------
    n_nonzero : int
        Cases whose two values differ.

    Returns
    -------
    float
        2 / 2**n_nonzero, at most 1.

    Examples
    --------
    >>> smallest_p(5), smallest_p(6)
    (0.0625, 0.03125)
    """
    return min(1.0, 2 * 0.5**n_nonzero)


def _check_choice(name: str, value: str, choices: object) -> None:
    allowed = get_args(choices)
    if value not in allowed:
        raise ValueError(f'{name} is one of {", ".join(allowed)}, not "{value}".')


def _doubled_ranks(
    differences: npt.NDArray[np.float64], zeros: Zeros
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Twice the mid-ranks of the non-zero differences, and which of these are positive."""
    nonzero = differences != 0
    if zeros == "drop":
        ranks = stats.rankdata(np.abs(differences[nonzero]))
    else:
        ranks = stats.rankdata(np.abs(differences))[nonzero]
    return np.rint(2 * ranks).astype(np.int64), differences[nonzero] > 0


def _exact_p(
    doubled: npt.NDArray[np.int64], plus: int, minus: int, alternative: Alternative
) -> float:
    # The null distribution is symmetric, so P(W+ >= w) = P(W+ <= total - w).
    if alternative == "greater":
        return lower_tail(doubled, minus)
    if alternative == "less":
        return lower_tail(doubled, plus)
    return min(1.0, 2 * lower_tail(doubled, min(plus, minus)))


def _asymptotic_p(
    differences: npt.NDArray[np.float64], zeros: Zeros, alternative: Alternative, correction: bool
) -> float:
    result = stats.wilcoxon(
        differences,
        zero_method="wilcox" if zeros == "drop" else "pratt",
        correction=correction,
        alternative=alternative,
        method="asymptotic",
    )
    return float(result.pvalue)


def _hodges_lehmann(differences: npt.NDArray[np.float64], level: float) -> Estimate:
    check_level(level)
    n = int(differences.size)
    rows, columns = np.triu_indices(n)
    walsh = (differences[rows] + differences[columns]) / 2
    name = "Hodges-Lehmann shift (b minus a)"
    interval = None
    order = lower_quantile(n, (1 - level) / 2)
    # Order 0: even the whole range of the differences does not reach the level.
    if order > 0:
        walsh.partition([order - 1, walsh.size - order])
        interval = Interval(
            float(walsh[order - 1]),
            float(walsh[walsh.size - order]),
            level,
            "exact, inverting the signed-rank test (closed interval, conservative with ties)",
        )
    return Estimate(float(np.median(walsh)), name, interval, n)


def _rank_biserial(plus: int, minus: int, n_nonzero: int, level: float) -> Estimate:
    name = "matched-pairs rank-biserial correlation (b minus a)"
    total = plus + minus
    if total == 0:
        return Estimate(0.0, name, None, n_nonzero)
    value = (plus - minus) / total
    interval = None
    if abs(value) < 1:
        n = n_nonzero
        error = sqrt((2 * n**3 + 3 * n**2 + n) / 6) / ((n**2 + n) / 2)
        half = float(stats.norm.ppf((1 + level) / 2)) * error
        interval = Interval(
            tanh(atanh(value) - half), tanh(atanh(value) + half), level, "Fisher z, large sample"
        )
    return Estimate(value, name, interval, n_nonzero)


def _too_few(n: int, n_nonzero: int, smallest: float) -> str:
    if n_nonzero >= FEWEST_NONZERO_PAIRS:
        return ""
    if n_nonzero == 0:
        return f"All {n} differences are zero: p is 1 by definition."
    verb = "is not a tie" if n_nonzero == 1 else "are not ties"
    return (
        f"Only {n_nonzero} of {n} pairs {verb}: the smallest p that the exact test can give is "
        f"{f'{smallest:.4g}'.removeprefix('0')}, so it could not reach .05 whatever the data."
    )
