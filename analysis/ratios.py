"""SNR and CNR of every volunteer, arm and tissue, from the region measurements of a study."""

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
    estimate = noise_estimate(plan.noise_estimate)
    cases = regions[["volunteer", "arm"]].drop_duplicates().reset_index(drop=True)
    cells = regions.set_index(["volunteer", "arm", "tissue"])
    parts: list[pd.DataFrame] = []
    warnings: list[PlanWarning] = []
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
                value = snr(mean, usable, plan.noise_estimate)
            else:
                against = _column(cells, cases, reference, "mean")
                value = cnr(mean, against, usable, plan.noise_estimate)
            part = cases.assign(tissue=tissue, metric=metric, value=value)
            parts.append(part.assign(noise_estimate=plan.noise_estimate))
            warnings += _missing_values(metric, tissue, cases, value, own == 0)
    derived = pd.concat(parts, ignore_index=True)
    return derived, warnings + _arm_warnings(regions, plan) + _common_gain(derived, plan)


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
    metric: str,
    tissue: str,
    cases: pd.DataFrame,
    value: npt.NDArray[np.float64],
    zero_noise: npt.NDArray[np.bool_],
) -> list[PlanWarning]:
    found = []
    for flags, reason in (
        (zero_noise, "the SD that the noise is estimated from is zero"),
        (np.isnan(value) & ~zero_noise, "a region is missing or too small"),
    ):
        for arm, group in cases[flags].groupby("arm", sort=False):
            names = ", ".join(sorted(group["volunteer"].astype(str)))
            found.append(
                PlanWarning(metric, tissue, str(arm), "", f"No value for {names}: {reason}.")
            )
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
            start = f"In {len(texts)} of {int((air['arm'] == arm).sum())} volunteers. "
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
                    f"All {len(gain)} tissues gain nearly the same factor ({gain.min():.2f} to "
                    f"{gain.max():.2f}): the fall of the noise in air is one finding, not "
                    f"{len(gain)}.",
                )
            )
    return found
