"""A worker that is killed while it reads an upload: the batch is read again, once, whole."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.site import Site, copy_test_database, wait_for

from .datasets import as_files, phantom, series
from .uploading import zipped

# The database of this test run is what the site's is copied from.
pytestmark = [pytest.mark.slow, pytest.mark.django_db]
SLICES = 12
ARMS = ("STD", "DF", "TF")

HAND_IN = """
import io, uuid
from pathlib import Path
from readerstudy.studies.models import Comparison
from readerstudy.studies.templates_lumbar import create_lumbar_study
from readerstudy.imaging.uploads import do_create_upload, do_finish_batch, do_receive
study = create_lumbar_study("killed", "Killed", None)
Comparison.objects.filter(study=study).delete()
study.arms.filter(kind="derived").delete()  # no network is to run here
content = Path({path!r}).read_bytes()
batch = uuid.uuid4()
upload = do_create_upload(study, None, name="images.zip", size=len(content), batch=batch)
do_receive(upload, 0, io.BytesIO(content))
print(do_finish_batch(study, batch, None).pk)
"""


class ImagingSite(Site):
    """The platform's own settings, not those with the probe tasks."""

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "DJANGO_SETTINGS_MODULE": "readerstudy.settings"}


@pytest.fixture
def site(django_db_setup: None, tmp_path: Path) -> Iterator[ImagingSite]:
    site = ImagingSite(tmp_path, copy_test_database(tmp_path / "site.sqlite3"))
    yield site
    site.stop()


def test_an_upload_whose_worker_is_killed_is_read_once_and_whole(
    site: ImagingSite, tmp_path: Path
) -> None:
    files: dict[str, bytes] = {}
    for volunteer in ("V01", "V02"):
        for factor, arm in enumerate(ARMS, start=1):
            files |= as_files(series(phantom(SLICES) * factor), f"{volunteer}/{arm}")
    archive = tmp_path / "images.zip"
    archive.write_bytes(zipped(files))
    job = site.python(HAND_IN.format(path=str(archive)))

    scratch = site.home / "var" / "uploads"
    killed = site.start_worker()
    wait_for(lambda: any(scratch.glob("scratch-*/*")), "the first slices to be read")
    killed.signal(signal.SIGKILL)
    killed.popen.wait()
    assert site.job(job) == ("running", 1)
    assert site.query("SELECT count(*) FROM imaging_series") == [(0,)]

    site.start_worker()
    wait_for(lambda: site.job(job)[0] == "succeeded", "the batch to be read again")
    assert site.job(job) == ("succeeded", 2)
    cells = site.query(
        "SELECT v.code, a.code, s.slices, s.prefix FROM imaging_series s "
        "JOIN imaging_volunteer v ON v.id = s.volunteer_id JOIN studies_arm a ON a.id = s.arm_id"
    )
    assert {(v, a, n) for v, a, n, _ in cells} == {
        (v, a, SLICES) for v in ("V01", "V02") for a in ARMS
    }
    assert len(cells) == 2 * len(ARMS)
    stored = "SELECT count(*) FROM audit_event WHERE action = 'imaging.series.stored'"
    assert site.query(stored) == [(2 * len(ARMS),)]

    storage = site.home / "var" / "storage"
    found = {p.relative_to(storage).as_posix() for p in storage.rglob("*") if p.is_file()}
    prefixes = {prefix for *_, prefix in cells}
    assert {name for name in found if not any(name.startswith(p + "/") for p in prefixes)} == set()
    assert len(found) == 2 * len(ARMS) * (SLICES + 1)
    assert list(scratch.glob("*.part")) == []
