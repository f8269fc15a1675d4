"""Readiness, launch and lock: what is refused with which words, and what an act leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.audit.models import Event
from readerstudy.conduct.checks import launch_checks
from readerstudy.conduct.readiness import CellState, readiness_grid
from readerstudy.conduct.selectors import reader_lines, reading_cards, study_cards
from readerstudy.conduct.services import check_launch, do_launch, do_lock
from readerstudy.imaging.models import Series, Upload, Volunteer
from readerstudy.jobs.models import Job, WorkerProcess
from readerstudy.jobs.selectors import NO_WORKER
from readerstudy.reading import ordering
from readerstudy.reading.models import Item, Randomisation, Session
from readerstudy.reading.services import do_record_score
from readerstudy.reading.warning_maps import notes as warning_map_notes
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Arm, Role, Study
from readerstudy.studies.protocol import sha256_of
from readerstudy.studies.services import do_add_member, do_update_study
from readerstudy.variants.models import Variant
from tests.factories import (
    make_administrator,
    make_coordinator,
    make_reader,
    make_statistician,
    make_study,
    make_user,
)
from tests.reading.imaged_study import (
    fill_study,
    make_imaged_study,
    read_to_the_end,
    reader_of,
    score_item,
    session_of,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage_apart")]


def levels(study: Study) -> dict[str, str]:
    return {check.title: check.level for check in launch_checks(study, readiness_grid(study))}


def states(study: Study) -> dict[str, CellState]:
    return {cell.arm.code: cell.state for cell in readiness_grid(study).cells()}


# --- Readiness ------------------------------------------------------------------------------------


def test_a_full_grid_is_ready_and_its_checks_pass_but_for_notes() -> None:
    study = make_imaged_study()
    grid = readiness_grid(study)
    assert (grid.n_ready, grid.n_cells, grid.is_complete) == (15, 15, True)
    assert not any(check.is_fault for check in launch_checks(study, grid))
    assert levels(study)["Regions of interest are placed"] == "warn"


def test_a_missing_acquired_arm_is_told_apart_from_a_derived_one_that_waits_for_it() -> None:
    study = make_study()
    Volunteer.objects.create(study=study, code="V01")
    assert states(study) == {
        "STD": CellState.MISSING,
        "DF": CellState.MISSING,
        "DLR_DF": CellState.SOURCE,
        "TF": CellState.MISSING,
        "DLR_TF": CellState.SOURCE,
    }


@pytest.mark.parametrize(
    ("job_state", "cell_state", "words"),
    [
        (Job.State.QUEUED, CellState.WAITING, "Waits for the worker"),
        (Job.State.RUNNING, CellState.RUNNING, "Being made 2 / 9"),
        (Job.State.FAILED, CellState.FAILED, "Failed"),
        (Job.State.CANCELLED, CellState.IDLE, "Cancelled"),
    ],
)
def test_a_derived_cell_follows_its_job(job_state: str, cell_state: CellState, words: str) -> None:
    study = make_imaged_study(volunteers=1)
    series = Series.objects.get(arm__code="DLR_DF")
    Variant.objects.filter(arm=series.arm).delete()
    series.delete()
    volunteer = Volunteer.objects.get()
    job = Job.objects.create(
        kind="variants.derive",
        state=job_state,
        progress_done=2,
        progress_total=9,
        error="No model.",
    )
    Variant.objects.create(
        volunteer=volunteer,
        arm=Arm.objects.get(code="DLR_DF"),
        source=Series.objects.get(arm__code="DF"),
        job=job,
    )
    cell = next(c for c in readiness_grid(study).cells() if c.arm.code == "DLR_DF")
    assert (cell.state, cell.label) == (cell_state, words)
    assert (cell.reason == "No model.") == (cell_state == CellState.FAILED)
    assert (cell.reason == NO_WORKER) == (cell_state == CellState.WAITING)
    now = timezone.now()
    WorkerProcess.objects.create(host="a", pid=1, queues="cpu gpu", started_at=now, seen_at=now)
    cell = next(c for c in readiness_grid(study).cells() if c.arm.code == "DLR_DF")
    assert cell.reason != NO_WORKER
    assert cell.is_moving == (job_state in {Job.State.QUEUED, Job.State.RUNNING})
    with pytest.raises(StudyError, match="V01: DLR-double-fast"):
        check_launch(study, None)


def test_an_arm_off_the_controls_grid_is_named_with_the_difference() -> None:
    study = make_imaged_study()
    series = Series.objects.get(volunteer__code="V02", arm__code="TF")
    series.geometry["row_spacing"] = 1.25
    series.save(update_fields=["geometry"])
    with pytest.raises(
        StudyError, match=r"V02 triple-fast: .*row spacing 1\.25 mm instead of 1\.5"
    ):
        do_launch(study, None)
    assert Study.objects.get().is_draft


def test_an_upload_in_work_keeps_the_launch_waiting() -> None:
    study = make_imaged_study(volunteers=3)
    upload = Upload.objects.create(study=study, name="more.zip", size=1, state="reading")
    assert readiness_grid(study).is_moving
    with pytest.raises(StudyError, match="being read"):
        check_launch(study, None)
    upload.state = Upload.State.DONE
    upload.save()
    assert not readiness_grid(study).is_moving
    check_launch(study, None)


def test_every_fault_is_said_at_once() -> None:
    study = make_study()
    Volunteer.objects.create(study=study, code="V01")
    study.criteria.update(anchors=["bad", "good"])
    with pytest.raises(StudyError) as refusal:
        check_launch(study, None)
    said = " ".join(refusal.value.messages)
    assert "V01: standard is missing" in said
    assert "Sharpness: a wording is needed for each of the 5 points" in said
    assert "at least one reader" in said


# --- Launch ---------------------------------------------------------------------------------------


def test_a_launch_freezes_the_protocol_and_stores_every_readers_order() -> None:
    study = make_imaged_study(volunteers=3, readers=2)
    coordinator = make_coordinator(study)
    do_launch(study, coordinator)
    launched = Study.objects.get()
    assert launched.state == Study.State.READING
    assert launched.launched_at is not None
    assert launched.protocol_sha256 == sha256_of(launched.protocol)
    assert launched.protocol["reading"]["readers"] == ["R1", "R2"]
    assert launched.protocol["images"]["V02"]["DLR_TF"] == (
        Series.objects.get(volunteer__code="V02", arm__code="DLR_TF").volume_sha256
    )
    assert {s.reader_code: s.items.count() for s in Session.objects.all()} == {"R1": 15, "R2": 15}
    with pytest.raises(StudyError, match="frozen"):
        do_update_study(launched, coordinator, title="Later")


@pytest.mark.django_db(transaction=True)
def test_orders_are_drawn_before_the_launch_holds_anything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tens of seconds in a large study: PostgreSQL would end a transaction that idles so long."""
    study = make_imaged_study(volunteers=3)
    inside: list[bool] = []
    derive = ordering.derive_permutation

    def noted(*given: Any) -> Any:
        inside.append(connection.in_atomic_block)
        return derive(*given)

    monkeypatch.setattr(ordering, "derive_permutation", noted)
    do_launch(study, None)
    assert inside == [False]


def test_a_launch_asks_no_storage_for_warning_maps_that_readers_are_offered() -> None:
    study = make_imaged_study(volunteers=3)
    Study.objects.filter(pk=study.pk).update(warning_maps=Study.WarningMaps.ALIKE)
    study.refresh_from_db()
    (note,) = warning_map_notes(study)
    assert "no arm has any" in note
    made = Series.objects.get(volunteer__code="V02", arm__code="DLR_DF")
    made.provenance = {**made.provenance, "qc": {"flagged_share": 0.1}}
    made.save(update_fields=["provenance"])
    assert warning_map_notes(study) == []
    do_launch(study, None)  # under the guard of storage_apart


def test_the_arms_letters_are_random_and_the_trail_has_neither_them_nor_the_seed() -> None:
    drawn = []
    for number in range(4):
        study = make_study(f"study-{number}", readers=1)
        fill_study(study, 2)
        do_launch(study, None, seed="the same seed for all")
        study.refresh_from_db()
        assert sorted(study.arm_letters.values()) == ["A", "B", "C", "D", "E"]
        assert set(study.arm_letters) == {"STD", "DF", "DLR_DF", "TF", "DLR_TF"}
        drawn.append(json.dumps(study.arm_letters, sort_keys=True))
        told = " ".join(
            json.dumps([event.old, event.new]) for event in Event.objects.filter(study_id=study.pk)
        )
        assert "arm_letters" not in told
        assert json.dumps(study.arm_letters) not in told
        assert "the same seed" not in told
    assert len(set(drawn)) > 1  # one in 120**3 that all four fall alike


def test_a_launch_that_is_refused_leaves_nothing_behind() -> None:
    study = make_imaged_study(volunteers=3)
    Study.objects.update(minimum_gap=3)  # three volunteers cannot keep three others in between
    with pytest.raises(StudyError):
        do_launch(study, None)
    unchanged = Study.objects.get()
    assert unchanged.is_draft
    assert (unchanged.protocol, unchanged.arm_letters) == (None, {})
    assert not Randomisation.objects.exists()
    assert not Event.objects.filter(action="conduct.study.launched").exists()


def test_a_study_is_launched_once() -> None:
    study = make_imaged_study()
    do_launch(study, None)
    with pytest.raises(StudyError, match="launched"):
        do_launch(study, None)
    assert Event.objects.filter(action="conduct.study.launched").count() == 1


@pytest.mark.parametrize("who", [make_reader, make_statistician, lambda study: make_user()])
def test_only_coordinators_and_administrators_launch_and_lock(
    who: Callable[[Study], User],
) -> None:
    study = make_imaged_study()
    person = who(study)
    with pytest.raises(PermissionDenied):
        do_launch(study, person)
    do_launch(study, make_administrator())
    with pytest.raises(PermissionDenied):
        do_lock(study, person, "because")
    assert Study.objects.get().state == Study.State.READING


# --- Lock -----------------------------------------------------------------------------------------


def test_a_lock_with_open_items_names_them_and_needs_a_reason() -> None:
    study = make_imaged_study(volunteers=3, readers=2)
    do_launch(study, None)
    read_to_the_end(session_of(study, "R1"))
    with pytest.raises(StudyError, match="R2 15"):
        do_lock(study, None)
    with pytest.raises(StudyError, match="R2 15"):
        do_lock(study, None, "   ")
    do_lock(study, None, "R2 fell ill.")
    assert Study.objects.get().state == Study.State.LOCKED
    event = Event.objects.get(action="conduct.study.locked")
    assert event.why == "R2 fell ill."
    assert event.new["open_items"] == [{"reader": "R2", "occasion": 1, "open": 15}]


def test_a_finished_study_locks_without_a_reason_and_takes_no_score_afterwards() -> None:
    study = make_imaged_study(volunteers=3, readers=1)
    do_launch(study, None)
    session = session_of(study)
    read_to_the_end(session)
    do_lock(study, make_coordinator(study))
    item = Item.objects.filter(session=session).first()
    assert item is not None
    with pytest.raises(StudyError, match="closed"):
        do_record_score(item, "sharpness", 1, 1, reader_of(session))


@pytest.mark.parametrize(
    ("state", "words"),
    [("draft", "not been launched"), ("locked", "locked already"), ("unblinded", "locked already")],
)
def test_only_a_study_that_is_being_read_is_locked(state: str, words: str) -> None:
    study = make_study()
    Study.objects.update(state=state)
    with pytest.raises(StudyError, match=words):
        do_lock(study, None, "why not")


# --- What people see ------------------------------------------------------------------------------


def test_progress_counts_items_and_says_nothing_of_scores() -> None:
    study = make_imaged_study(volunteers=3, readers=2)
    do_launch(study, None)
    session = session_of(study, "R2")
    first = session.items.order_by("position").first()
    assert first is not None
    score_item(first, 5)
    lines = {line.reader_code: line for line in reader_lines(study)}
    assert (lines["R1"].submitted, lines["R2"].submitted, lines["R2"].total) == (0, 1, 15)
    assert lines["R2"].last_submitted is not None
    assert (lines["R1"].is_begun, lines["R2"].is_begun) == (False, True)


def test_a_readers_card_counts_their_own_items_alone() -> None:
    study = make_imaged_study(volunteers=3, readers=2)
    do_launch(study, None)
    score = session_of(study, "R1")
    first = score.items.order_by("position").first()
    assert first is not None
    score_item(first)
    cards = {code: reading_cards(reader_of(session_of(study, code))) for code in ("R1", "R2")}
    assert [(c.submitted, c.total) for c in cards["R1"]] == [(1, 15)]
    assert [(c.submitted, c.total) for c in cards["R2"]] == [(0, 15)]
    assert study_cards(reader_of(score)) == []


def test_a_coordinator_who_reads_finds_both_kinds_of_cards() -> None:
    study = make_imaged_study()
    person = make_coordinator(study)
    do_add_member(study, None, person, Role.READER)
    assert [card.title for card in reading_cards(person)] == [study.title]
    assert [card.study for card in study_cards(person)] == [study]
    assert levels(study)["Readers are named"] == "warn"  # who coordinates can learn the arms


def test_nothing_is_called_done_that_nobody_could_check_yet() -> None:
    study = make_study(readers=1)
    assert levels(study) == {
        "Every arm of every volunteer is there": "bad",
        "The protocol is complete": "ok",
        "Readers are named": "ok",
        "A statistician is named": "warn",
    }
