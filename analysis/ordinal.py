"""Ordinal regression of scores: proportional odds, with and without correlated cases.

Both are sensitivity analyses beside the signed-rank test. Mixed models with random cases and
readers are left to R (`analysis.r_scripts.mixed_model_script`): no maintained Python package fits
them.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from statsmodels.genmod.cov_struct import Independence
from statsmodels.genmod.generalized_estimating_equations import OrdinalGEE
from statsmodels.miscmodels.ordinal_model import OrderedModel

from analysis.estimates import Coefficient, wald_coefficients

Array = npt.NDArray[np.float64]
# A log odds ratio beyond this means that the data separate and the estimate runs to infinity.
LARGEST_COEFFICIENT = 12.0
_SEPARATE = (
    "The scores separate: one level of a factor has only higher scores than another, so no finite "
    "odds ratio exists."
)


@dataclass(frozen=True)
class OrdinalFit:
    """A fitted ordinal regression.

    Attributes
    ----------
    coefficients : tuple of Coefficient
        One a level of a factor but its reference; above zero means higher scores.
    thresholds : tuple of Coefficient
        The cut points between neighbouring scores ("3|4"), lowest first.
    log_likelihood : float or None
        None for estimating equations, which have none.
    n : int
        Scores.
    method : str
    """

    coefficients: tuple[Coefficient, ...]
    thresholds: tuple[Coefficient, ...]
    log_likelihood: float | None
    n: int
    method: str

    def coefficient(self, name: str) -> Coefficient:
        """The coefficient of a name such as "arm DLR v STD".

        Raises
        ------
        KeyError
            If there is none.
        """
        for found in self.coefficients:
            if found.name == name:
                return found
        raise KeyError(name)


def ordinal_regression(
    scores: npt.ArrayLike,
    factors: pd.DataFrame,
    *,
    reference: Mapping[str, str] | None = None,
    level: float = 0.95,
) -> OrdinalFit:
    """Proportional odds regression of scores on factors, by maximum likelihood.

    Parameters
    ----------
    scores : array_like, shape (n,)
        Ordered scores; NaN for missing (the row is left out).
    factors : pandas.DataFrame, n rows
        One categorical factor a column (arm, reader).
    reference : mapping of str to str, optional
        The level that the others of a factor are compared with; the first in alphabetical order by
        default.
    level : float
        Of the intervals (Wald).

    Returns
    -------
    OrdinalFit
        logit P(score <= j) = threshold_j - sum of coefficients, as R's ``ordinal::clm`` has it.

    Raises
    ------
    ValueError
        If fewer than two scores or levels occur, a factor is determined by the others, a reference
        is unknown, or the scores separate so that no finite estimate exists.

    Notes
    -----
    Scores of one case are taken as independent: where each case was scored in every arm, use
    `ordinal_gee`.

    References
    ----------
    McCullagh P. Regression models for ordinal data. J R Stat Soc B 1980;42:109-142.

    Examples
    --------
    >>> import pandas as pd
    >>> arms = pd.DataFrame({"arm": ["STD"] * 6 + ["DLR"] * 6})
    >>> fit = ordinal_regression([2, 3, 3, 3, 4, 2, 3, 4, 4, 5, 3, 4], arms,
    ...                          reference={"arm": "STD"})
    >>> fit.coefficients[0].name, round(fit.coefficients[0].value, 2)
    ('arm DLR v STD', 2.64)
    """
    values, design, names, _ = _prepared(scores, factors, reference, None)
    scale = np.unique(values)
    codes = np.searchsorted(scale, values)
    with warnings.catch_warnings():
        # Separation is reported below, in words; numpy's warnings on the way there say less.
        warnings.simplefilter("ignore")
        model = OrderedModel(codes, design, distr="logit")
        found = model.fit(method="bfgs", disp=False, maxiter=500, gtol=1e-8)
    if found.normalized_cov_params is None:
        # The Hessian could not be inverted: the likelihood has no maximum at finite values.
        raise ValueError(_SEPARATE)
    covariance = np.asarray(found.cov_params(), dtype=np.float64)
    estimates = np.asarray(found.params, dtype=np.float64)
    _check_finite(estimates[: len(names)], covariance)
    # statsmodels keeps the first cut and the logarithms of the steps: carry values and errors over.
    size = len(names)
    jacobian = np.eye(len(estimates))
    jacobian[size + 1 :, size] = 1.0
    for column in range(size + 1, len(estimates)):
        jacobian[column:, column] = np.exp(estimates[column])
        jacobian[size:column, column] = 0.0
    cuts = estimates[size] + np.concatenate([[0.0], np.cumsum(np.exp(estimates[size + 1 :]))])
    errors = np.sqrt(np.diag(jacobian @ covariance @ jacobian.T))
    method = "maximum likelihood, Wald"
    n = len(values)
    labels = _cut_names(scale)
    return OrdinalFit(
        wald_coefficients(names, estimates[:size], errors[:size], n, level, method),
        wald_coefficients(labels, cuts, errors[size:], n, level, method),
        float(found.llf),
        n,
        f"proportional odds, {method}",
    )


def ordinal_gee(
    scores: npt.ArrayLike,
    factors: pd.DataFrame,
    clusters: npt.ArrayLike,
    *,
    reference: Mapping[str, str] | None = None,
    level: float = 0.95,
) -> OrdinalFit:
    """Proportional odds regression by estimating equations, with errors that respect the cases.

    Parameters
    ----------
    scores, factors, reference, level
        As for `ordinal_regression`.
    clusters : array_like, shape (n,)
        The case of each score: scores of one case may depend on each other in any way.

    Returns
    -------
    OrdinalFit
        Working independence; the robust (sandwich) errors make the intervals valid for many cases.
        With few (below about 40) they are too short.

    Raises
    ------
    ValueError
        As for `ordinal_regression`; also with fewer than two cases.

    References
    ----------
    Liang KY, Zeger SL. Biometrika 1986;73:13-22. Lipsitz SR, Kim K, Zhao L. Stat Med
    1994;13:1149-1163.

    Examples
    --------
    >>> import pandas as pd
    >>> arms = pd.DataFrame({"arm": ["DLR", "STD"] * 6})
    >>> cases = [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    >>> fit = ordinal_gee([3, 2, 4, 3, 4, 3, 5, 3, 3, 4, 4, 2], arms, cases,
    ...                   reference={"arm": "STD"})
    >>> fit.coefficients[0].name, fit.coefficients[0].value > 0
    ('arm DLR v STD', True)
    """
    values, design, names, cases = _prepared(scores, factors, reference, clusters)
    if cases is None or np.unique(cases).size < 2:
        raise ValueError("Estimating equations need scores of at least two cases.")
    scale = np.unique(values)
    codes = np.searchsorted(scale, values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = OrdinalGEE(codes, design, groups=cases, cov_struct=Independence())
        found = model.fit(maxiter=200)
    estimates = np.asarray(found.params, dtype=np.float64)
    covariance = np.asarray(found.cov_robust, dtype=np.float64)
    steps = scale.size - 1
    _check_finite(estimates[steps:], covariance)
    errors = np.sqrt(np.diag(covariance))
    n = len(values)
    method = f"robust (sandwich) over {np.unique(cases).size} cases, Wald"
    return OrdinalFit(
        wald_coefficients(names, estimates[steps:], errors[steps:], n, level, method),
        # statsmodels models P(score > j): the cut points of `ordinal_regression` are its negatives.
        wald_coefficients(_cut_names(scale), -estimates[:steps], errors[:steps], n, level, method),
        None,
        n,
        f"proportional odds by estimating equations, {method}",
    )


def _prepared(
    scores: npt.ArrayLike,
    factors: pd.DataFrame,
    reference: Mapping[str, str] | None,
    clusters: npt.ArrayLike | None,
) -> tuple[Array, Array, list[str], npt.NDArray[Any] | None]:
    """Complete scores, the treatment-coded design (n, coefficients), its names and the cases."""
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 1 or len(factors) != values.size:
        raise ValueError("scores must be one list with one row of factors for each.")
    if np.isinf(values).any():
        raise ValueError("A score is infinite; mark a missing score as NaN.")
    cases = None if clusters is None else np.asarray(clusters)
    if cases is not None and cases.shape != values.shape:
        raise ValueError("clusters must name the case of each score.")
    known = ~np.isnan(values)
    kept = factors[known].astype(str)
    if np.unique(values[known]).size < 2:
        raise ValueError("All scores are equal: an ordinal regression is undefined.")
    columns: list[Array] = []
    names: list[str] = []
    for factor in kept.columns:
        levels = sorted(kept[factor].unique())
        base = (reference or {}).get(str(factor), levels[0])
        if base not in levels:
            raise ValueError(f'No score has {factor} "{base}", the reference.')
        for name in levels:
            if name != base:
                columns.append((kept[factor] == name).to_numpy(dtype=np.float64))
                names.append(f"{factor} {name} v {base}")
    if not columns:
        raise ValueError("Each factor has one level: there is nothing to compare.")
    design = np.column_stack(columns)
    if np.linalg.matrix_rank(np.column_stack([np.ones(len(design)), design])) <= len(names):
        raise ValueError("A factor is determined by the others: their effects cannot be told apart")
    return values[known], design, names, None if cases is None else cases[known]


def _check_finite(coefficients: Array, covariance: Array) -> None:
    if (
        not np.isfinite(covariance).all()
        or not np.isfinite(coefficients).all()
        or (np.abs(coefficients) > LARGEST_COEFFICIENT).any()
        or (np.diag(covariance) < 0).any()
    ):
        raise ValueError(_SEPARATE)


def _cut_names(scale: Array) -> list[str]:
    return [f"{low:g}|{high:g}" for low, high in pairwise(scale)]
