"""A withdrawal reaches what waits in the inbox and what the history says; empty codes go."""

from __future__ import annotations

import uuid
from typing import Any

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
from readerstudy.imaging.inbox import do_discard
from readerstudy.imaging.models import (
    ERASED_NAME,
    InboxSeries,
    Series,
    Upload,
    UploadedFile,
    Volunteer,
)
from readerstudy.imaging.upload_history import sent_together
from readerstudy.imaging.uploads import do_create_upload
from readerstudy.studies.access import Reach
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Role
from readerstudy.studies.services import do_add_member
from readerstudy.studies.sites import do_add_site
from tests.factories import make_coordinator, make_reader, make_study, make_user
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


def test_a_withdrawal_at_one_site_takes_and_names_nothing_that_another_site_sent(
    client: Client, django_capture_on_commit_callbacks: Any
) -> None:
    """Basel sends a folder V01 of its own before anybody knows that V01 is Zürich's."""
    study = make_study()
    zurich, basel = (do_add_site(study, None, code, code) for code in ("ZRH", "BSL"))
    files = as_files(series(phantom(3), change=named("12345")), "V01")
    send_zip(study, files | {"V01/notes-of-basel.txt": b"nothing"}, site=basel)
    send_zip(study, as_files(series(phantom(4), change=named("12345")), "V01"))  # of no site
    files = as_files(series(phantom(2), change=named("12345")), "V01/STD")
    files |= as_files(series(phantom(5), change=named("12345")), "V01/scout")
    send_zip(study, files | {"V01/notes-of-zurich.txt": b"nothing"}, site=zurich)
    basels, nobodys, own = InboxSeries.objects.order_by("number")
    sites = [row.upload.site if row.upload else None for row in (basels, nobodys, own)]
    assert sites == [basel, None, zurich]
    coming = [
        do_create_upload(study, None, name="V01.zip", size=9, batch=uuid.uuid4(), volunteer="V01")
        for _ in range(2)
    ]
    Upload.objects.filter(pk=coming[1].pk).update(site=basel)
    site_coordinator = do_add_member(study, None, make_user(), Role.SITE_COORDINATOR, site=zurich)
    coordinator = make_coordinator(study)

    def links(address: str) -> set[InboxSeries]:
        page = client.get(f"/studies/{study.slug}/readiness/{address}").content.decode()
        return {row for row in (basels, nobodys, own) if f"series {row.number}</a>" in page}

    withdraw = "volunteers/V01/withdraw/"
    client.force_login(coordinator)
    assert links(withdraw) == {basels, nobodys, own}
    page = client.get(f"/studies/{study.slug}/readiness/{withdraw}").content.decode()
    assert "2 series of the inbox are erased with them" in page
    client.force_login(site_coordinator.user)
    assert links(withdraw) == {own}
    for row in (basels, nobodys, own):  # what the page leads to is theirs to open
        answer = client.get(f"/studies/{study.slug}/uploads/inbox/{row.pk}/")
        assert answer.status_code == (200 if row == own else 404)
    with django_capture_on_commit_callbacks(execute=True):
        said = {"reason": "Own wish.", "confirmed": "on"}
        assert client.post(f"/studies/{study.slug}/readiness/{withdraw}", said).status_code == 302

    assert list(InboxSeries.objects.order_by("number")) == [basels, nobodys]
    assert default_storage.exists(basels.prefix)
    assert default_storage.exists(nobodys.prefix)
    assert not default_storage.exists(own.prefix)
    refused = UploadedFile.objects.filter(accepted=False)
    names = dict(refused.values_list("upload__site__code", "name"))
    assert names == {"BSL": "V01/notes-of-basel.txt", "ZRH": ERASED_NAME}
    states = [Upload.objects.get(pk=one.pk).state for one in coming]
    assert states == [Upload.State.CANCELLED, Upload.State.RECEIVING]
    told = Event.objects.get(action="conduct.volunteer.withdrawn").new
    assert (told["inbox"], told["inbox_left"]) == (
        [own.number],
        [basels.number, nobodys.number],
    )
    # What was left is shown to whoever can look at it, until it is gone.
    assert links("people/") == set()
    client.force_login(coordinator)
    assert links("people/") == {basels, nobodys}
    do_discard(nobodys, coordinator, "V01 withdrew.")
    assert links("people/") == {basels}


def test_what_another_site_sent_is_left_also_where_the_whole_study_withdraws(
    django_capture_on_commit_callbacks: Any,
) -> None:
    study = make_study()
    zurich, basel = (do_add_site(study, None, code, code) for code in ("ZRH", "BSL"))
    for number, site in enumerate((basel, None, zurich), start=2):
        send_zip(study, as_files(series(phantom(number)), "V01"), site=site)
    send_zip(study, as_files(series(phantom(6)), "V01/STD"), site=zurich)
    with django_capture_on_commit_callbacks(execute=True):
        withdrawal = do_withdraw(Volunteer.objects.get(code="V01"), make_coordinator(study), "Wish")
    left = InboxSeries.objects.get()
    assert left.upload is not None
    assert left.upload.site == basel
    assert withdrawal.left_waiting == [str(left.pk)]


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
