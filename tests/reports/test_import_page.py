"""The import page: what a coordinator sees."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from readerstudy.measurements.imports import COLUMNS as REGION_COLUMNS
from readerstudy.reading.imports import COLUMNS as SCORE_COLUMNS
from readerstudy.reading.models import ScoreRevision
from readerstudy.studies.models import Study
from tests.factories import make_coordinator, make_study
from tests.reports.published import FOLDER, REGIONS, SCORES, lock

pytestmark = pytest.mark.django_db

PAGE = "/studies/old/import/"


@pytest.fixture
def study(client: Client) -> Study:
    study = make_study("old", "Old study")
    client.force_login(make_coordinator(study))
    return study


def golden(name: str) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, (FOLDER / name).read_bytes(), "text/csv")


def test_a_coordinator_imports_both_files_and_is_told(client: Client, study: Study) -> None:
    page: Any = client.post(PAGE, {"scores": golden(SCORES), "regions": golden(REGIONS)})
    # The first press writes nothing: it shows what a second one would write.
    assert page.status_code == 200
    assert not ScoreRevision.objects.exists()
    study.refresh_from_db()
    assert study.is_draft
    shown = page.context["would_write"]
    assert [(part.what, part.lines) for part in shown.parts] == [
        ("scores", 900),
        ("region measurements", 350),
    ]
    assert ("Volunteer", "case") in shown.parts[0].headings
    assert dict(shown.parts[0].counts)["Readers"] == [("R1", 300), ("R2", 300), ("R3", 300)]
    assert ("standard (STD)", 180) in dict(shown.parts[0].counts)["Arms"]
    assert len(shown.new_volunteers) == 10
    assert "cannot be taken back" in page.content.decode()
    response: Any = client.post(PAGE, {**dict(page.context["carried"]), "import": "1"}, follow=True)
    assert response.redirect_chain == [(PAGE, 302)]
    text = response.content.decode()
    assert "Imported: 900 scores and 350 region measurements of 10 volunteers." in text
    assert ScoreRevision.objects.count() == 900
    # The file waits no more.
    gone = client.post(PAGE, {**dict(page.context["carried"]), "import": "1"})
    assert gone.status_code == 422
    assert "Choose the file again" in gone.content.decode()


def test_the_faults_are_shown_by_file_line_and_column(client: Client, study: Study) -> None:
    bad = SimpleUploadedFile(
        "bad.csv", b"case,sequence,reader,criterion,score\nV01,<b>XX</b>,R1,overall,9\n"
    )
    response: Any = client.post(PAGE, {"scores": bad})
    assert response.status_code == 422
    text = response.content.decode()
    assert "Nothing was imported: 2 faults" in text
    assert "&lt;b&gt;XX&lt;/b&gt;" in text
    assert "9 is out of range" in text
    assert ScoreRevision.objects.count() == 0


def test_no_file_and_a_file_too_large_are_refused(client: Client, study: Study) -> None:
    response: Any = client.post(PAGE, {})
    assert response.status_code == 422
    assert "Choose a file of scores" in response.content.decode()
    big = SimpleUploadedFile("big.csv", b"x" * (10 * 1024**2 + 1))
    response = client.post(PAGE, {"scores": big})
    assert response.status_code == 422
    assert "larger than 10 MB" in response.content.decode()
    # Every heading that is taken for a column stands on the page.
    page = client.get(PAGE).content.decode()
    for names in (*SCORE_COLUMNS.values(), *REGION_COLUMNS.values()):
        assert all(name in page for name in names)


def test_a_locked_study_offers_no_import(client: Client, study: Study) -> None:
    shown: Any = client.post(PAGE, {"scores": golden(SCORES)})
    client.post(PAGE, {**dict(shown.context["carried"]), "import": "1"})
    lock(study)
    page = client.get(PAGE).content.decode()
    assert "nothing can be imported any more" in page
    response: Any = client.post(PAGE, {"regions": golden(REGIONS)})
    assert response.status_code == 422
