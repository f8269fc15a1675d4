"""Opening the key: who, when, over what; and that the data stay what they were."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client

from readerstudy.audit.models import Event
from readerstudy.measurements.models import Measurement
from readerstudy.reports.models import Snapshot, Unblinding
from readerstudy.reports.report import masked_report, named_report
from readerstudy.reports.services import do_take_snapshot, do_unblind
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Membership, Plan, Role, Study
from readerstudy.studies.protocol import sha256_of
from tests.audit.tampering import without_triggers
from tests.factories import (
    make_administrator,
    make_coordinator,
    make_reader,
    make_statistician,
    make_study,
)
from tests.reports.published import lock, make_published_study, sign, unblind

pytestmark = pytest.mark.django_db


def test_unblinding_records_who_why_and_over_what_in_one_act() -> None:
    study = make_published_study()
    statistician = make_statistician(study)
    version = sign(study)
    unblinding = do_unblind(study, statistician, " Masked tables reviewed. ")
    study.refresh_from_db()
    assert study.is_unblinded
    assert study.unblinded_at is not None
    snapshot = Snapshot.objects.get(study=study)
    assert unblinding.snapshot == snapshot
    assert unblinding.data_sha256 == snapshot.sha256 == sha256_of(snapshot.data)
    assert unblinding.plan_version == version
    assert unblinding.plan_sha256 == version.sha256 == sha256_of(version.document)
    assert (unblinding.by, unblinding.reason) == (statistician, "Masked tables reviewed.")
    event = Event.objects.get(action="reports.study.unblinded")
    assert event.hash == unblinding.audit_head
    assert event.actor == statistician
    assert event.why == "Masked tables reviewed."
    assert event.new == {
        "state": "unblinded",
        "data_sha256": snapshot.sha256,
        "plan_sha256": version.sha256,
        "plan_version": 1,
    }


def test_the_key_opens_only_after_the_lock_with_a_reason_and_once() -> None:
    study = make_published_study(locked=False)
    with pytest.raises(StudyError, match="Lock the study first"):
        do_unblind(study, None, "too early")
    with pytest.raises(StudyError, match="Lock the study first"):
        do_take_snapshot(study, None)
    lock(study)
    with pytest.raises(StudyError, match="Sign the analysis plan first"):
        do_unblind(study, None, "too early still")
    sign(study)
    with pytest.raises(StudyError, match="Say why"):
        do_unblind(study, None, "  ")
    do_unblind(study, None, "now")
    with pytest.raises(StudyError, match="unblinded already, since 20"):
        do_unblind(study, None, "again")
    assert Unblinding.objects.count() == 1


def test_only_statisticians_and_administrators_who_do_not_read_open_the_key() -> None:
    study = make_published_study(locked=False)
    both = make_statistician(study)
    Membership.objects.create(study=study, user=both, role=Role.READER, reader_code="R9")
    reading_administrator = make_administrator("reading@example.org")
    Membership.objects.create(
        study=study, user=reading_administrator, role=Role.READER, reader_code="R8"
    )
    coordinator = make_coordinator(study)
    lock(study)
    for person in (coordinator, both, reading_administrator):
        with pytest.raises(PermissionDenied):
            do_unblind(study, person, "I want to see")
    unblind(study, make_administrator(), "The statistician is away.")


def test_a_reader_cannot_open_the_key() -> None:
    study = make_study(readers=1)
    reader = make_reader(study)
    with pytest.raises(PermissionDenied):
        do_unblind(study, reader, "curious")


def test_a_snapshot_is_taken_once_for_the_same_data() -> None:
    study = make_published_study()
    assert do_take_snapshot(study, None) == do_take_snapshot(study, None)
    unblind(study, None, "reviewed")
    assert Snapshot.objects.count() == 1


def test_results_after_unblinding_come_from_the_snapshot_not_from_the_rows() -> None:
    study = make_published_study()
    unblind(study, None, "reviewed")
    study.refresh_from_db()
    before = named_report(study).results.descriptives
    with without_triggers():
        Measurement.objects.filter(volunteer__study=study).delete()
    study.criteria.update(name="renamed")
    again = named_report(study)
    assert again.results.descriptives.equals(before)
    assert again.row_names["overall"] == "Overall image quality"


def test_a_changed_snapshot_is_refused(client: Client) -> None:
    study = make_published_study()
    statistician = make_statistician(study)
    unblind(study, statistician, "reviewed")
    snapshot = Snapshot.objects.get()
    snapshot.data["scores"][0][4] = 5
    with without_triggers():
        Snapshot.objects.filter(pk=snapshot.pk).update(data=snapshot.data)
    client.force_login(statistician)
    page = client.get("/studies/published/results/").content.decode()
    assert "no longer match their hash" in page
    assert client.get("/studies/published/results/files/tests.csv").status_code == 404


def test_the_plan_is_the_frozen_one_whatever_the_row_says_later() -> None:
    study = make_published_study()
    Plan.objects.filter(study=study).update(family="all", alpha=0.01)
    assert masked_report(study).plan.family == "row"
    assert masked_report(study).plan.alpha == 0.05


def test_a_study_without_letters_is_not_locked() -> None:
    study = make_published_study(locked=False)
    Study.objects.filter(pk=study.pk).update(arm_letters={})
    study.refresh_from_db()
    with pytest.raises(StudyError, match="have no letters"):
        lock(study)
