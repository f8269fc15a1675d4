"""An estimate and its interval: the small frozen results that the other modules return."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, isnan

import numpy as np
import numpy.typing as npt
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Attributes
    ----------
    low, high : float
        The limits, in the units of the estimate.
    level : float
        The level asked for, for example 0.95.
    method : str
        How the interval was made, spelled out.

    Examples
    --------
    >>> Interval(0.1, 0.9, 0.95, "percentile bootstrap").low
    0.1
    """

    low: float
    high: float
    level: float
    method: str

    def __post_init__(self) -> None:
        check_level(self.level)
        if isnan(self.low) or isnan(self.high):
            raise ValueError(f"No interval exists ({self.method}): a limit is not a number.")


def check_level(level: float) -> None:
    """Refuse a level that is not a share: 95 is not .95.

    Examples
    --------
    >>> check_level(95)
    Traceback (most recent call last):
    ...
    ValueError: The level of an interval lies between 0 and 1 (0.95), not 95.
    """
    if not 0 < level < 1:
        raise ValueError(f"The level of an interval lies between 0 and 1 (0.95), not {level:g}.")


@dataclass(frozen=True)
class Estimate:
    """A value with its name and, where one exists, its interval.

    Attributes
    ----------
    value : float
    name : str
        The statistic, spelled out ("Krippendorff's alpha, ordinal").
    interval : Interval or None
        None where no interval at the level exists (too few pairs, a value on its bound).
    n : int
        Subjects (or pairs) that entered.

    Examples
    --------
    >>> Estimate(0.5, "percent agreement", None, 8).value
    0.5
    """

    value: float
    name: str
    interval: Interval | None
    n: int


@dataclass(frozen=True)
class Coefficient(Estimate):
    """One coefficient of a logistic model, on the log odds scale.

    Attributes
    ----------
    standard_error : float
    p : float
        Two-sided, of Wald's z test.

    Examples
    --------
    >>> Coefficient(0.7, "arm DLR v STD", None, 40, 0.3, 0.02).odds_ratio.value > 2
    True
    """

    standard_error: float
    p: float

    @property
    def odds_ratio(self) -> Estimate:
        """exp of the coefficient: the odds against the reference."""
        bounds = self.interval
        interval = bounds and Interval(
            exp(bounds.low), exp(bounds.high), bounds.level, f"{bounds.method}, exponentiated"
        )
        return Estimate(exp(self.value), f"odds ratio, {self.name}", interval, self.n)


def wald_coefficients(
    names: Sequence[str],
    values: npt.NDArray[np.float64],
    errors: npt.NDArray[np.float64],
    n: int,
    level: float,
    method: str,
) -> tuple[Coefficient, ...]:
    """Coefficients with Wald's intervals and p values.

    Examples
    --------
    >>> import numpy as np
    >>> found = wald_coefficients(["arm"], np.array([1.0]), np.array([0.5]), 20, 0.95, "Wald")
    >>> round(found[0].p, 4), round(found[0].interval.low, 2)
    (0.0455, 0.02)
    """
    quantile = float(stats.norm.ppf((1 + level) / 2))
    found = []
    for name, value, error in zip(names, values, errors, strict=True):
        interval = Interval(
            float(value - quantile * error), float(value + quantile * error), level, method
        )
        p = float(2 * stats.norm.sf(abs(value / error)))
        found.append(Coefficient(float(value), name, interval, n, float(error), p))
    return tuple(found)
