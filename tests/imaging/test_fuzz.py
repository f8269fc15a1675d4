"""Mangled files and archives: no crash, no hang, nothing half-imported.

FUZZ_SECONDS=600 makes the long run: `FUZZ_SECONDS=600 pytest tests/imaging/test_fuzz.py -s`.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.storage import default_storage, storages
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from readerstudy.imaging.burned_in_text import looks_written
from readerstudy.imaging.models import InboxSeries, Series, Upload, UploadedFile
from readerstudy.imaging.parsing.process import ConfinedReader
from readerstudy.imaging.selectors import load_volume
from readerstudy.jobs.models import Job
from tests.factories import make_study

from .datasets import as_files, phantom, series
from .mangling import archives, mangled, names
from .uploading import send

SECONDS = float(os.environ.get("FUZZ_SECONDS", "6"))
LONGEST = 30.0  # what the reader allows for one file
PROFILE = settings(
    max_examples=60,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def for_seconds(run: Callable[[], None], seconds: float) -> int:
    """Rounds of examples until the time is over; the number of rounds."""
    over = time.monotonic() + seconds
    rounds = 0
    while rounds == 0 or time.monotonic() < over:
        run()
        rounds += 1
    return rounds


def test_a_mangled_file_is_read_or_refused_and_the_reader_lives(tmp_path: Path) -> None:
    path = tmp_path / "upload.part"
    outcomes: Counter[str] = Counter()
    slowest = [0.0]

    with ConfinedReader("key", memory_bytes=1536 * 1024**2, seconds=LONGEST) as reader:

        @PROFILE
        @given(mangled())
        def read(content: bytes) -> None:
            path.write_bytes(content)
            started = time.monotonic()
            answer = reader.ask(
                {
                    "op": "parse",
                    "path": str(path),
                    "member": None,
                    "patient": "V01",
                    "date_shift": -100,
                    "limit": 64 * 1024**2,
                    "out": str(tmp_path / "out"),
                }
            )
            slowest[0] = max(slowest[0], time.monotonic() - started)
            outcomes["refused" if "refused" in answer else "read"] += 1
            if "refused" in answer:
                assert answer["refused"].strip()
                assert "reader stopped" not in answer["refused"]
                assert "longer than" not in answer["refused"]
                if "within the memory allowed" in answer["refused"]:
                    outcomes["reader replaced"] += 1
            for item in answer.get("slices", []):
                assert item["rows"] > 0
                assert Path(item["file"]).stat().st_size > item["rows"] * item["columns"]

        for_seconds(read, SECONDS / 2)
    assert outcomes["reader replaced"] == 0
    print(f"\nfiles: {dict(outcomes)}, slowest {slowest[0]:.2f} s")


@pytest.mark.django_db
def test_a_mangled_batch_leaves_whole_series_and_a_reason_for_every_other_file() -> None:
    pixels = phantom(4)
    whole = as_files(series(pixels), "V01/STD")
    assert not looks_written(pixels)
    outcomes: Counter[str] = Counter()
    slowest = [0.0]

    @settings(PROFILE, max_examples=20)  # a batch takes as long as ten files
    @given(
        mangled_files=st.lists(st.tuples(names, mangled()), min_size=1, max_size=5),
        as_archive=st.booleans(),
        data=st.data(),
    )
    def ingest(
        mangled_files: list[tuple[str, bytes]], as_archive: bool, data: st.DataObject
    ) -> None:
        study = make_study(slug=f"fuzz-{Job.objects.count()}-{time.monotonic_ns()}")
        files = dict(whole)
        for number, (name, content) in enumerate(mangled_files):
            files[name.format(number)] = content
        if as_archive:
            files = {"images.zip": data.draw(archives(files))}
        started = time.monotonic()
        job = send(study, files)
        slowest[0] = max(slowest[0], time.monotonic() - started)
        assert job.state == Job.State.SUCCEEDED, job.error
        check_nothing_half_done(study.pk, len(files))
        for item in Series.objects.filter(volunteer__study=study):
            outcomes["series"] += 1
            assert load_volume(item).shape == (item.slices, item.rows, item.columns)
        outcomes["inbox"] += InboxSeries.objects.filter(study=study).count()
        outcomes["batches"] += 1

    for_seconds(ingest, SECONDS / 2)
    print(f"\nbatches: {dict(outcomes)}, slowest {slowest[0]:.2f} s")


def check_nothing_half_done(study_id: object, sent: int) -> None:
    uploads = Upload.objects.filter(study_id=study_id)
    assert {u.state for u in uploads} <= {Upload.State.DONE, Upload.State.FAILED}
    assert uploads.count() == sent
    for upload in uploads:
        rows = list(UploadedFile.objects.filter(upload=upload))
        assert rows
        assert all(row.accepted or row.reason for row in rows)
        assert not any("Traceback" in row.reason for row in rows)
    assert [p for p in Path(storages["uploads"].path("")).rglob("*") if p.is_file()] == []
    for model, where in ((Series, "volunteer__study"), (InboxSeries, "study")):
        for row in model.objects.filter(**{where: study_id}):
            stored = default_storage.listdir(f"{row.prefix}/dicom")[1]
            assert len(stored) == row.slices
    known = {s.prefix for s in Series.objects.filter(volunteer__study=study_id)}
    known |= {s.prefix for s in InboxSeries.objects.filter(study=study_id)}
    root = Path(default_storage.path(""))
    for file in root.glob(f"*/{study_id}/*/*/dicom"):
        assert file.parent.relative_to(root).as_posix() in known
