"""What the planned numbers can show: the power of the planned test, with what it rests on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from scipy.stats import norm

from analysis.paired import Method, Zeros
from analysis.power import power_signed_rank
from readerstudy.studies.design_document import Document
from readerstudy.studies.models import Study, Tissue

POINTS = 5
ENOUGH = 0.8
SIMULATIONS, CURVE_SIMULATIONS = 2000, 500
CURVE_POINTS = 9
MOST_ON_CURVE = 120
FINEST_STEP = 0.25  # of differences: readers' means come in finer ones, at no gain here


@dataclass(frozen=True)
class Spread:
    """The differences that a volunteer may show, how likely each is, and that in words."""

    steps: tuple[float, ...]
    chances: tuple[float, ...]
    words: str


@dataclass(frozen=True)
class Power:
    """`value`, `low`, `high`: power with the simulation's 95 % interval, at `volunteers`."""

    volunteers: int
    value: float
    low: float
    high: float
    needed: int | None  # the first number of volunteers with 80 % power
    curve: Sequence[tuple[int, float]]  # volunteers, power
    assumptions: Sequence[str]


@dataclass(frozen=True)
class Panel:
    """Either the power, or what has to be said first."""

    power: Power | None
    wanting: str = ""


def panel_of(document: Document, readers: int) -> Panel:
    """The power of one comparison of one criterion. The document has been checked."""
    planning = document["planning"]
    volunteers = planning.get("volunteers")
    if not volunteers:
        return Panel(None, "Say how many volunteers are planned.")
    if not document["comparisons"] or not document["criteria"]:
        return Panel(None, "Name a comparison and a criterion first: their number sets the level.")
    found = spread_of(document, readers)
    if isinstance(found, str):
        return Panel(None, found)
    return Panel(_power(document, volunteers, found, readers))


def family_size(document: Document, readers: int) -> int:
    """How many tests Benjamini–Hochberg is taken over, for a test of scores."""
    comparisons, criteria = len(document["comparisons"]), len(document["criteria"])
    family = document["plan"]["family"]
    if family == "row":
        return comparisons
    if family == "column":
        return criteria
    if family == "stage":
        return comparisons * criteria
    purposes = [tissue["purpose"] for tissue in document["tissues"]]
    snr = sum(purpose != Tissue.Purpose.AIR for purpose in purposes)
    has_reference = Tissue.Purpose.REFERENCE in purposes
    cnr = sum(purpose == Tissue.Purpose.TISSUE for purpose in purposes) if has_reference else 0
    each = max(readers, 1) if document["plan"]["reader_summary"] == "each" else 1
    return comparisons * (criteria * each + snr + cnr)


def spread_of(document: Document, readers: int) -> Spread | str:
    """The expected differences, or what is wanting to know them."""
    planning, mode = document["planning"], document["reading"]["mode"]
    if mode == Study.ReadingMode.CHOICE or planning.get("kind") == "shares":
        return _shares(planning, forced=mode == Study.ReadingMode.CHOICE)
    if "difference" not in planning or "sd" not in planning:
        return "Say which mean difference is expected, and its SD between volunteers."
    reach = len(document["arms"]) - 1 if mode == Study.ReadingMode.RANKING else POINTS - 1
    step = _step(document["plan"]["reader_summary"], readers)
    return _discrete_normal(planning["difference"], planning["sd"], float(reach), step)


def _shares(planning: Document, *, forced: bool) -> Spread | str:
    if "higher" not in planning:
        return "Say in what share of the volunteers the second arm is expected to be better."
    higher = planning["higher"] / 100
    lower = 1 - higher if forced else planning.get("lower", 0) / 100
    equal = max(0.0, 1 - higher - lower)
    if forced:
        words = (
            f"Readers prefer the second arm in {higher:.0%} of the volunteers, the first in "
            f"{lower:.0%}; the two-sided exact binomial test is what the signed-rank test becomes."
        )
    else:
        words = (
            f"The second arm is better by one step in {higher:.0%} of the volunteers, worse by one "
            f"step in {lower:.0%}, equal in {equal:.0%}."
        )
    return Spread((-1.0, 0.0, 1.0), (lower, equal, higher), words)


def _step(summary: str, readers: int) -> float:
    """The finest difference between two scores of a volunteer."""
    if summary == "mean" and readers > 1:
        return max(1 / readers, FINEST_STEP)
    return 0.5 if summary == "median" and readers and readers % 2 == 0 else 1.0


def _discrete_normal(mean: float, sd: float, reach: float, step: float) -> Spread:
    """A normal spread on the scale's steps; what lies beyond the scale stands at its ends."""
    count = round(reach / step)
    steps = tuple(step * index for index in range(-count, count + 1))
    edges = [-math.inf, *(value + step / 2 for value in steps[:-1]), math.inf]
    cumulative = [float(norm.cdf((edge - mean) / sd)) for edge in edges]
    chances = tuple(high - low for low, high in itertools.pairwise(cumulative))
    shown_mean = sum(value * chance for value, chance in zip(steps, chances, strict=True))
    square = sum(value**2 * chance for value, chance in zip(steps, chances, strict=True))
    shown_sd = math.sqrt(max(square - shown_mean**2, 0.0))
    words = (
        f"Differences between volunteers are spread normally about {mean:+g} with SD {sd:g}, in "
        f"steps of {step:g} from −{reach:g} to {reach:g}: on these steps mean {shown_mean:+.2f}, "
        f"SD {shown_sd:.2f}."
    )
    return Spread(steps, chances, words)


def _power(document: Document, volunteers: int, spread: Spread, readers: int) -> Power:
    plan = document["plan"]
    size = family_size(document, readers)
    alpha = plan["alpha"] / size
    test = (spread.steps, spread.chances, alpha, plan["method"], plan["zeros"])
    value, low, high = _simulated(volunteers, SIMULATIONS, *test)
    most = min(max(2 * volunteers, 20), MOST_ON_CURVE)
    first = min(4, volunteers)
    numbers = {first + round(n * (most - first) / (CURVE_POINTS - 1)) for n in range(CURVE_POINTS)}
    curve = [(n, _simulated(n, CURVE_SIMULATIONS, *test)[0]) for n in sorted(numbers)]
    return Power(
        volunteers=volunteers,
        value=value,
        low=low,
        high=high,
        needed=_first_enough(curve, test),
        curve=curve,
        assumptions=_assumptions(document, spread, size, alpha),
    )


def _first_enough(
    curve: Sequence[tuple[int, float]],
    test: tuple[tuple[float, ...], tuple[float, ...], float, str, str],
) -> int | None:
    """By bisection between two numbers of the curve."""
    enough = next((at for at, (_n, power) in enumerate(curve) if power >= ENOUGH), None)
    if enough is None:
        return None
    high = curve[enough][0]
    low = curve[enough - 1][0] if enough else 0
    while high - low > 1:
        middle = (low + high) // 2
        if _simulated(middle, CURVE_SIMULATIONS, *test)[0] >= ENOUGH:
            high = middle
        else:
            low = middle
    return high


def _assumptions(document: Document, spread: Spread, size: int, alpha: float) -> list[str]:
    plan = document["plan"]
    exact = plan["method"] == "exact"
    said = [
        f"Two-sided signed-rank test, {'exact' if exact else 'normal approximation'}, zero "
        f"differences {'dropped' if plan['zeros'] == 'drop' else 'kept in the ranking'}, one "
        "comparison of one criterion.",
        f"Level {plan['alpha']:g} over a family of {size}: in the strictest case of "
        f"Benjamini–Hochberg each test has to reach p ≤ {plan['alpha']:g} / {size} = {alpha:.3g}."
        if size > 1
        else f"Level {plan['alpha']:g}; the family is this one test.",
        spread.words,
        f"{SIMULATIONS} simulated studies; the curve rests on {CURVE_SIMULATIONS} a point.",
    ]
    if exact:
        fewest = math.ceil(1 - math.log2(alpha))
        said.append(
            f"With fewer than {fewest} volunteers whose difference is not zero, no exact p can be "
            f"as small as {alpha:.3g}."
        )
    return said


@lru_cache(maxsize=512)
def _simulated(
    volunteers: int,
    simulations: int,
    steps: tuple[float, ...],
    chances: tuple[float, ...],
    alpha: float,
    method: Method,
    zeros: Zeros,
) -> tuple[float, float, float]:
    found = power_signed_rank(
        volunteers,
        steps,
        chances,
        alpha=alpha,
        method=method,
        zeros=zeros,
        simulations=simulations,
    )
    low, high = (found.interval.low, found.interval.high) if found.interval else (0.0, 1.0)
    return found.value, low, high
