"""All derived arms and series of a study in two tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count

from readerstudy.imaging.models import Series
from readerstudy.studies.models import Arm, Comparison, Study
from readerstudy.studies.wording import recipe_in_words

from .facts import percent
from .models import RawData
from .selectors import CONFIDENCE_BADGES, MADE_HERE
from .transfer_page import warnings_of_making


@dataclass(frozen=True)
class ArmRow:
    arm: Arm
    recipe: str
    n_series: int
    compared_with: Sequence[str]  # names of the arms


@dataclass(frozen=True)
class SeriesRow:
    """The figures of one series at a glance; empty where none was recorded."""

    series: Series
    blend: str
    gain: str
    air: str
    confidence: str
    badge: str
    passed: bool | None  # the structure test
    flagged: str
    n_warnings: int


def arm_rows(study: Study) -> list[ArmRow]:
    compared: dict[int, list[str]] = {}
    for pair in Comparison.objects.filter(study=study).select_related("first", "second"):
        compared.setdefault(pair.first_id, []).append(pair.second.name)
        compared.setdefault(pair.second_id, []).append(pair.first.name)
    derived = (
        Arm.objects.filter(study=study, kind=Arm.Kind.DERIVED)
        .select_related("source")
        .annotate(n_series=Count("series"))
    )
    return [
        ArmRow(arm, recipe_in_words(arm), arm.n_series, compared.get(arm.pk, [])) for arm in derived
    ]


def series_rows(study: Study) -> list[SeriesRow]:
    series = (
        Series.objects.filter(MADE_HERE, volunteer__study=study)
        .select_related("volunteer", "arm")
        .order_by("volunteer__code", "arm__position", "arm__pk")
    )
    return [_row(item) for item in series]


@dataclass(frozen=True)
class RawRow:
    """The raw data of one cell at a glance."""

    raw: RawData
    size: str
    coils: int
    sampling: str
    noise: str
    warnings: Sequence[str]
    n_series: int  # made from it


def raw_rows(study: Study) -> list[RawRow]:
    found = (
        RawData.objects.filter(volunteer__study=study)
        .select_related("volunteer", "arm")
        .annotate(n_series=Count("variants__series"))
        .order_by("volunteer__code", "arm__position", "arm__pk")
    )
    return [_raw_row(raw, raw.n_series) for raw in found]


def _raw_row(raw: RawData, n_series: int) -> RawRow:
    said = raw.description
    planes = "readout position" if said["is_3d"] else "slice"
    if said["planes"] != 1:
        planes += "s"
    return RawRow(
        raw=raw,
        size=f"{said['planes']} {planes}, {said['rows']} × {said['columns']}",
        coils=int(said["coils"]),
        sampling="full" if said["is_full"] else f"undersampled, R = {said['acceleration']:.2f}",
        noise="measured" if said["has_noise"] else "from the data",
        warnings=list(said["warnings"]),
        n_series=n_series,
    )


def _row(series: Series) -> SeriesRow:
    made = series.provenance
    qc = made.get("qc", {})
    confidence = str(made.get("sigma_confidence", ""))
    return SeriesRow(
        series=series,
        blend=_number(made.get("blend")),
        gain=_number(made.get("achieved_gain")),
        air=_number(made.get("air_gain")),
        confidence=confidence,
        badge=CONFIDENCE_BADGES.get(confidence, "mute"),
        passed=qc.get("structure_passed"),
        flagged=percent(float(qc["flagged_share"])) if "flagged_share" in qc else "",
        n_warnings=len(warnings_of_making(made)),
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
