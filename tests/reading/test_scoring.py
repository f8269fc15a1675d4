"""Scores: append-only revisions, only by the session's reader, only while reading is open."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from readerstudy.audit.models import Event
from readerstudy.reading.errors import Conflict, ReadingError, ScoresMissing
from readerstudy.reading.frames import progress, scores_frame
from readerstudy.reading.models import Item, ScoreRevision
from readerstudy.reading.selectors import (
    Reach,
    latest_answers,
    missing_criteria,
    neighbour,
    open_item,
    reach_of,
)
from readerstudy.reading.services import do_open_item, do_record_score, do_submit_item
from readerstudy.studies.models import Study
from tests.factories import make_administrator, make_coordinator
from tests.reading.imaged_study import (
    first_item,
    make_reading_study,
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
def item(study: Study) -> Item:
    return first_item(session_of(study))


def close(study: Study) -> None:
    Study.objects.filter(pk=study.pk).update(state=Study.State.LOCKED)


def test_each_change_of_a_score_is_a_new_revision_and_all_are_kept(item: Item) -> None:
    reader = reader_of(item.session)
    for revision, value in enumerate([4, 2, 5]):
        score = do_record_score(item, "sharpness", value, revision, reader)
        assert score.revision == revision + 1
    assert list(item.scores.values_list("value", flat=True)) == [4, 2, 5]
    assert latest_answers(item)["sharpness"].value == 5


def test_the_trail_tells_a_first_score_from_a_revised_one(item: Item) -> None:
    reader = reader_of(item.session)
    do_record_score(item, "sharpness", 4, 0, reader)
    do_record_score(item, "sharpness", 2, 1, reader, reason="a slip")
    first, second = Event.objects.filter(action__startswith="reading.score").order_by("sequence")
    assert (first.action, first.old) == ("reading.score.recorded", None)
    assert first.new == {"criterion": "sharpness", "value": 4, "revision": 1}
    assert (second.action, second.why) == ("reading.score.revised", "a slip")
    assert second.old == {"criterion": "sharpness", "value": 4}
    assert second.subject_id == str(item.pk)
    assert second.actor == reader


def test_a_score_on_an_outdated_revision_is_a_conflict_that_carries_what_is_stored(
    item: Item,
) -> None:
    reader = reader_of(item.session)
    do_record_score(item, "sharpness", 4, 0, reader)
    with pytest.raises(Conflict) as conflict:
        do_record_score(item, "sharpness", 2, 0, reader)
    assert conflict.value.details == {
        "criterion": "sharpness", "value": 4, "cannot_assess": "", "revision": 1,
    }  # fmt: skip
    assert ScoreRevision.objects.count() == 1


def test_sending_the_stored_score_again_adds_nothing(item: Item) -> None:
    reader = reader_of(item.session)
    first = do_record_score(item, "sharpness", 4, 0, reader)
    assert do_record_score(item, "sharpness", 4, 0, reader) == first
    assert Event.objects.filter(action__startswith="reading.score").count() == 1


@pytest.mark.parametrize("value", [0, 6, -1, True, 3.0, "3", None])
def test_a_score_is_a_whole_number_from_one_to_five(item: Item, value: object) -> None:
    with pytest.raises(ReadingError, match="1 to 5"):
        do_record_score(item, "sharpness", value, 0, reader_of(item.session))


def test_an_unknown_criterion_is_refused(item: Item) -> None:
    with pytest.raises(ReadingError, match="no such criterion"):
        do_record_score(item, "beauty", 3, 0, reader_of(item.session))


def test_nobody_else_scores_a_readers_item(study: Study, item: Item) -> None:
    others = [
        reader_of(session_of(study, "R2")),
        make_coordinator(study),
        make_administrator(),
    ]
    for other in others:
        with pytest.raises(PermissionDenied):
            do_record_score(item, "sharpness", 3, 0, other)
        with pytest.raises(PermissionDenied):
            do_submit_item(item, other, {1, 2})


def test_an_item_is_submitted_when_every_criterion_is_scored(item: Item) -> None:
    reader = reader_of(item.session)
    for code in ("sharpness", "overall"):
        do_record_score(item, code, 3, 0, reader)
    with pytest.raises(ScoresMissing) as missing:
        do_submit_item(item, reader, {1, 2})
    assert missing.value.codes == ["perceived_snr", "contrast", "structure_visibility", "artifact"]
    assert "Perceived SNR, Contrast" in str(missing.value)
    assert missing_criteria(item) == missing.value.codes
    score_item(item)
    item.refresh_from_db()
    assert item.submitted_at is not None
    event = Event.objects.get(action="reading.item.submitted")
    assert event.subject_id == str(item.pk)
    assert event.new["overall"] == 3
    assert len(event.new) == 6


def test_items_are_read_in_order(item: Item) -> None:
    following, second, later = (neighbour(item, step) for step in (1, 2, 3))
    assert following is not None
    assert second is not None
    assert later is not None
    assert [reach_of(one) for one in (item, following, second, later)] == [
        Reach.OPEN,
        Reach.NEXT,
        Reach.NEXT,
        Reach.BEYOND,
    ]
    for one in (following, second, later):
        with pytest.raises(ReadingError, match="not open yet"):
            do_record_score(one, "sharpness", 3, 0, reader_of(item.session))
        with pytest.raises(ReadingError, match="not open yet"):
            do_submit_item(one, reader_of(item.session), {1, 2})
    score_item(item)
    assert open_item(item.session) == following


def test_a_submitted_item_can_be_revised_where_the_study_allows_going_back(item: Item) -> None:
    score_item(item, 3)
    item.refresh_from_db()
    submitted = item.submitted_at
    do_record_score(item, "sharpness", 5, 1, reader_of(item.session), reason="seen again")
    do_submit_item(item, reader_of(item.session), {1, 2})
    item.refresh_from_db()
    assert item.submitted_at == submitted
    rows = {row["criterion"]: row for row in scores_frame(item.session.study)}
    assert (rows["sharpness"]["score"], rows["sharpness"]["revision"]) == (5, 2)


def test_a_submitted_item_stays_as_it_is_where_the_study_forbids_going_back() -> None:
    study = make_reading_study(volunteers=2, may_go_back=False)
    item = first_item(session_of(study))
    score_item(item)
    with pytest.raises(ReadingError, match="cannot be changed"):
        do_record_score(item, "sharpness", 5, 1, reader_of(item.session))


def test_after_the_lock_nothing_is_scored_or_submitted(study: Study, item: Item) -> None:
    close(study)
    for act in (
        lambda: do_record_score(item, "sharpness", 3, 0, reader_of(item.session)),
        lambda: do_submit_item(item, reader_of(item.session), {1, 2}),
    ):
        with pytest.raises(ReadingError, match="Reading is closed"):
            act()
    assert not ScoreRevision.objects.exists()


def test_a_session_that_opens_later_is_not_scored_before(item: Item) -> None:
    item.session.opens_at = timezone.now() + timedelta(days=14)
    item.session.save()
    with pytest.raises(ReadingError, match="opens on"):
        do_record_score(item, "sharpness", 3, 0, reader_of(item.session))


def test_opening_the_first_case_starts_the_session_and_is_noted_once(item: Item) -> None:
    reader = reader_of(item.session)
    opened = do_open_item(item, reader)
    again = do_open_item(item, reader)
    assert opened.opened_at == again.opened_at is not None
    session = session_of(item.session.study)
    assert session.started_at == opened.opened_at
    assert Event.objects.filter(action="reading.session.started").count() == 1


def test_the_last_item_completes_the_session(study: Study) -> None:
    session = session_of(study)
    read_to_the_end(session)
    session.refresh_from_db()
    assert session.completed_at is not None
    assert Event.objects.filter(action="reading.session.completed").count() == 1
    assert [(p.reader_code, p.submitted, p.total, p.is_done) for p in progress(study)] == [
        ("R1", 10, 10, True),
        ("R2", 0, 10, False),
    ]


def test_the_primary_analysis_gets_the_latest_scores_of_submitted_primary_items() -> None:
    study = make_reading_study(volunteers=3, readers=2, repeat_percent=20)
    session = session_of(study)
    read_to_the_end(session)
    half_scored = first_item(session_of(study, "R2"))
    do_record_score(half_scored, "sharpness", 1, 0, reader_of(half_scored.session))

    rows = scores_frame(study)

    # 3 volunteers x 5 arms x 6 criteria of R1; not the 3 repeats, not R2's unsubmitted item.
    assert len(rows) == 90
    assert {row["reader"] for row in rows} == {"R1"}
    assert len({(row["volunteer"], row["arm"], row["criterion"]) for row in rows}) == 90
    for row in rows:
        item = Item.objects.get(pk=row["item_id"])
        assert item.purpose == "primary"
        assert (item.volunteer.code, item.arm.code) == (row["volunteer"], row["arm"])
        assert row["score"] == latest_answers(item)[row["criterion"]].value
