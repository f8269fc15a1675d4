"""Thin slices from thick ones: on the control's grid, with a warning map of its own, or refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.test import Client
from pydicom import dcmread

from denoise_engine.transfer.grids import along_slices, slice_profile
from readerstudy.conduct.quality import do_decide
from readerstudy.conduct.readiness import find_cell
from readerstudy.imaging.geometry import differences
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.selectors import geometry_of, load_volume
from readerstudy.imaging.services import do_store_series
from readerstudy.jobs.models import Job
from readerstudy.jobs.worker import run_pending
from readerstudy.reading.ordering import design_of
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Arm, Comparison
from readerstudy.studies.protocol import protocol_of
from readerstudy.variants.evidence import FLAGGED, read_map
from readerstudy.variants.models import Variant
from readerstudy.variants.selectors import evidence_page
from readerstudy.variants.services import check_request_variant
from tests.dciodvfy import dciodvfy, errors_found  # noqa: F401 - a fixture
from tests.denoise_engine.heads import phantom
from tests.factories import make_coordinator, make_study
from tests.imaging.datasets import series

pytestmark = pytest.mark.django_db

SIMULATED = {"method": "transfer", "model": "sr-unet", "factor": 4, "thick": "simulated"}
AXIAL = {"orientation": (1, 0, 0, 0, 1, 0), "spacing": (1.0, 1.0)}
FRAME = "2.25.4711"


def head(*, skull: bool = True) -> np.ndarray:
    """The middle of a head of simple shapes, 16 thin slices: uint16."""
    return np.rint(10 * phantom((48, 56, 56), skull=skull)[16:32]).astype(np.uint16)


def thick_of(thin: np.ndarray) -> np.ndarray:
    return np.rint(along_slices(slice_profile(len(thin) // 4, 4, 0.9), thin.astype(np.float32)))


def store(volunteer: Volunteer, code: str, pixels: np.ndarray, *, step: float, z: float) -> Series:
    def tidy(image: Any, _index: int) -> None:
        image.FrameOfReferenceUID, image.SliceThickness = FRAME, step
        for keyword in ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"):
            setattr(image, keyword, "")
        image.AccessionNumber = image.ReferringPhysicianName = image.ScanOptions = ""
        image.PositionReferenceIndicator = image.Laterality = ""

    images = series(
        pixels.astype(np.uint16), origin=(-28, -28, z), step=(0, 0, step), change=tidy, **AXIAL
    )
    return do_store_series(volunteer, volunteer.study.arms.get(code=code), images)


def prepared(recipe: dict[str, Any], source: str) -> Volunteer:
    """A study of a control, thick slices and one derived arm."""
    study = make_study()
    study.comparisons.all().delete()
    study.arms.filter(kind=Arm.Kind.DERIVED).delete()
    study.arms.filter(code="TF").delete()
    Arm.objects.create(
        study=study,
        code="IQT",
        name="thin from thick",
        position=9,
        kind=Arm.Kind.DERIVED,
        source=study.arms.get(code=source),
        recipe=recipe,
    )
    return Volunteer.objects.create(study=study, code="V01")


def made_of(volunteer: Volunteer) -> Series:
    run_pending("gpu")
    job = Job.objects.filter(kind="variants.derive").get()
    assert job.state == Job.State.SUCCEEDED, job.error
    return Series.objects.get(volunteer=volunteer, arm__code="IQT")


def test_slices_added_up_and_made_thin_again_lie_on_the_controls_grid_with_a_warning_map(
    dciodvfy: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    volunteer = prepared({**SIMULATED, "samples": 0}, "STD")
    control = store(volunteer, "STD", head(), step=1.0, z=0)
    made = made_of(volunteer)
    assert differences(geometry_of(control), geometry_of(made)) == []
    said = made.provenance
    assert (said["method"], said["model"], said["factor"]) == ("transfer", "sr-unet", 4)
    assert said["simulated"] is True
    assert said["thick_slices"] == 4
    assert said["source_sha256"] == control.volume_sha256
    assert len(said["weights_sha256"]) == 64
    flagged = np.asarray(read_map(made, FLAGGED))
    assert flagged.shape == (16, 56, 56)
    assert said["qc"]["flagged_share"] == pytest.approx(0.1, abs=0.02)
    assert 0 < said["qc"]["error"] < 0.3
    assert said["qc"]["error_flagged"] > said["qc"]["error_elsewhere"]
    # The warning map is a series of its own, over the images that it belongs to.
    image = dcmread(default_storage.path(f"{made.prefix}/dicom/0001.dcm"))
    assert image.ImageType[0] == "DERIVED"
    assert image.DerivationCodeSequence[-1].CodeValue == "IQT"
    assert "Thin slices made from thick ones by sr-unet" in str(
        image.ContributingEquipmentSequence[-1].ContributionDescription
    )
    warning = f"{made.prefix}/warning"
    segmentation = dcmread(default_storage.path(f"{warning}/flagged.dcm"))
    assert segmentation.SeriesInstanceUID != image.SeriesInstanceUID
    assert segmentation.StudyInstanceUID == image.StudyInstanceUID
    assert segmentation.FrameOfReferenceUID == image.FrameOfReferenceUID
    heights = [
        frame.PlanePositionSequence[0].ImagePositionPatient[2]
        for frame in segmentation.PerFrameFunctionalGroupsSequence
    ]
    assert np.array_equal(segmentation.pixel_array[np.argsort(heights)].astype(bool), flagged)
    error = dcmread(default_storage.path(f"{warning}/expected_error.dcm"))
    assert error.NumberOfFrames == 16
    files = []
    for name in ("dicom/0001.dcm", "warning/flagged.dcm", "warning/expected_error.dcm"):
        files.append(tmp_path / Path(name).name)
        files[-1].write_bytes(Path(default_storage.path(f"{made.prefix}/{name}")).read_bytes())
    found = {file.name: dict(errors_found(dciodvfy, [file])) for file in files}
    # What the source lacked its derivative lacks too; the warning map has no fault of its own.
    lacking = errors_found(
        dciodvfy, [Path(default_storage.path(f"{control.prefix}/dicom/0001.dcm"))]
    )
    assert found == {"0001.dcm": dict(lacking), "flagged.dcm": {}, "expected_error.dcm": {}}
    page = evidence_page(made, control, 8)
    assert [picture.name for picture in page.pictures] == [
        "input", "interpolated", "output", "expected_error", "difference",
    ]  # fmt: skip
    lesions = page.sections[-1]
    assert lesions.title == "Painted lesions"
    for fact in lesions.facts:
        assert re.fullmatch(r"\d+ of \d+ painted lesions still show", fact.value)
        assert re.match(r"\d+ missed: less than half of their contrast is left", fact.notes[0])
        assert re.match(r"[\d,]+ invented, at [\d,]+ places without a lesion", fact.notes[1])
    assert page.made_from == "standard, added up to thick ones"
    assert "remove what is there" in page.warnings[0]


def test_slices_that_were_scanned_thick_are_brought_onto_the_controls_grid() -> None:
    recipe = {**SIMULATED, "thick": "acquired", "samples": 0}
    volunteer = prepared(recipe, "DF")
    thin = head()
    source = store(volunteer, "DF", thick_of(thin), step=4.0, z=1.5)
    assert not Variant.objects.exists()  # onto whose grid is not known yet
    with pytest.raises(StudyError, match="upload the control first"):
        check_request_variant(volunteer, volunteer.study.arms.get(code="IQT"), None)
    control = store(volunteer, "STD", thin, step=1.0, z=0)
    made = made_of(volunteer)
    assert differences(geometry_of(control), geometry_of(made)) == []
    assert made.provenance["simulated"] is False
    assert made.provenance["thick_spacing"] == 4.0
    inside = thin > 300
    error = np.abs(np.asarray(load_volume(made)) - thin)[inside].mean()
    assert error < 0.1 * thin[inside].mean()  # it lies where the head does
    # Nobody reads the thick slices themselves: they lie beside no control, and stop no launch.
    study = volunteer.study
    cell = find_cell(study, "V01", "DF")
    assert cell is not None
    assert (cell.is_ready, cell.label) == (True, "Ready, not read")
    do_decide(source, None, accept=True)
    assert design_of(study).arms == ("IQT", "STD")
    protocol = protocol_of(study)
    assert [arm["code"] for arm in protocol["arms"]] == ["STD", "IQT"]
    assert [arm["code"] for arm in protocol["source_arms"]] == ["DF"]
    Comparison.objects.create(study=study, first=source.arm, second=made.arm)
    compared = find_cell(study, "V01", "DF")
    assert compared is not None
    assert compared.label == "Differs"  # named in a comparison, it would have to be read
    image = dcmread(default_storage.path(f"{made.prefix}/dicom/0016.dcm"))
    nearest = dcmread(default_storage.path(f"{source.prefix}/dicom/0004.dcm"))
    assert image.SourceImageSequence[0].ReferencedSOPInstanceUID == nearest.SOPInstanceUID


@pytest.mark.parametrize(
    ("pixels", "step", "recipe", "sentence"),
    [
        (head(skull=False), 1.0, SIMULATED, "skull seems to have been removed"),
        (head()[:, 8:48, 8:48], 1.0, SIMULATED, "at least 4 slices of 48 × 48"),
        (head(), 3.0, SIMULATED, "trained where it is 4 or 8 times"),
        (head(), 1.0, {**SIMULATED, "thick": "acquired"}, "lies on the control's grid"),
    ],
)
def test_what_no_network_was_trained_on_is_refused_in_a_sentence_and_leaves_nothing(
    pixels: np.ndarray, step: float, recipe: dict[str, Any], sentence: str
) -> None:
    volunteer = prepared(recipe, "STD")
    store(volunteer, "STD", pixels, step=step, z=0)
    before = stored_files()
    run_pending("gpu")
    cell = find_cell(volunteer.study, "V01", "IQT")
    assert cell is not None
    assert sentence in cell.reason
    assert cell.may_start  # again, from the page
    assert stored_files() == before


def stored_files() -> int:
    root = Path(default_storage.path(""))
    return sum(path.is_file() for path in root.rglob("*"))


@pytest.mark.parametrize(
    ("thick", "source", "made_from"),
    [("simulated", "STD", "standard, added up to thick ones"), ("acquired", "DF", "double-fast")],
)
def test_the_grid_says_of_which_slices_an_arm_is_made(
    client: Client, thick: str, source: str, made_from: str
) -> None:
    study = prepared({**SIMULATED, "thick": thick}, source).study
    client.force_login(make_coordinator(study))
    page = client.get(f"/studies/{study.slug}/readiness/").content.decode()
    assert f"from {made_from}</span></th>" in page


def test_a_coordinator_chooses_network_factor_and_slices(client: Client) -> None:
    study = prepared(SIMULATED, "STD").study
    client.force_login(make_coordinator(study))
    chosen = {
        "name": "anisotropic",
        "code": "ANISO",
        "source": study.arms.get(code="STD").pk,
        "method": "transfer",
        "model": "anisotropic-unet",
        "factor": 8,
        "thick": "simulated",
        "samples": 0,
    }
    refused = client.post(f"/studies/{study.slug}/variants/", {**chosen, "factor": 5})
    assert "takes a factor of 4 or 8, not 5" in refused.content.decode()
    assert client.post(f"/studies/{study.slug}/variants/", chosen).status_code == 302
    recipe = {key: chosen[key] for key in ("method", "model", "factor", "thick", "samples")}
    assert study.arms.get(code="ANISO").recipe == recipe
    # The design's own page keeps a recipe that it does not edit.
    design = client.get(f"/studies/{study.slug}/design/").content.decode()
    assert "anisotropic-unet" in design


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model": "none"}, "the model “none” is unknown"),
        ({"factor": 3}, "takes a factor of 4 or 8, not 3"),
        ({"thick": "both"}, "acquired or simulated"),
        ({"samples": 1}, "0 or on 2 to 32 runs"),
        ({"strength": {"kind": "full"}}, "says nothing of strength"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_told_so(change: dict, sentence: str) -> None:
    from readerstudy.variants.recipe import RecipeError, read_recipe

    with pytest.raises(RecipeError, match=sentence):
        read_recipe({**SIMULATED, **change}, "IQT")
