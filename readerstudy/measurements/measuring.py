"""What a region measures in a series: read from storage beforehand, kept with the region."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial

from analysis.regions import EllipseRegion, RegionStatistics
from readerstudy.imaging.models import Series
from readerstudy.imaging.readings import Readings
from readerstudy.imaging.selectors import load_slice
from readerstudy.studies.models import Tissue

from .ellipses import Ellipse, measure, warnings_for
from .figures import noise_estimate_of
from .models import Measurement, Region


def ellipse_of(region: Region) -> Ellipse:
    return Ellipse.from_values(
        region.slice_index, region.centre, region.semi_axes_mm, region.angle_deg
    )


def want_measured(
    series: Series, ellipse: Ellipse, pixels: EllipseRegion, readings: Readings
) -> None:
    """Ask for what the region measures in a series on the control's grid."""
    readings.want(_key(series, ellipse, pixels), partial(_read, series, ellipse, pixels))


def _measured_in(
    series: Series, ellipse: Ellipse, pixels: EllipseRegion, readings: Readings
) -> RegionStatistics:
    return readings.of(_key(series, ellipse, pixels), partial(_read, series, ellipse, pixels))


def _key(series: Series, ellipse: Ellipse, pixels: EllipseRegion) -> Hashable:
    """The same pixels of the same content, whichever grid the ellipse was placed on."""
    area = (pixels.area_ellipse_mm2, pixels.area_pixels_mm2)
    return ("region", series.volume_sha256, ellipse.slice_index, pixels.mask.tobytes(), *area)


def _read(series: Series, ellipse: Ellipse, pixels: EllipseRegion) -> RegionStatistics:
    return measure(load_slice(series, ellipse.slice_index), pixels)


def measure_region(
    region: Region, pixels: EllipseRegion, series: Sequence[Series], readings: Readings
) -> list[Measurement]:
    """The same pixels in each of the series, which lie on the control's grid."""
    estimate = noise_estimate_of(region.volunteer.study)
    ellipse = ellipse_of(region)
    made: list[Measurement] = []
    for one in series:
        measured = _measured_in(one, ellipse, pixels, readings)
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
