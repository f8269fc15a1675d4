"""What readers see, answer and submit in each mode of reading; practice; cannot assess."""

from __future__ import annotations

from typing import Any

import pytest

from readerstudy.reading.frames import answers_frame, progress, scores_frame
from readerstudy.reading.models import Item
from readerstudy.studies.models import Study
from readerstudy.studies.templates_lumbar import do_update_settings
from tests.reading.exchange import Page
from tests.reading.imaged_study import make_imaged_study, session_of, start_reading

pytestmark = pytest.mark.django_db


def page_of(mode: str, **fields: Any) -> Page:
    study = make_imaged_study(volunteers=2, readers=1, **fields)
    sides = "balanced" if mode == "choice" else "control_left"
    do_update_settings(study, None, reading_mode=mode, side_policy=sides)
    start_reading(Study.objects.get(pk=study.pk))
    return Page(session_of(study))


def test_absolute_shows_one_image_and_scores_it_by_itself() -> None:
    page = page_of("absolute")
    data = page.get()
    assert [(p["role"], p["label"], p["side"]) for p in data["panes"]] == [("image", "Image", None)]
    assert (data["mode"], data["total"]) == ("absolute", 10)
    assert data["criteria"][0]["anchors"][4] == "Excellent"
    assert "control" not in str(data["criteria"])
    page.read(5)
    rows = scores_frame(page.session.study)
    assert {row["score"] for row in rows} == {5}
    assert len(rows) == 6


def test_a_forced_choice_is_between_the_two_arms_of_each_comparison() -> None:
    page = page_of("choice")
    data = page.get()
    assert [(p["label"], p["side"]) for p in data["panes"]] == [
        ("Left", "left"), ("Right", "right"),
    ]  # fmt: skip
    assert data["total"] == 2 * 4  # volunteers by comparisons
    refused = page.score("overall", 3, status=422)
    assert (refused["code"], refused["error"]) == ("scale", "Choose the left or the right image.")
    page.score("overall", None, status=422)  # there is no tie
    assert page.score("overall", "right")["value"] == "right"
    assert page.get()["criteria"][5]["value"] == "right"
    item = page.item
    page.score("overall", "left", revision=1)
    page.read(0)
    rows = [row for row in answers_frame(page.session.study) if row["criterion"] == "overall"]
    left = item.panes.get(number=1).arm.code
    assert item.comparison is not None
    assert [(row["first"], row["second"], row["chosen"]) for row in rows] == [
        (item.comparison.first.code, item.comparison.second.code, left)
    ]
    assert not scores_frame(page.session.study)


def test_ranking_shows_all_arms_of_a_volunteer_and_takes_each_rank_once() -> None:
    page = page_of("ranking")
    data = page.get()
    assert [pane["label"] for pane in data["panes"]] == ["A", "B", "C", "D", "E"]
    assert data["total"] == 2
    for wrong in ([1, 1, 2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4, 6], "12345", 3, [1, 2, 3, 4, True]):
        assert page.score("overall", wrong, status=422)["code"] == "scale"
    ranks = [2, 1, 3, 5, 4]
    assert page.score("overall", ranks)["value"] == ranks
    assert page.get()["criteria"][5]["value"] == ranks
    item = page.item
    page.read(1)
    rows = [row for row in answers_frame(page.session.study) if row["criterion"] == "overall"]
    arms = [pane.arm.code for pane in item.panes.select_related("arm").order_by("number")]
    assert {row["arm"]: row["rank"] for row in rows} == dict(zip(arms, ranks, strict=True))


def test_what_cannot_be_assessed_is_an_answer_with_its_reason() -> None:
    page = page_of("relative")
    item = page.item
    assert page.act("scores", {"criterion": "artifact", "cannot_assess": "x", "revision": 0}, 422)
    both = {"criterion": "artifact", "cannot_assess": "out of view", "value": 3, "revision": 0}
    assert page.act("scores", both, 422)["code"] == "scale"
    content = {"criterion": "artifact", "cannot_assess": " out of view ", "revision": 0}
    receipt = page.act("scores", content)
    assert (receipt["value"], receipt["cannot_assess"]) == (None, "out of view")
    assert "artifact" not in receipt["missing"]
    data = page.get()
    shown = next(criterion for criterion in data["criteria"] if criterion["code"] == "artifact")
    assert (shown["value"], shown["cannot_assess"], shown["revision"]) == (None, "out of view", 1)
    for criterion in data["criteria"]:
        if criterion["code"] != "artifact":
            page.score(criterion["code"], 4)
    page.act("submit", {"shown": page.look(data)}, item=item)
    # The analysis takes it as missing; the table of all answers says why.
    assert {row["criterion"] for row in scores_frame(page.session.study)} == {
        "perceived_snr", "sharpness", "contrast", "structure_visibility", "overall",
    }  # fmt: skip
    rows = {row["criterion"]: row for row in answers_frame(page.session.study)}
    assert (rows["artifact"]["score"], rows["artifact"]["cannot_assess"]) == (None, "out of view")


@pytest.mark.parametrize("practice_volunteers", [[], ["V02"]])
def test_practice_comes_first_says_the_wording_and_is_never_analysed(
    practice_volunteers: list[str],
) -> None:
    study = make_imaged_study(
        volunteers=3, readers=1, practice_items=2, practice_volunteers=practice_volunteers
    )
    start_reading(study)
    page = Page(session_of(study))
    data = page.get()
    assert (data["practice"], data["position"], data["total"]) == (True, 1, 2)
    receipt = page.score("sharpness", 4)
    assert receipt["feedback"].startswith("4 – Slightly superior. How sharp")
    page.read()
    assert page.get()["position"] == 2
    page.read()
    data = page.get()
    expected = 5 * (3 - len(practice_volunteers))
    assert (data["practice"], data["position"], data["total"]) == (False, 1, expected)
    assert data["submitted_count"] == 0
    assert page.score("sharpness", 4)["feedback"] is None
    assert [(p.submitted, p.total) for p in progress(study)] == [(0, expected)]
    assert not scores_frame(study)
    assert {row["purpose"] for row in answers_frame(study)} == {"practice"}
    primary = Item.objects.exclude(purpose="practice").values_list("volunteer__code", flat=True)
    assert not set(practice_volunteers) & set(primary)
    home = page.client.get("/reading/").content.decode()
    assert f"0 of {expected}" in home


def test_a_repeat_looks_like_any_other_item() -> None:
    study = start_reading(make_imaged_study(volunteers=2, readers=1, repeat_percent=20))
    page = Page(session_of(study))
    shapes = set()
    purposes = []
    while True:
        item, data = page.item, page.get()
        purposes.append(item.purpose)
        shapes.add((tuple(sorted(data)), data["practice"], data["total"]))
        if page.read(2)["done"]:
            break
    assert len(shapes) == 1
    assert "repeat" in purposes
    assert len(scores_frame(study)) == 10 * 6
    assert len([row for row in answers_frame(study) if row["purpose"] == "repeat"]) == 2 * 6
