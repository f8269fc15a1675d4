"""What stands beside the planned ratios: other noise estimates, and contrasts without any noise.

Nothing here is tested: the plan's family holds the tests. The gain of each comparison shows whether
a rise of the planned ratio comes from the tissue or from a quieter background alone.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.descriptives import describe
from analysis.noise import noise_estimate
from analysis.plan import CONTRASTS, AnalysisPlan
from analysis.ratios import DERIVED_COLUMNS, ratio_parts

BESIDE_COLUMNS = [
    *("metric", "noise_estimate", "row", "arm", "n", "n_missing", "mean", "sd", "median", "q1"),
    "q3",
]
GAIN_COLUMNS = ["metric", "noise_estimate", "row", "a", "b", "n", "gain", "lowest", "highest"]


def beside_values(regions: pd.DataFrame, plan: AnalysisPlan) -> pd.DataFrame:
    """Every value under the estimates and contrasts that the plan shows beside its own.

    Parameters
    ----------
    regions : pandas.DataFrame
        Checked by `analysis.input_frames.check_regions`.
    plan : AnalysisPlan

    Returns
    -------
    pandas.DataFrame
        volunteer, arm, tissue, metric ("SNR", "CNR", "contrast ratio", "contrast difference"),
        value, noise_estimate (empty for contrasts). An estimate whose column the regions lack
        (``difference`` without sd_difference, an air-based one without air) is left out.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),),
    ...                     tissues=("fat", "muscle"))
    >>> regions = pd.DataFrame(
    ...     [("V1", "A", "fat", 120.0, 9.6), ("V1", "A", "muscle", 40.0, 8.0)],
    ...     columns=["volunteer", "arm", "tissue", "mean", "sd"])
    >>> found = beside_values(regions, plan)
    >>> found[["metric", "tissue", "value"]].values.tolist()[-2:]
    [['contrast ratio', 'fat', 2.0], ['contrast difference', 'fat', 80.0]]
    """
    if regions.empty or not plan.tissues:
        return pd.DataFrame({name: [] for name in DERIVED_COLUMNS})
    parts: list[pd.DataFrame] = []
    for name in plan.beside:
        if name in CONTRASTS:
            parts += _contrasts(regions, plan, name)
        elif name != plan.noise_estimate and _measured(regions, plan, name):
            parts += [part for part, _ in ratio_parts(regions, plan, name)]
    if not parts:
        return pd.DataFrame({name: [] for name in DERIVED_COLUMNS})
    return pd.concat(parts, ignore_index=True)[list(DERIVED_COLUMNS)]


def summarise_beside(values: pd.DataFrame, plan: AnalysisPlan) -> pd.DataFrame:
    """Descriptives of each metric, estimate, tissue and arm, in the order of the values.

    Parameters
    ----------
    values : pandas.DataFrame
        As `beside_values` gives them.
    plan : AnalysisPlan

    Returns
    -------
    pandas.DataFrame
        The columns of `BESIDE_COLUMNS`.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),))
    >>> values = pd.DataFrame({"volunteer": ["V1", "V2"], "arm": "A", "tissue": "fat",
    ...                        "metric": "SNR", "value": [4.0, 6.0], "noise_estimate": "tissue_sd"})
    >>> summarise_beside(values, plan)[["arm", "n", "mean"]].values.tolist()
    [['A', 2, 5.0], ['B', 0, nan]]
    """
    records = []
    for (metric, estimate, tissue), wide in _tables(values, plan):
        for arm in plan.arms:
            cell = describe(wide[arm])
            place = (metric, estimate, tissue, arm, cell.n, cell.n_missing, cell.mean, cell.sd)
            records.append((*place, cell.median, cell.q1, cell.q3))
    return pd.DataFrame(records, columns=BESIDE_COLUMNS)


def gains(values: pd.DataFrame, plan: AnalysisPlan) -> pd.DataFrame:
    """By what factor a value is higher in b than in a: the geometric mean over the volunteers.

    Parameters
    ----------
    values : pandas.DataFrame
        As `beside_values` or `analysis.ratios.derive_ratios` gives them.
    plan : AnalysisPlan

    Returns
    -------
    pandas.DataFrame
        metric, noise_estimate, row, a, b, n, gain, and the lowest and highest factor of one
        volunteer. NaN where a volunteer's two values differ in sign or one is zero: no factor
        exists.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),))
    >>> values = pd.DataFrame({"volunteer": ["V1", "V2"] * 2, "arm": list("AABB"), "tissue": "fat",
    ...                        "metric": "SNR", "value": [4.0, 6.0, 8.0, 6.0],
    ...                        "noise_estimate": "air_sd"})
    >>> round(gains(values, plan)["gain"].item(), 3)
    1.414
    """
    records = []
    for (metric, estimate, tissue), wide in _tables(values, plan):
        for a, b in plan.comparisons:
            first: npt.NDArray[np.float64] = wide[a].to_numpy()
            second: npt.NDArray[np.float64] = wide[b].to_numpy()
            both = ~(np.isnan(first) | np.isnan(second))
            first, second = first[both], second[both]
            found: tuple[float, ...] = (float("nan"),) * 3
            if first.size and (first * second > 0).all():
                factors = second / first
                middle = float(np.exp(np.log(factors).mean()))
                found = (middle, float(factors.min()), float(factors.max()))
            records.append((metric, estimate, tissue, a, b, int(both.sum()), *found))
    return pd.DataFrame(records, columns=GAIN_COLUMNS)


def _tables(
    values: pd.DataFrame, plan: AnalysisPlan
) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
    """Volunteers by arms, one table a metric, estimate and tissue."""
    keys = ["metric", "noise_estimate", "tissue"]
    for key, part in values.groupby(keys, sort=False):
        wide = part.pivot(index="volunteer", columns="arm", values="value").astype(np.float64)
        # Volunteers in one order: sums must not depend on that of the rows.
        order = sorted(wide.index, key=str)
        yield (
            (str(key[0]), str(key[1]), str(key[2])),
            wide.reindex(index=order, columns=list(plan.arms)),
        )


def _measured(regions: pd.DataFrame, plan: AnalysisPlan, name: str) -> bool:
    estimate = noise_estimate(name)
    if estimate.from_air:
        return bool(plan.air) and bool((regions["tissue"] == plan.air).any())
    return estimate.kind != "difference" or "sd_difference" in regions.columns


def _contrasts(regions: pd.DataFrame, plan: AnalysisPlan, name: str) -> list[pd.DataFrame]:
    """The tissue against the reference tissue: (a - b) / b, or a - b in image units."""
    reference = plan.reference_tissue
    if not reference:
        return []
    wide = regions.pivot(index=["volunteer", "arm"], columns="tissue", values="mean")
    parts = []
    for tissue in plan.tissues:
        if tissue == reference or not {tissue, reference} <= set(wide.columns):
            continue
        value = wide[tissue] - wide[reference]
        if name == "contrast_ratio":
            value = value / wide[reference].where(wide[reference] != 0)
        part = value.rename("value").reset_index()
        metric = name.replace("_", " ")
        parts.append(part.assign(tissue=tissue, metric=metric, noise_estimate=""))
    return parts
