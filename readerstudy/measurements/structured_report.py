"""Regions and what they measured as DICOM: one Comprehensive 3D SR an arm, template TID 1500.

Regions are ellipses in patient coordinates (SCOORD3D), so that they hold on whatever image shares
the frame of reference; mean, SD, area, number of pixels, SNR and CNR stand beside each. The
documents name study code and arm, no person.
"""

from __future__ import annotations

import io
import logging
import math
import uuid
import zipfile
from typing import Any

import highdicom as hd
import numpy as np
from django.core.files.storage import default_storage
from highdicom import sr
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from readerstudy.imaging.geometry import Geometry
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.selectors import control_series, geometry_of

from .errors import MeasurementError
from .figures import measured_figures, noise_estimate_of
from .models import FIRST_OBSERVER, Measurement, Region
from .selectors import latest_regions

# It says which attributes it copies from where.
logging.getLogger("highdicom").setLevel(logging.WARNING)

SCHEME = "99READERSTUDY"
MANUFACTURER = "ReaderStudy"
PIXELS = hd.sr.CodedConcept("NPIX", SCHEME, "Number of pixels")
CNR = hd.sr.CodedConcept("CNR", SCHEME, "Contrast to noise ratio")
ONE = hd.sr.CodedConcept("1", "UCUM", "no units")
SIGNAL = hd.sr.CodedConcept("SIGNAL", SCHEME, "MR signal intensity")
ARBITRARY = hd.sr.CodedConcept("[arb'U]", "UCUM", "arbitrary unit")
# A number of 2.25 is a UUID: the same regions give the same report.
UID_ROOT = "2.25."


def structured_reports(volunteer: Volunteer, observer: int = FIRST_OBSERVER) -> bytes:
    """A zip with one report an arm. Raises MeasurementError when there is nothing to report."""
    regions = latest_regions(volunteer, observer)
    control = control_series(volunteer)
    if not regions or control is None:
        raise MeasurementError(f"No region of {volunteer.code} is placed yet.")
    grid = geometry_of(control)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        stored = Series.objects.filter(volunteer=volunteer).select_related("arm")
        for number, series in enumerate(stored.order_by("arm__position"), start=1):
            report = report_of(series, regions, grid, number)
            if report is not None:
                content = io.BytesIO()
                report.save_as(content, enforce_file_format=True)
                name = f"{volunteer.code}_{series.arm.code}_observer{observer}.dcm"
                archive.writestr(name, content.getvalue())
    return buffer.getvalue()


def report_of(
    series: Series, regions: list[Region], grid: Geometry, number: int
) -> sr.Comprehensive3DSR | None:
    """The report of one arm; None if no region was measured in it."""
    measured = {
        m.region_id: m for m in Measurement.objects.filter(region__in=regions, series=series)
    }
    own = [region for region in regions if region.pk in measured]
    if not own:
        return None
    ratios = measured_figures(own, noise_estimate_of(series.volunteer.study))
    images = {index: _image(series, index) for index in sorted({r.slice_index for r in own})}
    groups = [
        _group(region, measured[region.pk], images[region.slice_index], grid, ratios)
        for region in own
    ]
    context = sr.ObservationContext(
        observer_person_context=sr.ObserverContext(
            observer_type=codes.DCM.Person,
            observer_identifying_attributes=sr.PersonObserverIdentifyingAttributes(
                name=f"Observer^{own[0].observer}"
            ),
        )
    )
    content = sr.MeasurementReport(
        observation_context=context,
        procedure_reported=hd.sr.CodedConcept("113091000", "SCT", "Magnetic resonance imaging"),
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
        referenced_images=list(images.values()),
    )
    revision = "-".join(str(region.pk) for region in own)
    report = sr.Comprehensive3DSR(
        evidence=list(images.values()),
        content=content[0],
        series_number=900 + number,
        series_instance_uid=_uid(f"series {series.pk} {own[0].observer}"),
        sop_instance_uid=_uid(f"report {series.pk} {revision}"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
    )
    report.SeriesDescription = f"Regions, {series.arm.code}"
    return report


def _uid(name: str) -> str:
    return f"{UID_ROOT}{uuid.uuid5(uuid.NAMESPACE_OID, name).int}"


def _image(series: Series, index: int) -> Dataset:
    with default_storage.open(f"{series.prefix}/dicom/{index + 1:04d}.dcm") as handle:
        image = dcmread(handle, stop_before_pixels=True)
    # A code alone is a family name: the caret says that no other part is missing.
    image.PatientName = f"{series.volunteer.code}^"
    return image


def _group(
    region: Region,
    measured: Measurement,
    image: Dataset,
    grid: Geometry,
    ratios: dict[tuple[int, int], Any],
) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    source = sr.SourceImageForMeasurement.from_source_image(image)

    def value(name: Any, number: float, unit: Any, derivation: Any = None) -> sr.Measurement:
        return sr.Measurement(
            name=name, value=number, unit=unit, derivation=derivation, referenced_images=[source]
        )

    values = [
        value(SIGNAL, measured.mean, ARBITRARY, codes.SCT.Mean),
        value(SIGNAL, measured.sd, ARBITRARY, codes.SCT.StandardDeviation),
        value(codes.SCT.Area, measured.area_mm2, codes.UCUM.SquareMillimeter),
        value(PIXELS, measured.n_pixels, ONE),
    ]
    ratio = ratios.get((region.tissue_id, measured.arm_id), {})
    if ratio.get("snr") is not None:
        values.append(value(codes.DCM.SignalToNoiseRatio, ratio["snr"], ONE))
    if ratio.get("cnr") is not None:
        values.append(value(CNR, ratio["cnr"], ONE))
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=_uid(f"region {region.volunteer_id} {region.tissue_id} {region.observer}"),
            identifier=region.tissue.code,
        ),
        referenced_region=sr.ImageRegion3D(
            graphic_type=sr.GraphicTypeValues3D.ELLIPSE,
            graphic_data=ellipse_points(region, grid),
            frame_of_reference_uid=str(image.FrameOfReferenceUID),
        ),
        finding_type=hd.sr.CodedConcept(region.tissue.code[:16], SCHEME, region.tissue.name),
        measurements=values,
    )


def ellipse_points(region: Region, grid: Geometry) -> np.ndarray:
    """The ends of the long axis, then of the short one, LPS mm: [4, 3] (PS3.3 C.18.9.1.2)."""
    (a, b), turn = region.semi_axes_mm, math.radians(region.angle_deg)
    along, down = np.asarray(grid.row_direction), np.asarray(grid.column_direction)
    first = math.cos(turn) * along + math.sin(turn) * down
    second = -math.sin(turn) * along + math.cos(turn) * down
    axes = [(a, first), (b, second)]
    if b > a:
        axes.reverse()
    centre = np.asarray(region.centre, dtype=float)
    return np.array([centre + sign * length * way for length, way in axes for sign in (-1.0, 1.0)])
