"""Images are looked at before they are read: shifts, comparison, decisions, thumbnails."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.utils.text import capfirst
from PIL import Image

from readerstudy.audit.models import Event
from readerstudy.conduct.checks import launch_checks
from readerstudy.conduct.models import SeriesCheck, SeriesShift
from readerstudy.conduct.phase_correlation import measure_shift
from readerstudy.conduct.quality import do_accept_ready, do_decide
from readerstudy.conduct.readiness import CellState, readiness_grid
from readerstudy.conduct.resampling import on_grid_of
from readerstudy.conduct.services import check_launch
from readerstudy.conduct.shifts import measure_unmeasured
from readerstudy.imaging.geometry import Geometry
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.selectors import display_slice, geometry_of
from readerstudy.imaging.services import do_delete_series, do_store_series
from readerstudy.measurements.ellipses import Ellipse, centre_of_pixel
from readerstudy.measurements.selectors import measured_arms
from readerstudy.measurements.services import do_place_region
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role, Study
from readerstudy.studies.services import do_add_member
from readerstudy.variants.models import Variant
from tests.factories import make_coordinator, make_study
from tests.reading.imaged_study import datasets_of, make_imaged_study

DRAWS = np.random.default_rng(7)


def anatomy(slices: int = 3, rows: int = 96, columns: int = 80) -> np.ndarray:
    """Smooth random structure of several sizes, as tissue is."""
    freq = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None, :])
    noise = np.fft.rfft2(DRAWS.normal(size=(slices, rows, columns)))
    image = np.fft.irfft2(noise / (freq + 0.02), s=(rows, columns))
    return 500 + 200 * (image - image.mean()) / image.std()


@pytest.mark.parametrize(("down", "across"), [(0.0, 0.0), (0.4, -0.3), (3.0, -5.25)])
def test_a_shift_is_found_to_a_tenth_of_a_pixel_whatever_the_scale_and_noise(
    down: float, across: float
) -> None:
    wide = anatomy(3, 128, 128)
    spectrum = np.fft.fft2(wide)
    turn = np.fft.fftfreq(128)[:, None] * down + np.fft.fftfreq(128)[None, :] * across
    moved = np.real(np.fft.ifft2(spectrum * np.exp(-2j * np.pi * turn)))
    noisy = 0.3 * moved[:, 16:112, 16:112] + DRAWS.normal(0, 6, (3, 96, 96))
    found = measure_shift(wide[:, 16:112, 16:112], noisy)
    assert (found.slices, found.is_certain) == (0, True)
    assert (found.rows, found.columns) == pytest.approx((down, across), abs=0.1)


def test_a_stack_that_starts_a_slice_later_is_off_by_whole_slices() -> None:
    volume = anatomy(6)
    assert measure_shift(volume[:-1], volume[1:]).slices == -1
    assert not measure_shift(volume, anatomy(6)).is_certain


def test_resampling_brings_another_grid_onto_the_controls() -> None:
    control = Geometry(40, 30, 3, 1.0, 1.0, 4.0, (0, 1, 0), (0, 0, -1), (1, 0, 0), (0, 0, 0))
    other = Geometry(30, 24, 4, 1.5, 1.5, 4.0, (0, 1, 0), (0, 0, -1), (1, 0, 0), (-4.0, -2, 3))
    at = np.indices((4, 30, 24)).astype(float)
    # A plane in patient space: linear interpolation gives it back exactly.
    x, y, z = -4 + 4 * at[0], -2 + 1.5 * at[2], 3 - 1.5 * at[1]
    got = on_grid_of(5 * x + 2 * y - z + 300, other, control)
    k, r, c = np.indices((3, 40, 30)).astype(float)
    wanted = 5 * (4 * k) + 2 * c + r + 300
    inside = got != 0
    assert inside.mean() > 0.7
    assert got[inside] == pytest.approx(wanted[inside], rel=1e-5)


@pytest.fixture
def study(db: None) -> Study:
    return make_imaged_study(volunteers=2)


def cell(study: Study, code: str, arm: str) -> object:
    return next(
        c for c in readiness_grid(study).cells() if (c.volunteer.code, c.arm.code) == (code, arm)
    )


def test_no_series_is_read_before_it_was_looked_at(study: Study) -> None:
    check_launch(study, None)
    SeriesCheck.objects.filter(series__volunteer__code="V02", series__arm__code="DF").delete()
    with pytest.raises(StudyError, match="V02: 1 series to look at"):
        check_launch(study, None)
    series = Series.objects.get(volunteer__code="V02", arm__code="DF")
    coordinator = make_coordinator(study)
    with pytest.raises(StudyError, match="Say why"):
        do_decide(series, coordinator, accept=False)
    do_decide(series, coordinator, accept=False, reason="Motion.")
    assert readiness_grid(study).n_wrong == 1
    with pytest.raises(StudyError, match="V02 double-fast was rejected: Motion"):
        check_launch(study, None)
    assert do_accept_ready(study, coordinator) == 0, "a rejection is not swept away"
    do_decide(series, coordinator, accept=True)
    assert "of them together, from the grid" in next(
        check.title
        for check in launch_checks(study, readiness_grid(study))
        if check.title.startswith("Every series was")
    )
    check_launch(study, None)
    actions = list(Event.objects.filter(actor=coordinator).values_list("action", "why"))
    assert actions == [("conduct.series.rejected", "Motion."), ("conduct.series.accepted", "")]


def test_warnings_of_its_making_stand_where_a_series_is_accepted_and_launched(
    study: Study, client: Client
) -> None:
    made = Series.objects.get(volunteer__code="V02", arm__code="DLR_DF")
    said = ["small structure may have been lost in 2 places", "The SNR is low."]
    made.provenance = {"warnings": said, "qc": {"flagged_share": 0.000004}}
    made.save(update_fields=["provenance"])
    found = cell(study, "V02", "DLR_DF")
    assert found.doubts[0] == "less than 0.01 % flagged by the warning map"  # type: ignore[attr-defined]
    grid = readiness_grid(study)
    assert not [c for c in launch_checks(study, grid) if "made with a warning" in c.title]
    found_for_who_may = launch_checks(study, grid, shows_evidence=True)
    (check,) = [c for c in found_for_who_may if "made with a warning" in c.title]
    assert (check.level, len(check.details)) == ("warn", 1)
    assert check.details[0].startswith("V02 ")
    assert "2 warnings" in check.details[0]
    person = make_coordinator(study)
    client.force_login(person)
    grid_page = f"/studies/{study.slug}/readiness/"
    page = client.get(grid_page).content.decode()
    assert page.count("2 warnings") == 2  # in the grid and among what to look at before the launch
    told = [*map(capfirst, said), "Less than 0.01 % flagged"]
    page = client.get(f"{grid_page}volunteers/V02/").content.decode()
    assert all(one in page for one in told)
    # Who works with the arms' letters is not told how strongly an arm was denoised.
    do_add_member(study, None, person, Role.STATISTICIAN)
    page = client.get(f"{grid_page}volunteers/V02/").content.decode()
    assert "double-fast" in page
    assert not any(one in page for one in told)
    assert "warning" not in client.get(grid_page).content.decode()


def test_a_coordinator_who_reads_is_told_no_arms_warnings(study: Study, client: Client) -> None:
    Series.objects.filter(arm__code="DLR_DF").update(provenance={"warnings": ["The SNR is low."]})
    person = make_coordinator(study)
    do_add_member(study, None, person, Role.READER)
    client.force_login(person)
    page = client.get(f"/studies/{study.slug}/readiness/").content.decode()
    assert "double-fast" in page
    assert "warning" not in page


def test_what_was_made_from_a_rejected_series_is_not_accepted_with_the_rest(study: Study) -> None:
    SeriesCheck.objects.filter(series__volunteer__code="V02").delete()
    source = Series.objects.get(volunteer__code="V02", arm__code="DF")
    made = Series.objects.filter(volunteer__code="V02", arm__source=source.arm).count()
    waiting = Series.objects.filter(volunteer__code="V02").count()
    do_decide(source, None, accept=False, reason="Motion.")
    assert made > 0
    assert do_accept_ready(study, None) == waiting - 1 - made


def test_a_worker_measures_every_arm_once_and_a_new_control_anew(study: Study) -> None:
    assert measure_unmeasured() == 8
    assert measure_unmeasured() == 0
    found = readiness_grid(study).rows[0].cells
    assert found[0].shift is None
    assert all(c.shift is not None for c in found[1:])
    SeriesShift.objects.filter(series=found[1].series).update(distance_mm=2.31)
    assert cell(study, "V01", "DF").notes == ["Lies 2.3 mm off the control."]  # type: ignore[attr-defined]
    Series.objects.filter(volunteer__code="V01").update(display={"control_sha256": "other"})
    assert cell(study, "V01", "DF").shift is None  # type: ignore[attr-defined]
    assert measure_unmeasured() == 4


def test_a_shift_waits_for_a_storage_that_is_away_and_is_given_up_where_the_images_are_gone(
    study: Study,
) -> None:
    control = Series.objects.get(volunteer__code="V01", arm__is_control=True)
    volume = Path(default_storage.path(f"{control.prefix}/volume.npy"))
    kept = volume.rename(volume.with_suffix(".kept"))
    volume.mkdir()  # something stands there that cannot be read as a file
    assert measure_unmeasured() == 4  # the other volunteer's
    volume.rmdir()
    kept.rename(volume)
    assert measure_unmeasured() == 4
    SeriesShift.objects.all().delete()
    volume.unlink()
    assert measure_unmeasured() == 8
    assert measure_unmeasured() == 0


def test_the_comparison_shows_all_arms_by_name_and_takes_the_decision(study: Study) -> None:
    client = Client()
    client.force_login(make_coordinator(study))
    address = "/studies/lumbar/readiness/volunteers/V01/"
    page = client.get(address).content.decode()
    assert page.count('class="decision stack-s is-accepted"') == 5
    data = client.get(f"{address}data/").json()
    assert [pane["label"] for pane in data["panes"]][:2] == ["standard", "double-fast"]
    series = Series.objects.get(volunteer__code="V01", arm__code="DF")
    pixels = client.get(data["panes"][1]["slices"].replace("{index}", "2"))
    assert pixels.content == display_slice(series, 2)
    assert client.get(data["panes"][1]["slices"].replace("{index}", "3")).status_code == 404
    picture = client.get(f"/studies/lumbar/readiness/series/{series.pk}/thumbnail/")
    assert Image.open(io.BytesIO(picture.content)).size == (56, 112)
    client.post(
        f"/studies/lumbar/readiness/series/{series.pk}/decide/",
        {"decision": "reject", "reason": "Wrapped round."},
    )
    page = client.get(address).content.decode()
    assert "Wrapped round." in page
    grid = client.get("/studies/lumbar/readiness/").content.decode()
    assert grid.count("/thumbnail/") == 10
    assert "Delete to replace" in grid


def test_an_arm_on_another_grid_is_stored_named_and_looked_at_but_neither_read_nor_measured(
    db: None,
) -> None:
    study = make_study()
    volunteer = Volunteer.objects.create(study=study, code="V01")
    volume = np.full((3, 32, 24), 100, dtype="<u2")
    volume[:, 8:20, 6:18] = 900
    arms = {arm.code: arm for arm in study.arms.all()}
    do_store_series(volunteer, arms["STD"], list(datasets_of(volume, 0, "STD")))
    series = do_store_series(volunteer, arms["DF"], list(datasets_of(volume[:, ::2], 0, "DF")))
    found = cell(study, "V01", "DF")
    assert found.state == CellState.MISMATCH  # type: ignore[attr-defined]
    assert "matrix 16 × 24 instead of 32 × 24" in found.reason  # type: ignore[attr-defined]
    assert do_accept_ready(study, None) == 1, "the control alone"
    with pytest.raises(StudyError, match=r"is not on the control's grid \(matrix 16 × 24"):
        do_decide(series, None, accept=True)
    with pytest.raises(StudyError, match="V01 double-fast: Not on the control's grid"):
        check_launch(study, None)
    waits = cell(study, "V01", "DLR_DF")
    assert (waits.state, waits.reason) == (  # type: ignore[attr-defined]
        CellState.SOURCE,
        "Its source is not on the control's grid.",
    )
    assert not Variant.objects.exists()
    centre = centre_of_pixel(geometry_of(series), 1, 7, 11)
    region = do_place_region(
        volunteer,
        study.tissues.get(code="vertebra"),
        Ellipse.from_values(1, list(centre), [3, 3], 0.0),
        None,
    )
    assert [m.arm.code for m in region.measurements.all()] == ["STD"]
    assert [arm.code for arm in measured_arms(volunteer)] == ["STD"]
    client = Client()
    client.force_login(make_coordinator(study))
    data = client.get("/studies/lumbar/readiness/volunteers/V01/data/").json()
    assert data["panes"][1]["label"] == "double-fast (resampled)"
    pixels = client.get(data["panes"][1]["slices"].replace("{index}", "1")).content
    assert len(pixels) == 32 * 24 * 2
    # Replaced by what was meant: what follows from it follows.
    do_delete_series(series, None)
    do_store_series(volunteer, arms["DF"], list(datasets_of(volume, 0, "DF")))
    assert cell(study, "V01", "DF").state == CellState.READY  # type: ignore[attr-defined]
    assert {m.arm.code for m in region.measurements.all()} == {"STD", "DF"}
    assert Variant.objects.get().arm.code == "DLR_DF"


def test_whoever_reads_here_sees_no_image_under_its_name(study: Study) -> None:
    person = make_coordinator(study)
    do_add_member(study, None, person, Role.READER)
    client = Client()
    client.force_login(person)
    series = Series.objects.first()
    assert series is not None
    for address in (
        "volunteers/V01/",
        "volunteers/V01/data/",
        f"series/{series.pk}/thumbnail/",
        f"series/{series.pk}/0",
    ):
        assert client.get(f"/studies/lumbar/readiness/{address}").status_code == 403
    assert client.post(f"/studies/lumbar/readiness/series/{series.pk}/decide/").status_code == 403
    assert "thumbnail" not in client.get("/studies/lumbar/readiness/").content.decode()
