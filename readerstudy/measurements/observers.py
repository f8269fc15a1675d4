"""How far two observers agree who placed the same regions without knowing of each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.reliability import bland_altman, icc
from readerstudy.imaging.models import Volunteer
from readerstudy.studies.models import Arm, Study, Tissue

from .figures import measured_figures, noise_estimate_of
from .models import OBSERVERS, Measurement, Placing, Region
from .selectors import latest_regions

LEAST_PAIRS = 2
LEAST_FOR_ICC = 3  # with two volunteers it may be any number


@dataclass(frozen=True)
class AgreementLine:
    tissue: str
    measure: str  # Mean, SD, SNR, CNR
    pairs: int
    first: float | None = None  # mean over the volunteers
    second: float | None = None
    bias: float | None = None
    lower: float | None = None  # 95 % limits of agreement
    upper: float | None = None
    icc: float | None = None  # ICC(2,1), absolute agreement
    icc_low: float | None = None
    icc_high: float | None = None


@dataclass(frozen=True)
class DistanceLine:
    tissue: str
    pairs: int
    mean_mm: float
    largest_mm: float
    same_slice: int


@dataclass(frozen=True)
class ObserverTable:
    arm: Arm
    volunteers: Sequence[str]
    lines: Sequence[AgreementLine]
    distances: Sequence[DistanceLine]


def volunteers_of_both(study: Study) -> list[Volunteer]:
    """Those whose regions both observers have frozen; all that both placed once it is locked."""
    both = []
    for volunteer in study.volunteers.all():
        if study.is_locked:
            observers = set(volunteer.regions.values_list("observer", flat=True))
        else:
            observers = set(
                Placing.objects.filter(volunteer=volunteer, frozen_at__isnull=False).values_list(
                    "observer", flat=True
                )
            )
        if observers >= set(OBSERVERS):
            both.append(volunteer)
    return both


def observer_table(study: Study, arm: Arm) -> ObserverTable:
    volunteers = volunteers_of_both(study)
    estimate = noise_estimate_of(study)
    tissues = list(study.tissues.all())
    values: dict[tuple[int, str], list[tuple[float, float]]] = {}
    apart: dict[int, list[tuple[float, bool]]] = {}
    for volunteer in volunteers:
        of_both = [latest_regions(volunteer, observer) for observer in OBSERVERS]
        figures = [_figures(regions, arm, estimate) for regions in of_both]
        for key in figures[0].keys() & figures[1].keys():
            values.setdefault(key, []).append((figures[0][key], figures[1][key]))
        first, second = ({r.tissue_id: r for r in regions} for regions in of_both)
        for tissue in first.keys() & second.keys():
            a, b = first[tissue], second[tissue]
            distance = math.dist(a.centre, b.centre)
            apart.setdefault(tissue, []).append((distance, a.slice_index == b.slice_index))
    return ObserverTable(
        arm,
        [volunteer.code for volunteer in volunteers],
        [
            _line(tissue, measure, values.get((tissue.pk, measure), []))
            for tissue in tissues
            for measure in ("Mean", "SD", "SNR", "CNR")
            if (tissue.pk, measure) in values
        ],
        [_distance(tissue, apart[tissue.pk]) for tissue in tissues if tissue.pk in apart],
    )


def _figures(regions: list[Region], arm: Arm, estimate: str) -> dict[tuple[int, str], float]:
    found: dict[tuple[int, str], float] = {}
    for one in Measurement.objects.filter(region__in=regions, arm=arm):
        found[one.tissue_id, "Mean"] = one.mean
        found[one.tissue_id, "SD"] = one.sd
    for (tissue, of_arm), ratios in measured_figures(regions, estimate).items():
        if of_arm == arm.pk:
            found |= {
                (tissue, name.upper()): value for name, value in ratios.items() if value is not None
            }
    return found


def _line(tissue: Tissue, measure: str, pairs: Sequence[tuple[float, float]]) -> AgreementLine:
    first, second = [a for a, _b in pairs], [b for _a, b in pairs]
    line = AgreementLine(
        tissue.name,
        measure,
        len(pairs),
        sum(first) / len(first) if first else None,
        sum(second) / len(second) if second else None,
    )
    if len(pairs) < LEAST_PAIRS:
        return line
    limits = bland_altman(first, second)
    try:
        agreement = icc(list(pairs), "ICC(2,1)") if len(pairs) >= LEAST_FOR_ICC else None
    except ValueError:  # nothing varies
        agreement = None
    interval = agreement.interval if agreement else None
    return AgreementLine(
        line.tissue,
        line.measure,
        line.pairs,
        line.first,
        line.second,
        limits.bias.value,
        limits.lower_limit.value,
        limits.upper_limit.value,
        agreement.value if agreement else None,
        interval.low if interval else None,
        interval.high if interval else None,
    )


def _distance(tissue: Tissue, found: Sequence[tuple[float, bool]]) -> DistanceLine:
    lengths = [length for length, _same in found]
    return DistanceLine(
        tissue.name,
        len(found),
        sum(lengths) / len(lengths),
        max(lengths),
        sum(same for _length, same in found),
    )
