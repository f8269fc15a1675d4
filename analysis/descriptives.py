"""The summary of one cell of a table: n, mean, SD, median, quartiles and range."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Descriptives:
    """Summary of the values that are there; `n_missing` counts the others.

    Attributes
    ----------
    n, n_missing : int
    mean, sd, median, q1, q3, minimum, maximum : float
        In the units of the values; NaN where nothing can be computed (n 0; SD of one value).
    """

    n: int
    n_missing: int
    mean: float
    sd: float
    median: float
    q1: float
    q3: float
    minimum: float
    maximum: float


def describe(values: npt.ArrayLike) -> Descriptives:
    """Summarise one cell.

    Parameters
    ----------
    values : array_like, shape (n,)
        NaN for missing.

    Returns
    -------
    Descriptives
        SD with divisor n - 1; quartiles by linear interpolation (type 7 of Hyndman and Fan, the
        default of R and numpy).

    Raises
    ------
    ValueError
        If a value is infinite.

    References
    ----------
    Hyndman RJ, Fan Y. Sample quantiles in statistical packages. Am Stat 1996;50:361-365.

    Examples
    --------
    >>> cell = describe([3, 4, 4, 5, float("nan")])
    >>> cell.n, cell.n_missing, cell.mean, round(cell.sd, 4), cell.q1
    (4, 1, 4.0, 0.8165, 3.75)
    """
    given = np.asarray(values, dtype=np.float64).ravel()
    if np.isinf(given).any():
        raise ValueError("A value is infinite; mark a missing value as NaN.")
    known = given[~np.isnan(given)]
    missing = int(given.size - known.size)
    if known.size == 0:
        nothing = float("nan")
        return Descriptives(0, missing, *(nothing,) * 7)
    q1, median, q3 = np.quantile(known, [0.25, 0.5, 0.75])
    return Descriptives(
        n=int(known.size),
        n_missing=missing,
        mean=float(known.mean()),
        sd=float(known.std(ddof=1)) if known.size > 1 else float("nan"),
        median=float(median),
        q1=float(q1),
        q3=float(q3),
        minimum=float(known.min()),
        maximum=float(known.max()),
    )
