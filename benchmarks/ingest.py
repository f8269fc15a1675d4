"""Ingest: from upload to stored series, de-identification included, beside Orthanc.

    python benchmarks/ingest.py [--series 50] [--slices 20] [--rounds 3] [--large 2000]

The same files are handed to ReaderStudy (a folder of loose files, as `manage.py ingest` takes it,
and one zip) and to Debian's Orthanc, where it is installed, which stores them over its REST
interface without de-identifying anything. All take turns, and the median of the rounds counts, so
that whatever else the machine does meets all alike. What a browser's requests cost for each loose
file, before anything is read, is printed too. A second run reads one zip with 2,000 files and
watches the worker's memory, its confined readers included. Everything lies in a temporary folder.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
ROWS, COLUMNS = 384, 320
MEBIBYTE = 1024**2
LEAST_OF_ORTHANC = 0.5  # of its rate, which stores without de-identifying
MOST_MEMORY = 1024**3


def make_files(series_count: int, slices: int) -> dict[str, bytes]:
    """V01/STD/0001.dcm …: classic MR images with noise, of the size of a lumbar scan."""
    import numpy as np

    from tests.imaging.datasets import as_bytes, series

    rng = np.random.default_rng(1)
    body = np.zeros((ROWS, COLUMNS))
    body[60:330, 50:270] = 400
    files: dict[str, bytes] = {}
    for number in range(series_count):
        noise = np.abs(rng.normal(0, 20, (slices, ROWS, COLUMNS)))
        pixels = (body + noise + rng.normal(0, 20, (slices, ROWS, COLUMNS))).clip(0)
        folder = f"V{number // 3 + 1:02d}/{('STD', 'DF', 'TF')[number % 3]}"
        for index, dataset in enumerate(series(pixels.astype("u2"))):
            files[f"{folder}/{index + 1:04d}.dcm"] = as_bytes(dataset)
    return files


def set_up(home: Path) -> None:
    os.environ["READERSTUDY_VAR"] = str(home)
    os.environ["DATABASE_URL"] = f"sqlite:///{home / 'benchmark.sqlite3'}"
    os.environ["DJANGO_SETTINGS_MODULE"] = "readerstudy.settings"
    os.environ["LOG_LEVEL"] = "ERROR"
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def new_study(slug: str):
    from readerstudy.studies.models import Comparison
    from readerstudy.studies.templates_lumbar import create_lumbar_study

    study = create_lumbar_study(slug, slug, None)
    Comparison.objects.filter(study=study).delete()
    study.arms.filter(kind="derived").delete()  # reading alone is timed, no denoising
    return study


def read_in(study, paths: list[tuple[str, Path]]) -> tuple[float, float]:
    """Seconds from files on disk, as an upload leaves them, until every series is stored and seen
    by everybody; and until the raw bytes are deleted too."""
    from django.utils import timezone

    from readerstudy.imaging.uploads import do_take_files
    from readerstudy.jobs.models import Job
    from readerstudy.jobs.worker import run_pending

    started = timezone.now()
    job = do_take_files(study, paths, None)
    run_pending("cpu")
    whole = (timezone.now() - started).total_seconds()
    job.refresh_from_db()
    if job.state != Job.State.SUCCEEDED or job.finished_at is None:
        raise SystemExit(f"The files were not read: {job.error}")
    return (job.finished_at - started).total_seconds(), whole


def receive_one_by_one(study, files: dict[str, bytes]) -> float:
    """Seconds for what a browser's two requests a file do, without HTTP; nothing is read."""
    import uuid

    from readerstudy.imaging.uploads import do_create_upload, do_drop_batch, do_receive

    batch = uuid.uuid4()
    started = time.perf_counter()
    for name, content in files.items():
        upload = do_create_upload(study, None, name=name, size=len(content), batch=batch)
        do_receive(upload, 0, io.BytesIO(content))
    seconds = time.perf_counter() - started
    do_drop_batch(study, batch)
    return seconds


def stored_slices(study) -> int:
    from readerstudy.imaging.models import Series

    rows = Series.objects.filter(volunteer__study=study)
    return sum(rows.values_list("slices", flat=True))


def zip_into(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def report(name: str, files: dict[str, bytes], seconds: list[float]) -> float:
    """Prints the median of the rounds; returns it as files per second."""
    size = sum(map(len, files.values())) / 1e6
    median = statistics.median(seconds)
    rate = len(files) / median
    print(f"{name:<52} {median:6.2f} s  {rate:6.1f} files/s  {size / median:6.1f} MB/s")
    return rate


@contextmanager
def orthanc(home: Path) -> Iterator[tuple[str | None, int]]:
    """A private Orthanc on a free port, or None where it is not installed."""
    # Debian puts it where only administrators look.
    program = shutil.which("Orthanc", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if program is None:
        yield None, 0
        return
    with socket.socket() as probe, socket.socket() as other:
        probe.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, dicom = probe.getsockname()[1], other.getsockname()[1]
    home.mkdir()
    settings = home / "orthanc.json"
    settings.write_text(
        json.dumps(
            {
                "StorageDirectory": str(home / "stored"),
                "IndexDirectory": str(home / "stored"),
                "HttpPort": port,
                "DicomPort": dicom,
                "RemoteAccessAllowed": False,
                "AuthenticationEnabled": False,
                "Plugins": [],
            }
        )
    )
    process = subprocess.Popen(
        [program, str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(100):
            try:
                urllib.request.urlopen(f"{address}/system", timeout=2).read()  # noqa: S310
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        else:
            raise SystemExit("Orthanc did not start.")
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


def to_orthanc(address: str, files: dict[str, bytes]) -> float:
    """Seconds until it has stored them all: one connection, as storescu would use."""
    import http.client

    with closing(http.client.HTTPConnection(address.removeprefix("http://"))) as connection:
        started = time.perf_counter()
        for content in files.values():
            connection.request("POST", "/instances", body=content)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise SystemExit(f"Orthanc refused a file: {body[:200]!r}")
        return time.perf_counter() - started


def _cpu_seconds(pid: int = 0) -> float:
    """Of another process, or of this one and its children that have ended: tells rates apart from
    whatever else the machine is busy with."""
    if not pid:
        used = os.times()
        return used.user + used.system + used.children_user + used.children_system
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Memory(threading.Thread):
    """The largest resident memory of this process, of its children, and of all together."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.largest = {"worker": 0, "readers": 0, "together": 0}

    def run(self) -> None:
        mine = os.getpid()
        while not self.over.wait(0.05):
            children = 0
            for task in Path(f"/proc/{mine}/task").iterdir():
                for pid in (task / "children").read_text().split():
                    children += _resident(int(pid))
            own = _resident(mine)
            now = {"worker": own, "readers": children, "together": own + children}
            self.largest = {name: max(now[name], most) for name, most in self.largest.items()}


def _resident(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    lines = [line for line in text.splitlines() if line.startswith("VmRSS")]
    return int(lines[0].split()[1]) * 1024 if lines else 0


def compare(home: Path, series_count: int, slices: int, rounds: int) -> list[str]:
    """Prints the rates; returns the marks that were missed."""
    files = make_files(series_count, slices)
    size = sum(map(len, files.values())) / 1e6
    print(
        f"{len(files)} files, {size:.0f} MB, matrix {ROWS} × {COLUMNS}, {os.cpu_count()} cores, "
        f"median of {rounds} rounds"
    )
    folder = home / "files"
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    zip_into(home / "images.zip", files)
    ways = {
        "loose files": [(name, folder / name) for name in files],
        "one zip": [("images.zip", home / "images.zip")],
    }
    taken: dict[str, list[float]] = {name: [] for name in (*ways, "Orthanc", "one by one")}
    used: dict[str, list[float]] = {name: [] for name in (*ways, "Orthanc")}
    cleared: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        # Whoever comes first meets what the one before left for the disk to write.
        for name, paths in sorted(ways.items(), reverse=number % 2 == 0):
            study = new_study(f"{name.replace(' ', '-')}-{number}")
            before = _cpu_seconds()
            stored, whole = read_in(study, paths)
            taken[name].append(stored)
            cleared[name].append(whole)
            used[name].append(_cpu_seconds() - before)
            if stored_slices(study) != len(files):
                raise SystemExit("Not every file was stored.")
        with orthanc(home / f"orthanc-{number}") as (address, pid):
            if address is not None:
                before = _cpu_seconds(pid)
                taken["Orthanc"].append(to_orthanc(address, files))
                used["Orthanc"].append(_cpu_seconds(pid) - before)
        study = new_study(f"received-{number}")
        taken["one by one"].append(receive_one_by_one(study, files))
    rates = {
        name: report(f"ReaderStudy, {name}: de-identified, stored", files, taken[name])
        for name in ways
    }
    for name in ways:
        report(f"ReaderStudy, {name}: raw bytes deleted too", files, cleared[name])
    report("ReaderStudy, received one by one, not read", files, taken["one by one"])
    if taken["Orthanc"]:
        rate = report("Orthanc, stored as they are", files, taken["Orthanc"])
        for name, own in rates.items():
            print(f"ReaderStudy's rate beside Orthanc's, {name}: {own / rate:.2f}")
        slow = [name for name, own in rates.items() if own < LEAST_OF_ORTHANC * rate]
    else:
        slow = []
        print("Orthanc is not installed (Debian: orthanc): nothing to compare with.")
    for name, seconds in used.items():
        if seconds:
            print(f"Processor time of all processes, {name}: {statistics.median(seconds):.2f} s")
    return [f"less than half of Orthanc's rate ({name})" for name in slow]


def large(count: int) -> list[str]:
    """One zip in a process of its own, so that its memory is the worker's; the marks missed."""
    import gc

    slices = 100
    files = make_files(max(1, count // slices), slices)
    number = len(files)
    path = Path(os.environ["READERSTUDY_VAR"]) / "large.zip"
    zip_into(path, files)
    study = new_study("large")
    sizes = {name: len(data) for name, data in files.items()}
    del files
    gc.collect()
    from readerstudy.imaging.uploads import do_take_files

    do_take_files(study, [("images.zip", path)], None)
    done = subprocess.run(
        [sys.executable, __file__, "--work"], env=os.environ, check=True, capture_output=True
    )
    largest = json.loads(done.stdout)
    if stored_slices(study) != number:
        raise SystemExit("Not every file of the large zip was stored.")
    size = sum(sizes.values()) / 1e6
    print(
        f"One zip of {number} files ({size:.0f} MB): {largest['seconds']:.1f} s, "
        f"largest memory of the worker {largest['worker'] / MEBIBYTE:.0f} MiB, "
        f"of its confined readers {largest['readers'] / MEBIBYTE:.0f} MiB, "
        f"of all at once {largest['together'] / MEBIBYTE:.0f} MiB"
    )
    return ["the worker with its readers needs 1 GiB"] if largest["together"] >= MOST_MEMORY else []


def work() -> None:
    """What a worker does, with its memory watched."""
    import django

    django.setup()
    from readerstudy.jobs.worker import run_pending

    memory = Memory()
    memory.start()
    started = time.perf_counter()
    run_pending("cpu")
    memory.over.set()
    memory.join()
    print(json.dumps({**memory.largest, "seconds": time.perf_counter() - started}))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--series", type=int, default=50)
    parser.add_argument("--slices", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", type=int, default=2000, help="files in one zip; 0: none")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work()
        return
    with tempfile.TemporaryDirectory(prefix="readerstudy-ingest-") as folder:
        set_up(Path(folder))
        missed = compare(Path(folder), options.series, options.slices, options.rounds)
        if options.large:
            missed += large(options.large)
    if missed:
        raise SystemExit(f"Missed: {'; '.join(missed)}.")


if __name__ == "__main__":
    main()
