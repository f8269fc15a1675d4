"""A stored series: geometry, values and what a screen is sent."""

from __future__ import annotations

import numpy as np
import pytest
from django.core.files.storage import default_storage
from pydicom.dataset import Dataset

from readerstudy.audit.models import Event
from readerstudy.imaging.errors import ImagingError
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.selectors import (
    display_geometry,
    display_slice,
    display_window,
    geometry_of,
    load_volume,
    off_the_control,
)
from readerstudy.imaging.services import do_delete_series, do_store_series
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Study
from tests.factories import make_study

from .datasets import phantom, series

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage_apart")]


@pytest.fixture
def study() -> Study:
    return make_study()


@pytest.fixture
def volunteer(study: Study) -> Volunteer:
    return Volunteer.objects.create(study=study, code="V01")


def arm(study: Study, code: str):  # type: ignore[no-untyped-def]
    return study.arms.get(code=code)


def control_arm(study: Study):  # type: ignore[no-untyped-def]
    return study.arms.get(is_control=True)


def test_slices_are_ordered_by_position_whatever_the_order_of_files(
    study: Study, volunteer: Volunteer
) -> None:
    pixels = phantom(5)
    files = series(pixels)
    shuffled = [files[i] for i in (3, 0, 4, 1, 2)]
    stored = do_store_series(volunteer, control_arm(study), shuffled)
    assert np.array_equal(load_volume(stored), pixels.astype(np.float32))
    assert geometry_of(stored).slice_direction == pytest.approx((1, 0, 0))


def test_a_stack_scanned_left_to_right_is_stored_right_to_left(
    study: Study, volunteer: Volunteer
) -> None:
    pixels = phantom(5)
    stored = do_store_series(volunteer, control_arm(study), series(pixels, step=(-4.0, 0, 0)))
    assert np.array_equal(load_volume(stored), pixels[::-1].astype(np.float32))
    assert stored.geometry["origin"] == pytest.approx([-46.0, -100.0, 60.0])


def test_an_oblique_voxel_lies_where_the_header_places_it(
    study: Study, volunteer: Volunteer
) -> None:
    angle = np.radians(20)
    row = np.array([0, np.cos(angle), np.sin(angle)])
    column = np.array([0, np.sin(angle), -np.cos(angle)])
    files = series(phantom(4), orientation=[*row, *column])
    stored = do_store_series(volunteer, control_arm(study), files)
    k, r, c = 2, 7, 11
    expected = np.array(files[k].ImagePositionPatient, float) + c * 0.625 * row + r * 0.5 * column
    geometry = geometry_of(stored)
    assert geometry.to_patient(k, r, c) == pytest.approx(tuple(expected), abs=1e-6)
    assert geometry.to_index(expected) == pytest.approx((k, r, c), abs=1e-6)


def test_rescale_and_sign_are_applied(study: Study, volunteer: Volunteer) -> None:
    pixels = phantom(3).astype(np.int16) - 50

    def rescale(ds: Dataset, _index: int) -> None:
        ds.RescaleSlope, ds.RescaleIntercept = "1.5", "-20"

    stored = do_store_series(volunteer, control_arm(study), series(pixels, change=rescale))
    assert np.allclose(load_volume(stored), pixels * 1.5 - 20)


def test_all_arms_share_length_scale_and_window_and_the_factor_matches_the_body(
    study: Study, volunteer: Volunteer
) -> None:
    control = do_store_series(volunteer, control_arm(study), series(phantom(4)))
    other = do_store_series(volunteer, arm(study, "DF"), series(phantom(4, seed=2) * 3))
    volunteer.refresh_from_db()
    assert control.display_factor == 1.0
    assert other.display_factor == pytest.approx(1 / 3, rel=0.02)
    shown = [np.frombuffer(display_slice(s, 1), "<u2") for s in (control, other)]
    assert shown[0].nbytes == shown[1].nbytes == 20 * 24 * 2
    body = [float(np.percentile(values, 75)) for values in shown]
    assert body[0] == pytest.approx(body[1], rel=0.03)
    scale = volunteer.display["scale"]
    assert np.array_equal(
        shown[0].reshape(20, 24), np.rint(np.float64(load_volume(control)[1]) * scale)
    )
    whole = np.concatenate([np.frombuffer(display_slice(control, k), "<u2") for k in range(4)])
    assert whole.max() == 16000
    low, high = np.percentile(whole, (1, 99.5))
    window = display_window(volunteer)
    assert window["width"] == pytest.approx(high - low, abs=2)
    assert window["center"] == pytest.approx((high + low) / 2, abs=2)


def test_values_below_zero_are_not_all_black(study: Study, volunteer: Volunteer) -> None:
    # Real-valued inversion recovery: half of the anatomy is negative.
    values = phantom(4).astype(np.int16) - 150
    control = do_store_series(volunteer, control_arm(study), series(values))
    other = do_store_series(volunteer, arm(study, "DF"), series(values))
    volunteer.refresh_from_db()
    convention = volunteer.display
    assert convention["offset"] > 0
    shown = np.frombuffer(display_slice(control, 1), "<u2").reshape(20, 24)
    wanted = np.float64(load_volume(control)[1]) * convention["scale"] + convention["offset"]
    assert np.array_equal(shown, np.clip(np.rint(wanted), 0, 65535))
    assert np.mean(shown == 0) < 0.1 < np.mean(values[1] < 0)
    assert display_slice(other, 1) == display_slice(control, 1)
    window = display_window(volunteer)
    assert window["center"] - window["width"] / 2 < np.percentile(shown, 5)


def test_a_control_that_comes_last_sets_the_factors_of_the_others(
    study: Study, volunteer: Volunteer
) -> None:
    other = do_store_series(volunteer, arm(study, "DF"), series(phantom(4) * 2))
    with pytest.raises(LookupError):
        display_slice(other, 0)
    do_store_series(volunteer, control_arm(study), series(phantom(4)))
    other = Series.objects.select_related("volunteer").get(pk=other.pk)
    assert other.display_factor == pytest.approx(0.5, rel=1e-6)
    assert display_geometry(other.volunteer)["column_spacing"] == 0.625


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pixels": phantom(4, rows=22)}, "matrix 22 × 24 instead of 20 × 24"),
        ({"pixels": phantom(3)}, "3 slices instead of 4"),
        ({"spacing": (0.5, 0.5)}, "column spacing 0.5 mm instead of 0.625 mm"),
        ({"step": (4.4, 0, 0)}, "slice spacing 4.4 mm instead of 4 mm"),
        ({"origin": (-30, -98, 60)}, "position shifted by 2.0 mm"),
        ({"orientation": (0, 0.9994, 0.0349, 0, 0.0349, -0.9994)}, "orientation turned by 2.0°"),
    ],
)
def test_a_series_off_the_grid_of_the_control_is_stored_and_told_and_none_is_made_like_it(
    study: Study, volunteer: Volunteer, options: dict, said: str
) -> None:
    do_store_series(volunteer, control_arm(study), series(phantom(4)))
    options = dict(options)
    pixels = options.pop("pixels", phantom(4))
    other = do_store_series(volunteer, arm(study, "DF"), series(pixels, **options))
    assert said in off_the_control(other)
    kept = set(_files())
    # What the platform makes itself is never off: nothing is stored, nothing left over.
    with pytest.raises(ImagingError, match="DLR-double-fast differs from the control") as e:
        do_store_series(volunteer, arm(study, "DLR_DF"), series(pixels, **options))
    assert said in str(e.value)
    assert set(_files()) == kept


@pytest.mark.parametrize("off", [phantom(3), phantom(4, rows=22)])
def test_a_series_on_another_grid_gets_a_factor_of_its_own_body(
    study: Study, volunteer: Volunteer, off: np.ndarray
) -> None:
    do_store_series(volunteer, control_arm(study), series(phantom(4)))
    do_store_series(volunteer, arm(study, "DF"), series(off * 2))
    do_store_series(volunteer, arm(study, "TF"), series(phantom(4) * 4))
    factors = dict(volunteer.series.values_list("arm__code", "display_factor"))
    assert factors["DF"] == pytest.approx(0.5, rel=0.1)
    assert factors["TF"] == pytest.approx(0.25, rel=1e-6)


def _files(folder: str = "") -> list[str]:
    folders, files = default_storage.listdir(folder)
    lead = f"{folder}/" if folder else ""
    found = [lead + name for name in files]
    for name in folders:
        found += _files(lead + name)
    return found


def test_a_second_series_for_a_filled_arm_is_refused(study: Study, volunteer: Volunteer) -> None:
    do_store_series(volunteer, control_arm(study), series(phantom(4)))
    with pytest.raises(ImagingError, match="already has a series"):
        do_store_series(volunteer, control_arm(study), series(phantom(4)))


@pytest.mark.parametrize(
    ("keep", "said"),
    [((0, 1, 3, 4), "1 slice is missing between image 2 and image 3"), ((0, 1, 1, 2), "one place")],
)
def test_missing_and_doubled_slices_are_named(
    study: Study, volunteer: Volunteer, keep: tuple[int, ...], said: str
) -> None:
    files = series(phantom(5))
    with pytest.raises(ImagingError, match=said):
        do_store_series(volunteer, control_arm(study), [files[i] for i in keep])


def test_a_series_is_deleted_with_its_files_in_a_draft_only(
    study: Study, volunteer: Volunteer, django_capture_on_commit_callbacks
) -> None:
    stored = do_store_series(volunteer, control_arm(study), series(phantom(4)))
    other = do_store_series(volunteer, arm(study, "DF"), series(phantom(4)))
    with django_capture_on_commit_callbacks(execute=True):
        do_delete_series(other, None)
    assert [p for p in _files() if p.startswith(other.prefix)] == []
    assert [p for p in _files() if p.startswith(stored.prefix)] != []
    Study.objects.filter(pk=study.pk).update(state=Study.State.READING)
    with pytest.raises(StudyError):
        do_delete_series(stored, None)
    actions = list(Event.objects.values_list("action", flat=True))
    assert actions.count("imaging.series.stored") == 2
    assert actions.count("imaging.series.deleted") == 1
