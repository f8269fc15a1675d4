"""The Benjamini-Hochberg false discovery rate over one named family of tests."""

import numpy as np
import numpy.typing as npt


def benjamini_hochberg(p: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Adjust the p values of one family; a missing p stays missing and is not counted.

    Parameters
    ----------
    p : array_like, shape (m,)
        p values in 0..1; NaN for a test that could not be done.

    Returns
    -------
    numpy.ndarray, shape (m,), float64
        q values in the order of `p`, NaN where `p` is NaN. A test is significant at level alpha
        when its unrounded q is at most alpha.

    Raises
    ------
    ValueError
        If a p value lies outside 0..1.

    Notes
    -----
    statsmodels' ``multipletests`` answers NaN for the whole family when one p is NaN; R's
    ``p.adjust`` leaves the missing out, as here.

    References
    ----------
    Benjamini Y, Hochberg Y. Controlling the false discovery rate. J R Stat Soc B 1995;57:289-300.

    Examples
    --------
    >>> benjamini_hochberg([0.25, 0.25, 0.25, 0.0625]).tolist()
    [0.25, 0.25, 0.25, 0.25]
    >>> benjamini_hochberg([0.01, float("nan"), 0.04]).tolist()
    [0.02, nan, 0.04]
    """
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError("benjamini_hochberg takes one list of p values, one family at a time.")
    q = np.full(values.shape, np.nan)
    known = ~np.isnan(values)
    family = values[known]
    if ((family < 0) | (family > 1)).any():
        raise ValueError("A p value lies outside 0 to 1.")
    m = family.size
    if m == 0:
        return q
    order = np.argsort(-family, kind="stable")
    ranks = np.arange(m, 0, -1)
    adjusted = np.minimum.accumulate(family[order] * m / ranks)
    restored = np.empty(m)
    restored[order] = np.minimum(adjusted, 1.0)
    # Rounding must never put q below its p.
    q[known] = np.maximum(restored, family)
    return q
