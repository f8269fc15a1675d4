"""What a second web process and a second worker bring, on PostgreSQL.

Web: readers who never think ask as fast as they are answered (`reading_load.py --thinking 0`), of
one web process and of two. Workers: volunteers that lie ready are read by one worker and by two.
On a machine of two processors those who ask share them with those who answer: read the figures as
the least that a process brings.

    python -m pip install -r requirements-load.txt
    python benchmarks/growth.py [--seconds 60] [--volunteers 24]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.reading_load import a_database
from benchmarks.reading_site.processor_time import told
from benchmarks.reading_site.site import benchmark_site, load_of_the_machine

READERS = 12
PROCESSES = (1, 2)


def requests_a_second(processes: int, seconds: int, size: str) -> dict[str, dict[str, float]]:
    """By a process of its own: Django is set up for one database only."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [
            *(sys.executable, str(Path(__file__).with_name("reading_load.py"))),
            *("--database", "postgresql", "--thinking", "0", "--readers", str(READERS)),
            *("--seconds", str(seconds), "--web-processes", str(processes), "--size", size),
            *("--result", str(result)),
        ]
        # A mark of the other benchmark may be missed here: nobody reads without thinking.
        subprocess.run(command, capture_output=True, check=False)
        found: dict[str, dict[str, float]] = json.loads(result.read_text(encoding="utf-8"))
        if found["faults"]:
            raise SystemExit(f"{found['faults']} requests went wrong: see {command}")
        return found


def volunteers_a_minute(workers: int, volunteers: int, size: str) -> float:
    """Sent first, with no worker there; then read by so many."""
    with a_database("postgresql") as url, benchmark_site(url) as site:
        from benchmarks.chaos import drained
        from benchmarks.reading_site.study import Size
        from benchmarks.reading_site.uploading import coordinators

        rows, columns, slices = (int(part) for part in size.split("x"))
        address = site.serve()
        uploads = coordinators(address, 1, Size(rows, columns, slices), threading.Event())
        (caller,) = uploads.callers
        caller.archives = caller.archives[:volunteers]
        caller.first, caller.pause = 0.0, (0.0, 0.0)
        caller.run()
        began = time.monotonic()
        for _ in range(workers):
            threading.Thread(target=site.work).start()
        drained()
        seconds = time.monotonic() - began
        faults = uploads.faults()
        if faults:
            raise SystemExit("\n".join(faults))
        return 60 * volunteers / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--volunteers", type=int, default=24)
    parser.add_argument("--size", default="384x320x20", help="rows x columns x slices")
    parser.add_argument("--workers", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.workers:  # one measurement, in a process of its own
        print(volunteers_a_minute(options.workers, options.volunteers, options.size))
        return
    if importlib.util.find_spec("locust") is None:
        parser.error(f"Locust is missing: {sys.executable} -m pip install -r requirements-load.txt")
    print(load_of_the_machine(), flush=True)
    print("| | 1 process | 2 processes | times |\n| --- | --- | --- | --- |")
    one, two = (requests_a_second(n, options.seconds, options.size) for n in PROCESSES)
    for name, rate in one["paces"].items():
        more = two["paces"][name]
        print(f"| web: {name} a second | {rate:.1f} | {more:.1f} | {more / rate:.2f} |")
    for count, found in zip(PROCESSES, (one, two), strict=True):
        noun = "process" if count == 1 else "processes"
        print(f"web, {count} {noun}: {told(found['shares'])}", flush=True)
    rates = []
    for workers in PROCESSES:
        command = [sys.executable, __file__, "--workers", str(workers), "--size", options.size]
        command += ["--volunteers", str(options.volunteers)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        rates.append(float(done.stdout.split()[-1]))
    grown = f"{rates[0]:.1f} | {rates[1]:.1f} | {rates[1] / rates[0]:.2f}"
    print(f"| worker: volunteers a minute | {grown} |\n{load_of_the_machine()}")


if __name__ == "__main__":
    main()
