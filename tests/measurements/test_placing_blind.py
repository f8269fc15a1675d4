"""Regions are placed blind, frozen, then measured; two observers; figures equal numpy's."""

from __future__ import annotations

import io
import math
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import roifile
from django.test import Client
from highdicom import sr
from pydicom import dcmread

from readerstudy.audit.models import Event
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.selectors import control_series, geometry_of
from readerstudy.imaging.services import do_store_series
from readerstudy.measurements.errors import MeasurementError
from readerstudy.measurements.models import Measurement, Placing, Region
from readerstudy.measurements.observers import observer_table
from readerstudy.measurements.placing import do_freeze, do_reopen, do_unblind_placing
from readerstudy.measurements.region_files import read_region_file
from readerstudy.measurements.selectors import region_rows
from readerstudy.measurements.services import do_place_region, do_place_regions_from_file
from readerstudy.measurements.slice_rules import do_set_slice_rules, suggested_slice
from readerstudy.measurements.structured_report import structured_reports
from readerstudy.measurements.suggestions import suggested_regions, templates_for
from readerstudy.studies.models import Role, Study
from readerstudy.studies.services import do_add_member
from tests.dciodvfy import errors_found
from tests.factories import make_coordinator, make_study
from tests.measurements.test_regions import ellipse_at
from tests.reading.imaged_study import datasets_of, make_imaged_study

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage_apart")]
BASE = "/studies/lumbar/regions/"
PLACES = {
    "fat": (10, 7), "csf": (14, 10), "vertebra": (18, 11), "disc": (22, 9),
    "cord": (16, 14), "muscle": (24, 16), "air": (4, 4),
}  # fmt: skip


@pytest.fixture
def study() -> Study:
    return make_imaged_study(volunteers=2)


@pytest.fixture
def volunteer(study: Study) -> Volunteer:
    return Volunteer.objects.get(study=study, code="V01")


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def place_all(volunteer: Volunteer, actor: Any = None, observer: int = 1, off: float = 0) -> None:
    for code, (row, column) in PLACES.items():
        tissue = volunteer.study.tissues.get(code=code)
        ellipse = ellipse_at(volunteer, 1, row + off, column)
        do_place_region(volunteer, tissue, ellipse, actor, observer=observer)


# --- Blind until frozen ---------------------------------------------------------------------------


def test_figures_open_with_the_freeze_and_nothing_moves_afterwards(volunteer: Volunteer) -> None:
    client = signed_in(make_coordinator(volunteer.study))
    with pytest.raises(MeasurementError, match="Place every region"):
        do_freeze(volunteer, None)
    place_all(volunteer)
    assert all(not r["measurements"] for r in client.get(f"{BASE}V01/data/").json()["regions"])
    assert "Freeze and show the figures" in client.get(f"{BASE}V01/").content.decode()
    assert client.post(f"{BASE}V01/acts/freeze/").status_code == 302
    data = client.get(f"{BASE}V01/data/").json()
    assert (data["shows_figures"], data["locked"], len(data["arms"])) == (True, True, 5)
    by_tissue = {r["tissue"]: {m["arm"]: m for m in r["measurements"]} for r in data["regions"]}
    for arm in ("STD", "DLR_TF"):
        fat, muscle, air = (by_tissue[tissue][arm] for tissue in ("fat", "muscle", "air"))
        assert fat["snr"] == pytest.approx(fat["mean"] / air["sd"], rel=1e-12)
        assert fat["cnr"] == pytest.approx((fat["mean"] - muscle["mean"]) / air["sd"], rel=1e-12)
        assert (muscle["cnr"], air["snr"]) == (None, None)
    with pytest.raises(MeasurementError, match="are frozen"):
        place_all(volunteer, off=1)
    client.post(f"{BASE}V01/acts/reopen/", {"reason": ""})
    assert Placing.objects.get().is_frozen, "a reason is needed"
    client.post(f"{BASE}V01/acts/reopen/", {"reason": "Fat lay on the skin."})
    place_all(volunteer, off=1)
    moved = Region.objects.filter(revision=2)
    assert moved.count() == 7
    assert all(region.unblinded for region in moved), "their placer had seen the figures"
    whys = Event.objects.filter(action="measurements.regions.reopened").values_list(
        "why", flat=True
    )
    assert list(whys) == ["Fat lay on the skin."]


def test_the_unblinded_mode_is_marked_on_every_region(volunteer: Volunteer) -> None:
    with pytest.raises(MeasurementError, match="Give the reason"):
        do_unblind_placing(volunteer, None, "")
    do_unblind_placing(volunteer, None, "Method work.")
    place_all(volunteer)
    assert set(Region.objects.values_list("unblinded", flat=True)) == {True}
    client = signed_in(make_coordinator(volunteer.study))
    assert client.get(f"{BASE}V01/data/").json()["shows_figures"] is True
    assert "unblinded</span>" in client.get(f"{BASE}V01/").content.decode()


def test_whoever_analyses_by_letters_sees_no_figure_beside_an_arms_name(
    volunteer: Volunteer,
) -> None:
    place_all(volunteer)
    do_freeze(volunteer, None)
    person = make_coordinator(volunteer.study)
    do_add_member(volunteer.study, None, person, Role.STATISTICIAN)
    client = signed_in(person)
    data = client.get(f"{BASE}V01/data/").json()
    assert (data["shows_figures"], len(data["arms"])) == (False, 1)
    assert client.get(f"{BASE}V01/reports/").status_code == 302
    assert "by letters" in client.get("/studies/lumbar/region-observers/").content.decode()


# --- Two observers --------------------------------------------------------------------------------


def test_a_second_observer_is_another_person_and_never_enters_the_analysis(study: Study) -> None:
    first, second = make_coordinator(study), make_coordinator(study)
    volunteers = list(study.volunteers.all())
    for index, volunteer in enumerate(volunteers):
        place_all(volunteer, first)
        with pytest.raises(MeasurementError, match="another person"):
            place_all(volunteer, first, observer=2)
        rows = region_rows(study)
        place_all(volunteer, second, observer=2, off=1.0 + index)
        assert region_rows(study) == rows
        do_freeze(volunteer, first)
        assert volunteer.code not in observer_table(study, study.arms.get(code="DF")).volunteers
        do_freeze(volunteer, second, 2)
    table = observer_table(study, study.arms.get(code="DF"))
    assert table.volunteers == ["V01", "V02"]
    fat = {line.measure: line for line in table.lines if line.tissue == "Fat"}
    means = [
        [
            Measurement.objects.get(
                volunteer=v, tissue__code="fat", arm__code="DF", observer=observer
            ).mean
            for v in volunteers
        ]
        for observer in (1, 2)
    ]
    assert fat["Mean"].bias == pytest.approx(np.subtract(*means).mean())
    assert fat["Mean"].lower == pytest.approx(
        np.subtract(*means).mean() - 1.96 * np.subtract(*means).std(ddof=1)
    )
    assert set(fat) == {"Mean", "SD", "SNR", "CNR"}
    distance = table.distances[0]
    assert (distance.mean_mm, distance.largest_mm) == pytest.approx((2.25, 3.0))
    page = signed_in(first).get("/studies/lumbar/region-observers/?arm=DF").content.decode()
    assert "2 volunteers" in page


# --- Suggestions ----------------------------------------------------------------------------------


def test_the_slice_rule_and_a_former_volunteer_suggest_the_place(study: Study) -> None:
    first, second = study.volunteers.all()
    control = control_series(second)
    assert control is not None
    grid = geometry_of(control)
    assert [suggested_slice(rule, grid) for rule in ("central", "paramedian", "any")] == [
        1,
        2,
        None,
    ]
    do_set_slice_rules(study, {"muscle": "paramedian"}, None)
    with pytest.raises(MeasurementError, match="no slice rule"):
        do_set_slice_rules(study, {"fat": "somewhere"}, None)
    assert templates_for(second) == []
    place_all(first)
    assert templates_for(second) == ["V01"]
    found = {one["tissue"]: one for one in suggested_regions(second, first)}
    assert set(found) == set(PLACES)
    for code, (row, column) in PLACES.items():
        _slice, at_row, at_column = grid.to_index(found[code]["centre"])
        # The bodies of both lie alike in the image, whatever the table's position.
        assert (at_row, at_column) == pytest.approx((row, column), abs=1.0)
    assert not Region.objects.filter(volunteer=second).exists()
    client = signed_in(make_coordinator(study))
    answer = client.get(f"{BASE}V02/suggestions/?from=V01").json()
    assert len(answer["regions"]) == 7


# --- Files ----------------------------------------------------------------------------------------


def roi_file(name: str, **values: Any) -> bytes:
    roi = roifile.ImagejRoi(
        roitype=roifile.ROI_TYPE.OVAL, name=name, top=14, left=8, bottom=18, right=14, position=2
    )
    for key, value in values.items():
        setattr(roi, key, value)
    return bytes(roi.tobytes())


def test_an_imagej_oval_lies_where_imagej_drew_it(volunteer: Volunteer) -> None:
    place = read_region_file(volunteer, "Fat.roi", roi_file("fat"))["fat"]
    # Corners count from the corner of the first pixel: its centre is 0.5.
    assert (place["slice"], place["row"], place["column"]) == (1, 15.5, 10.5)
    assert place["semi_axes_mm"] == [3.0, 3.0]  # 6 columns of 1 mm, 4 rows of 1.5 mm
    other = read_region_file(
        volunteer, "Fat.roi", roi_file("fat", position=1), from_the_other_end=True
    )
    assert other["fat"]["slice"] == 2
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.roi", roi_file("Background air"))
        archive.writestr("b.roi", roi_file("muscle"))
    placed = do_place_regions_from_file(
        volunteer, read_region_file(volunteer, "RoiSet.zip", buffer.getvalue()), None
    )
    assert [region.tissue.code for region in placed] == ["air", "muscle"]


@pytest.mark.parametrize("turn", [0.0, 30.0, -65.0])
def test_a_turned_imagej_ellipse_holds_the_same_pixels(volunteer: Volunteer, turn: float) -> None:
    """Against ImageJ's own rule in pixels, on a grid whose pixels are not square."""
    x, y, long, ratio = 12.0, 16.0, 6.0, 0.5
    dx, dy = long * math.cos(math.radians(turn)), long * math.sin(math.radians(turn))
    content = bytearray(
        roi_file(
            "fat",
            roitype=roifile.ROI_TYPE.FREEHAND,
            subtype=roifile.ROI_SUBTYPE.ELLIPSE,
            x1=x - dx,
            y1=y - dy,
            x2=x + dx,
            y2=y + dy,
        )
    )
    content[52:56] = struct.pack(">f", ratio)
    place = read_region_file(volunteer, "fat.roi", bytes(content))
    region = do_place_regions_from_file(volunteer, place, None)[0]
    rows, columns = np.mgrid[:32, :24] + 0.5
    along = ((columns - x) * dx + (rows - y) * dy) / long
    across = (-(columns - x) * dy + (rows - y) * dx) / long
    inside = (along / long) ** 2 + (across / (long * ratio)) ** 2 <= 1
    assert region.measurements.first().n_pixels == inside.sum()  # type: ignore[union-attr]
    assert math.prod(region.semi_axes_mm) == pytest.approx(long * long * ratio * 1.5 * 1.0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.roi", b"", "empty"),
        ("a.roi", b"Iout" + b"\0" * 20, "damaged"),
        ("a.roi", b"GIF89a" + b"\0" * 100, "not an ImageJ ROI"),
        ("a.zip", b"PK\3\4broken", "not a zip"),
        ("a.txt", b"x", "give an ImageJ"),
        ("a.roi", roi_file("liver"), "no tissue of the study"),
        ("a.roi", roi_file("fat", roitype=roifile.ROI_TYPE.RECT), "a rect"),
        ("a.roi", roi_file("fat", position=9), "slice 9 is not among the 3"),
        ("a.csv", b"tissue,slice,row\n", "columns column, width_mm, height_mm are missing"),
        ("a.csv", b"tissue,slice,row,column,width_mm,height_mm\nfat,1,x,2,3,3\n", "“x” is no num"),
        ("a.csv", b"tissue,slice,row,column,width_mm,height_mm\nfat,1.5,2,2,3,3\n", "whole number"),
        ("a.csv", b"tissue,slice,row,column,width_mm,height_mm\nfat,1,,2,3,3\n", "row has no val"),
        ("a.csv", b"\xff\xfe\x00", "not UTF-8"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name(
    volunteer: Volunteer, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(MeasurementError, match=message) as refused:
        read_region_file(volunteer, name, content)
    assert name in str(refused.value)


def test_a_table_places_all_regions_or_none(volunteer: Volunteer) -> None:
    client = signed_in(make_coordinator(volunteer.study))
    head = "tissue;slice;row;column;width_mm;height_mm;angle_deg\n"

    def send(rows: str) -> str:
        file = io.BytesIO((head + rows).encode())
        file.name = "places.csv"
        sent = {"volunteer": "V01", "file": file}
        return client.post("/studies/lumbar/region-files/", sent, follow=True).content.decode()

    page = send("fat;2;14,5;10;6;6;\nair;2;400;4;6;6;\n")
    assert "V01, air" in page
    assert not Region.objects.exists()
    assert "2 regions are placed" in send("fat;2;14,5;10;6;6;\nair;2;4;4;6;6;30\n")
    fat = Region.objects.get(tissue__code="fat")
    assert (fat.slice_index, fat.semi_axes_mm) == (1, [3.0, 3.0])


# --- Figures and reports --------------------------------------------------------------------------


def oblique(volume: np.ndarray, arm: str) -> list[Any]:
    """The series turned about all three axes, with anisotropic pixels and an uneven slope."""
    a, b = math.radians(23), math.radians(-31)
    across = np.array([math.cos(a), math.sin(a), 0.0])
    down = np.array([-math.sin(a) * math.cos(b), math.cos(a) * math.cos(b), math.sin(b)])
    normal = np.cross(across, down)
    made = list(datasets_of(volume, 0, arm))
    for index, dataset in enumerate(made):
        dataset.ImageOrientationPatient = [round(v, 9) for v in (*across, *down)]
        dataset.ImagePositionPatient = [
            round(v, 6) for v in np.array([5, -7, 11]) + 3.3 * index * normal
        ]
        dataset.PixelSpacing = [0.83, 0.61]
        dataset.RescaleSlope, dataset.RescaleIntercept = 1.7, -12.5
    return made


def test_figures_equal_numpy_on_the_stored_pixels_for_oblique_geometry_too() -> None:
    study = make_study()
    volunteer = Volunteer.objects.create(study=study, code="V01")
    draws = np.random.default_rng(5)
    for arm in study.arms.all():
        volume = draws.integers(0, 4000, (3, 40, 36)).astype("<u2")
        do_store_series(volunteer, arm, oblique(volume, arm.code))
    control = control_series(volunteer)
    assert control is not None
    grid = geometry_of(control)
    centre, axes, turn = grid.to_patient(1, 17.3, 15.8), (5.2, 2.9), 37.0
    from readerstudy.measurements.ellipses import Ellipse

    ellipse = Ellipse.from_values(1, list(centre), list(axes), turn)
    do_place_region(volunteer, study.tissues.get(code="fat"), ellipse, None)
    # Independently: the centre of every voxel in patient space, against the ellipse there.
    along, down = np.array(grid.row_direction), np.array(grid.column_direction)
    first = math.cos(math.radians(turn)) * along + math.sin(math.radians(turn)) * down
    second = -math.sin(math.radians(turn)) * along + math.cos(math.radians(turn)) * down
    for series in Series.objects.all():
        path = sorted(Path(_storage_path(series)).glob("*.dcm"))[1]
        stored = dcmread(path)
        rows, columns = np.mgrid[:40, :36]
        points = (
            np.array([float(v) for v in stored.ImagePositionPatient])
            + columns[..., None] * 0.61 * along
            + rows[..., None] * 0.83 * down
        ) - np.array(centre)
        inside = (points @ first / axes[0]) ** 2 + (points @ second / axes[1]) ** 2 <= 1
        values = stored.pixel_array[inside] * 1.7 - 12.5
        measured = Measurement.objects.get(series=series)
        assert measured.n_pixels == inside.sum() > 60
        # The stored volume is float32: equal to it to 1e-9, to the exact product to its rounding.
        exact = values.astype(np.float32).astype(np.float64)
        assert measured.mean == pytest.approx(exact.mean(), rel=1e-9)
        assert measured.sd == pytest.approx(exact.std(ddof=1), rel=1e-9)
        assert measured.mean == pytest.approx(values.mean(), rel=1e-6)


def _storage_path(series: Series) -> str:
    from django.core.files.storage import default_storage

    return default_storage.path(f"{series.prefix}/dicom")


def test_the_report_validates_and_reads_back(
    volunteer: Volunteer, tmp_path: Path, dciodvfy: str
) -> None:
    place_all(volunteer)
    do_freeze(volunteer, None)
    answer = signed_in(make_coordinator(volunteer.study)).get(f"{BASE}V01/reports/")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path)
    files = sorted(tmp_path.glob("*.dcm"))
    assert len(files) == 5
    assert errors_found(dciodvfy, files) == {}
    control = control_series(volunteer)
    assert control is not None
    for path in files:
        arm = path.name.removeprefix("V01_").removesuffix("_observer1.dcm")
        report = sr.srread(path)
        assert str(report.PatientID) == "V01"
        groups = report.content.get_planar_roi_measurement_groups()
        assert len(groups) == 7
        for group in groups:
            code = group.tracking_identifier
            region = Region.objects.get(tissue__code=code)
            measured = Measurement.objects.get(region=region, arm__code=arm)
            said = {
                (m.name.value, m.derivation.value if m.derivation else ""): m.value
                for m in group.get_measurements()
            }
            assert said["SIGNAL", "373098007"] == pytest.approx(measured.mean, rel=1e-9)
            assert said["SIGNAL", "386136009"] == pytest.approx(measured.sd, rel=1e-9)
            assert said["NPIX", ""] == measured.n_pixels
            points = np.asarray(group.roi.value)
            assert points.mean(axis=0) == pytest.approx(region.centre, abs=1e-4)
            assert np.linalg.norm(points[1] - points[0]) / 2 == pytest.approx(
                max(region.semi_axes_mm), abs=1e-4
            )
    again = structured_reports(volunteer)
    with zipfile.ZipFile(io.BytesIO(again)) as archive:
        uid = dcmread(io.BytesIO(archive.read(files[0].name))).SOPInstanceUID
    assert uid == dcmread(files[0]).SOPInstanceUID, "the same regions are the same report"


def test_reopening_needs_frozen_regions(volunteer: Volunteer) -> None:
    with pytest.raises(MeasurementError, match="not frozen"):
        do_reopen(volunteer, None, "Why not.")
