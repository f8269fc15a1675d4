"""Occasions with their washout, pauses, the record of the reading, displays, faults of the page."""

from __future__ import annotations

import copy
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from readerstudy.audit.models import Event
from readerstudy.audit.visibility import readable
from readerstudy.reading import recording
from readerstudy.reading.frames import (
    answers_frame,
    displays_frame,
    progress,
    scores_frame,
    visits_frame,
)
from readerstudy.reading.models import DisplayCheck, Pane, Pause, Randomisation, Session, Visit
from readerstudy.reading.ordering import derive_permutation, randomisation_hash
from readerstudy.reading.randomisation import ALGORITHM
from readerstudy.studies.models import Study
from tests.reading.exchange import CONTRAST, DISPLAY, VISIT, Page
from tests.reading.imaged_study import (
    make_imaged_study,
    make_reading_study,
    read_to_the_end,
    session_of,
    start_reading,
)

pytestmark = pytest.mark.django_db


def changed(content: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**copy.deepcopy(content), **fields}


@pytest.fixture
def page() -> Page:
    return Page(session_of(make_reading_study(volunteers=2, readers=1)))


# --- Occasions ------------------------------------------------------------------------------------


def test_a_second_occasion_opens_after_the_washout_and_has_an_order_of_its_own() -> None:
    study = make_reading_study(volunteers=2, readers=1, occasions=2, washout_days=14)
    first, second = session_of(study), session_of(study, occasion=2)
    orders = [
        list(session.items.values_list("volunteer__code", "arm__code"))
        for session in (first, second)
    ]
    assert sorted(orders[0]) == sorted(orders[1])
    assert orders[0] != orders[1]
    page = Page(second)
    item = second.items.get(position=1)
    refused = page.act("open", {}, 422, item=item)
    assert refused["code"] == "closed"
    assert refused["error"] == "This session opens 14 days after occasion 1 is finished."
    assert "14 days after occasion 1 is finished" in page.client.get("/reading/").content.decode()

    read_to_the_end(first)
    second.refresh_from_db()
    assert second.opens_at is not None
    assert second.opens_at - timezone.now() > timedelta(days=13, hours=23)
    refused = page.act("scores", {"criterion": "overall", "value": 3, "revision": 0}, 422)
    assert "until then the washout lasts" in refused["error"]
    assert page.client.get(f"/reading/item/{item.token}/data/").status_code == 404
    assert Event.objects.filter(action="reading.session.washout_began").count() == 1

    Session.objects.filter(pk=second.pk).update(opens_at=timezone.now() - timedelta(minutes=1))
    page.read(2)
    assert {row["occasion"] for row in answers_frame(study)} == {1, 2}
    assert len(scores_frame(study)) == 2 * 5 * 6  # of the first occasion alone
    assert [(p.occasion, p.submitted, p.total) for p in progress(study)] == [
        (1, 10, 10),
        (2, 1, 10),
    ]


@pytest.mark.parametrize("mode", ["relative", "absolute", "choice", "ranking"])
def test_rederive_order_proves_every_occasion_in_every_mode(mode: str) -> None:
    study = make_imaged_study(
        volunteers=3, readers=2, occasions=2, practice_items=2, reading_mode=mode,
        side_policy="balanced", repeat_percent=0 if mode == "ranking" else 10,
    )  # fmt: skip
    start_reading(study)
    out = StringIO()
    call_command("rederive_order", "lumbar", stdout=out)
    assert "the stored order of 4 sessions" in out.getvalue()
    # A pane that was exchanged behind the platform's back is named.
    pane = Pane.objects.filter(item__session__reader_code="R2").order_by("pk").first()
    assert pane is not None
    other = study.arms.exclude(pk=pane.arm_id).first()
    Pane.objects.filter(pk=pane.pk).update(arm=other)
    errors = StringIO()
    with pytest.raises(SystemExit):
        call_command("rederive_order", "lumbar", stderr=errors)
    assert "reader R2, occasion 1, item 1: stored" in errors.getvalue()


def test_an_order_of_version_1_is_still_derived_by_version_1() -> None:
    study = make_reading_study(volunteers=3, readers=1, side_policy="balanced")
    constraints = {
        "minimum_gap": 1, "repeat_percent": 0, "side_policy": "balanced",
        "volunteers": ["V01", "V02", "V03"], "arms": ["DF", "DLR_DF", "DLR_TF", "STD", "TF"],
        "readers": ["R1"], "occasions": [1],
    }  # fmt: skip
    permutation = derive_permutation(ALGORITHM, constraints, "old seed")
    Randomisation.objects.filter(study=study).update(
        algorithm=ALGORITHM, seed="old seed", constraints=constraints, permutation=permutation,
        sha256=randomisation_hash(ALGORITHM, "old seed", constraints, permutation),
    )  # fmt: skip
    session = session_of(study)
    items = list(session.items.order_by("position"))
    volunteers = {v.code: v for v in study.volunteers.all()}
    arms = {arm.code: arm for arm in study.arms.all()}
    for item, (volunteer, arm, side, _) in zip(items, permutation["R1"]["1"], strict=True):
        item.volunteer, item.arm = volunteers[volunteer], arms[arm]
        item.save()
        item.panes.all().delete()
        shown = [("control", arms["STD"]), ("candidate", arms[arm])]
        for number, (role, of_pane) in enumerate(shown if side == "left" else shown[::-1], 1):
            Pane.objects.create(item=item, number=number, role=role, arm=of_pane)
    out = StringIO()
    call_command("rederive_order", "lumbar", stdout=out)
    assert ALGORITHM in out.getvalue()
    items[0].panes.update(role="candidate")
    with pytest.raises(SystemExit):
        call_command("rederive_order", "lumbar", stderr=StringIO())


# --- Pauses ---------------------------------------------------------------------------------------


def visit_of(minutes: float, **fields: Any) -> dict[str, Any]:
    return changed(VISIT, active_ms=int(minutes * 60_000), interruptions=[], **fields)


def test_a_pause_comes_after_the_set_time_of_active_reading_and_lasts() -> None:
    study = make_reading_study(volunteers=2, readers=1, pause_after_minutes=30, pause_minutes=5)
    page = Page(session_of(study))
    assert page.read(visit=visit_of(20))["pause"] is None
    assert page.get()["pause"] is None
    pause = page.read(visit=visit_of(10))["pause"]
    assert (pause["minutes"], pause["text"][:25]) == (5, "Rest your eyes for 5 minu")
    # A reload shows it again; what waits in the browser still gets through.
    assert page.get()["pause"] == pause
    page.score("overall", 3)
    refused = page.act_on_session("pause", {}, 422)
    assert (refused["code"], "5 more minutes" in refused["error"]) == ("early", True)
    Pause.objects.update(until=timezone.now())
    assert page.act_on_session("pause", {})["ended_at"]
    assert page.get()["pause"] is None
    assert page.act_on_session("pause", {})["ended_at"]  # none runs: nothing to refuse
    assert page.read(visit=visit_of(29))["pause"] is None  # the clock began anew
    assert page.read(visit=visit_of(1))["pause"] is not None


def test_time_away_counts_as_a_pause() -> None:
    study = make_reading_study(volunteers=2, readers=1, pause_after_minutes=30, pause_minutes=5)
    page = Page(session_of(study))
    assert page.read(visit=visit_of(29))["pause"] is None
    away = changed(visit_of(29), interruptions=[{"at_ms": 1, "ms": 6 * 60_000, "why": "idle"}])
    assert page.read(visit=away)["pause"] is None
    # Between two items: the last visit ended a night ago.
    assert page.read(visit=visit_of(0.5))["pause"] is None
    assert Pause.objects.count() == 0


# --- The record -----------------------------------------------------------------------------------


@pytest.fixture
def recorded(page: Page) -> Page:
    page.act("open", {})
    page.read(visit=VISIT)
    page.act_on_session("display", {**DISPLAY, "contrast": CONTRAST})
    return page


def test_a_visit_is_stored_once_and_shown_to_nobody_but_the_statisticians_tables(
    recorded: Page,
) -> None:
    visit = Visit.objects.get()
    assert (visit.active_ms, visit.interrupted_ms) == (48_211, 9_000)
    assert visit.content["panes"][1] == {"number": 2, "slices": [1, 2]}
    study = recorded.session.study
    # Nothing of it in what the reader gets, nor in the trail; its events are hidden till the lock.
    assert "48211" not in str(recorded.get(visit.item))
    event = Event.objects.get(action="reading.visit.recorded")
    assert set(event.new) == {"item", "sha256"}
    assert not readable(Event.objects.filter(action__startswith="reading.visit")).exists()
    assert not readable(Event.objects.filter(action__startswith="reading.display")).exists()
    row = visits_frame(study)[0]
    assert (row["reader"], row["active_s"], row["slices_seen"]) == ("R1", 48.211, 2)
    assert (row["window_center"], row["used"], row["viewport"]) == (
        812.0, "invert preset", "1280x720",
    )  # fmt: skip
    assert displays_frame(study)[0]["result"] == "good"


@pytest.mark.parametrize(
    "wrong",
    [
        {"active_ms": -1}, {"active_ms": 10**9}, {"active_ms": 1.5}, {"active_ms": None},
        {"interruptions": [{"at_ms": 1, "ms": 1, "why": "lunch"}]},
        {"interruptions": [{"at_ms": 1, "ms": 1, "why": "idle"}] * 201},
        {"panes": [{"number": 3, "slices": []}]}, {"panes": [{"number": 1, "slices": [3]}]},
        {"panes": [{"number": 1, "slices": []}] * 2}, {"panes": "all"},
        {"windows": [{"center": 1e300, "width": 1, "ms": 1}]}, {"windows": [3]},
        {"zoom": {"least": 0, "most": 1, "last": 1}}, {"zoom": 1},
        {"used": ["eyes"]}, {"used": [["invert"]]}, {"slice_changes": "many"},
        {"display": {**DISPLAY, "viewport": [0, 720]}},
        {"display": {**DISPLAY, "screen": "Jane Doe's display"}},
    ],
)  # fmt: skip
def test_a_record_holds_bounded_numbers_and_known_words_only(
    page: Page, wrong: dict[str, Any]
) -> None:
    refused = page.act("visit", changed(VISIT, **wrong), 400)
    assert refused["code"] == "malformed"
    assert not Visit.objects.exists()


def test_an_item_left_over_a_holiday_or_before_it_was_drawn_has_its_record(page: Page) -> None:
    day = 24 * 3600 * 1000
    away = [{"at_ms": at * day, "ms": 20 * day, "why": "hidden"} for at in (0, 21)]
    window = {"center": 812.0, "width": 1400.0, "ms": 3 * day}
    page.act("visit", changed(VISIT, interruptions=away, windows=[window], zoom=None))
    row = visits_frame(page.session.study)[0]
    assert (row["interrupted_s"], row["zoom_most"]) == (40 * 24 * 3600, None)


def test_a_record_that_is_full_is_refused_for_good_and_hinders_no_answer(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_VISITS", 2)
    monkeypatch.setattr(recording, "MOST_CHECKS", 2)
    for _ in range(2):
        page.act("visit", VISIT)
        page.act_on_session("display", {**DISPLAY, "contrast": CONTRAST})
    refused = page.act("visit", VISIT, 422)
    assert refused["code"] == "record_full"
    assert refused["error"] == "2 visits of this item are recorded: no more are taken."
    refused = page.act_on_session("display", {**DISPLAY, "contrast": None}, 422)
    assert refused["code"] == "record_full"
    page.read(4)
    assert Visit.objects.count() == DisplayCheck.objects.count() == 2


def test_what_a_record_does_not_know_is_not_stored(page: Page) -> None:
    page.act("visit", changed(VISIT, patient="Jane Doe", display={**DISPLAY, "name": "Jane Doe"}))
    assert "Jane" not in str(Visit.objects.get().content)


# --- Displays -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "result", "advice"),
    [
        ({"contrast": CONTRAST}, "good", []),
        ({"contrast": None}, "skipped", []),
        (
            {"contrast": {**CONTRAST, "dark": {"shown": 4, "seen": 3}, "ramp": "banded"}},
            "poor",
            ["Not every dark patch", "The grey ramp"],
        ),
        ({"contrast": CONTRAST, "colour_depth": 18}, "poor", ["The display reports"]),
    ],
)
def test_a_display_check_is_stored_and_answered_with_advice(
    page: Page, fields: dict[str, Any], result: str, advice: list[str]
) -> None:
    assert page.get()["display_check"] == {"wanted": True, "last": None}
    answer = page.act_on_session("display", {**DISPLAY, **fields})
    assert answer["result"] == result
    assert [words[: len(start)] for words, start in zip(answer["advice"], advice, strict=True)] == (
        advice
    )
    check = page.get()["display_check"]
    assert (check["wanted"], check["last"]["screen"]) == (False, [1920, 1080])
    assert DisplayCheck.objects.get().result == result


def test_a_display_check_that_says_nonsense_is_refused(page: Page) -> None:
    for wrong in (
        {"contrast": {**CONTRAST, "dark": {"shown": 4, "seen": 5}}},
        {"contrast": {**CONTRAST, "ramp": "nice"}},
        {"contrast": "yes"},
        {"contrast": CONTRAST, "device_pixel_ratio": 0},
    ):
        page.act_on_session("display", {**DISPLAY, **wrong}, 400)
    assert not DisplayCheck.objects.exists()


# --- Faults of the page ---------------------------------------------------------------------------


def test_a_fault_of_the_page_is_logged_without_anything_typed_or_shown(
    page: Page, caplog: pytest.LogCaptureFixture
) -> None:
    fault = {"item": page.item.token, "kind": "script", "name": "TypeError",
             "where": "/static/js/reading.js:82:10"}  # fmt: skip
    assert page.post("/reading/faults/", fault) == {"noted": True}
    assert "script TypeError at /static/js/reading.js:82:10" in caplog.text
    secret = {**fault, "where": f"/reading/item/{page.item.token}/", "message": "Jane Doe"}
    page.post("/reading/faults/", secret)
    logged = [r.getMessage() for r in caplog.records if r.name == "readerstudy.reading.exchange"]
    assert page.item.token not in str(logged)
    assert "Jane" not in caplog.text
    for wrong in (
        {"kind": "Jane Doe"}, {"name": "Jane Doe"}, {"where": "Jane Doe"}, {"name": "x" * 41},
        {"where": 3},
    ):  # fmt: skip
        assert page.post("/reading/faults/", {**fault, **wrong}, 400)["code"] == "malformed"
    other = Page(page.session).post("/reading/faults/", {**fault, "item": None})
    assert other == {"noted": True}


def test_a_page_that_reports_faults_without_end_is_stopped(page: Page) -> None:
    fault = {"item": None, "kind": "pixels", "name": "", "where": ""}
    for _ in range(20):
        page.post("/reading/faults/", fault)
    refused = page.post("/reading/faults/", fault, 429)
    assert refused["code"] == "too_many"
    Study.objects.update(state=Study.State.LOCKED)
    assert page.post("/reading/faults/", fault, 429)
