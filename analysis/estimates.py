"""An estimate and its interval: the small frozen results that the other modules return."""

from dataclasses import dataclass


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
