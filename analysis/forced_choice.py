"""Forced choice: which of two images is better, without a tie.

One pair of arms is an exact binomial test; choices among several arms are a Bradley-Terry model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse, stats
from scipy.sparse.csgraph import connected_components

from analysis.estimates import Coefficient, Estimate, Interval, wald_coefficients

Array = npt.NDArray[np.float64]
_MOST_STEPS = 100


@dataclass(frozen=True)
class ForcedChoice(Estimate):
    """The share of choices in which b was preferred to a.

    Attributes
    ----------
    chosen_b, chosen_a : int
    p : float
        Two-sided exact binomial p against one half.
    """

    chosen_b: int
    chosen_a: int
    p: float


@dataclass(frozen=True)
class BradleyTerry:
    """Abilities of the arms, on the log odds scale.

    Attributes
    ----------
    abilities : tuple of Coefficient
        log odds that an arm is preferred to the reference, one an arm but the reference.
    reference : str
    n : int
        Choices.
    chi_square, p : float
        Wald's test that all arms are equal, with `freedom` degrees of freedom.
    freedom : int
    method : str
    """

    abilities: tuple[Coefficient, ...]
    reference: str
    n: int
    chi_square: float
    freedom: int
    p: float
    method: str


def forced_choice(chosen_b: int, chosen_a: int, *, level: float = 0.95) -> ForcedChoice:
    """Exact binomial test of how often b was preferred to a.

    Parameters
    ----------
    chosen_b, chosen_a : int
        Independent choices for each: one a case, or one a case after a majority of readers.
    level : float

    Returns
    -------
    ForcedChoice
        `value` is the share for b, with Clopper and Pearson's interval.

    Raises
    ------
    ValueError
        If a count is negative or both are zero.

    References
    ----------
    Clopper CJ, Pearson ES. Biometrika 1934;26:404-413.

    Examples
    --------
    >>> found = forced_choice(9, 3)
    >>> found.value, round(found.p, 4), round(found.interval.low, 4)
    (0.75, 0.146, 0.4281)
    """
    if chosen_a < 0 or chosen_b < 0 or chosen_a + chosen_b == 0:
        raise ValueError("Forced choice needs counts that are not negative, and at least one.")
    n = chosen_a + chosen_b
    test = stats.binomtest(chosen_b, n)
    limits = test.proportion_ci(level, method="exact")
    interval = Interval(float(limits.low), float(limits.high), level, "Clopper-Pearson, exact")
    return ForcedChoice(
        chosen_b / n,
        "share of choices for b",
        interval,
        n,
        chosen_b,
        chosen_a,
        float(test.pvalue),
    )


def bradley_terry(
    first: Sequence[str],
    second: Sequence[str],
    winner: Sequence[str],
    *,
    reference: str | None = None,
    clusters: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> BradleyTerry:
    """Bradley-Terry model of choices between pairs of arms.

    Parameters
    ----------
    first, second, winner : sequence of str, length n
        The two arms of each choice and the one preferred.
    reference : str, optional
        The arm of ability 0; the first in alphabetical order by default.
    clusters : array_like, shape (n,), optional
        The case of each choice: errors then are robust (sandwich) over whole cases. Without, all
        choices are taken as independent.
    level : float
        Of the intervals (Wald).

    Returns
    -------
    BradleyTerry
        P(i preferred to j) = 1 / (1 + exp(ability_j - ability_i)).

    Raises
    ------
    ValueError
        If a choice is malformed (its row is named), an arm is never (or always) preferred to a
        group of others, so that no finite estimate exists, or cases are fewer than arms.

    References
    ----------
    Bradley RA, Terry ME. Biometrika 1952;39:324-345. Ford LR. Am Math Mon 1957;64:28-33.

    Examples
    --------
    >>> first, second = ["A"] * 4 + ["B"] * 3, ["B"] * 4 + ["C"] * 3
    >>> found = bradley_terry(first, second, ["B", "B", "B", "A", "C", "C", "B"])
    >>> [(ability.name, round(ability.value, 2)) for ability in found.abilities]
    [('B v A', 1.1), ('C v A', 1.79)]
    """
    arms = sorted({*first, *second})
    if not len(first) == len(second) == len(winner) or len(arms) < 2:
        raise ValueError("Choices are three lists of one length, over at least two arms.")
    for row, (a, b, won) in enumerate(zip(first, second, winner, strict=True), start=1):
        if a == b or won not in (a, b):
            raise ValueError(f'Choice {row}: "{won}" won between "{a}" and "{b}".')
    base = arms[0] if reference is None else reference
    if base not in arms:
        raise ValueError(f'The reference "{base}" occurs in no choice.')
    place = {arm: index for index, arm in enumerate(arms)}
    a_index = np.array([place[arm] for arm in first])
    b_index = np.array([place[arm] for arm in second])
    won_first = np.array([won == a for won, a in zip(winner, first, strict=True)], np.float64)
    _check_connected(arms, a_index, b_index, won_first)
    n = len(won_first)
    design = np.zeros((n, len(arms)))
    design[np.arange(n), a_index] = 1
    design[np.arange(n), b_index] = -1
    others = [arm for arm in arms if arm != base]
    design = design[:, [place[arm] for arm in others]]
    values, bread, scores = _newton(design, won_first)
    covariance, method = bread, "maximum likelihood, Wald"
    if clusters is not None:
        names, index = np.unique(np.asarray(clusters), return_inverse=True)
        if index.shape != won_first.shape:
            raise ValueError("clusters must name the case of each choice.")
        if names.size < len(arms):
            raise ValueError(f"{names.size} cases are too few for errors over cases of the model.")
        sums = np.zeros((names.size, len(others)))
        np.add.at(sums, index, scores)
        covariance = bread @ (sums.T @ sums) @ bread
        method = f"robust (sandwich) over {names.size} cases, Wald"
    if np.linalg.matrix_rank(covariance, hermitian=True) < len(others):
        raise ValueError("The cases answer too much alike for errors over cases of the model.")
    chi_square = float(values @ np.linalg.solve(covariance, values))
    return BradleyTerry(
        abilities=wald_coefficients(
            [f"{arm} v {base}" for arm in others],
            values,
            np.sqrt(np.diag(covariance)),
            n,
            level,
            method,
        ),
        reference=base,
        n=n,
        chi_square=chi_square,
        freedom=len(others),
        p=float(stats.chi2.sf(chi_square, len(others))),
        method=f"Bradley-Terry, {method}",
    )


def _newton(design: Array, won: Array) -> tuple[Array, Array, Array]:
    """Estimates, their inverse information, and each choice's score at the estimates."""
    values = np.zeros(design.shape[1])
    for _ in range(_MOST_STEPS):
        chance = 1 / (1 + np.exp(-(design @ values)))
        information = design.T @ (design * (chance * (1 - chance))[:, None])
        step = np.linalg.solve(information, design.T @ (won - chance))
        # A bounded step keeps Newton's method from overshooting where one arm wins nearly always.
        values = values + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))
        if float(np.abs(step).max()) < 1e-12:
            break
    else:
        raise ValueError("The Bradley-Terry model did not converge.")
    inverse: Array = np.asarray(np.linalg.inv(information), dtype=np.float64)
    return values, inverse, design * (won - chance)[:, None]


def _check_connected(
    arms: list[str], a_index: npt.NDArray[np.intp], b_index: npt.NDArray[np.intp], won: Array
) -> None:
    """Ford's condition: however the arms are split, each side was preferred at least once."""
    winners = np.where(won == 1, a_index, b_index)
    losers = np.where(won == 1, b_index, a_index)
    beaten = sparse.csr_array((np.ones(len(won)), (winners, losers)), shape=(len(arms),) * 2)
    groups, label = connected_components(beaten, directed=True, connection="strong")
    if groups > 1:
        parts = [
            "{" + ", ".join(arm for arm, own in zip(arms, label, strict=True) if own == g) + "}"
            for g in range(groups)
        ]
        raise ValueError(
            f"No finite abilities exist: between {' and '.join(parts)} all choices went one way, "
            "or none was made."
        )
