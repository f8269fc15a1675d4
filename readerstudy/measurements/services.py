"""Placing regions and measuring them in every arm, from stored values, on the server.

A region is never changed: moving it adds a revision, which is measured in all arms at once. An
`actor` of `None` is the platform itself (a command run by whoever owns the machine). Images are
read before the transaction in which a region is placed: see `imaging.readings`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Max

from analysis.regions import EllipseRegion
from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.imaging.geometry import Geometry, differences
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.readings import Readings, having_read
from readerstudy.imaging.selectors import (
    control_series,
    geometry_of,
    on_the_controls_grid,
)
from readerstudy.studies.models import Study, Tissue
from readerstudy.studies.services import check_not_locked, lock_study

from .ellipses import Ellipse, centre_of_pixel, pixels_of
from .errors import MeasurementError, RegionConflict
from .measuring import ellipse_of, measure_region, want_measured
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

    def place(readings: Readings) -> Region:
        with transaction.atomic():
            asked = _asked(_held(volunteer), tissue, ellipse, actor, revision, observer)
            _want(asked, readings)
            readings.demand()
            return _place(asked, actor, readings)

    return having_read(place)


@dataclass(frozen=True)
class _Asked:
    """A region that may be placed, and the revision that stands."""

    volunteer: Volunteer
    tissue: Tissue
    ellipse: Ellipse
    observer: int
    pixels: EllipseRegion
    last: Region | None

    @property
    def stands(self) -> Region | None:
        """The very region, where it is placed already."""
        last = self.last
        return last if last is not None and ellipse_of(last) == self.ellipse else None


def _asked(
    volunteer: Volunteer,
    tissue: Tissue,
    ellipse: Ellipse,
    actor: User | None,
    revision: int | None,
    observer: int,
) -> _Asked:
    pixels = check_place_region(volunteer, tissue, ellipse, actor, observer)
    last = latest_region(volunteer, tissue, observer)
    stored = last.revision if last is not None else 0
    if revision is not None and revision != stored:
        raise RegionConflict(stored)
    return _Asked(volunteer, tissue, ellipse, observer, pixels, last)


def _want(asked: _Asked, readings: Readings) -> None:
    if asked.stands is None:
        for series in on_the_controls_grid(asked.volunteer):
            want_measured(series, asked.ellipse, asked.pixels, readings)


def _place(asked: _Asked, actor: User | None, readings: Readings) -> Region:
    """Inside a transaction that holds the study's row."""
    if asked.stands is not None:
        return asked.stands
    volunteer, tissue, observer = asked.volunteer, asked.tissue, asked.observer
    ellipse, last = asked.ellipse, asked.last
    # Imported measurements have revisions without a region.
    measured = Measurement.objects.filter(volunteer=volunteer, tissue=tissue, observer=observer)
    highest = measured.aggregate(highest=Max("revision"))["highest"] or 0
    placing = placing_of(volunteer, observer)
    region = Region.objects.create(
        volunteer=volunteer,
        tissue=tissue,
        observer=observer,
        unblinded=placing.unblinded or placing.reopened > 0,
        revision=max(last.revision if last is not None else 0, highest) + 1,
        slice_index=ellipse.slice_index,
        centre=list(ellipse.centre),
        semi_axes_mm=list(ellipse.semi_axes_mm),
        angle_deg=ellipse.angle_deg,
        placed_by=actor,
    )
    made = measure_region(region, asked.pixels, on_the_controls_grid(volunteer), readings)
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


def do_measure_missing(study: Study, actor: User | None = None) -> int:
    """Measure the counting regions in every arm that came after them; how many were measured."""

    def measure(readings: Readings) -> int:
        with transaction.atomic():
            check_may_measure(study, actor)
            held = lock_study(study)
            check_not_locked(held)
            for volunteer in held.volunteers.all():
                _want_late(volunteer, readings)
            readings.demand()
            return sum(
                _measure_late(volunteer, actor, readings) for volunteer in held.volunteers.all()
            )

    return having_read(measure)


def _late(
    volunteer: Volunteer, grid: Geometry, there: Sequence[Series]
) -> Iterator[tuple[Region, EllipseRegion, list[Series]]]:
    """Each counting region that came before some of the series, with its pixels, and those."""
    for observer in OBSERVERS:
        for region in latest_regions(volunteer, observer):
            done = set(region.measurements.values_list("arm_id", flat=True))
            late = [one for one in there if one.arm_id not in done]
            if late:
                yield region, pixels_of(ellipse_of(region), grid), late


def _want_late(volunteer: Volunteer, readings: Readings) -> None:
    control = control_series(volunteer)
    if control is not None:
        want_measured_late(volunteer, control, on_the_controls_grid(volunteer), readings)


def _measure_late(volunteer: Volunteer, actor: User | None, readings: Readings) -> int:
    control = control_series(volunteer)
    if control is None:
        return 0
    total = 0
    late_ones = list(_late(volunteer, geometry_of(control), on_the_controls_grid(volunteer)))
    for region, pixels, late in late_ones:
        made = measure_region(region, pixels, late, readings)
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
    ellipses: dict[str, Ellipse] = {}
    for code, values in regions.items():
        if code not in tissues:
            raise MeasurementError(f"{volunteer.code}: the study has no tissue “{code}”.")
        with _told_of(volunteer, code):
            index = values["slice"]
            ellipses[code] = Ellipse.from_values(
                index,
                centre_of_pixel(grid, int(index), values["row"], values["column"]),
                values["semi_axes_mm"],
                values.get("angle_deg", 0.0),
            )

    def place(readings: Readings) -> list[Region]:
        with transaction.atomic():
            held = _held(volunteer)
            asked: list[_Asked] = []
            for code, ellipse in ellipses.items():
                with _told_of(volunteer, code):
                    asked.append(_asked(held, tissues[code], ellipse, actor, None, FIRST_OBSERVER))
                _want(asked[-1], readings)
            readings.demand()
            return [_place(one, actor, readings) for one in asked]

    return having_read(place)


@contextmanager
def _told_of(volunteer: Volunteer, tissue: str) -> Iterator[None]:
    """What is wrong with a region of a file, with the place it has there."""
    try:
        yield
    except KeyError as missing:
        raise MeasurementError(
            f"{volunteer.code}, {tissue}: {missing.args[0]} is missing."
        ) from None
    except MeasurementError as error:
        raise MeasurementError(f"{volunteer.code}, {tissue}: {error}") from None


# --- What imaging tells ---------------------------------------------------------------------------


def want_measured_late(
    volunteer: Volunteer, control: Series, series: Sequence[Series], readings: Readings
) -> None:
    """Ask for what `measure_stored_series` will need of series to come. See `imaging.hooks`."""
    if volunteer.pk is None:  # not stored yet: without regions
        return
    grid = geometry_of(control)
    there = [one for one in series if not differences(grid, geometry_of(one))]
    for region, pixels, late in _late(volunteer, grid, there):
        for one in late:
            want_measured(one, ellipse_of(region), pixels, readings)


def measure_stored_series(
    study: Study, series: Sequence[Series], actor: User | None, readings: Readings
) -> None:
    """Regions that stand already are measured in series that come later. See `imaging.hooks`."""
    volunteers = {one.volunteer_id: one.volunteer for one in series}
    placed = Region.objects.filter(volunteer__in=volunteers).values_list("volunteer_id", flat=True)
    for key in set(placed):
        _measure_late(volunteers[key], actor, readings)


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
