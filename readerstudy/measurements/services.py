"""Placing regions and measuring them in every arm, from stored values, on the server.

A region is never changed: moving it adds a revision, which is measured in all arms at once. An
`actor` of `None` is the platform itself (a command run by whoever owns the machine).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Max

from analysis.regions import EllipseRegion
from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.selectors import (
    control_series,
    geometry_of,
    load_volume,
    on_the_controls_grid,
)
from readerstudy.studies.models import Study, Tissue
from readerstudy.studies.services import check_not_locked, lock_study

from .ellipses import Ellipse, centre_of_pixel, measure, pixels_of, warnings_for
from .errors import MeasurementError, RegionConflict
from .figures import noise_estimate_of
from .models import FIRST_OBSERVER, OBSERVERS, Measurement, Region
from .placing import check_may_measure, check_not_frozen, check_observer, placing_of
from .selectors import latest_region, latest_regions


def check_place_region(
    volunteer: Volunteer,
    tissue: Tissue,
    ellipse: Ellipse,
    actor: User | None,
    observer: int = FIRST_OBSERVER,
) -> EllipseRegion:
    """The pixels that the region would hold. Raises MeasurementError, StudyError, PermissionDenied.

    Hold the study's row (`lock_study`) when the region is to be placed.
    """
    check_may_measure(volunteer.study, actor)
    check_not_locked(volunteer.study)
    check_observer(volunteer, observer, actor)
    check_not_frozen(placing_of(volunteer, observer))
    if tissue.study_id != volunteer.study_id:
        raise MeasurementError("There is no such tissue in this study.")
    control = control_series(volunteer)
    if control is None:
        raise MeasurementError(f"{volunteer.code} has no images of the control to place it on.")
    return pixels_of(ellipse, geometry_of(control))


@transaction.atomic
def do_place_region(
    volunteer: Volunteer,
    tissue: Tissue,
    ellipse: Ellipse,
    actor: User | None,
    *,
    revision: int | None = None,
    observer: int = FIRST_OBSERVER,
) -> Region:
    """Place or move the region of a tissue and measure it in all arms of the volunteer.

    `revision` is the one that the page showed, 0 for none; None takes whatever stands.
    """
    volunteer = _held(volunteer)
    pixels = check_place_region(volunteer, tissue, ellipse, actor, observer)
    last = latest_region(volunteer, tissue, observer)
    stored = last.revision if last is not None else 0
    if revision is not None and revision != stored:
        raise RegionConflict(stored)
    if last is not None and _ellipse_of(last) == ellipse:
        return last
    # Imported measurements have revisions without a region.
    measured = Measurement.objects.filter(volunteer=volunteer, tissue=tissue, observer=observer)
    highest = measured.aggregate(highest=Max("revision"))["highest"] or 0
    placing = placing_of(volunteer, observer)
    region = Region.objects.create(
        volunteer=volunteer,
        tissue=tissue,
        observer=observer,
        unblinded=placing.unblinded or placing.reopened > 0,
        revision=max(stored, highest) + 1,
        slice_index=ellipse.slice_index,
        centre=list(ellipse.centre),
        semi_axes_mm=list(ellipse.semi_axes_mm),
        angle_deg=ellipse.angle_deg,
        placed_by=actor,
    )
    made = _measure_region(region, pixels, on_the_controls_grid(volunteer))
    record(
        "measurements.region.placed" if last is None else "measurements.region.moved",
        actor,
        study_id=volunteer.study_id,
        subject=region,
        old=_geometry_json(last) if last is not None else None,
        new={**_geometry_json(region), "arms_measured": len(made)},
    )
    return region


def _held(volunteer: Volunteer) -> Volunteer:
    """The volunteer with the study's row as it stands now, held until the transaction ends."""
    study = lock_study(volunteer.study)
    held = Volunteer.objects.get(pk=volunteer.pk)
    held.study = study
    return held


def _ellipse_of(region: Region) -> Ellipse:
    return Ellipse.from_values(
        region.slice_index, region.centre, region.semi_axes_mm, region.angle_deg
    )


def _geometry_json(region: Region) -> dict[str, Any]:
    return {
        "volunteer": region.volunteer.code,
        "tissue": region.tissue.code,
        "observer": region.observer,
        "unblinded": region.unblinded,
        "revision": region.revision,
        "slice_index": region.slice_index,
        "centre": region.centre,
        "semi_axes_mm": region.semi_axes_mm,
        "angle_deg": region.angle_deg,
    }


def _measure_region(
    region: Region, pixels: EllipseRegion, series: Sequence[Series]
) -> list[Measurement]:
    """The same pixels in each of the series, which lie on the control's grid."""
    estimate = noise_estimate_of(region.volunteer.study)
    made: list[Measurement] = []
    for one in series:
        measured = measure(load_volume(one)[region.slice_index], pixels)
        made.append(
            Measurement(
                volunteer=region.volunteer,
                arm=one.arm,
                tissue=region.tissue,
                region=region,
                series=one,
                observer=region.observer,
                revision=region.revision,
                n_pixels=measured.n_pixels,
                mean=measured.mean,
                sd=measured.sd,
                area_mm2=measured.area_ellipse_mm2,
                counted_area_mm2=measured.area_pixels_mm2,
                n_zero=measured.n_zero,
                n_at_limits=measured.n_at_limits,
                warnings=warnings_for(
                    measured,
                    is_air=region.tissue.purpose == Tissue.Purpose.AIR,
                    processed=one.arm.is_derived,
                    estimate=estimate,
                    wanted_mm2=region.tissue.area_mm2,
                ),
            )
        )
    return Measurement.objects.bulk_create(made)


@transaction.atomic
def do_measure_missing(study: Study, actor: User | None = None) -> int:
    """Measure the counting regions in every arm that came after them; how many were measured."""
    check_may_measure(study, actor)
    study = lock_study(study)
    check_not_locked(study)
    return sum(_measure_late(volunteer, actor) for volunteer in study.volunteers.all())


def _measure_late(volunteer: Volunteer, actor: User | None) -> int:
    control = control_series(volunteer)
    if control is None:
        return 0
    total = 0
    there = on_the_controls_grid(volunteer)
    regions = [one for observer in OBSERVERS for one in latest_regions(volunteer, observer)]
    for region in regions:
        done = set(region.measurements.values_list("arm_id", flat=True))
        late = [one for one in there if one.arm_id not in done]
        if not late:
            continue
        made = _measure_region(region, pixels_of(_ellipse_of(region), geometry_of(control)), late)
        total += len(made)
        record(
            "measurements.region.measured",
            actor,
            study_id=volunteer.study_id,
            subject=region,
            new={
                "volunteer": volunteer.code,
                "tissue": region.tissue.code,
                "revision": region.revision,
                "arms": sorted(one.arm.code for one in made),
            },
        )
    return total


def do_place_regions_from_file(
    volunteer: Volunteer, regions: Mapping[str, Mapping[str, Any]], actor: User | None
) -> list[Region]:
    """Place a volunteer's regions from data of a file, all or none.

    `regions` is {tissue code: {"slice", "row", "column", "semi_axes_mm": [along the rows, down the
    columns], "angle_deg"}}; indices count from 0 and may be fractions of a pixel.
    """
    control = control_series(volunteer)
    if control is None:
        raise MeasurementError(f"{volunteer.code} has no images of the control to place it on.")
    grid = geometry_of(control)
    tissues = {tissue.code: tissue for tissue in Tissue.objects.filter(study=volunteer.study_id)}
    placed: list[Region] = []
    with transaction.atomic():
        for code, values in regions.items():
            if code not in tissues:
                raise MeasurementError(f"{volunteer.code}: the study has no tissue “{code}”.")
            try:
                index = values["slice"]
                ellipse = Ellipse.from_values(
                    index,
                    centre_of_pixel(grid, int(index), values["row"], values["column"]),
                    values["semi_axes_mm"],
                    values.get("angle_deg", 0.0),
                )
                placed.append(do_place_region(volunteer, tissues[code], ellipse, actor))
            except KeyError as missing:
                raise MeasurementError(
                    f"{volunteer.code}, {code}: {missing.args[0]} is missing."
                ) from None
            except MeasurementError as error:
                raise MeasurementError(f"{volunteer.code}, {code}: {error}") from None
    return placed


# --- What imaging tells ---------------------------------------------------------------------------


def measure_stored_series(study: Study, series: Sequence[Series], actor: User | None) -> None:
    """Regions that stand already are measured in series that come later. See `imaging.hooks`."""
    volunteers = {one.volunteer_id: one.volunteer for one in series}
    placed = Region.objects.filter(volunteer__in=volunteers).values_list("volunteer_id", flat=True)
    for key in set(placed):
        _measure_late(volunteers[key], actor)


def discard_measurements_of(series: Series, actor: User | None, prefixes: list[str]) -> None:
    """Before a series of a draft goes, its measurements go.

    With the control go the regions of the volunteer: they were placed on that very image. After
    the launch images go only when a volunteer withdraws: what was measured by then stays.
    """
    volunteer = series.volunteer
    if not volunteer.study.is_draft:
        Measurement.objects.filter(series=series).update(series=None)
        return
    measurements = Measurement.objects.filter(series=series)
    if series.arm.is_control:
        measurements = Measurement.objects.filter(volunteer=volunteer, region__isnull=False)
    n_measurements = measurements.count()
    measurements.delete()
    regions = Region.objects.filter(volunteer=volunteer) if series.arm.is_control else None
    n_regions = regions.count() if regions is not None else 0
    if regions is not None:
        regions.delete()
        volunteer.placings.all().delete()
    if n_measurements or n_regions:
        record(
            "measurements.regions.discarded" if n_regions else "measurements.series.discarded",
            actor,
            study_id=volunteer.study_id,
            subject=volunteer,
            old={
                "volunteer": volunteer.code,
                "arm": series.arm.code,
                "measurements": n_measurements,
                "region_revisions": n_regions,
            },
            why="The series was deleted.",
        )
