"""SNR and CNR of the regions of a volunteer, under the plan's noise estimate."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from analysis.noise import cnr, noise_estimate, pooled_sd, snr
from readerstudy.studies.models import Plan, Study, Tissue

from .models import Measurement, Region

DEFAULT_NOISE_ESTIMATE = "air_sd"


def noise_estimate_of(study: Study) -> str:
    plan = Plan.objects.filter(study=study).first()
    return plan.noise_estimate if plan is not None else DEFAULT_NOISE_ESTIMATE


def measured_figures(regions: Iterable[Region], estimate: str) -> dict[tuple[int, int], Any]:
    """{(tissue, arm): {"snr", "cnr"}} by key; None where the noise or the reference is missing.

    Under "difference" the noise needs a second acquisition, which a single region has not.
    """
    measured = Measurement.objects.filter(region__in=list(regions)).select_related("tissue")
    by_place = {(m.tissue_id, m.arm_id): m for m in measured}
    purposes = {m.tissue_id: m.tissue.purpose for m in measured}
    air = next((t for t, p in purposes.items() if p == Tissue.Purpose.AIR), None)
    reference = next((t for t, p in purposes.items() if p == Tissue.Purpose.REFERENCE), None)
    return {
        (tissue, arm): _ratios(
            own,
            by_place.get((air, arm)) if air is not None else None,
            by_place.get((reference, arm)) if reference is not None else None,
            estimate,
        )
        for (tissue, arm), own in by_place.items()
        if purposes[tissue] != Tissue.Purpose.AIR
    }


def _ratios(
    own: Measurement, air: Measurement | None, reference: Measurement | None, estimate: str
) -> dict[str, float | None]:
    found: dict[str, float | None] = {"snr": None, "cnr": None}
    kind = noise_estimate(estimate)
    if kind.kind == "difference" or (kind.from_air and air is None):
        return found
    noise = air.sd if kind.from_air and air is not None else own.sd
    found["snr"] = _number(lambda: snr(own.mean, noise, estimate))
    if reference is not None and reference.tissue_id != own.tissue_id:
        pooled = noise if kind.from_air else pooled_sd(own.sd, reference.sd)
        found["cnr"] = _number(lambda: cnr(own.mean, reference.mean, pooled, estimate))
    return found


def _number(compute: Any) -> float | None:
    """Noise of zero gives no ratio: the warnings of the region say why."""
    try:
        value = float(compute())
    except ValueError:
        return None
    return value if math.isfinite(value) else None
