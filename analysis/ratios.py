"""SNR and CNR of every volunteer, arm and tissue, from the region measurements of a study."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.noise import cnr, noise_estimate, noise_warnings, pooled_sd, snr
from analysis.plan import AnalysisPlan

DERIVED_COLUMNS = ("volunteer", "arm", "tissue", "metric", "value", "noise_estimate")


@dataclass(frozen=True)
class PlanWarning:
    """What a reader of a result must know, and which result it concerns.

    Attributes
    ----------
    metric, row, arm, comparison : str
        Empty where the warning concerns all of them; `comparison` reads "a v b".
    text : str
    """

    metric: str
    row: str
    arm: str
    comparison: str
    text: str


def derive_ratios(
    regions: pd.DataFrame, plan: AnalysisPlan
) -> tuple[pd.DataFrame, list[PlanWarning]]:
    """SNR of every tissue and CNR of every tissue but the reference one.

    Parameters
    ----------
    regions : pandas.DataFrame
        Checked by `analysis.input_frames.check_regions`.
    plan : AnalysisPlan

    Returns
    -------
    pandas.DataFrame
        volunteer, arm, tissue, metric ("SNR", "CNR"), value, noise_estimate; the value is NaN where
        a region is missing or its noise SD is zero, and a warning then says so.
    list of PlanWarning

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),),
    ...                     tissues=("fat", "muscle"))
    >>> regions = pd.DataFrame(
    ...     [("V1", "A", "fat", 120.0, 9.0), ("V1", "A", "muscle", 40.0, 6.0),
    ...      ("V1", "A", "air", 7.6, 4.0)],
    ...     columns=["volunteer", "arm", "tissue", "mean", "sd"]).assign(n_pixels=45)
    >>> derived, _ = derive_ratios(regions, plan)
    >>> derived[["tissue", "metric", "value"]].values.tolist()
    [['fat', 'SNR', 30.0], ['muscle', 'SNR', 10.0], ['fat', 'CNR', 20.0]]
    """
    if regions.empty or not plan.tissues:
        return pd.DataFrame({name: [] for name in DERIVED_COLUMNS}), []
    warnings: list[PlanWarning] = []
    parts: list[pd.DataFrame] = []
    for part, noise in ratio_parts(regions, plan, plan.noise_estimate):
        parts.append(part)
        warnings += _missing_values(part, noise, regions, plan)
    derived = pd.concat(parts, ignore_index=True)
    return derived, warnings + _arm_warnings(regions, plan) + _common_gain(derived, plan)


def ratio_parts(
    regions: pd.DataFrame, plan: AnalysisPlan, name: str
) -> Iterator[tuple[pd.DataFrame, npt.NDArray[np.float64]]]:
    """SNR, then CNR, tissue by tissue under one noise estimate, each with the SDs it rests on.

    Parameters
    ----------
    regions : pandas.DataFrame
        Checked, not empty.
    plan : AnalysisPlan
        Its tissues, air and reference tissue count; its noise estimate does not.
    name : str
        The noise estimate.

    Yields
    ------
    pandas.DataFrame
        The columns of `DERIVED_COLUMNS`, one row a volunteer and arm.
    numpy.ndarray
        The measured SDs; NaN where there is none.

    Examples
    --------
    >>> plan = AnalysisPlan(arms=("A", "B"), control="A", comparisons=(("A", "B"),),
    ...                     tissues=("fat", "muscle"))
    >>> regions = pd.DataFrame(
    ...     [("V1", "A", "fat", 120.0, 10.0), ("V1", "A", "muscle", 40.0, 8.0)],
    ...     columns=["volunteer", "arm", "tissue", "mean", "sd"])
    >>> [part["value"].item() for part, _ in ratio_parts(regions, plan, "tissue_sd")][:2]
    [12.0, 5.0]
    """
    estimate = noise_estimate(name)
    cases = regions[["volunteer", "arm"]].drop_duplicates().reset_index(drop=True)
    cells = regions.set_index(["volunteer", "arm", "tissue"])
    reference = plan.reference_tissue
    for metric in ("SNR", "CNR") if reference else ("SNR",):
        for tissue in plan.tissues:
            if metric == "CNR" and tissue == reference:
                continue
            mean = _column(cells, cases, tissue, "mean")
            own = _noise(cells, cases, tissue, estimate.kind, plan.air)
            if metric == "CNR" and not estimate.from_air:
                own = pooled_sd(own, _noise(cells, cases, reference, estimate.kind, plan.air))
            usable = np.where(own > 0, own, np.nan)
            if metric == "SNR":
                value = snr(mean, usable, name)
            else:
                value = cnr(mean, _column(cells, cases, reference, "mean"), usable, name)
            part = cases.assign(tissue=tissue, metric=metric, value=value, noise_estimate=name)
            yield part, own


def _column(
    cells: pd.DataFrame, cases: pd.DataFrame, tissue: str, column: str
) -> npt.NDArray[np.float64]:
    """One measured column of one tissue in the order of `cases`, NaN where there is no region."""
    keys = pd.MultiIndex.from_arrays(
        [cases["volunteer"], cases["arm"], pd.Series([tissue] * len(cases))]
    )
    return np.asarray(cells[column].reindex(keys).to_numpy(dtype=np.float64))


def _noise(
    cells: pd.DataFrame, cases: pd.DataFrame, tissue: str, kind: str, air: str
) -> npt.NDArray[np.float64]:
    if kind == "difference":
        return _column(cells, cases, tissue, "sd_difference")
    return _column(cells, cases, tissue if kind == "tissue_sd" else air, "sd")


def _missing_values(
    part: pd.DataFrame,
    noise: npt.NDArray[np.float64],
    regions: pd.DataFrame,
    plan: AnalysisPlan,
) -> list[PlanWarning]:
    """Which values of one metric and tissue do not exist, and which row of the regions is why."""
    found = []
    metric, tissue = str(part["metric"].iloc[0]), str(part["tissue"].iloc[0])
    zero = noise == 0
    estimate = noise_estimate(plan.noise_estimate)
    column = "sd_difference" if estimate.kind == "difference" else "sd"
    region = plan.air if estimate.from_air else tissue
    for flags, reason in (
        (zero, "the SD that the noise is estimated from is zero"),
        (part["value"].isna().to_numpy() & ~zero, "a region is missing or too small"),
    ):
        for arm, group in part[flags].groupby("arm", sort=False):
            names = []
            for volunteer in sorted(group["volunteer"], key=str):
                chosen = (regions["volunteer"] == volunteer) & (regions["arm"] == arm)
                rows = np.flatnonzero(chosen & (regions["tissue"] == region))
                place = f" (regions, row {rows[0] + 1}, column {column})" if rows.size else ""
                names.append(f"{volunteer}{place}")
            text = f"No value for {', '.join(names)}: {reason}."
            found.append(PlanWarning(metric, tissue, str(arm), "", text))
    return found


def _arm_warnings(regions: pd.DataFrame, plan: AnalysisPlan) -> list[PlanWarning]:
    """The warnings of `analysis.noise`, said once an arm with the number of volunteers."""
    found: list[PlanWarning] = []
    estimate = noise_estimate(plan.noise_estimate)
    air = regions[regions["tissue"] == plan.air]
    for arm in plan.arms:
        for text in noise_warnings(estimate.name, processed=arm in plan.dlr_arms):
            found.append(PlanWarning("", "", arm, "", text))
        if not estimate.from_air:
            continue
        counted: dict[str, list[str]] = {}
        for row in air[air["arm"] == arm].to_dict("records"):
            for kind, text in zip(*_air_findings(row, estimate.name), strict=True):
                counted.setdefault(kind, []).append(f"{row['volunteer']}: {text}")
        for texts in counted.values():
            measured = int((air["arm"] == arm).sum())
            noun = "volunteer" if measured == 1 else "volunteers"
            start = f"In {len(texts)} of {measured} {noun}. "
            found.append(PlanWarning("", "", arm, "", start + texts[0]))
    return found


def _air_findings(row: dict[str, float], estimate: str) -> tuple[list[str], tuple[str, ...]]:
    texts = noise_warnings(
        estimate,
        air_mean=row["mean"],
        air_sd=row["sd"],
        air_n_pixels=int(row["n_pixels"]),
        air_n_zero=_count(row.get("n_zero")),
        air_n_at_limits=_count(row.get("n_at_limits")),
    )
    # The first words tell the kind; the figures differ between volunteers.
    return [text[:12] for text in texts], texts


def _count(value: float | None) -> int:
    return 0 if value is None or np.isnan(value) else int(value)


def _common_gain(derived: pd.DataFrame, plan: AnalysisPlan) -> list[PlanWarning]:
    """Whether a DLR arm gains the same factor in all tissues: then it is one number, not six."""
    found: list[PlanWarning] = []
    if not noise_estimate(plan.noise_estimate).from_air:
        return found
    means = derived[derived["metric"] == "SNR"].groupby(["tissue", "arm"])["value"].mean().unstack()
    for a, b in plan.comparisons:
        if b not in plan.dlr_arms or a in plan.dlr_arms or not {a, b} <= set(means.columns):
            continue
        gain = (means[b] / means[a]).dropna()
        if len(gain) >= 2 and gain.max() / gain.min() < 1.1:
            found.append(
                PlanWarning(
                    "SNR",
                    "",
                    "",
                    f"{a} v {b}",
                    f"All {len(gain)} tissues gain nearly the same factor in SNR "
                    f"({gain.min():.2f} to {gain.max():.2f}): the fall of the noise in air is one "
                    f"finding, not {len(gain)}.",
                )
            )
    return found
