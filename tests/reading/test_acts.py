"""Every act of a reader is done once, whatever the network does; what is refused says why."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from readerstudy.audit.models import Event
from readerstudy.reading.models import (
    CommentRevision,
    Item,
    MarksRevision,
    Pane,
    Receipt,
    ScoreRevision,
    Session,
)
from readerstudy.studies.models import Study
from tests.reading.exchange import Page
from tests.reading.imaged_study import make_reading_study, session_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage_apart")]


@pytest.fixture
def study() -> Study:
    return make_reading_study(volunteers=2)


@pytest.fixture
def page(study: Study) -> Page:
    return Page(session_of(study))


def score(value: Any = 4, revision: int = 0, **more: Any) -> dict[str, Any]:
    return {"criterion": "sharpness", "value": value, "revision": revision, **more}


# --- Once -----------------------------------------------------------------------------------------


def test_the_same_id_gets_the_same_receipt_and_never_a_second_revision(page: Page) -> None:
    sent = score(id=str(uuid.uuid4()))
    first = page.act("scores", sent)
    page.score("sharpness", 2, revision=1)  # meanwhile changed
    again = page.act("scores", sent)
    assert again == {**first, "repeated": True}
    assert first["saved_at"].endswith("Z")
    assert list(ScoreRevision.objects.values_list("value", flat=True)) == [4, 2]


def test_a_receipt_is_given_again_after_the_submission_and_after_the_lock(page: Page) -> None:
    sent = score(id=str(uuid.uuid4()))
    item, first = page.item, page.act("scores", sent)
    page.read()
    Study.objects.update(state=Study.State.LOCKED)
    assert page.act("scores", sent, item=item) == {**first, "repeated": True}
    refused = page.act("scores", score(5, 1), 422, item=item)
    assert (refused["code"], "Reading is closed" in refused["error"]) == ("closed", True)


def test_an_id_stands_for_one_content(page: Page) -> None:
    number = str(uuid.uuid4())
    page.act("scores", score(id=number))
    assert page.act("scores", score(5, id=number), 409)["code"] == "id_reused"
    assert page.act("comment", {"id": number, "text": "", "revision": 0}, 409)
    assert ScoreRevision.objects.count() == 1


def test_what_is_refused_leaves_no_receipt_and_may_be_sent_again(page: Page) -> None:
    item, number = page.item, str(uuid.uuid4())
    shown = {"id": number, "shown": page.look(page.get())}
    assert page.act("submit", shown, 422)["code"] == "missing"
    assert not Receipt.objects.exists()
    for criterion in page.get()["criteria"]:
        page.score(criterion["code"], 3)
    first = page.act("submit", shown, item=item)
    assert page.act("submit", shown, item=item) == {**first, "repeated": True}
    assert Event.objects.filter(action="reading.item.submitted").count() == 1


def test_a_late_submission_from_another_window_leads_to_the_open_item(page: Page) -> None:
    item = page.item
    page.read()
    answer = page.act("submit", {"shown": []}, item=item)
    assert (answer["next"], answer["done"]) == (f"/reading/item/{page.item.token}/", False)


def test_opening_is_noted_once_and_an_item_further_on_is_not_opened(page: Page) -> None:
    opened = page.act("open", {})
    assert opened["position"] == 1
    assert page.act("open", {})["opened_at"] == opened["opened_at"]
    later = page.session.items.get(position=2)
    assert page.act("open", {}, item=later)["opened_at"] is None


def test_a_score_stands_after_a_crash_between_click_and_answer(page: Page) -> None:
    """Answer and receipt are one transaction: when the answer is lost, both stand, or none."""
    sent = score(id=str(uuid.uuid4()))
    item = page.item
    assert connection.in_atomic_block  # the test's own; the act is a savepoint in it

    class Killed(Exception):
        """The process ends."""

    def receipt_fails(*_: Any, **__: Any) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Receipt.objects, "create", receipt_fails)
        with pytest.raises(Killed):
            page.act("scores", sent)
    assert not ScoreRevision.objects.exists()
    page.act("scores", sent, item=item)
    assert ScoreRevision.objects.count() == 1


# --- Bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, 6, -1, 2.5, "4", True, None, [4], {"a": 1}, 10**30])
def test_a_score_outside_the_scale_is_refused(page: Page, value: Any) -> None:
    assert page.act("scores", score(value), 422)["code"] == "scale"
    assert not ScoreRevision.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{", b'{"id": 3}', b'{"criterion": NaN}', b'"text"', b"\xff\xfe",
        b'{"id":"00000000-0000-4000-8000-000000000000","criterion":"\\u0000","revision":0}',
        b'{"id":"00000000-0000-4000-8000-000000000000","criterion":"\\ud800","revision":0}',
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_no_page_sends_is_refused_and_breaks_nothing(page: Page, body: bytes) -> None:
    address = f"/reading/item/{page.item.token}/"
    for act, status in (("scores", {400, 413}), ("submit", {400, 413}), ("marks", {400, 413})):
        answer = page.client.post(f"{address}{act}/", body, content_type="application/json")
        assert answer.status_code in status
        assert answer.json()["code"] in {"malformed", "too_large"}


def test_a_request_without_an_id_and_one_too_large_are_refused(page: Page) -> None:
    assert page.act("scores", score(id=None), 400)["code"] == "malformed"
    assert page.act("scores", score(id="1"), 400)["code"] == "malformed"
    assert page.act("comment", {"text": "x" * 70_000, "revision": 0}, 413)["code"] == "too_large"


def test_a_forged_token_and_another_readers_are_the_same_404(study: Study, page: Page) -> None:
    other = session_of(study, "R2")
    theirs = other.items.get(position=1).token
    pane = Pane.objects.filter(item__session=other).first()
    assert pane is not None
    for token in (theirs, "forged-token-of-22-char", page.session.token, pane.token):
        for act in ("open", "scores", "comment", "marks", "visit", "submit"):
            address = f"/reading/item/{token}/{act}/"
            answer = page.client.post(address, score(), content_type="application/json")
            assert answer.status_code == 404
    for token in (other.token, "forged", page.item.token):
        for act in ("display", "pause"):
            address = f"/reading/session/{token}/{act}/"
            assert page.client.post(address, {}, content_type="application/json").status_code == 404


def test_a_later_item_is_not_scored_and_a_session_is_not_read_before_its_time(page: Page) -> None:
    later = page.session.items.get(position=2)
    assert page.act("scores", score(), 422, item=later)["code"] == "not_open"
    Session.objects.update(opens_at=timezone.now() + timedelta(days=3))
    refused = page.act("scores", score(), 422)
    assert refused["code"] == "closed"
    assert "opens on" in refused["error"]


def test_an_item_is_not_submitted_unseen(page: Page) -> None:
    data = page.get()
    for criterion in data["criteria"]:
        page.score(criterion["code"], 3)
    # The page says it has drawn both, but the pixels of one have never left.
    page.client.get(data["panes"][0]["slices"].format(index=0))
    refused = page.act("submit", {"shown": [1, 2]}, 422)
    assert (refused["code"], refused["unseen"]) == ("unseen", [2])
    # They have left, but the page could not draw them.
    page.client.get(data["panes"][1]["slices"].format(index=0))
    assert page.act("submit", {"shown": [2]}, 422)["unseen"] == [1]
    assert page.act("submit", {}, 422)["unseen"] == [1, 2]
    page.act("submit", {"shown": "both"}, 400)
    page.act("submit", {"shown": [1, 2]})


def test_the_database_refuses_to_change_an_answer_and_to_add_one_after_the_lock(page: Page) -> None:
    page.score("sharpness", 4)
    page.act("comment", {"text": "grain", "revision": 0})
    item = page.item
    for rows in (ScoreRevision.objects, CommentRevision.objects, Receipt.objects):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            rows.all().delete()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        ScoreRevision.objects.update(value=1)
    Study.objects.update(state=Study.State.LOCKED)
    criterion = item.session.study.criteria.get(code="overall")
    with pytest.raises(DatabaseError, match="locked"), transaction.atomic():
        ScoreRevision.objects.create(item=item, criterion=criterion, revision=1, value=3)
    with pytest.raises(DatabaseError, match="locked"), transaction.atomic():
        MarksRevision.objects.create(item=item, revision=1)


# --- Reasons, comments, marks ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [("never", False, False), ("submitted", False, True), ("always", True, True)],
)
def test_a_change_needs_a_reason_as_the_protocol_says(
    page: Page, rule: str, before: bool, after: bool
) -> None:
    Study.objects.update(change_reason=rule)
    item = page.item
    page.score("sharpness", 4)

    def change(value: int, revision: int, is_needed: bool) -> None:
        assert page.get(item)["change_needs_reason"] is is_needed
        if is_needed:
            refused = page.act("scores", score(value, revision), 422, item=item)
            assert refused["code"] == "reason_needed"
        why = {"reason": " seen again "} if is_needed else {}
        page.act("scores", score(value, revision, **why), item=item)

    change(2, 1, before)
    page.read()
    change(5, 2, after)
    reasons = list(
        ScoreRevision.objects.filter(criterion__code="sharpness").values_list("reason", flat=True)
    )
    still_open = "seen again" if before else "changed before submission"
    assert reasons == ["", still_open, "seen again" if after else ""]
    assert page.act("scores", score(1, 3, reason="x" * 301), 422, item=item)["code"] == "too_long"


def test_where_going_back_is_forbidden_a_submitted_item_stays(page: Page) -> None:
    Study.objects.update(may_go_back=False)
    item = page.item
    page.read()
    for act, content in (
        ("scores", score(5, 1, reason="seen again")),
        ("comment", {"text": "late", "revision": 0}),
        ("marks", {"marks": [], "revision": 0}),
    ):
        assert page.act(act, content, 422, item=item)["code"] == "no_going_back"


def test_a_comment_is_kept_in_revisions_and_its_text_stays_out_of_the_trail(page: Page) -> None:
    stored = page.act("comment", {"text": " ghosting at L4 ", "revision": 0})
    assert (stored["text"], stored["revision"]) == ("ghosting at L4", 1)
    conflict = page.act("comment", {"text": "other", "revision": 0}, 409)
    assert (conflict["code"], conflict["text"], conflict["revision"]) == (
        "conflict", "ghosting at L4", 1,
    )  # fmt: skip
    assert page.act("comment", {"text": "", "revision": 1})["revision"] == 2
    assert page.get()["comment"] == {"text": "", "revision": 2}
    assert page.act("comment", {"text": "x" * 1001, "revision": 2}, 422)["code"] == "too_long"
    assert list(CommentRevision.objects.values_list("text", flat=True)) == ["ghosting at L4", ""]
    assert "ghosting" not in str(list(Event.objects.values_list("old", "new", "why")))


def arrow(item: Item, pane: int = 2, slice_index: int = 1, **more: Any) -> dict[str, Any]:
    """From the middle of the image five pixels up."""
    origin = -10.0 + 4.0 * slice_index  # of the slice, along the first axis
    volunteer = int(item.volunteer.code.removeprefix("V")) - 1
    tail = [origin, -30.0 + 12, 40.0 + volunteer - 24.0]
    return {"pane": pane, "slice": slice_index, "tail": tail, "head": [*tail[:2], tail[2] + 7.5],
            **more}  # fmt: skip


def test_arrows_are_kept_in_patient_millimetres_and_in_revisions(page: Page) -> None:
    item = page.item
    geometry = page.get()["geometry"]
    assert geometry["origin"][0] == pytest.approx(-10.0)
    mark = arrow(item)
    stored = page.act("marks", {"marks": [mark], "revision": 0})
    assert (stored["marks"], stored["revision"]) == ([mark], 1)
    assert page.get()["marks"] == {"marks": [mark], "revision": 1}
    conflict = page.act("marks", {"marks": [], "revision": 0}, 409)
    assert (conflict["marks"], conflict["revision"]) == ([mark], 1)
    page.act("marks", {"marks": [], "revision": 1})
    assert [len(revision.marks) for revision in MarksRevision.objects.order_by("id")] == [1, 0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"pane": 3}, {"pane": True}, {"slice": 3}, {"slice": 2}, {"head": [0, 0]},
        {"tail": [-6.0, -18.0, 400.0]}, {"tail": [-6.0, "a", 1.0]}, {"head": None},
        {"tail": [float("1e999"), 0, 0]},
    ],
)  # fmt: skip
def test_an_arrow_outside_its_image_is_refused(page: Page, wrong: dict[str, Any]) -> None:
    content = {"marks": [arrow(page.item, **wrong)], "revision": 0}
    infinite = "inf" in str(wrong)
    assert page.act("marks", content, 400 if infinite else 422)["error"]
    assert not MarksRevision.objects.exists()


def test_more_arrows_than_ten_and_no_list_are_refused(page: Page) -> None:
    many = [arrow(page.item)] * 11
    assert page.act("marks", {"marks": many, "revision": 0}, 422)["code"] == "marks"
    assert page.act("marks", {"marks": "arrow", "revision": 0}, 422)["code"] == "marks"
