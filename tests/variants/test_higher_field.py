"""A scan made to look as from a higher field: nowhere is it taken for thin slices or for 7 T."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.test import Client
from pydicom import dcmread

from denoise_engine.dicom.provenance import NOT_SCANNED_SO
from readerstudy.audit.models import Event
from readerstudy.conduct.readiness import find_cell
from readerstudy.imaging.geometry import differences
from readerstudy.imaging.models import Series
from readerstudy.imaging.selectors import geometry_of
from readerstudy.jobs.worker import run_pending
from readerstudy.reports.bundles.drafts.facts import _models
from readerstudy.studies.models import Role
from readerstudy.studies.services import do_add_member
from readerstudy.variants.evidence import (
    FLAGGED,
    INTERPOLATED,
    has_map,
    read_map,
    write_warning_objects,
)
from readerstudy.variants.overview import series_rows
from readerstudy.variants.selectors import evidence_page
from tests.dciodvfy import dciodvfy, errors_found  # noqa: F401 - a fixture
from tests.factories import make_coordinator, make_reader, make_user

from .test_transfer import SIMULATED, head, made_of, prepared, store

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage_apart")]

HIGHER_FIELD = {"method": "transfer", "model": "7t-like-gan", "factor": 1, "samples": 0}
SLICES_MADE = re.compile(r"\b(thin|thick)\b", re.IGNORECASE)
FILES = ["flagged.dcm", "expected_error.dcm"]


@pytest.fixture
def made() -> Series:
    """Made by a recipe that the worker followed."""
    volunteer = prepared(HIGHER_FIELD, "STD")
    volunteer.study.arms.filter(code="IQT").update(name="7T-like")
    store(volunteer, "STD", head(), step=1.0, z=0)
    return made_of(volunteer)


@pytest.fixture
def by_hand() -> Series:
    """As if it had been made, without a warning map."""
    volunteer = prepared(HIGHER_FIELD, "STD")
    store(volunteer, "STD", head(), step=1.0, z=0)
    series = store(volunteer, "IQT", head(), step=1.0, z=0)
    series.provenance = {"kind": "transfer", "model": "7t-like-gan", "factor": 1}
    series.save(update_fields=["provenance"])
    return series


def test_it_says_everywhere_what_it_is_and_of_no_thick_slices(
    made: Series,
    client: Client,
    dciodvfy: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    control = Series.objects.get(arm__code="STD")
    assert differences(geometry_of(control), geometry_of(made)) == []
    assert made.volume_sha256 != control.volume_sha256
    assert "thick" not in made.provenance
    assert not has_map(made, INTERPOLATED)  # it would be the source once more
    image = dcmread(default_storage.path(f"{made.prefix}/dicom/0001.dcm"))
    contribution = str(image.ContributingEquipmentSequence[-1].ContributionDescription)
    assert contribution.startswith(
        "Scan made to look as from a higher field by 7t-like-gan 2; nothing was scanned at 7 T; "
        "weights SHA-256"
    )
    assert image.DerivationCodeSequence[-1].CodeMeaning == (
        "Image quality transfer, look of a higher field"
    )
    assert f'"appearance":"{NOT_SCANNED_SO}"' in image.DerivationDescription
    assert not SLICES_MADE.search(f"{image} {made.provenance}")
    file = tmp_path / "0001.dcm"
    file.write_bytes(Path(default_storage.path(f"{made.prefix}/dicom/0001.dcm")).read_bytes())
    source = Path(default_storage.path(f"{control.prefix}/dicom/0001.dcm"))
    assert dict(errors_found(dciodvfy, [file])) == dict(errors_found(dciodvfy, [source]))
    # Its own page, that of all derived arms, and that of the study.
    study = made.volunteer.study
    client.force_login(make_coordinator(study))
    page = client.get(f"/studies/{study.slug}/variants/{made.pk}/").content.decode()
    for sentence in (
        NOT_SCANNED_SO,
        "what the network changed",
        "nothing was scanned at 7 T that the images could be held against",
        "the network was trained for 3 T",
    ):
        assert sentence in page, sentence
    assert not SLICES_MADE.search(page.partition("<main")[2])
    pictures = [picture.name for picture in evidence_page(made, control, 8).pictures]
    assert pictures == ["input", "output", "expected_error", "difference"]
    for name in pictures:
        picture = client.get(f"/studies/{study.slug}/variants/{made.pk}/{name}/8.png")
        assert picture.status_code == 200, name
    for path in (f"/studies/{study.slug}/variants/", f"/studies/{study.slug}/"):
        assert "look of a higher field, not scanned at 7 T" in client.get(path).content.decode()
    [row] = series_rows(study)
    assert row.n_warnings == len(evidence_page(made, control, 8).warnings) == 1
    # A report of the study.
    [line] = _models([("7T-like", made.provenance)])
    assert line.endswith(f"; {NOT_SCANNED_SO})")


def test_a_scan_at_another_field_than_the_networks_is_pointed_out(by_hand: Series) -> None:
    def scanned_at(field: float) -> tuple[str, str]:
        by_hand.parameters["MagneticFieldStrength"] = field
        facts = evidence_page(by_hand, None, 8).sections[0].facts
        [fact] = [fact for fact in facts if fact.label == "Scanned at"]
        return fact.value, fact.badge

    assert scanned_at(2.89) == ("2.89 T", "")
    assert scanned_at(1.5) == ("1.5 T", "warn")


def test_what_is_no_scan_of_thin_slices_is_refused_with_what_to_do() -> None:
    volunteer = prepared(HIGHER_FIELD, "STD")
    store(volunteer, "STD", head(), step=4.0, z=0)
    run_pending("gpu")
    cell = find_cell(volunteer.study, "V01", "IQT")
    assert cell is not None
    assert "on voxels that are nearly cubes. Give it a scan of thin slices." in cell.reason


def test_a_coordinator_is_not_asked_how_many_slices_it_makes(client: Client) -> None:
    study = prepared(SIMULATED, "STD").study
    client.force_login(make_coordinator(study))
    chosen = {
        **{"name": "7T-like", "code": "HF", "source": study.arms.get(code="STD").pk},
        **{"method": "transfer", "model": "7t-like-gan", "factor": 4, "thick": "acquired"},
        "samples": 0,
    }
    page = client.get(f"/studies/{study.slug}/variants/").content.decode()
    assert '<optgroup label="Look of a higher field, not scanned at 7 T">' in page
    assert client.post(f"/studies/{study.slug}/variants/", chosen).status_code == 302
    assert study.arms.get(code="HF").recipe == HIGHER_FIELD


# --- The warning map as DICOM objects -------------------------------------------------------------


def test_a_coordinator_downloads_the_warning_map_as_dicom_of_the_same_frame_of_reference(
    made: Series, client: Client
) -> None:
    study = made.volunteer.study
    coordinator = make_coordinator(study)
    client.force_login(coordinator)
    path = f"/studies/{study.slug}/variants/{made.pk}/warning-map.zip"
    assert f'href="{path}"' in client.get(path.removesuffix("warning-map.zip")).content.decode()
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/zip"
    name = f"{study.slug}-V01-warning-map-{made.pk.hex[:8]}"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}.zip"'
    content = b"".join(answer)  # type: ignore[arg-type]
    assert int(answer.headers["Content-Length"]) == len(content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == [f"{name}/{file}" for file in FILES]
        flagged, error = (dcmread(io.BytesIO(archive.read(one))) for one in archive.namelist())
    image = dcmread(default_storage.path(f"{made.prefix}/dicom/0001.dcm"))
    for one in (flagged, error):
        assert one.FrameOfReferenceUID == image.FrameOfReferenceUID
        assert one.StudyInstanceUID == image.StudyInstanceUID
        assert one.SeriesInstanceUID != image.SeriesInstanceUID
        assert one.NumberOfFrames == made.slices
    assert flagged.pixel_array.sum() == np.asarray(read_map(made, FLAGGED)).sum() > 0
    event = Event.objects.get(action="variants.warning_map.downloaded")
    assert (event.actor, event.subject_id) == (coordinator, str(made.pk))
    assert event.new["arm"] == "IQT"
    # The same file again.
    assert b"".join(client.get(path)) == content  # type: ignore[arg-type]
    assert Event.objects.filter(action="variants.warning_map.downloaded").count() == 2


def test_readers_statisticians_and_strangers_do_not_learn_that_it_exists(
    by_hand: Series, client: Client
) -> None:
    write_warning_objects(by_hand.prefix, dict.fromkeys(FILES, b"an object"))
    study = by_hand.volunteer.study
    path = f"/studies/{study.slug}/variants/{by_hand.pk}/warning-map.zip"
    both = make_coordinator(study)
    do_add_member(study, None, both, Role.READER)
    statistician = make_user()
    do_add_member(study, None, statistician, Role.STATISTICIAN)
    for user in (make_reader(study), both, statistician, make_user()):
        client.force_login(user)
        for ask in (client.get, client.head):
            assert ask(path).status_code == 404
    assert not Event.objects.filter(action="variants.warning_map.downloaded").exists()
    client.force_login(make_coordinator(study))
    assert b"".join(client.get(path))  # type: ignore[arg-type]
    client.logout()
    assert client.get(path).status_code == 302


def test_a_series_without_a_warning_map_says_so(by_hand: Series, client: Client) -> None:
    study = by_hand.volunteer.study
    client.force_login(make_coordinator(study))
    page = f"/studies/{study.slug}/variants/{by_hand.pk}/"
    assert "warning-map.zip" not in client.get(page).content.decode()
    answer = client.get(f"{page}warning-map.zip")
    assert answer.status_code == 404
    assert "thin from thick of V01 has no warning map" in answer.content.decode()
    assert f'href="{page}"' in answer.content.decode()
