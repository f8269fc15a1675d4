"""What the reading room's addresses answer: the JSON contract, the redirects, the pixels."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest
from django.test import Client

from readerstudy.imaging.models import Series
from readerstudy.imaging.selectors import load_volume
from readerstudy.reading import views
from readerstudy.reading.models import Item, Session
from readerstudy.reading.selectors import neighbour, session_summary
from readerstudy.reading.services import do_record_score
from readerstudy.studies.models import Study
from tests.reading.imaged_study import (
    COLUMNS,
    ROWS,
    SLICES,
    first_item,
    make_reading_study,
    pane_of,
    read_to_the_end,
    reader_of,
    score_item,
    session_of,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    return make_reading_study(volunteers=2)


@pytest.fixture
def session(study: Study) -> Session:
    return session_of(study)


@pytest.fixture
def client(session: Session) -> Client:
    client = Client()
    client.force_login(reader_of(session))
    return client


def post(client: Client, address: str, content: Any) -> Any:
    """Sent as the page sends it: with an id of its own unless one is given."""
    if isinstance(content, dict):
        content = {"id": str(uuid.uuid4()), **content}
    return client.post(address, content, content_type="application/json")


def data_of(client: Client, item: Item) -> dict[str, Any]:
    content: dict[str, Any] = client.get(f"/reading/item/{item.token}/data/").json()
    return content


def all_item_addresses(item: Item) -> list[str]:
    return [
        f"/reading/item/{item.token}/data/",
        *(f"/reading/pixels/{pane.token}/0" for pane in item.panes.all()),
    ]


def test_home_shows_progress_and_leads_to_the_open_case(client: Client, session: Session) -> None:
    page = client.get("/reading/").content.decode()
    assert "Lumbar DLR validation" in page
    assert "Simulated acceleration: for tests." in page
    assert "0 of 10" in page
    answer = client.get(f"/reading/session/{session.token}/")
    assert answer.headers["Location"] == f"/reading/item/{first_item(session).token}/"


def test_reading_resumes_where_it_stopped(client: Client, session: Session) -> None:
    score_item(first_item(session))
    score_item(first_item(session))
    third = session.items.get(position=3)
    answer = client.get(f"/reading/session/{session.token}/")
    assert answer.headers["Location"] == f"/reading/item/{third.token}/"
    assert "2 of 10" in client.get("/reading/").content.decode()


def test_an_open_item_with_an_answer_is_a_reading_that_was_begun() -> None:
    session = session_of(make_reading_study(volunteers=2, practice_items=2))
    client = Client()
    client.force_login(reader_of(session))

    def said() -> tuple[bool, bool]:
        page = client.get("/reading/").content.decode()
        begun = ("In progress" in page, "Go on reading" in page)
        fresh = ("Not started" not in page, "Start with practice" not in page)
        assert begun == fresh
        return begun

    assert said() == (False, False)
    item = first_item(session)
    assert item.purpose == Item.Purpose.PRACTICE
    criterion = session.study.criteria.first()
    assert criterion is not None
    do_record_score(item, criterion.code, 3, 0, reader_of(session))
    assert said() == (True, True)
    other = session_of(session.study, "R2")
    assert not session_summary(other).is_begun  # another reader's answers say nothing of it


def test_item_data_holds_what_the_page_needs_and_nothing_else(
    client: Client, session: Session
) -> None:
    item = first_item(session)
    data = data_of(client, item)
    assert set(data) == {
        "token", "position", "total", "submitted_count", "submitted", "mode", "practice",
        "geometry", "window", "presets", "panes", "criteria", "comment", "marks",
        "change_needs_reason", "may_go_back", "previous", "previous_data", "next", "next_data",
        "ahead", "home", "session_page", "open_url", "score_url", "comment_url", "marks_url",
        "visit_url", "submit_url", "display_url", "pause_url", "signin_url", "fault_url",
        "display_check", "pause", "instructions", "notice", "reader", "server_time",
    }  # fmt: skip
    assert (data["token"], data["position"], data["total"]) == (item.token, 1, 10)
    assert data["geometry"] == {
        "rows": ROWS, "columns": COLUMNS, "slices": SLICES,
        "row_spacing": 1.5, "column_spacing": 1.0, "slice_spacing": 4.0,
        "row_direction": [0, 1, 0], "column_direction": [0, 0, -1], "slice_direction": [1, 0, 0],
        "origin": data["geometry"]["origin"],
    }  # fmt: skip
    assert data["panes"] == [
        {
            "number": number,
            "role": role,
            "label": role.capitalize(),
            "side": side,
            "slices": f"/reading/pixels/{pane_of(item, role).token}/{{index}}",
        }
        for number, role, side in ((1, "control", "left"), (2, "candidate", "right"))
    ]
    assert data["presets"][0] == {"code": "initial", "name": "Initial", **data["window"]}
    assert [preset["code"] for preset in data["presets"][1:]] == [
        "wide", "narrow", "dark", "bright",
    ]  # fmt: skip
    assert [criterion["code"] for criterion in data["criteria"]] == [
        "perceived_snr", "sharpness", "contrast", "structure_visibility", "artifact", "overall",
    ]  # fmt: skip
    assert all(len(criterion["anchors"]) == 5 for criterion in data["criteria"])
    assert {criterion["value"] for criterion in data["criteria"]} == {None}
    assert data["previous"] is None
    following = neighbour(item, 1)
    assert following is not None
    assert data["next"] == f"/reading/item/{following.token}/"
    assert data["next_data"] == f"/reading/item/{following.token}/data/"
    assert [other["page"] for other in data["ahead"]] == [
        f"/reading/item/{other.token}/" for other in session.items.filter(position__in=[2, 3])
    ]


def test_a_whole_item_over_the_wire(client: Client, session: Session) -> None:
    item = first_item(session)
    assert client.get(f"/reading/item/{item.token}/").status_code == 200
    data = data_of(client, item)
    codes = [criterion["code"] for criterion in data["criteria"]]
    for number, code in enumerate(codes, start=1):
        answer = post(client, data["score_url"], {"criterion": code, "value": 4, "revision": 0})
        assert answer.status_code == 200
        receipt = answer.json()
        assert (receipt["revision"], receipt["missing"]) == (1, codes[number:])
        assert (receipt["criterion"], receipt["value"], receipt["feedback"]) == (code, 4, None)
        if number < len(codes):
            refused = post(client, data["submit_url"], {"shown": [1, 2]})
            assert refused.status_code == 422
            assert refused.json()["missing"] == codes[number:]
    for pane in data["panes"]:
        assert client.get(pane["slices"].format(index=1)).status_code == 200
    submitted = post(client, data["submit_url"], {"shown": [1, 2]}).json()
    assert (submitted["next"], submitted["next_data"]) == (data["next"], data["next_data"])
    assert (submitted["home"], submitted["done"], submitted["pause"]) == ("/reading/", False, None)
    data = data_of(client, item)
    assert data["submitted"] is True
    assert data["submitted_count"] == 1
    assert {(c["value"], c["revision"]) for c in data["criteria"]} == {(4, 1)}
    item.refresh_from_db()
    assert item.opened_at is not None


def test_a_conflict_answers_409_with_the_stored_score(client: Client, session: Session) -> None:
    address = f"/reading/item/{first_item(session).token}/scores/"
    post(client, address, {"criterion": "overall", "value": 4, "revision": 0})
    answer = post(client, address, {"criterion": "overall", "value": 2, "revision": 0})
    assert answer.status_code == 409
    assert (answer.json()["value"], answer.json()["revision"]) == (4, 1)
    assert answer.json()["error"]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ({"criterion": "overall", "value": 9, "revision": 0}, 422),
        ({"criterion": "beauty", "value": 3, "revision": 0}, 422),
        ({"criterion": "overall", "value": 3}, 400),
        ({"criterion": "overall", "value": 3, "revision": True}, 400),
        ({"criterion": ["overall"], "value": 3, "revision": 0}, 400),
        ([], 400),
        ("nonsense", 400),
    ],
)
def test_a_malformed_score_is_refused_with_a_reason(
    client: Client, session: Session, content: Any, status: int
) -> None:
    address = f"/reading/item/{first_item(session).token}/scores/"
    answer = post(client, address, content)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_scoring_needs_the_csrf_token(session: Session) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(reader_of(session))
    content = {"criterion": "overall", "value": 4, "revision": 0}
    answer = post(strict, f"/reading/item/{first_item(session).token}/scores/", content)
    assert answer.status_code == 403


def test_the_next_case_may_be_fetched_ahead_but_not_opened(
    client: Client, session: Session
) -> None:
    following = neighbour(first_item(session), 1)
    assert following is not None
    page = f"/reading/item/{following.token}/"
    assert client.get(page).headers["Location"] == f"/reading/session/{session.token}/"
    assert client.get(page, headers={"Purpose": "prefetch"}).status_code == 200
    for address in all_item_addresses(following):
        assert client.get(address).status_code == 200
    following.refresh_from_db()
    assert following.opened_at is None


def test_cases_further_on_do_not_leave(client: Client, session: Session) -> None:
    later = session.items.get(position=4)
    for address in all_item_addresses(later):
        assert client.get(address).status_code == 404
    for headers in ({}, {"Purpose": "prefetch"}):
        assert client.get(f"/reading/item/{later.token}/", headers=headers).status_code == 302


def test_earlier_cases_leave_only_where_going_back_is_allowed(
    client: Client, session: Session
) -> None:
    item = first_item(session)
    score_item(item)
    following = first_item(session)
    assert data_of(client, following)["previous"] == f"/reading/item/{item.token}/"
    for address in [*all_item_addresses(item), f"/reading/item/{item.token}/"]:
        assert client.get(address).status_code == 200
    Study.objects.update(may_go_back=False)
    assert data_of(client, following)["previous"] is None
    for address in all_item_addresses(item):
        assert client.get(address).status_code == 404
    assert client.get(f"/reading/item/{item.token}/").status_code == 302


def test_pixels_are_the_stored_slices_in_the_volunteers_display_convention(
    client: Client, session: Session
) -> None:
    item = first_item(session)
    volunteer = item.volunteer
    for token, arm in (
        (pane_of(item, "control").token, "STD"),
        (pane_of(item, "candidate").token, item.arm.code),
    ):
        series = Series.objects.get(volunteer=volunteer, arm__code=arm)
        volume = np.asarray(load_volume(series), dtype=np.float64)
        shown = np.clip(
            np.rint(volume * (series.display_factor * volunteer.display["scale"])), 0, 65535
        )
        for index in range(SLICES):
            answer = client.get(f"/reading/pixels/{token}/{index}")
            sent = np.frombuffer(answer.content, "<u2").reshape(ROWS, COLUMNS)
            assert np.array_equal(sent, shown[index])


def test_a_slice_that_is_not_there_is_404(client: Client, session: Session) -> None:
    token = pane_of(first_item(session), "control").token
    for index in (str(SLICES), "99999999999999999999", "-1", "x"):
        assert client.get(f"/reading/pixels/{token}/{index}").status_code == 404


def test_pixels_cannot_be_revalidated(client: Client, session: Session) -> None:
    address = f"/reading/pixels/{pane_of(first_item(session), 'control').token}/0"
    answer = client.get(address, headers={"If-Modified-Since": "Wed, 01 Jan 2070 00:00:00 GMT"})
    assert answer.status_code == 200
    assert not {"ETag", "Last-Modified", "Content-Disposition"} & set(answer.headers)
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"


def test_when_all_is_read_the_session_says_so_and_lets_cases_be_seen_again(
    client: Client, session: Session
) -> None:
    read_to_the_end(session)
    last = session.items.get(position=10)
    answer = post(client, f"/reading/item/{last.token}/submit/", {"shown": [1, 2]}).json()
    assert (answer["next"], answer["done"]) == (None, True)
    assert answer["home"] == f"/reading/session/{session.token}/"
    page = client.get(f"/reading/session/{session.token}/").content.decode()
    assert "All 10 items are scored" in page
    assert f"/reading/item/{last.token}/" in page


def test_after_the_lock_the_reading_room_is_closed(client: Client, session: Session) -> None:
    item = first_item(session)
    Study.objects.update(state=Study.State.LOCKED)
    for address in all_item_addresses(item):
        assert client.get(address).status_code == 404
    assert "Reading is closed" in client.get("/reading/").content.decode()
    page = client.get(f"/reading/session/{session.token}/").content.decode()
    assert "Reading is closed" in page
    assert "/reading/item/" not in page
    answer = post(
        client,
        f"/reading/item/{item.token}/scores/",
        {"criterion": "overall", "value": 4, "revision": 0},
    )
    assert answer.status_code == 422


def test_another_readers_session_does_not_exist(client: Client, study: Study) -> None:
    other = session_of(study, "R2")
    item = first_item(other)
    addresses = [
        f"/reading/session/{other.token}/",
        f"/reading/item/{item.token}/",
        *all_item_addresses(item),
    ]
    for address in addresses:
        assert client.get(address).status_code == 404
    for act in ("scores", "submit"):
        assert post(client, f"/reading/item/{item.token}/{act}/", {}).status_code == 404


def test_a_person_without_sessions_sees_an_empty_room(client: Client) -> None:
    from tests.factories import make_administrator

    client.force_login(make_administrator())
    assert "Nothing to read yet" in client.get("/reading/").content.decode()


def test_a_reader_who_left_the_study_finds_nothing(client: Client, session: Session) -> None:
    item = first_item(session)
    session.study.memberships.filter(user=session.reader).delete()
    for address in [f"/reading/session/{session.token}/", *all_item_addresses(item)]:
        assert client.get(address).status_code == 404


def test_a_study_locked_between_looking_up_and_opening_leads_to_the_session(
    client: Client, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = first_item(session)
    opening = views.do_open_item

    def locked_just_before(*args: Any) -> Item:
        Study.objects.filter(pk=session.study_id).update(state=Study.State.LOCKED)
        return opening(*args)

    monkeypatch.setattr(views, "do_open_item", locked_just_before)
    answer = client.get(f"/reading/item/{item.token}/")
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"/reading/session/{session.token}/"
    assert client.get(answer.headers["Location"]).status_code == 200
