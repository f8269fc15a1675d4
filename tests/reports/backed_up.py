"""What the tests of backup and restore share."""

from __future__ import annotations

import io
from pathlib import Path

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command

from readerstudy.audit.services import record
from readerstudy.imaging.models import InboxSeries, Volunteer
from readerstudy.studies.models import Study
from readerstudy.variants.models import RawData
from tests.factories import make_administrator, make_study

FILE = "series/one/volume.npy"


def make_small_site() -> Study:
    """People, a study in draft and a file."""
    make_administrator()
    default_storage.save(FILE, ContentFile(b"voxels"))
    return make_study()


def backed_up(folder: Path) -> Path:
    path = folder / "backup.tar.gz"
    call_command("backup", path, stdout=io.StringIO())
    return path


def withdraw(study: Study, code: str) -> None:
    """As far as the trail knows."""
    new = {"volunteer": code, "series": []}
    record("conduct.volunteer.withdrawn", None, study_id=study.pk, subject=study, new=new)


def an_inbox_series(study: Study) -> InboxSeries:
    return InboxSeries.objects.create(
        **{"study": study, "number": 1, "prefix": "inbox/waits", "geometry": {}},
        **{"rows": 1, "columns": 1, "slices": 1},
    )


def raw_data(study: Study) -> RawData:
    return RawData.objects.create(
        volunteer=Volunteer.objects.create(study=study, code="RAW1"),
        arm=study.arms.filter(is_control=True).get(),
        prefix="raw/scan",
        sha256="0" * 64,
    )
