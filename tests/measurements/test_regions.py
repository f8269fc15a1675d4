"""Regions: one geometry a volunteer, the same pixels in every arm, figures from stored values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from django.core.exceptions import PermissionDenied
from hypothesis import given, settings
from hypothesis import strategies as st

from readerstudy.audit.models import Event
from readerstudy.imaging.geometry import Geometry
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.selectors import control_series, geometry_of, load_volume
from readerstudy.imaging.services import do_delete_series, do_store_series
from readerstudy.measurements.ellipses import Ellipse, centre_of_pixel, pixels_of
from readerstudy.measurements.errors import MeasurementError, RegionConflict
from readerstudy.measurements.models import Measurement, Region
from readerstudy.measurements.selectors import (
    latest_region,
    region_rows,
    regions_placed,
    unmeasured,
    volunteers_progress,
)
from readerstudy.measurements.services import (
    do_measure_missing,
    do_place_region,
    do_place_regions_from_file,
)
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study, Tissue
from readerstudy.studies.services import do_add_member
from tests.factories import make_administrator, make_coordinator, make_reader, make_statistician
from tests.reading.imaged_study import datasets_of, make_imaged_study, volume_of

pytestmark = pytest.mark.usefixtures("storage_apart")

CIRCLE = (math.sqrt(30 / math.pi), math.sqrt(30 / math.pi))


@pytest.fixture
def study(db: None) -> Study:
    return make_imaged_study(volunteers=2)


@pytest.fixture
def volunteer(study: Study) -> Volunteer:
    return Volunteer.objects.get(study=study, code="V01")


def tissue(study: Study, code: str = "vertebra") -> Tissue:
    return study.tissues.get(code=code)


def ellipse_at(volunteer: Volunteer, slice_index: int, row: float, column: float) -> Ellipse:
    control = control_series(volunteer)
    assert control is not None
    centre = list(centre_of_pixel(geometry_of(control), slice_index, row, column))
    return Ellipse.from_values(slice_index, centre, list(CIRCLE), 0.0)


def place(volunteer: Volunteer, code: str = "vertebra", row: float = 16, column: float = 11) -> Any:
    ellipse = ellipse_at(volunteer, 1, row, column)
    return do_place_region(volunteer, tissue(volunteer.study, code), ellipse, None)


def test_a_region_is_measured_in_every_arm_from_the_same_pixels(volunteer: Volunteer) -> None:
    place(volunteer)
    rows, columns = np.mgrid[:32, :24]
    # 1.5 mm between rows, 1 mm between columns: a circle in mm, not in pixels.
    inside = ((rows - 16) * 1.5) ** 2 + (columns - 11.0) ** 2 <= 30 / math.pi
    assert inside.sum() == 19
    measurements = Measurement.objects.select_related("series__arm").order_by("arm__position")
    assert [m.arm.code for m in measurements] == ["STD", "DF", "DLR_DF", "TF", "DLR_TF"]
    for index, measurement in enumerate(measurements):
        values = volume_of(0, index)[1][inside].astype(float)
        assert measurement.n_pixels == 19
        assert measurement.mean == pytest.approx(values.mean(), rel=1e-12)
        assert measurement.sd == pytest.approx(values.std(ddof=1), rel=1e-12)
        assert measurement.area_mm2 == pytest.approx(30.0)
        assert measurement.counted_area_mm2 == pytest.approx(19 * 1.5)


def test_display_factors_never_touch_a_measurement(volunteer: Volunteer) -> None:
    before = place(volunteer).measurements.get(arm__code="DF").mean
    Series.objects.update(display_factor=7.5)
    Volunteer.objects.update(display={"scale": 99.0, "center": 1, "width": 1})
    moved = place(volunteer, row=17)
    back = place(volunteer, row=16)
    assert back.revision == 3
    assert moved.measurements.get(arm__code="DF").mean != before
    assert back.measurements.get(arm__code="DF").mean == before


def test_moving_a_region_adds_a_revision_and_keeps_the_old_figures(volunteer: Volunteer) -> None:
    first = place(volunteer)
    second = place(volunteer, row=17)
    assert (first.revision, second.revision) == (1, 2)
    assert Measurement.objects.count() == 10
    assert {row["revision"] for row in region_rows(volunteer.study)} == {2}
    placed, moved = Event.objects.filter(action__startswith="measurements.region").order_by(
        "sequence"
    )
    assert placed.action == "measurements.region.placed"
    assert moved.action == "measurements.region.moved"
    assert moved.old["centre"] == first.centre
    assert moved.new["centre"] == second.centre
    assert moved.new["arms_measured"] == 5


def test_placing_a_region_where_it_is_adds_nothing(volunteer: Volunteer) -> None:
    assert place(volunteer) == place(volunteer)
    assert Region.objects.count() == 1


def test_a_region_moved_elsewhere_meanwhile_is_a_conflict(volunteer: Volunteer) -> None:
    place(volunteer)
    with pytest.raises(RegionConflict) as conflict:
        do_place_region(
            volunteer, tissue(volunteer.study), ellipse_at(volunteer, 1, 17, 11), None, revision=0
        )
    assert conflict.value.revision == 1


def test_a_series_that_comes_later_is_measured_in_the_standing_regions(
    study: Study, volunteer: Volunteer
) -> None:
    place(volunteer)
    place(volunteer, row=17)
    series = Series.objects.get(volunteer=volunteer, arm__code="DLR_DF")
    arm = series.arm
    do_delete_series(series, None)
    assert {row["arm"] for row in region_rows(study)} == {"STD", "DF", "TF", "DLR_TF"}
    do_store_series(volunteer, arm, list(datasets_of(volume_of(0, 2), 0, "DLR_DF")))
    late = Measurement.objects.get(arm=arm, volunteer=volunteer)
    assert late.revision == 2
    assert Event.objects.filter(action="measurements.region.measured").count() == 1


def test_measure_missing_fills_every_gap_and_only_gaps(study: Study, volunteer: Volunteer) -> None:
    place(volunteer)
    place(volunteer, "csf", row=14)
    whole = region_rows(study)
    Measurement.objects.filter(arm__code="DF").delete()
    assert do_measure_missing(study) == 2
    assert do_measure_missing(study) == 0
    assert region_rows(study) == whole


def test_with_the_control_go_the_regions_that_were_placed_on_it(volunteer: Volunteer) -> None:
    place(volunteer)
    control = control_series(volunteer)
    assert control is not None
    do_delete_series(control, None)
    assert not Region.objects.exists()
    assert not Measurement.objects.exists()
    event = Event.objects.get(action="measurements.regions.discarded")
    assert event.old["region_revisions"] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"slice_index": 3}, "no slice 4: the case has 3 slices"),
        ({"slice_index": -1}, "no slice 0"),
        ({"slice_index": 0}, "does not lie on the slice"),
        ({"semi_axes_mm": (0.1, 0.1)}, "single pixel"),
        ({"semi_axes_mm": (80.0, 80.0)}, "over the edge"),
    ],
)
def test_a_region_that_cannot_be_measured_is_refused(
    volunteer: Volunteer, change: dict[str, Any], words: str
) -> None:
    whole = ellipse_at(volunteer, 1, 16, 11)
    values = {
        "slice_index": whole.slice_index,
        "centre": whole.centre,
        "semi_axes_mm": whole.semi_axes_mm,
        "angle_deg": 0.0,
    } | change
    with pytest.raises(MeasurementError, match=words):
        do_place_region(volunteer, tissue(volunteer.study), Ellipse(**values), None)
    assert not Region.objects.exists()


@pytest.mark.parametrize(
    "values",
    [
        (1, [0, 0], [3, 3], 0),
        (1, [0, 0, math.nan], [3, 3], 0),
        (1, [0, 0, 0], [3, -3], 0),
        (1, [0, 0, 0], [3, math.inf], 0),
        (1, [0, 0, 0], "33", 0),
        (1, [0, 0, 0], [3, 3], None),
        (1.5, [0, 0, 0], [3, 3], 0),
        (True, [0, 0, 0], [3, 3], 0),
        (None, [0, 0, 0], [3, 3], 0),
    ],
)
def test_geometry_that_is_not_finite_numbers_is_refused(values: tuple[Any, ...]) -> None:
    with pytest.raises(MeasurementError):
        Ellipse.from_values(*values)


GRID = Geometry(
    rows=60, columns=50, slices=5, row_spacing=0.7, column_spacing=0.6, slice_spacing=4.4,
    row_direction=(0.0, 0.96, -0.28), column_direction=(0.0, -0.28, -0.96),
    slice_direction=(1.0, 0.0, 0.0), origin=(-12.0, -80.0, 110.0),
)  # fmt: skip


@settings(deadline=None)
@given(
    st.integers(0, 4),
    st.floats(12, 47),
    st.floats(12, 37),
    st.floats(1, 5),
    st.floats(1, 5),
    st.floats(-180, 180),
)
def test_pixels_of_an_oblique_slice_are_those_within_the_ellipse_in_millimetres(
    index: int, row: float, column: float, a: float, b: float, angle: float
) -> None:
    centre = GRID.to_patient(index, row, column)
    region = pixels_of(Ellipse(index, centre, (a, b), angle), GRID)
    # Measured in patient space, pixel by pixel: along the turned axes of the ellipse.
    turn = math.radians(angle)
    along = np.asarray(GRID.row_direction), np.asarray(GRID.column_direction)
    first = math.cos(turn) * along[0] + math.sin(turn) * along[1]
    second = -math.sin(turn) * along[0] + math.cos(turn) * along[1]
    for r in range(GRID.rows):
        for c in range(GRID.columns):
            offset = np.asarray(GRID.to_patient(index, r, c)) - np.asarray(centre)
            distance = (offset @ first / a) ** 2 + (offset @ second / b) ** 2
            if abs(distance - 1) > 1e-6:
                assert region.mask[r, c] == (distance < 1)


@pytest.mark.parametrize(
    ("code", "arm", "words"),
    [
        ("air", "DF", []),
        ("air", "DLR_DF", ["DLR-processed"]),
        ("vertebra", "DLR_DF", []),
    ],
)
def test_air_in_a_processed_arm_carries_the_warning(
    volunteer: Volunteer, code: str, arm: str, words: list[str]
) -> None:
    row, column = (4, 4) if code == "air" else (16, 11)
    measurement = place(volunteer, code, row, column).measurements.get(arm__code=arm)
    assert len(measurement.warnings) == len(words)
    assert all(word in text for word, text in zip(words, measurement.warnings, strict=True))


def test_air_that_was_masked_to_zero_carries_a_warning(study: Study, volunteer: Volunteer) -> None:
    series = Series.objects.get(volunteer=volunteer, arm__code="DF")
    do_delete_series(series, None)
    masked = volume_of(0, 1)
    masked[masked < 300] = 0
    do_store_series(volunteer, series.arm, list(datasets_of(masked, 0, "DF")))
    measurement = place(volunteer, "air", 4, 4).measurements.get(arm__code="DF")
    assert measurement.n_zero == measurement.n_pixels
    assert "zero" in measurement.warnings[0]


def test_an_area_other_than_the_protocols_carries_a_warning(volunteer: Volunteer) -> None:
    whole = ellipse_at(volunteer, 1, 16, 11)
    wide = Ellipse(1, whole.centre, (4.0, 4.0), 0.0)
    region = do_place_region(volunteer, tissue(volunteer.study), wide, None)
    assert region.measurements.get(arm__code="STD").warnings == [
        "The region covers 50.3 mm² instead of the protocol's 30 mm²."
    ]


def test_nothing_is_placed_or_measured_after_the_lock(study: Study, volunteer: Volunteer) -> None:
    place(volunteer)
    Study.objects.update(state=Study.State.LOCKED)
    with pytest.raises(StudyError, match="is locked"):
        place(volunteer, row=17)
    with pytest.raises(StudyError, match="is locked"):
        do_measure_missing(study)


def test_coordinators_and_administrators_place_regions_and_nobody_else(
    study: Study, volunteer: Volunteer
) -> None:
    ellipse = ellipse_at(volunteer, 1, 16, 11)
    for refused in (make_reader(study), make_statistician(study)):
        with pytest.raises(PermissionDenied):
            do_place_region(volunteer, tissue(study), ellipse, refused)
    assert do_place_region(volunteer, tissue(study), ellipse, make_coordinator(study)).pk
    csf = tissue(study, "csf")
    assert do_place_region(volunteer, csf, ellipse, make_administrator()).pk


def test_a_coordinator_who_reads_places_no_region_until_the_lock(
    study: Study, volunteer: Volunteer
) -> None:
    both = make_coordinator(study)
    do_add_member(study, None, both, Role.READER)
    with pytest.raises(PermissionDenied, match="You read in this study"):
        do_place_region(volunteer, tissue(study), ellipse_at(volunteer, 1, 16, 11), both)


def test_regions_from_a_file_are_placed_all_or_none(study: Study, volunteer: Volunteer) -> None:
    entry = {"slice": 1, "row": 16, "column": 11, "semi_axes_mm": [5.0, 1.9099], "angle_deg": 20.0}
    for wrong, words in (
        ({"shoe": entry}, "V01: the study has no tissue “shoe”"),
        ({"csf": {key: entry[key] for key in ("slice", "row", "column")}}, "semi_axes_mm is miss"),
        ({"csf": entry | {"row": 500}}, "V01, csf: The region reaches over the edge"),
    ):
        with pytest.raises(MeasurementError, match=words):
            do_place_regions_from_file(volunteer, {"vertebra": entry} | wrong, None)
        assert not Region.objects.exists()
    regions = do_place_regions_from_file(volunteer, {"vertebra": entry, "csf": entry}, None)
    assert [region.tissue.code for region in regions] == ["vertebra", "csf"]
    control = control_series(volunteer)
    assert control is not None
    index = geometry_of(control).to_index(regions[0].centre)
    assert index == pytest.approx((1, 16, 11), abs=1e-3)


def test_progress_counts_what_is_placed(study: Study, volunteer: Volunteer) -> None:
    place(volunteer)
    place(volunteer, row=17)
    place(volunteer, "csf")
    assert regions_placed(study) == (2, 14)
    first, second = volunteers_progress(study)
    assert (first.placed, first.total, second.placed) == (2, 7, 0)
    assert unmeasured(study) == 70 - 10


def test_imported_measurements_and_placed_regions_do_not_mix(
    study: Study, volunteer: Volunteer
) -> None:
    for arm in study.arms.all():
        Measurement.objects.create(
            volunteer=volunteer, arm=arm, tissue=tissue(study), origin="imported",
            n_pixels=40, mean=1.0, sd=0.5, area_mm2=30.0,
        )  # fmt: skip
    assert {row["mean"] for row in region_rows(study)} == {1.0}
    place(volunteer)
    region = latest_region(volunteer, tissue(study))
    assert region is not None
    assert region.revision == 2
    assert {(row["revision"], row["origin"]) for row in region_rows(study)} == {(2, "measured")}


def test_measured_volumes_are_the_stored_ones(volunteer: Volunteer) -> None:
    series = Series.objects.get(volunteer=volunteer, arm__code="DF")
    assert np.array_equal(load_volume(series), volume_of(0, 1).astype(np.float32))
