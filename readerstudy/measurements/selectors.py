"""Who may see the regions, where they lie, and what they measured."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.db.models import Max

from readerstudy.accounts.models import User
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.selectors import on_the_controls_grid
from readerstudy.studies.models import Arm, Membership, Role, Study, Tissue
from readerstudy.studies.selectors import unread_arms

from .models import FIRST_OBSERVER, SECOND_OBSERVER, Measurement, Placing, Region


def reads_blinded(user: User | None, study: Study) -> bool:
    """Whether the person reads in the study and it is not locked yet.

    The measuring pages show every arm under its name. Who holds both roles keeps blind: as long as
    scores can change, the coordinator's role does not open these pages.
    """
    if user is None or study.is_locked:
        return False
    return Membership.objects.filter(study=study, user=user, role=Role.READER).exists()


def latest_regions(volunteer: Volunteer, observer: int = FIRST_OBSERVER) -> list[Region]:
    """The counting region of each tissue, in protocol order."""
    regions = (
        volunteer.regions.filter(observer=observer)
        .select_related("tissue")
        .order_by("tissue__position", "revision")
    )
    latest: dict[int, Region] = {region.tissue_id: region for region in regions}
    return list(latest.values())


def latest_region(
    volunteer: Volunteer, tissue: Tissue, observer: int = FIRST_OBSERVER
) -> Region | None:
    regions = volunteer.regions.filter(tissue=tissue, observer=observer)
    return regions.order_by("-revision").first()


def measured_arms(volunteer: Volunteer) -> list[Arm]:
    """The arms with images on the control's grid, the control first, then in protocol order."""
    arms = [series.arm for series in on_the_controls_grid(volunteer)]
    return sorted(arms, key=lambda arm: (not arm.is_control, arm.position, arm.pk))


@dataclass(frozen=True)
class VolunteerProgress:
    code: str
    placed: int
    total: int
    has_control: bool
    tissues: list[tuple[str, bool]]  # name, placed
    frozen: bool = False
    unblinded: bool = False
    reopened: bool = False
    second: int = 0  # regions of the second observer
    second_frozen: bool = False

    @property
    def is_done(self) -> bool:
        return self.placed == self.total


def volunteers_progress(study: Study) -> list[VolunteerProgress]:
    """Volunteers × tissues: what is placed."""
    tissues = list(study.tissues.all())
    placed: dict[tuple[int, int], set[int]] = defaultdict(set)
    for volunteer, observer, tissue in Region.objects.filter(volunteer__study=study).values_list(
        "volunteer_id", "observer", "tissue_id"
    ):
        placed[volunteer, observer].add(tissue)
    placings = {
        (p.volunteer_id, p.observer): p for p in Placing.objects.filter(volunteer__study=study)
    }
    with_control = set(
        Series.objects.filter(volunteer__study=study, arm__is_control=True).values_list(
            "volunteer_id", flat=True
        )
    )
    lines = []
    for own in study.volunteers.all():
        mine = placed[own.pk, FIRST_OBSERVER]
        placing = placings.get((own.pk, FIRST_OBSERVER)) or Placing()
        other = placings.get((own.pk, SECOND_OBSERVER)) or Placing()
        lines.append(
            VolunteerProgress(
                code=own.code,
                placed=len(mine),
                total=len(tissues),
                has_control=own.pk in with_control,
                tissues=[(tissue.name, tissue.pk in mine) for tissue in tissues],
                frozen=placing.is_frozen,
                unblinded=placing.unblinded,
                reopened=placing.reopened > 0,
                second=len(placed[own.pk, SECOND_OBSERVER]),
                second_frozen=other.is_frozen,
            )
        )
    return lines


def region_record(
    region: Region, *, figures: bool, ratios: dict[tuple[int, int], Any] | None = None
) -> dict[str, Any]:
    """A region as the measuring page reads it; with `figures` what it measures in every arm."""
    measurements = (
        region.measurements.select_related("arm").order_by("-arm__is_control", "arm__position")
        if figures
        else []
    )
    return {
        "tissue": region.tissue.code,
        "slice_index": region.slice_index,
        "centre": region.centre,
        "semi_axes_mm": region.semi_axes_mm,
        "angle_deg": region.angle_deg,
        "revision": region.revision,
        "measurements": [
            {
                "arm": measurement.arm.code,
                "n_pixels": measurement.n_pixels,
                "mean": measurement.mean,
                "sd": measurement.sd,
                "area_mm2": measurement.area_mm2,
                "counted_area_mm2": measurement.counted_area_mm2,
                "snr": None,
                "cnr": None,
                "warnings": measurement.warnings,
                **(ratios or {}).get((measurement.tissue_id, measurement.arm_id), {}),
            }
            for measurement in measurements
        ],
    }


def unmeasured(study: Study) -> int:
    """How many cells of volunteer × arm × tissue have no counting measurement yet."""
    arms = study.arms.count() - len(unread_arms(study))
    cells = study.volunteers.count() * arms * study.tissues.count()
    return cells - len(region_rows(study))


def has_imported(study: Study) -> bool:
    """Whether measurements were brought in from a table: they have no region."""
    return Measurement.objects.filter(volunteer__study=study, region=None).exists()


def region_rows(study: Study, observer: int = FIRST_OBSERVER) -> list[dict[str, Any]]:
    """The counting measurements of one observer, one row each, for a data frame.

    Columns: volunteer, arm, tissue (codes), mean, sd, n_pixels, area_mm2, n_zero, n_at_limits,
    revision, origin; the counts are None where another tool measured. All arms of a volunteer's
    tissue are of one revision, the highest: an arm not measured since the region was moved has no
    row.
    """
    counting = {
        (row["volunteer"], row["tissue"]): row["highest"]
        for row in Measurement.objects.filter(volunteer__study=study, observer=observer)
        .order_by()
        .values("volunteer", "tissue")
        .annotate(highest=Max("revision"))
    }
    measurements = (
        Measurement.objects.filter(volunteer__study=study, observer=observer)
        .select_related("volunteer", "arm", "tissue")
        .order_by("volunteer__code", "tissue__position", "arm__position", "arm_id")
    )
    return [
        {
            "volunteer": measurement.volunteer.code,
            "arm": measurement.arm.code,
            "tissue": measurement.tissue.code,
            "mean": measurement.mean,
            "sd": measurement.sd,
            "n_pixels": measurement.n_pixels,
            "area_mm2": measurement.area_mm2,
            "n_zero": measurement.n_zero,
            "n_at_limits": measurement.n_at_limits,
            "revision": measurement.revision,
            "origin": measurement.origin,
        }
        for measurement in measurements
        if measurement.revision == counting[measurement.volunteer_id, measurement.tissue_id]
    ]


def regions_placed(study: Study) -> tuple[int, int]:
    """How many of the study's regions are placed, and how many there are to place."""
    total = study.volunteers.count() * study.tissues.count()
    placed = Region.objects.filter(volunteer__study=study, observer=FIRST_OBSERVER).order_by()
    return placed.values("volunteer", "tissue").distinct().count(), total
