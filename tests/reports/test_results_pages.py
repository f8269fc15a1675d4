"""What stands behind a cell, repeats, filtered figures, and images after unblinding."""

from __future__ import annotations

import csv
import io
import re
import statistics
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from PIL import Image

from readerstudy.conduct.services import do_launch, do_lock
from readerstudy.imaging.models import Series
from readerstudy.measurements.services import do_place_region
from readerstudy.reading.services import do_record_score
from readerstudy.reports.pages.people import paged
from readerstudy.studies.models import Study
from readerstudy.studies.templates_lumbar import do_update_settings
from tests.factories import make_coordinator, make_statistician
from tests.measurements.test_regions import ellipse_at
from tests.reading.exchange import CONTRAST, DISPLAY, VISIT, Page
from tests.reading.imaged_study import (
    first_item,
    make_imaged_study,
    read_to_the_end,
    reader_of,
    score_item,
    session_of,
)
from tests.reports.published import SCORES, golden_rows, make_published_study, unblind
from tests.reports.test_masking import pdf_text

pytestmark = pytest.mark.django_db

COMMENT = "Ghosting =1+1 at the disc"


@pytest.fixture
def read_study() -> Study:
    """Two volunteers read by two readers; R1 changed a score of the first item and commented."""
    study = make_imaged_study(volunteers=2, readers=2)
    do_update_settings(study, None, repeat_percent=20)
    for volunteer in study.volunteers.all():
        tissue = study.tissues.get(code="vertebra")
        do_place_region(volunteer, tissue, ellipse_at(volunteer, 1, 16, 11), None)
    do_launch(study, None, seed="pages")
    page = Page(session_of(study))
    page.act_on_session("display", {**DISPLAY, "contrast": CONTRAST})
    page.act("comment", {"text": COMMENT, "revision": 0})
    item = first_item(session_of(study))
    for value in (2, 3):
        do_record_score(item, "sharpness", value, value - 2, reader_of(session_of(study)))
    page.read(3, visit=VISIT)
    for code in ("R1", "R2"):
        read_to_the_end(session_of(study, code))
    do_lock(study, None)
    study.refresh_from_db()
    return study


def client_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page_of(client: Client, study: Study, path: str, status: int = 200) -> str:
    answer = client.get(f"/studies/{study.slug}/results/{path}")
    assert answer.status_code == status, path
    return str(answer.content.decode())


def test_a_cell_leads_to_the_scores_behind_it_and_to_how_they_were_given(read_study: Study) -> None:
    item = session_of(read_study).items.get(position=1)
    assert item.arm is not None
    place = f"metric=score&row=sharpness&arm={read_study.arm_letters[item.arm.code]}"
    statistician = client_of(make_statistician(read_study))
    assert f"behind/?{place.replace('&', '&amp;')}" in page_of(statistician, read_study, "")
    behind = page_of(statistician, read_study, f"behind/?{place}")
    assert "revision 2" in behind
    assert "48 s" in behind
    assert COMMENT in behind
    assert "V01" in behind
    assert "V02" in behind
    for wrong in (
        "metric=score&row=nothing&arm=A",
        "metric=score&row=sharpness&arm=Z",
        "metric=choice&row=sharpness&arm=A",
        "metric=SNR&row=sharpness&arm=A",
        f"{place}&reader=R9",
        f"{place}&volunteer=V99",
        "",
    ):
        page_of(statistician, read_study, f"behind/?{wrong}", 404)
    page_of(statistician, read_study, "nothing/", 404)
    # How long a reader took is for the statistician alone.
    unblind(read_study)
    coordinator = client_of(make_coordinator(read_study))
    named = page_of(coordinator, read_study, f"behind/?{place[:-1]}{item.arm.code}")
    assert COMMENT in named
    assert "48 s" not in named
    assert "/images/V01/" in named


def test_readers_and_coordinators_find_no_page_before_the_unblinding(read_study: Study) -> None:
    for person in (make_coordinator(read_study), reader_of(session_of(read_study))):
        client = client_of(person)
        for path in ("tests/", "figures/", "behind/?metric=score&row=sharpness&arm=A", "panels/"):
            page_of(client, read_study, path, 404)


def test_repeats_stand_apart_and_are_counted_by_reader(read_study: Study) -> None:
    page = page_of(client_of(make_statistician(read_study)), read_study, "agreement/")
    assert "second reading against the first" in page
    rows = re.findall(r"hidden repeat</td><td class=\"num\">(\d+)", page)
    assert rows == ["2"] * 12  # 20 % of ten items, six criteria, two readers
    assert "Table 4. Agreement between readers" in page


def test_a_figure_of_one_reader_shows_that_readers_scores_alone() -> None:
    study = make_published_study()
    client = client_of(make_statistician(study))
    answer: Any = client.get(
        "/studies/published/results/figures/figure4.csv?row=score:sharpness&reader=R2"
    )
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    letters = {letter: code for code, letter in study.arm_letters.items()}
    assert len(rows) == 5
    for row in rows:
        own = [
            float(score["score"])
            for score in golden_rows(SCORES)
            if score["sequence"] == letters[row["arm"]]
            and score["reader"] == "R2"
            and score["criterion"] == "sharpness"
        ]
        assert float(row["mean"]) == pytest.approx(statistics.fmean(own))
        assert float(row["sd"]) == pytest.approx(statistics.stdev(own))
    page = page_of(client, study, "figures/?figure=figure4&reader=R2")
    assert "Scores of R2 alone: descriptive, without tests." in page
    assert '"brackets": []' in page
    # A reader whom the results do not know is no filter.
    assert "Scores of" not in page_of(client, study, "figures/?figure=figure4&reader=R99")


def test_image_panels_are_exported_at_300_dots_an_inch_in_the_controls_window(
    read_study: Study, tmp_path: Path
) -> None:
    unblind(read_study)
    read_study.refresh_from_db()
    client = client_of(make_statistician(read_study))
    root = f"/studies/{read_study.slug}/results/panels/"
    page = page_of(client, read_study, "panels/")
    assert "Regions lie on slice 2" in page
    chosen = "volunteer=V01&slice=2&arms=STD&arms=DLR_DF&scale_bar=5"
    answer: Any = client.get(f"{root}panels.png?{chosen}&download")
    assert 'filename="' in answer["Content-Disposition"]
    image = Image.open(io.BytesIO(answer.content))
    assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    pdf = client.get(f"{root}panels.pdf?{chosen}").content
    drawing: Any = client.get(f"{root}panels.svg?{chosen}")
    assert drawing["Content-Disposition"].startswith("attachment")
    assert drawing["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    svg = drawing.content
    assert pdf.startswith(b"%PDF")
    assert b"<svg" in svg
    assert client.get(f"{root}panels.pdf?{chosen}").content == pdf
    for trace in (b"CreationDate", b"/Producer", b"/Author"):
        assert trace not in pdf
    # The grey of a panel is the control's window, whatever arm is shown beside it.
    alone: Any = client.get(f"{root}control.png?{chosen}")
    grey = Image.open(io.BytesIO(alone.content))
    assert grey.size == (48, 96)  # 24 × 1 mm and 32 × 1.5 mm, two points a millimetre
    assert client.get(f"{root}regions.png?{chosen}").status_code == 200
    assert (
        client.get(f"{root}regions.png?{chosen.replace('slice=2', 'slice=1')}").status_code == 404
    )
    factors = [
        f"{name} × {Series.objects.get(volunteer__code='V01', arm__code=code).display_factor:.3f}"
        for code, name in (("STD", "standard"), ("DLR_DF", "DLR-double-fast"))
    ]
    assert factors[0] == "standard × 1.000"
    said = pdf_text(pdf)
    assert all(part in said for factor in factors for part in factor.split(" × "))
    away = page_of(client, read_study, f"panels/?{chosen}&left=0&top=0&width=2&height=2")
    assert "none lies in what is shown. Outside the part shown: " in away
    other = page_of(client, read_study, f"panels/?{chosen.replace('slice=2', 'slice=1')}")
    assert "On other slices: " in other
    crop = f"{chosen}&left=2&top=3&width=10&height=12"
    smaller = Image.open(io.BytesIO(client.get(f"{root}panels.png?{crop}").content))
    assert smaller.size != image.size
    over = page_of(client, read_study, f"panels/?{chosen}&left=20&top=0&width=30&height=10", 422)
    assert "reaches over the edge" in over
    assert "3 slices" in page_of(client, read_study, "panels/?volunteer=V01&slice=9&arms=STD", 422)
    half = page_of(client, read_study, f"panels/?{chosen}&left=2", 422)
    assert "give left, top, width and height" in half
    page_of(client, read_study, "panels/?volunteer=V77&slice=1&arms=STD", 422)


def test_images_open_beside_the_results_after_unblinding_alone(read_study: Study) -> None:
    client = client_of(make_statistician(read_study))
    series = Series.objects.filter(volunteer__code="V01", arm__code="DF").get()
    paths = ("images/V01/", "images/V01/data/", f"pixels/{series.pk}/0")
    for path in paths:
        page_of(client, read_study, path, 404)
    unblind(read_study)
    for path in paths:
        assert client.get(f"/studies/{read_study.slug}/results/{path}").status_code == 200
    data = client.get(f"/studies/{read_study.slug}/results/images/V01/data/").json()
    assert [pane["id"] for pane in data["panes"]] == ["STD", "DF", "DLR_DF", "TF", "DLR_TF"]
    assert client.get(data["panes"][1]["slices"].format(index=2)).status_code == 200
    assert client.get(data["panes"][1]["slices"].format(index=3)).status_code == 404
    reader = client_of(reader_of(session_of(read_study)))
    for path in paths:
        page_of(reader, read_study, path, 404)


def test_volunteers_come_page_by_page() -> None:
    codes = [f"V{number:03d}" for number in range(1, 131)]
    shown, page = paged(codes, 3)
    assert shown == codes[120:]
    assert (page.number, page.count, page.before, page.after) == (3, 3, 2, 0)
    assert paged(codes, 99)[1].number == 3
    assert paged([], 1)[1].count == 1


def test_an_item_that_was_not_submitted_stands_as_a_dash() -> None:
    """A reader who withdrew in the middle: what is there counts, what is not is said."""
    study = make_imaged_study(volunteers=2, readers=2)
    do_launch(study, None, seed="left")
    for _ in range(3):
        score_item(first_item(session_of(study)))
    read_to_the_end(session_of(study, "R2"))
    do_lock(study, None, "The first reader withdrew.")
    client = client_of(make_statistician(study))
    page = page_of(client, study, "")
    assert "items were never submitted" in page
    assert "incomplete" in page
    behind = page_of(client, study, "behind/?metric=score&row=sharpness&arm=A")
    assert "–" in behind
