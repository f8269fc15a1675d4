"""Results and files of every mode of reading, and who gets the record of the reading."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pandas as pd
import pytest
from django.test import Client
from docx import Document

from readerstudy.conduct.services import do_launch, do_lock
from readerstudy.reading.models import Session
from readerstudy.reports.bundles.contents import parts_of
from readerstudy.reports.bundles.drafts.missing import missing_from
from readerstudy.reports.report import masked_report, named_report
from readerstudy.reports.selectors import data_of
from readerstudy.studies.models import Study
from readerstudy.studies.templates_lumbar import do_update_settings
from tests.factories import make_coordinator, make_statistician
from tests.reading.exchange import CONTRAST, DISPLAY, VISIT, Page
from tests.reading.imaged_study import make_imaged_study, read_to_the_end, session_of
from tests.reading.test_acts import arrow
from tests.reports.published import unblind
from tests.reports.test_masking import unmasking

pytestmark = pytest.mark.django_db


def read_study(mode: str, maps: str = "never", **fields: Any) -> Study:
    study = make_imaged_study(volunteers=4, readers=2)
    study.title = "Lumbar spine"  # which no arm is called after
    study.warning_maps = maps
    study.save(update_fields=["title", "warning_maps"])
    sides = "balanced" if mode == "choice" else "control_left"
    do_update_settings(study, None, reading_mode=mode, side_policy=sides, **fields)
    do_launch(study, None, seed="modes")
    page = Page(session_of(study))
    while page.get()["practice"]:
        page.read()
    visit = VISIT if len(page.get()["panes"]) > 1 else {**VISIT, "panes": []}
    page.act_on_session("display", {**DISPLAY, "contrast": CONTRAST})
    page.act("comment", {"text": "=grain", "revision": 0})
    if mode == "relative":
        page.act("marks", {"marks": [arrow(page.item)], "revision": 0})
        unsure = {"criterion": "sharpness", "cannot_assess": "artifact", "revision": 0}
        page.act("scores", unsure)
    page.read(5, visit=visit)
    for session in Session.objects.filter(study=study):
        read_to_the_end(session)
    return do_lock(study, None)


def words_of(docx: bytes) -> str:
    document = Document(io.BytesIO(docx))
    cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
    return "\n".join([*(paragraph.text for paragraph in document.paragraphs), *cells])


def client_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def table(client: Client, study: Study, name: str) -> pd.DataFrame:
    answer = client.get(f"/studies/{study.slug}/results/files/{name}")
    assert answer.status_code == 200, name
    return pd.read_csv(io.BytesIO(answer.content))


@pytest.mark.parametrize("mode", ["choice", "ranking", "absolute"])
def test_each_mode_has_results_masked_and_named(mode: str) -> None:
    study = read_study(mode)
    statistician = client_of(make_statistician(study))
    masked = masked_report(study)
    assert masked.readers == ["R1", "R2"]
    assert len(masked.volunteers) == 4
    page = statistician.get(f"/studies/{study.slug}/results/").content.decode()
    expected = {"choice": "Table 6. Forced", "ranking": "Table 8. Ranking", "absolute": "Table 3."}
    assert expected[mode] in page
    text = str(masked.data)
    for arm in ("DLR_DF", "double-fast", "STD"):
        assert arm not in text
        assert arm not in page
    if mode == "choice":
        frame = table(statistician, study, "choices.csv")
        assert len(frame) == 4 * 6
        assert set(frame["a"]) | set(frame["b"]) <= set("ABCDE")
        assert (frame["a"] < frame["b"]).all()
        assert len(table(statistician, study, "choices_long.csv")) == 4 * 4 * 6 * 2
    if mode == "ranking":
        assert len(table(statistician, study, "rankings_long.csv")) == 4 * 5 * 6 * 2
    unblind(study, None, "all read")
    study.refresh_from_db()
    named = named_report(study)
    if mode == "choice":
        assert {("STD", "DLR_DF")} <= set(
            zip(named.results.choices["a"], named.results.choices["b"], strict=True)
        )
    page = statistician.get(f"/studies/{study.slug}/results/").content.decode()
    assert "DLR-double-fast" in page


def test_repeats_practice_and_comments_stand_apart_and_never_in_the_results() -> None:
    study = read_study("relative", maps="open", repeat_percent=20, practice_items=2)
    data = data_of(study)
    assert len(data["scores"]) == 4 * 5 * 6 * 2 - 1  # one could not be assessed
    assert "mode" not in data  # nothing is added to the document of the paper's own mode
    statistician = client_of(make_statistician(study))
    frame = table(statistician, study, "answers_long.csv")
    counts = frame.groupby("purpose").size().to_dict()
    assert counts == {"primary": 240, "repeat": 4 * 6 * 2, "practice": 2 * 6 * 2}
    assert set(frame["arm"]) == set("ABCDE")
    comments = table(statistician, study, "comments.csv")
    assert comments["comment"].tolist() == ["'=grain"]  # no spreadsheet runs it
    assert comments["arrows"].tolist() == [1]
    arrows = table(statistician, study, "arrows.csv")
    # As the reader saw it: the second slice of the second image.
    assert arrows[["image", "image_position", "slice"]].values.tolist() == [["candidate", 2, 2]]
    assert arrows["head_z_mm"].tolist() == pytest.approx((arrows["tail_z_mm"] + 7.5).tolist())
    assert "image_arm" not in arrows  # the arm under an arrow would tell the control's letter
    # The score that could not be given is said, though the summary of the other reader hides it.
    missing = missing_from(study, masked_report(study))
    assert (missing.answers, missing.complete, missing.not_assessable) == (1, 240, 1)
    assert "1 of 240 answers of a complete reading lack (R1: 1); 1 of them" in missing.sentences[0]
    parts = parts_of(study, masked_report(study))
    for name in ("methods_and_results", "claim"):
        text = words_of(parts["Drafts"][f"drafts/{name}.docx"]())
        assert "1 of 240 answers" in text
        assert "No value is missing" not in text
    # Whoever saw an image's own warning map could tell what made it.
    methods = words_of(parts["Drafts"]["drafts/methods_and_results.docx"]())
    assert "Readers were not blinded to how an image was made" in methods
    assert "Readers were blinded" not in methods
    assert "nothing was trained" not in text
    assert "Benjamini and Hochberg" in text


def test_the_record_of_the_reading_is_the_statisticians_alone() -> None:
    study = read_study("relative")
    statistician = client_of(make_statistician(study))
    coordinator = client_of(make_coordinator(study))
    visits = table(statistician, study, "visits.csv")
    assert visits["active_s"].tolist() == [48.211]
    assert set(visits["arm"]) <= set("ABCDE")
    assert table(statistician, study, "displays.csv")["result"].tolist() == ["good"]
    # Nor does anything else that leaves with the record name an arm: comments, drafts, labels.
    path = f"/studies/{study.slug}/results/bundle.zip"
    assert "\n".join(unmasking(path, statistician.get(path))) == ""
    unblind(study, None, "all read")
    base = f"/studies/{study.slug}/results"
    for name in ("visits.csv", "displays.csv"):
        assert coordinator.get(f"{base}/files/{name}").status_code == 404
    assert coordinator.get(f"{base}/files/answers_long.csv").status_code == 200
    assert "visits.csv" not in coordinator.get(f"{base}/").content.decode()
    assert "visits.csv" in statistician.get(f"{base}/").content.decode()
    for client, has_record in ((coordinator, False), (statistician, True)):
        content = client.get(f"{base}/bundle.zip").content
        names = {name.split("/")[-1] for name in zipfile.ZipFile(io.BytesIO(content)).namelist()}
        assert ("visits.csv" in names) is has_record
        assert "answers_long.csv" in names
