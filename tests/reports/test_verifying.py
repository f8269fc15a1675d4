"""After the lock nothing can be written, and whoever changes one byte all the same is found out."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from readerstudy.audit.models import Event
from readerstudy.conduct.locking import do_lock, do_unlock
from readerstudy.measurements.models import Measurement, Placing, Region
from readerstudy.reading.models import Item, ScoreRevision, Session
from readerstudy.reports.models import Snapshot, Unblinding
from readerstudy.reports.snapshots import commitment_of
from readerstudy.reports.verifying import verify_study
from readerstudy.studies.models import Arm, PlanVersion, Study
from readerstudy.studies.protocol import sha256_of
from tests.audit.tampering import without_triggers
from tests.reports.published import lock, make_published_study, sign, unblind

pytestmark = pytest.mark.django_db(transaction=True)


@contextlib.contextmanager
def refused() -> Iterator[None]:
    with pytest.raises(DatabaseError), transaction.atomic():
        yield


def sql(statement: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, list(values))


def said(*command: str) -> str:
    """What a command prints; it ends with 1 where something is wrong."""
    out = io.StringIO()
    try:
        call_command(*command, stdout=out, stderr=out)
    except SystemExit:
        return f"FAILED {out.getvalue()}"
    return out.getvalue()


def sound(study: Study) -> bool:
    return "FAILED" not in said("verify_snapshot", study.slug) + said("verify_audit")


def test_after_the_lock_every_write_fails_and_each_changed_byte_is_found() -> None:
    study = make_published_study(locked=False)
    score = ScoreRevision.objects.filter(value=3).first()
    measurement = Measurement.objects.first()
    assert score is not None
    assert measurement is not None
    # While it is read, measuring goes on.
    Measurement.objects.filter(pk=measurement.pk).update(warnings=["as measured elsewhere"])
    lock(study)
    study.refresh_from_db()

    score.value = 4
    for write in (
        score.save,
        score.delete,
        lambda: ScoreRevision.objects.filter(pk=score.pk).update(value=4),
        lambda: sql("UPDATE reading_scorerevision SET value = 4 WHERE id = %s", score.pk),
        lambda: ScoreRevision.objects.create(
            item=score.item, criterion=score.criterion, revision=2, value=4
        ),
        lambda: sql("UPDATE measurements_measurement SET mean = mean + 1"),
        lambda: sql("DELETE FROM measurements_measurement"),
        lambda: Measurement.objects.filter(pk=measurement.pk).update(sd=1.0),
        lambda: Region.objects.create(
            volunteer=measurement.volunteer, tissue=measurement.tissue, slice_index=0, centre=[],
            semi_axes_mm=[],
        ),
        lambda: Placing.objects.create(volunteer=measurement.volunteer),
        lambda: sql("UPDATE reading_item SET submitted_at = NULL"),
        lambda: Item.objects.filter(pk=score.item_id).update(position=999),
        lambda: Session.objects.update(reader_code="R7"),
        lambda: Arm.objects.filter(study=study, code="DF").update(code="QF"),
        lambda: Study.objects.filter(pk=study.pk).update(arm_letters={}),
        lambda: Study.objects.filter(pk=study.pk).update(state=Study.State.READING),
        lambda: Snapshot.objects.update(sha256="0" * 64),
        lambda: Snapshot.objects.all().delete(),
    ):  # fmt: skip
        with refused():
            write()
    assert sound(study)

    unblind(study)
    study.refresh_from_db()
    for write in (
        lambda: Unblinding.objects.update(plan_sha256="0" * 64),
        lambda: PlanVersion.objects.update(document={}),
        lambda: Study.objects.filter(pk=study.pk).update(state=Study.State.LOCKED),
    ):
        with refused():
            write()
    assert sound(study)

    # Whoever owns the database can take the triggers away: then the hashes tell.
    snapshot = Snapshot.objects.get()
    changed = {**snapshot.data, "scores": [list(row) for row in snapshot.data["scores"]]}
    changed["scores"][0][4] = 5 if changed["scores"][0][4] != 5 else 4
    version = PlanVersion.objects.get()
    head = Unblinding.objects.get().audit_head
    for change, undo, words in (
        (
            lambda: ScoreRevision.objects.filter(pk=score.pk).update(value=4),
            lambda: ScoreRevision.objects.filter(pk=score.pk).update(value=3),
            "differs: score 4 instead of 3",
        ),
        (
            lambda: Measurement.objects.filter(pk=measurement.pk).update(mean=0.5),
            lambda: Measurement.objects.filter(pk=measurement.pk).update(mean=measurement.mean),
            "differs: mean 0.5 instead of",
        ),
        (
            lambda: Snapshot.objects.update(data=changed),
            lambda: Snapshot.objects.update(data=snapshot.data),
            "they were changed",
        ),
        (
            lambda: PlanVersion.objects.update(document={**version.document, "alpha": 0.1}),
            lambda: PlanVersion.objects.update(document=version.document),
            "does not have its signed hash",
        ),
        (
            lambda: Unblinding.objects.update(audit_head="f" * 64),
            lambda: Unblinding.objects.update(audit_head=head),
            "at the head that is on record",
        ),
    ):
        with without_triggers():
            change()
        found = said("verify_snapshot", "published")
        assert found.startswith("FAILED"), words
        assert words in found
        if "head" in words:
            assert "wrote down a head that no row has" in said("verify_audit")
        with without_triggers():
            undo()
    assert sound(study)

    # The trail itself, and the triggers that guard it.
    event = Event.objects.filter(action="conduct.study.locked").get()
    with without_triggers():
        Event.objects.filter(pk=event.pk).update(why="another reason")
    assert f"row {event.sequence} (conduct.study.locked) was altered" in said("verify_audit")
    with without_triggers():
        Event.objects.filter(pk=event.pk).update(why=event.why)
    on = " ON measurements_region" if connection.vendor == "postgresql" else ""
    sql(f"DROP TRIGGER measurements_region_frozen_update{on}")
    assert "measurements_region_frozen_update is missing" in said("verify_snapshot", "published")


def test_a_whole_forgery_of_the_frozen_data_still_does_not_fit_the_trail() -> None:
    """Data, hash and commitment rewritten together: the trail had the commitment from the lock."""
    study = make_published_study()
    assert "commitment" in said("verify_snapshot", "Published tables")
    snapshot = Snapshot.objects.get()
    forged = {**snapshot.data, "scores": snapshot.data["scores"][1:]}
    sha256 = sha256_of(forged)
    with without_triggers():
        Snapshot.objects.update(
            data=forged, sha256=sha256, commitment=commitment_of(snapshot.salt, sha256)
        )
    faults = " ".join(verify_study(study))
    assert "another commitment" in faults
    assert "another hash of the masked data" in faults
    assert "is stored, but was not frozen" in faults


def test_an_unlocked_study_takes_regions_again_and_other_studies_never_noticed() -> None:
    study = make_published_study()
    other = make_published_study("other", locked=False)
    Measurement.objects.filter(volunteer__study=other).update(warnings=["still measured"])
    do_unlock(study, None, "A reader scored another patient's images.")
    Measurement.objects.filter(volunteer__study=study).update(warnings=["measured again"])
    study.refresh_from_db()
    assert verify_study(study) == ["The study is not locked: there are no frozen data to verify."]
    do_lock(study, None)
    sign(study)
    study.refresh_from_db()
    assert verify_study(study) == []
    assert said("verify_snapshot", "--all").count("sound") == 1
