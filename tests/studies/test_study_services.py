"""Studies: who may create and change them, what a launch freezes, who their members are."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from django.core.exceptions import PermissionDenied

from readerstudy.audit.models import Event
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Membership, Role, Study
from readerstudy.studies.protocol import protocol_of, sha256_of
from readerstudy.studies.selectors import members_of, reads_only
from readerstudy.studies.services import (
    check_is_draft,
    check_not_locked,
    do_add_member,
    do_create_study,
    do_remove_member,
    do_update_arm,
    do_update_study,
    freeze_protocol,
)
from readerstudy.studies.templates_lumbar import create_lumbar_study
from tests.factories import (
    make_administrator,
    make_coordinator,
    make_reader,
    make_statistician,
    make_study,
    make_user,
)

pytestmark = pytest.mark.django_db

PUBLISHED = Path(__file__).parents[2] / "readerstudy/demo/data/published"


def published_codes(file: str, column: str) -> list[str]:
    with (PUBLISHED / file).open(newline="") as handle:
        return list(dict.fromkeys(row[column] for row in csv.DictReader(handle)))


def test_the_lumbar_protocol_has_the_codes_of_the_published_tables() -> None:
    study = make_study()
    arms = published_codes("table3_reader_scores_long.csv", "sequence")
    criteria = published_codes("table3_reader_scores_long.csv", "criterion")
    tissues = published_codes("table2_roi_long.csv", "roi")
    assert [arm.code for arm in study.arms.all()] == arms
    assert [criterion.code for criterion in study.criteria.all()] == criteria
    assert {tissue.code for tissue in study.tissues.all()} == set(tissues)


def test_the_lumbar_protocol_says_how_the_derived_arms_are_made() -> None:
    study = make_study()
    derived = {a.code: (a.source.code, a.recipe) for a in study.arms.all() if a.source}
    recipe = {
        "method": "ddlr",
        "model": "ddlr",
        "strength": {"kind": "target_snr_gain", "value": 1.7},
    }
    assert derived == {"DLR_DF": ("DF", recipe), "DLR_TF": ("TF", recipe)}
    assert [a.code for a in study.arms.all() if a.is_control] == ["STD"]
    assert [str(c) for c in study.comparisons.all()] == [
        "DF v DLR_DF",
        "TF v DLR_TF",
        "STD v DLR_DF",
        "STD v DLR_TF",
    ]
    assert {t.code for t in study.tissues.filter(purpose="reference")} == {"muscle"}
    assert {t.code for t in study.tissues.filter(purpose="air")} == {"air"}
    assert len({t.colour for t in study.tissues.all()}) == 7
    assert all(len(c.anchors) == 5 and c.question for c in study.criteria.all())


def test_the_maker_of_a_study_coordinates_it_and_the_trail_says_so() -> None:
    administrator = make_administrator()
    study = create_lumbar_study("knee", "Knee", administrator)
    assert Membership.objects.get(study=study).role == Role.COORDINATOR
    assert list(Event.objects.filter(study_id=study.pk).values_list("action", "actor")) == [
        ("studies.study.created", administrator.pk),
        ("studies.member.added", administrator.pk),
        ("studies.protocol.filled", administrator.pk),
    ]


def test_only_administrators_and_coordinators_create_studies() -> None:
    study = make_study()
    do_create_study("second", "Second", make_coordinator(study))
    for outsider in (make_reader(study), make_statistician(study), make_user()):
        with pytest.raises(PermissionDenied):
            do_create_study("third", "Third", outsider)
    assert not Study.objects.filter(slug="third").exists()


@pytest.mark.parametrize("slug", ["lumbar", "new", "not an address", ""])
def test_a_bad_address_is_refused_and_nothing_is_left(slug: str) -> None:
    make_study("lumbar")
    with pytest.raises(StudyError, match=r"address|slug"):
        create_lumbar_study(slug, "Again", None)
    assert Study.objects.count() == 1


def test_settings_change_in_a_draft_with_old_and_new_in_the_trail() -> None:
    study = make_study(title="Before")
    coordinator = make_coordinator(study)
    do_update_study(study, coordinator, title="After", minimum_gap=1)
    event = Event.objects.get(action="studies.study.changed")
    assert (event.old, event.new) == ({"title": "Before"}, {"title": "After"})


def test_settings_out_of_range_are_refused_by_name() -> None:
    study = make_study()
    with pytest.raises(StudyError, match="repeat percent"):
        do_update_study(study, None, repeat_percent=90)
    assert Study.objects.get().repeat_percent == 0


def test_the_state_cannot_be_set_like_a_setting() -> None:
    study = make_study()
    with pytest.raises(StudyError, match="state"):
        do_update_study(study, None, state=Study.State.UNBLINDED)


def test_only_a_coordinator_changes_settings() -> None:
    study = make_study()
    for person in (make_reader(study), make_statistician(study), make_user()):
        with pytest.raises(PermissionDenied):
            do_update_study(study, person, title="Mine")


def test_a_launched_study_refuses_every_change_of_its_protocol() -> None:
    study = make_study(readers=1)
    stale = Study.objects.get()
    Study.objects.update(state=Study.State.READING)
    reader = Membership.objects.get(role=Role.READER)
    with pytest.raises(StudyError, match="frozen"):
        do_update_study(stale, None, title="Later")  # the row decides, not the stale object
    with pytest.raises(StudyError, match="frozen"):
        do_update_arm(study.arms.first(), None, name="other")
    with pytest.raises(StudyError, match="reading order"):
        do_add_member(study, None, make_user(), Role.READER)
    with pytest.raises(StudyError, match="reading order"):
        do_remove_member(reader, None)
    do_add_member(study, None, make_user(), Role.STATISTICIAN)


def test_checks_follow_the_state() -> None:
    study = Study(title="T", state=Study.State.DRAFT)
    check_is_draft(study)
    check_not_locked(study)
    study.state = Study.State.READING
    check_not_locked(study)
    for state in (Study.State.LOCKED, Study.State.UNBLINDED):
        study.state = state
        with pytest.raises(StudyError, match="locked"):
            check_not_locked(study)
        with pytest.raises(StudyError, match="frozen"):
            check_is_draft(study)


def test_an_acquired_arm_takes_no_recipe() -> None:
    study = make_study()
    with pytest.raises(StudyError, match="acquired"):
        do_update_arm(study.arms.get(code="DF"), None, recipe={"method": "ddlr"})


def test_a_reader_cannot_leave_by_a_page_that_was_made_before_the_launch() -> None:
    study = make_study(readers=2)
    stale = Membership.objects.select_related("study").get(reader_code="R2")
    assert stale.study.is_draft
    Study.objects.filter(pk=study.pk).update(state=Study.State.READING)
    with pytest.raises(StudyError, match="reading order"):
        do_remove_member(stale, None)
    assert Membership.objects.filter(pk=stale.pk).exists()


def test_a_role_is_taken_away_once() -> None:
    make_study(readers=2)
    first, second = (Membership.objects.get(reader_code="R2") for _ in range(2))
    do_remove_member(first, None)
    with pytest.raises(StudyError, match="taken away already"):
        do_remove_member(second, None)


def test_readers_get_the_next_free_code() -> None:
    study = make_study(readers=3)
    second = Membership.objects.get(reader_code="R2")
    do_remove_member(second, None)
    make_reader(study)
    make_reader(study)
    codes = [m.reader_code for m in members_of(study)]
    assert codes == ["R1", "R2", "R3", "R4"]


def test_no_one_holds_a_role_twice() -> None:
    study = make_study()
    reader = make_reader(study)
    with pytest.raises(StudyError, match="already is reader"):
        do_add_member(study, None, reader, Role.READER)


def test_the_last_coordinator_stays() -> None:
    study = make_study()
    first, second = make_coordinator(study), make_coordinator(study)
    do_remove_member(Membership.objects.get(user=first), second)
    with pytest.raises(StudyError, match="needs a coordinator"):
        do_remove_member(Membership.objects.get(user=second), second)


def test_reads_only_until_another_role_is_held() -> None:
    study = make_study()
    reader = make_reader(study)
    assert reads_only(reader, study)
    do_add_member(study, None, reader, Role.COORDINATOR)
    assert not reads_only(reader, study)
    assert not reads_only(make_administrator(), study)


def test_the_hash_of_the_protocol_follows_its_content_and_not_its_storage() -> None:
    study = make_study(readers=2)
    images = {"V01": {"STD": "0" * 64}}
    first = freeze_protocol(study, images)
    assert first == freeze_protocol(Study.objects.get(), images)
    study.save()
    assert first == sha256_of(Study.objects.get().protocol)
    assert protocol_of(study)["reading"]["readers"] == ["R1", "R2"]
    study.arms.filter(code="DF").update(name="twice as fast")
    assert freeze_protocol(Study.objects.get(), images) != first
