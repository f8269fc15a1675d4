"""A scanner sends over the network: Debian's dcmtk against `manage.py dicom_receiver`."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings as django_settings
from django.core.files.storage import default_storage
from django.db import connections
from pydicom.dataset import Dataset

from readerstudy.audit.models import Event
from readerstudy.imaging.errors import ImagingError
from readerstudy.imaging.inbox import Assignment, do_assign
from readerstudy.imaging.models import InboxSeries, Series, Upload
from readerstudy.imaging.receiving import Receiver
from readerstudy.imaging.rules import do_change_rules
from readerstudy.imaging.selectors import load_volume
from readerstudy.jobs.worker import run_pending
from tests.factories import make_study

from .datasets import as_files, phantom, series

ROOT = Path(__file__).resolve().parents[2]
PLANTED = ["Lumbalina^Testa", "FAKE-4711-0815", "St. Imaginary"]
RULES = {
    "dates": "dropped",
    "volunteer_pattern": r"V\d{2}",
    "receiver_title": "LUMBAR",
    "senders": ["SCANNER1"],
}


@pytest.fixture
def dcmtk() -> str:
    found = shutil.which("storescu")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("Debian's dcmtk is missing.")
        pytest.skip("needs Debian's dcmtk")
    return str(Path(found).parent)


@dataclass
class Running:
    port: int
    process: subprocess.Popen[str]
    log: Path

    def send(self, dcmtk: str, command: str, *options: str, sender: str = "SCANNER1") -> int:
        called = ["-aet", sender, "-aec", options[0], "127.0.0.1", str(self.port), *options[1:]]
        return subprocess.run(
            [f"{dcmtk}/{command}", *called], capture_output=True, check=False, timeout=60
        ).returncode

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def running(transactional_db: None, tmp_path: Path, own_storage: Path) -> Iterator[Running]:
    """The command in a process of its own, on the test's database and folders."""
    database = django_settings.DATABASES["default"]
    if not database["ENGINE"].endswith("sqlite3"):
        pytest.skip("the command is started on SQLite")
    name = str(connections["default"].settings_dict["NAME"])
    if "memory" in name or not Path(name).exists():
        pytest.skip("the test database is in memory")
    port, log = free_port(), tmp_path / "receiver.log"
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{name}",
        "READERSTUDY_VAR": str(tmp_path),
        "STORAGE_DIR": str(django_settings.MEDIA_ROOT),
        "UPLOAD_DIR": str(django_settings.UPLOAD_ROOT),
        "DJANGO_SETTINGS_MODULE": "readerstudy.settings",
        "LOG_LEVEL": "DEBUG",
    }
    with log.open("w") as sink:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "dicom_receiver", "--port", str(port), "--quiet", "600"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=sink,
            text=True,
        )
        assert process.stdout is not None
        assert "Receiving on" in process.stdout.readline(), log.read_text()
        yield Running(port, process, log)
        process.kill()
        process.wait()


def planted(ds: Dataset, _index: int) -> None:
    ds.PatientName, ds.PatientID, ds.InstitutionName = PLANTED
    ds.StudyDescription, ds.SeriesDescription = "study V04", "t2 double-fast"


@pytest.mark.slow
def test_storescu_sends_a_series_and_it_arrives_de_identified(
    running: Running, dcmtk: str, tmp_path: Path
) -> None:
    study = make_study()
    do_change_rules(study, None, RULES)
    pixels = phantom(5)
    folder = tmp_path / "scan"
    folder.mkdir()
    for name, content in as_files(series(pixels, change=planted)).items():
        (folder / name).write_bytes(content)
    files = [str(path) for path in sorted(folder.iterdir())]

    assert running.send(dcmtk, "echoscu", "LUMBAR") == 0
    assert running.send(dcmtk, "echoscu", "LUMBAR", sender="STRANGER") != 0
    assert running.send(dcmtk, "storescu", "OTHER", *files) != 0
    assert running.send(dcmtk, "storescu", "LUMBAR", *files[:1], sender="STRANGER") != 0
    assert not Upload.objects.exists()
    # One association for two images, then one for each: still one series.
    assert running.send(dcmtk, "storescu", "LUMBAR", *files[:3]) == 0
    for file in files[3:]:
        assert running.send(dcmtk, "storescu", "LUMBAR", file) == 0
    running.stop()  # what was received is handed over before it ends
    run_pending("cpu")

    (row,) = InboxSeries.objects.filter(study=study)
    assert row.slices == 5
    assert (row.volunteer_guess, row.arm_guess and row.arm_guess.code) == ("V04", "DF")
    do_assign(study, None, [Assignment(row, "V04", study.arms.get(code="DF"))])
    run_pending("cpu")
    item = Series.objects.get()
    assert np.array_equal(load_volume(item), pixels.astype(np.float32))
    assert Event.objects.get(action="imaging.receiver.received").new == {
        "sender": "scanner1",
        "files": 5,
    }
    stored = b"".join(p.read_bytes() for p in Path(default_storage.path("")).rglob("*.dcm"))
    said = running.log.read_text()
    assert "association refused" in said
    for value in PLANTED:
        assert value.encode() not in stored
        assert value not in said
    assert [p for p in Path(django_settings.UPLOAD_ROOT).rglob("*") if p.is_file()] == []


@pytest.mark.django_db(transaction=True)
def test_a_batch_goes_to_the_worker_once_its_sender_is_silent_and_gone() -> None:
    study = make_study()
    receiver, where = Receiver(quiet=10), (study.pk, "scanner1")
    receiver._associations[1] = where
    for content in as_files(series(phantom(2))).values():
        receiver._keep(where, content)
    assert receiver.finish_quiet() == 0
    receiver._batches[where].touched -= 60
    assert receiver.finish_quiet() == 0, "an association is open"
    receiver._associations.clear()
    assert receiver.finish_quiet() == 1
    assert [upload.state for upload in Upload.objects.all()] == ["queued", "queued"]
    run_pending("cpu")
    assert InboxSeries.objects.get().slices == 2


@pytest.mark.django_db
def test_titles_are_checked_and_belong_to_one_study() -> None:
    study = make_study()
    with pytest.raises(ImagingError, match="no AE title"):
        do_change_rules(study, None, {**RULES, "senders": ["A B!"]})
    with pytest.raises(ImagingError, match="needs both"):
        do_change_rules(study, None, {**RULES, "senders": []})
    with pytest.raises(ImagingError, match="regular expression"):
        do_change_rules(study, None, {**RULES, "volunteer_pattern": "("})
    do_change_rules(study, None, RULES)
    with pytest.raises(ImagingError, match="Another study"):
        do_change_rules(make_study(slug="second"), None, {**RULES, "receiver_title": "lumbar"})
    event = Event.objects.get(action="imaging.rules.changed")
    assert event.new["receiver_title"] == "LUMBAR"
