"""A withdrawal reaches what waits in the inbox and what the history says; empty codes go."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied
from django.core.files.storage import default_storage
from django.test import Client

from readerstudy.audit.models import Event
from readerstudy.conduct.checks import launch_checks
from readerstudy.conduct.people import do_remove_volunteer
from readerstudy.conduct.readiness import readiness_grid
from readerstudy.conduct.services import do_launch
from readerstudy.conduct.withdrawals import do_withdraw
from readerstudy.imaging.models import (
    ERASED_NAME,
    InboxSeries,
    Series,
    UploadedFile,
    Volunteer,
)
from readerstudy.imaging.upload_history import sent_together
from readerstudy.studies.access import Reach
from readerstudy.studies.errors import StudyError
from tests.factories import make_coordinator, make_reader, make_study
from tests.imaging.datasets import as_files, phantom, series
from tests.imaging.test_inbox import named
from tests.imaging.uploading import send, send_zip
from tests.reading.imaged_study import make_imaged_study

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("storage_apart")]


def test_a_withdrawal_takes_what_waits_of_the_same_person_and_leaves_the_history_true(
    client: Client, django_capture_on_commit_callbacks: object
) -> None:
    study = make_study()
    files = as_files(series(phantom(2), change=named("Doe")), "N05/STD")
    files |= as_files(series(phantom(2), change=named("Roe")), "N06/STD")
    files |= {"N05/STD/broken.dcm": b"nothing", "N06/notes.txt": b"nothing"}
    send(study, files)  # each file an upload of its own
    send_zip(study, as_files(series(phantom(3), change=named("Doe")), "scans/a"))
    send_zip(study, as_files(series(phantom(3), change=named("***", PatientName="")), "scans/b"))
    theirs, nobodys = InboxSeries.objects.order_by("number")
    volunteer = Volunteer.objects.get(code="N05")
    client.force_login(make_coordinator(study))
    page = client.get(f"/studies/{study.slug}/readiness/volunteers/N05/withdraw/").content.decode()
    assert f"series {theirs.number}</a>" in page
    assert "1 series of the" in page
    assert "could be anybody" in page
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        do_withdraw(volunteer, None, "Own wish.")
    assert list(InboxSeries.objects.all()) == [nobodys]
    assert not default_storage.exists(theirs.prefix)
    assert Series.objects.get().volunteer.code == "N06"
    rows = UploadedFile.objects.order_by("pk").values_list("name", "accepted")
    assert sorted(rows) == sorted(
        [
            *[(ERASED_NAME, True)] * 5,  # two of the place, three of the inbox
            (ERASED_NAME, False),
            *[(f"N06/STD/{number:04d}", True) for number in (1, 2)],
            ("N06/notes.txt", False),
            *[(f"inbox {nobodys.number}/{number:04d}", True) for number in (1, 2, 3)],
        ]
    )
    shown = [
        (one["accepted"], one["erased"], one["outcome"]) for one in sent_together(Reach(study))
    ]
    assert shown == [(3, 0, "all taken"), (3, 3, "erased: withdrawn"), (4, 2, "partly taken")]
    assert Event.objects.get(action="conduct.volunteer.withdrawn").new["inbox"] == [theirs.number]


def test_what_waits_is_said_before_the_launch_and_can_be_deleted_after_it(client: Client) -> None:
    study = make_imaged_study(volunteers=2)
    row = InboxSeries.objects.create(
        study=study, number=1, prefix="inbox/x", rows=1, columns=1, slices=1,
        geometry=Series.objects.all()[0].geometry, suspicions=["A name?"],
    )  # fmt: skip
    (check,) = [one for one in launch_checks(study, readiness_grid(study)) if "inbox" in one.title]
    assert (check.level, check.details[0].split(":")[0]) == ("warn", "1 series waits in the inbox")
    study = do_launch(study, None, seed="tests")
    client.force_login(make_coordinator(study))
    address = f"/studies/{study.slug}/uploads/inbox/"
    assert "Delete the series" in client.get(f"{address}{row.pk}/").content.decode()
    take = {f"take-{row.pk}": "on", "delete": "1"}
    assert "why it is deleted" in client.post(address, take).content.decode()
    assert client.post(address, {**take, "why": "Not needed."}).status_code == 302
    assert not InboxSeries.objects.exists()
    assert Event.objects.get(action="imaging.inbox.discarded").why == "Not needed."


def test_an_empty_code_is_removed_in_a_draft_and_no_other(client: Client) -> None:
    study = make_imaged_study(volunteers=1)
    typo = Volunteer.objects.create(study=study, code="V0l")
    with pytest.raises(PermissionDenied):
        do_remove_volunteer(typo, make_reader(study))
    with pytest.raises(StudyError, match="V01 has images"):
        do_remove_volunteer(Volunteer.objects.get(code="V01"), None)
    client.force_login(make_coordinator(study))
    people = f"/studies/{study.slug}/readiness/people/"
    assert client.get(people).content.decode().count("Remove this empty code") == 1
    client.post(f"/studies/{study.slug}/readiness/volunteers/V0l/remove/")
    assert list(Volunteer.objects.values_list("code", flat=True)) == ["V01"]
    assert Event.objects.get(action="conduct.volunteer.removed").old == {"volunteer": "V0l"}
    late = Volunteer.objects.create(study=study, code="V09")
    study.state = study.State.READING
    study.save()
    with pytest.raises(StudyError, match="launched"):
        do_remove_volunteer(late, None)
