"""Images, uploads and their reports of an earlier version come over and go on working."""

from __future__ import annotations

import io
import uuid
from functools import partial
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from readerstudy.imaging.deidentification.report import merged
from readerstudy.imaging.housekeeping import tidy
from readerstudy.imaging.inbox_selectors import inbox_count
from readerstudy.imaging.ingest import raw_path
from readerstudy.imaging.models import ImagingRules, Series, Upload
from readerstudy.imaging.readings import having_read
from readerstudy.imaging.refreshing import refresh_display
from readerstudy.imaging.rules import rules_of
from readerstudy.imaging.selectors import display_slice, load_volume
from readerstudy.imaging.uploads import do_finish_batch, do_receive
from readerstudy.imaging.volumes import write_volume
from readerstudy.jobs.models import Job
from readerstudy.jobs.worker import run_pending
from readerstudy.studies.access import Reach
from readerstudy.studies.models import Study

from .datasets import as_files, phantom, series
from .uploading import zipped

GEOMETRY = {
    "origin": [-30.0, -100.0, 60.0],
    "row_direction": [0.0, 1.0, 0.0],
    "column_direction": [0.0, 0.0, -1.0],
    "slice_direction": [1.0, 0.0, 0.0],
    "row_spacing": 0.5,
    "column_spacing": 0.625,
    "slice_spacing": 4.0,
}


def models_before(app: str, name: str) -> Any:
    call_command("migrate", app, name, verbosity=0)
    loader = MigrationExecutor(connection).loader
    return loader.project_state(list(loader.applied_migrations)).apps


@pytest.mark.django_db(transaction=True)
def test_stored_series_and_half_sent_uploads_outlive_the_migration() -> None:
    old = models_before("imaging", "0001_initial")
    study = old.get_model("studies", "Study").objects.create(slug="old", title="Old", state="draft")
    arms = old.get_model("studies", "Arm").objects
    control = arms.create(study=study, code="STD", name="standard", is_control=True)
    arms.create(study=study, code="DF", name="double-fast")
    volunteer = old.get_model("imaging", "Volunteer").objects.create(study=study, code="V01")
    prefix = f"series/{study.pk}/{uuid.uuid4()}/{uuid.uuid4()}"
    old.get_model("imaging", "Series").objects.create(
        volunteer=volunteer, arm=control, prefix=prefix, rows=20, columns=24, slices=4,
        volume_sha256=write_volume(prefix, phantom(4).astype("f4")), geometry=GEOMETRY,
        deidentification={"table_version": "1", "images": 4, "rules": {"kept": 7}},
    )  # fmt: skip
    content = zipped(as_files(series(phantom(4) * 2), "V01/DF"))
    batch = uuid.uuid4()
    half = old.get_model("imaging", "Upload").objects.create(
        study=study, batch=batch, name="images.zip", size=len(content), received=100
    )
    raw_path(half.pk).parent.mkdir(parents=True, exist_ok=True)
    raw_path(half.pk).write_bytes(content[:100])

    call_command("migrate", verbosity=0)
    tidy()
    now = Study.objects.get(slug="old")
    stored = Series.objects.select_related("volunteer", "arm").get()
    assert rules_of(now).dates == ImagingRules.Dates.DROPPED
    assert inbox_count(Reach(now)) == 0
    assert merged([stored.deidentification])[0]["attribute"] == "(not counted by attribute)"
    having_read(partial(refresh_display, stored.volunteer))
    assert float(load_volume(stored).max()) == float(phantom(4).max())
    assert len(display_slice(Series.objects.get(), 0)) == 20 * 24 * 2
    # What had been sent by half is sent on and read.
    do_receive(Upload.objects.get(), 100, io.BytesIO(content[100:]))
    job = do_finish_batch(now, batch, None)
    run_pending("cpu")
    job.refresh_from_db()
    assert job.state == Job.State.SUCCEEDED
    assert set(now.volunteers.get().series.values_list("arm__code", flat=True)) == {"STD", "DF"}
