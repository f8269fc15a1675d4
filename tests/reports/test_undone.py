"""What a restore undoes is said before it begins, and is lost with nothing that happens later."""

from __future__ import annotations

import errno
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone

from readerstudy.audit.models import Event
from readerstudy.audit.services import record, verify_chain
from readerstudy.conduct.withdrawals import WITHDREW
from readerstudy.imaging.models import InboxSeries, Series
from readerstudy.reports.backup import restoring
from readerstudy.reports.backup.placing import FolderPlace
from readerstudy.reports.backup.undone import _MADE, _TOLD, as_lines, undone_since
from readerstudy.reports.backup.writing import check_backup, stored_files
from readerstudy.studies.models import Study
from tests.factories import make_coordinator
from tests.reports.backed_up import FILE, an_inbox_series, backed_up, make_small_site, withdraw

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def study() -> Study:
    return make_small_site()


def test_what_is_undone_is_said_before_it_begins_and_kept_with_the_restore_or_nothing_is_done(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = backed_up(tmp_path)
    withdraw(study, "V3")
    events = Event.objects.count()
    begin, own = FolderPlace.begin, restoring.record

    def full(_: Any, *__: Any, **___: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FolderPlace, "begin", full)
    said = io.StringIO()
    with pytest.raises(CommandError, match="Nothing was restored"):
        call_command("restore", path, replace=True, stdout=said)
    assert f"V3 withdrew from {study}" in said.getvalue()
    monkeypatch.setattr(FolderPlace, "begin", begin)

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("the trail is locked")

    monkeypatch.setattr(restoring, "record", away)
    with pytest.raises(CommandError, match=r"^Nothing was restored: the trail is locked\.$"):
        call_command("restore", path, replace=True, stdout=io.StringIO())
    assert Event.objects.count() == events
    assert list(stored_files()) == [FILE]
    monkeypatch.setattr(restoring, "record", own)
    for _ in range(2):  # the second one takes the event of the first away
        said = io.StringIO()
        call_command("restore", path, replace=True, stdout=said)
        assert said.getvalue().count(f"V3 withdrew from {study}") == 2  # before and after
        (fact,) = Event.objects.order_by("-sequence")[0].new["undone"]  # type: ignore[index]
        assert fact["action"] == "conduct.volunteer.withdrawn"
        assert (fact["volunteer"], fact["study"]) == ("V3", str(study.pk))
        assert "series" not in fact
    assert verify_chain().is_sound


def test_what_a_restore_undoes_is_told_by_its_place_in_the_trail_and_not_by_two_clocks(
    study: Study, tmp_path: Path
) -> None:
    manifest = check_backup(backed_up(tmp_path))
    assert undone_since(manifest) == []
    withdraw(study, "V3")
    later = (timezone.now() + timedelta(days=1)).isoformat()
    ahead = manifest | {"made_at": later}  # by a host whose clock is ahead
    assert [fact["volunteer"] for fact in undone_since(ahead)] == ["V3"]
    other = {"audit": manifest["audit"] | {"head": "0" * 64}}  # of a trail that parted from this
    assert [fact["volunteer"] for fact in undone_since(manifest | other)] == ["V3"]
    assert undone_since(ahead | other) == []


def test_all_that_opens_accounts_or_shows_images_again_is_listed(
    study: Study, tmp_path: Path
) -> None:
    manifest = check_backup(backed_up(tmp_path))
    user = make_coordinator(study, "one@example.org")
    for action in (
        *("password_changed", "password_reset", "second_factor_added", "second_factor_removed"),
        *("second_factor_reset", "recovery_codes_removed", "user_changed"),
    ):
        record(f"accounts.{action}", user, subject=user)
    kept = {"volunteer": "V1", "arm": "STD"}
    row = an_inbox_series(study)
    for action, subject, old, why in (
        ("imaging.series.deleted", study, kept, "blurred"),
        ("imaging.series.deleted", study, {"volunteer": "V2", "arm": "STD"}, WITHDREW),
        ("variants.raw.deleted", study, kept, ""),
        ("imaging.inbox.discarded", row, {"number": 7}, WITHDREW),  # so typed by a coordinator
        ("imaging.inbox.discarded", study, {"number": 8}, WITHDREW),
        ("conduct.study.locked", study, {}, ""),
        ("reports.study.unblinded", study, {}, ""),
    ):
        record(action, user, study_id=study.pk, subject=subject, old=old, why=why)
    record("reports.exclusion.made", user, study_id=study.pk, new={"reader": "R2"})
    gone = {"volunteer": "V3", "inbox": [8]}
    record("conduct.volunteer.withdrawn", user, study_id=study.pk, new=gone)
    facts = undone_since(manifest)
    told = "\n".join(as_lines(facts))
    assert told.count("one@example.org") == 7
    for words in (
        f"the images of V1, arm STD, of {study} were deleted",
        f"the raw data of V1, arm STD, of {study} were deleted",
        f"series 7 of the inbox of {study} was deleted",
        f"V3 withdrew from {study}",
        f"{study} was locked",
        f"{study} was unblinded",
        f"the reader R2 was excluded from the analysis of {study}",
    ):
        assert words in told
    assert "V2" not in told  # the withdrawal itself is told
    assert "series 8" not in told
    # What came after the backup is not in it: it need not be deleted again.
    record("imaging.inbox.received", None, study_id=study.pk, subject=row)
    assert len(undone_since(manifest)) == len(facts) - 1
    # But what waited in the inbox of the backup, and was stored and deleted since, waits again.
    stored = Series()
    record("imaging.series.stored", None, study_id=study.pk, subject=stored)
    record("imaging.series.deleted", None, study_id=study.pk, subject=stored, old=kept)
    assert len(undone_since(manifest)) == len(facts) - 1
    new = {"series": str(stored.pk)}
    record("imaging.inbox.stored", None, study_id=study.pk, subject=row, new=new)
    assert len(undone_since(manifest)) == len(facts) - 1  # this one came to the inbox since
    waited = InboxSeries(pk=4711)
    record("imaging.inbox.stored", None, study_id=study.pk, subject=waited, new=new)
    assert len(undone_since(manifest)) == len(facts)
    # Each name is one that the platform gives.
    sources = "".join(
        one.read_text(encoding="utf-8")
        for one in (Path(__file__).parents[2] / "readerstudy").rglob("*.py")
        if one.name != "undone.py"
    )
    for action in (*_TOLD, *_MADE):
        if action.startswith(("accounts.second_factor_", "accounts.recovery_codes_")):
            continue  # made of parts: tests/accounts shows them
        assert f'"{action}"' in sources, action
