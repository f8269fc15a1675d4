"""Nothing is asked of the storage inside a transaction: others wait for what it holds."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from botocore.httpsession import URLLib3Session
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage
from django.db import connection, transaction
from django.utils import timezone

from readerstudy.conduct.design import do_save_design, state_of
from readerstudy.conduct.withdrawals import do_withdraw
from readerstudy.imaging import housekeeping, refreshing
from readerstudy.imaging.inbox import Assignment, do_assign
from readerstudy.imaging.models import InboxSeries, Series, Volunteer
from readerstudy.imaging.readings import ATTEMPTS, NotRead, Readings, having_read
from readerstudy.imaging.selectors import control_series, geometry_of
from readerstudy.imaging.services import do_delete_series, do_store_series
from readerstudy.imaging.volumes import delete_files
from readerstudy.jobs.worker import run_pending
from readerstudy.measurements.ellipses import Ellipse, centre_of_pixel
from readerstudy.measurements.models import Measurement
from readerstudy.measurements.services import do_place_region, do_place_regions_from_file
from readerstudy.studies.design_document import document_of
from readerstudy.studies.design_writing import Rows
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Study
from tests.factories import make_study
from tests.object_store import as_storage, object_store

from .datasets import as_files, phantom, series
from .uploading import send_zip

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def asked(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Images lie in an object store; what is sent to it inside a transaction fails the test."""
    sent: list[str] = []
    send = URLLib3Session.send

    def noted(self: URLLib3Session, request: Any) -> Any:
        assert not connection.in_atomic_block, f"{request.method} {request.url} in a transaction"
        sent.append(request.method)
        return send(self, request)

    with object_store() as (address, _):
        settings.STORAGES = {**settings.STORAGES, "default": as_storage(address, "images")}
        default_storage.connection.create_bucket(Bucket="images")  # type: ignore[attr-defined]
        monkeypatch.setattr(URLLib3Session, "send", noted)
        yield sent


def ellipse_on(volunteer: Volunteer, row: float) -> Ellipse:
    control = control_series(volunteer)
    assert control is not None
    centre = list(centre_of_pixel(geometry_of(control), 1, row, 12.0))
    return Ellipse.from_values(1, centre, [2.0, 2.0], 0.0)


def test_no_act_asks_the_store_inside_its_transaction(asked: list[str]) -> None:
    study = make_study()
    arms = {arm.code: arm for arm in study.arms.all()}
    volunteer = Volunteer.objects.create(study=study, code="V01")
    do_store_series(volunteer, arms["DF"], series(phantom(3) * 2))
    do_store_series(volunteer, arms["STD"], series(phantom(3)))
    assert Series.objects.get(arm__code="DF").display_factor == pytest.approx(0.5)
    tissue = study.tissues.get(code="vertebra")
    do_place_region(volunteer, tissue, ellipse_on(volunteer, 9.0), None)
    do_place_region(volunteer, tissue, ellipse_on(volunteer, 10.0), None)
    place = {"slice": 1, "row": 10, "column": 9, "semi_axes_mm": [2.0, 2.0]}
    do_place_regions_from_file(volunteer, {"csf": place}, None)
    assert Measurement.objects.count() == 3 * 2
    # From an upload and from the inbox; both regions are measured in the arm that comes late.
    send_zip(study, as_files(series(phantom(3) * 3), "V01/TF") | one_that_waits())
    late = Series.objects.get(arm__code="TF")
    assert late.display_factor == pytest.approx(1 / 3, rel=1e-3)
    measured = Measurement.objects.filter(series=late)
    assert [round(one.mean, 3) for one in measured.order_by("tissue__position")] == [
        round(3 * mean, 3)
        for mean in Measurement.objects.filter(
            arm=arms["STD"], region__in=measured.values("region")
        )
        .order_by("tissue__position")
        .values_list("mean", flat=True)
    ]
    assert measured.count() == 2
    do_delete_series(Series.objects.get(arm__code="DF", volunteer__code="V01"), None)
    do_assign(study, None, [Assignment(InboxSeries.objects.get(), "V01", arms["DF"])])
    run_pending("cpu")
    assert Measurement.objects.filter(arm=arms["DF"], region__in=measured.values("region")).exists()
    do_delete_series(Series.objects.get(arm__code="STD"), None)
    another_control(study)
    withdrawal = do_withdraw(volunteer, None, "Own wish.")
    assert {one["arm"]: one["dicom_files"] for one in withdrawal.series} == {"DF": 3, "TF": 3}
    assert withdrawal.erased_at is not None
    assert {"PUT", "GET", "DELETE"} <= set(asked)


def one_that_waits() -> dict[str, bytes]:
    return as_files(series(phantom(3, seed=5)), "scans/a")


def another_control(study: Study) -> None:
    """Whose images have to be read for it is known once the design is written."""
    document = document_of(study)
    for arm in document["arms"]:
        arm["is_control"] = arm["code"] == "DF"
    rows = Rows(arms=[arm.pk for arm in study.arms.all()])
    do_save_design(study, None, document, state_of(study), rows)
    shown = Volunteer.objects.get().display
    assert shown["control_sha256"] == Series.objects.get(arm__code="DF").volume_sha256
    assert Series.objects.get(arm__code="TF").display["control_sha256"] == shown["control_sha256"]


def test_what_is_replaced_while_it_is_read_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    study = make_study()
    arms = {arm.code: arm for arm in study.arms.all()}
    volunteer = Volunteer.objects.create(study=study, code="V01")
    control = do_store_series(volunteer, arms["STD"], series(phantom(3)))
    read, other = refreshing.read_volume, series(phantom(3) * 4)

    def replaced(one: Series) -> np.ndarray:
        """Between the reading and the act the control becomes another, once."""
        found = read(one)
        if one.pk == control.pk:
            monkeypatch.setattr(refreshing, "read_volume", read)
            do_delete_series(control, None)
            do_store_series(volunteer, arms["STD"], other)
        return found

    monkeypatch.setattr(refreshing, "read_volume", replaced)
    stored = do_store_series(volunteer, arms["DF"], series(phantom(3) * 2))
    assert stored.display_factor == pytest.approx(2.0)  # by the control that there is now
    assert stored.display["control_sha256"] != control.volume_sha256


def test_what_is_deleted_before_it_can_be_read_is_not_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = make_study()
    arms = {arm.code: arm for arm in study.arms.all()}
    volunteer = Volunteer.objects.create(study=study, code="V01")
    control = do_store_series(volunteer, arms["STD"], series(phantom(3)))
    read = refreshing.read_volume

    def deleted(one: Series) -> np.ndarray:
        """Somebody deletes the control between the rows that name it and its file."""
        if one.pk == control.pk:
            monkeypatch.setattr(refreshing, "read_volume", read)
            do_delete_series(control, None)
        return read(one)

    monkeypatch.setattr(refreshing, "read_volume", deleted)
    stored = do_store_series(volunteer, arms["DF"], series(phantom(3) * 2))
    assert control_series(volunteer) is None
    assert Series.objects.get() == stored


def test_images_that_storage_has_lost_are_told_and_not_asked_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = make_study()
    arms = {arm.code: arm for arm in study.arms.all()}
    volunteer = Volunteer.objects.create(study=study, code="V01")
    control = do_store_series(volunteer, arms["STD"], series(phantom(3)))
    delete_files(control.prefix)
    with pytest.raises(FileNotFoundError):
        do_store_series(volunteer, arms["DF"], series(phantom(3) * 2))
    assert Series.objects.get() == control


def test_of_one_upload_what_could_not_be_deleted_goes_later_and_its_neighbour_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = make_study()
    files = as_files(series(phantom(3)), "V01/STD") | as_files(series(phantom(3) * 2), "V01/DF")
    send_zip(study, files)
    gone, kept = (Series.objects.get(arm__code=code) for code in ("DF", "STD"))
    assert gone.prefix.rpartition("/")[0] == kept.prefix.rpartition("/")[0]
    with monkeypatch.context() as away:
        away.setattr(FileSystemStorage, "delete", absent)
        do_delete_series(gone, None)
    assert default_storage.exists(f"{gone.prefix}/volume.npy")
    housekeeping.tidy()
    assert default_storage.exists(f"{gone.prefix}/volume.npy")  # an attempt may be writing there
    killed = default_storage.save(f"series/{study.pk}/{uuid.uuid4()}/a", ContentFile(b"half"))
    later = timezone.now() + datetime.timedelta(hours=2)
    monkeypatch.setattr(timezone, "now", lambda: later)
    with monkeypatch.context() as hurried:
        hurried.setattr(housekeeping, "LOOK_SECONDS", -1.0)
        housekeeping.tidy()
    assert not default_storage.exists(killed)
    assert default_storage.exists(f"{gone.prefix}/volume.npy")  # no time for it yet
    housekeeping.tidy()
    assert not default_storage.exists(gone.prefix)
    assert default_storage.exists(f"{kept.prefix}/volume.npy")


def absent(*_: object) -> None:
    raise TimeoutError("The object store did not answer in time.")


def test_an_act_that_finds_other_images_each_time_is_given_up_and_none_reads_inside() -> None:
    runs: list[int] = []

    def never_done(readings: Readings) -> None:
        with transaction.atomic():
            runs.append(len(runs))
            readings.want(("sha", len(runs)), lambda: connection.in_atomic_block)
            readings.demand()

    with pytest.raises(StudyError, match="nothing was done"):
        having_read(never_done)
    assert len(runs) == ATTEMPTS
    readings = Readings()
    with transaction.atomic():
        with pytest.raises(NotRead):
            readings.of("sha", lambda: connection.in_atomic_block)
        with pytest.raises(RuntimeError, match="inside a transaction"):
            readings.read()
    readings.read()
    assert readings.of("sha", lambda: True) is False
