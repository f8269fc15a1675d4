"""Many radiologists score at once: does the server keep up, and is every score there once?

Gunicorn as it is deployed, on two processors, and Locust playing the browsers: each signs in,
fetches the images of its items and of the next two, scores six criteria, sometimes changes its
mind, sometimes sends a score twice as after a lost receipt, comments, and submits. Afterwards every
score that the server has confirmed is compared with the database.

    python -m pip install -r requirements-load.txt
    python benchmarks/reading_load.py [--seconds 300] [--readers 30] [--database sqlite|postgresql]
                                      [--uploads 5] [--web-processes 2] [--workers 1]

With --uploads, so many coordinators upload meanwhile, each one volunteer's series after the other
with a person's 40 to 80 s between two, and workers read them; afterwards every volunteer that was
sent is there once. What one process more brings is measured by benchmarks/growth.py. Without
--database, SQLite and then PostgreSQL if it is installed.

Readers sit down one after the other within the first minute, which hashes their passwords. Think
times, of a brisk reader: 4 to 8 s before the first score, 0.6 to 2 s between scores, 0.5 to 1.5 s
before submitting; --thinking 2 doubles them. On a machine of two processors Locust runs on the same
two: the times are the worse for it, and its share is printed.

All readers come from this machine's one address, so that the site's limit on sign-ins of one
address (SIGN_INS_A_MINUTE) is raised for the run. Ends with 1 at any error, any lost, doubled or
altered score, or if 95 % of saves take longer than 300 ms.
"""

from __future__ import annotations

import argparse
import collections
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.reading_site.processor_time import ProcessorTime, told
from benchmarks.reading_site.site import (
    ROOT,
    THREADS,
    WORKERS,
    Site,
    benchmark_site,
    load_of_the_machine,
)
from tests import postgresql

SAVE_P95_MS = 300.0
# An item takes a reader at least this long, so that nobody runs out of items.
SHORTEST_ITEM_SECONDS = 10.0
SHORTEST_UNTHINKING_SECONDS = 0.5
ARMS, REPEATS_PERCENT = 5, 50
SITTING_DOWN_SECONDS = 60  # all of them; the limit on sign-ins holds for a minute as well
SAVES, SLICES = ("score",), ("pixels", "pixels ahead")


def missing_scores(log: list[dict[str, Any]]) -> list[str]:
    """In what the stored scores are not those that were confirmed; empty if they are."""
    from readerstudy.reading.models import Item, ScoreRevision

    confirmed = collections.Counter(tuple(line["score"]) for line in log if "score" in line)
    stored = collections.Counter(
        ScoreRevision.objects.values_list("item__token", "criterion__code", "revision", "value")
    )
    faults = [f"lost: {row}" for row in confirmed - stored]
    faults += [f"nobody confirmed: {row}" for row in stored - confirmed]
    latest: dict[tuple[str, str], list[int]] = collections.defaultdict(list)
    for token, code, revision, _ in stored.elements():
        latest[token, code].append(revision)
    for place, revisions in latest.items():
        if sorted(revisions) != list(range(1, len(revisions) + 1)):
            faults.append(f"revisions of {place} are {sorted(revisions)}")
    submitted = {line["submitted"] for line in log if "submitted" in line}
    closed = set(Item.objects.exclude(submitted_at=None).values_list("token", flat=True))
    faults += [f"submission lost: {token}" for token in submitted - closed]
    faults += [f"nobody submitted: {token}" for token in closed - submitted]
    return faults


def swarm(
    site: Site, address: str, emails: list[str], seconds: int, thinking: float = 1.0
) -> list[dict[str, Any]]:
    """Let the readers read; what they sent and heard, a line each."""
    from tests.factories import PASSWORD

    log = site.home / "load.jsonl"
    subprocess.run(
        [
            *(sys.executable, "-m", "locust", "--headless", "--only-summary"),
            *("--skip-log", "--loglevel", "CRITICAL"),
            *("-f", str(Path(__file__).parent / "reading_site" / "locustfile.py")),
            *("--users", str(len(emails))),
            *("--spawn-rate", f"{len(emails) / SITTING_DOWN_SECONDS:.3f}"),
            # Readers stop by themselves, at the end of an item; this is only the last resort.
            *("--run-time", f"{seconds + 120}s", "--stop-timeout", "60"),
            *("--host", address),
        ],
        env={
            **os.environ,
            "LOAD_LOG": str(log),
            "LOAD_HOST": address,
            "LOAD_EMAILS": " ".join(emails),
            "LOAD_PASSWORD": PASSWORD,
            "LOAD_SECONDS": str(seconds),
            "LOAD_THINKING": str(thinking),
        },
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def report(log: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Print the times of each kind of request; the requests that went wrong, the marks missed."""
    times: dict[str, list[float]] = collections.defaultdict(list)
    for line in log:
        if "request" in line:
            times[line["request"]].append(line["ms"])
    print(f"  {'request':<20}{'count':>8}{'median':>9}{'95 %':>9}{'longest':>9}  ms")
    for name, values in sorted(times.items(), key=lambda pair: -len(pair[1])):
        low, high = np.percentile(values, (50, 95))
        print(f"  {name:<20}{len(values):>8}{low:>9.0f}{high:>9.0f}{max(values):>9.0f}")
    faults = [f"{line['request']}: {line['error']}" for line in log if line.get("error")]
    faults += [line["fault"] for line in log if "fault" in line]
    saves = [value for name in SAVES for value in times[name]]
    if not saves:
        return [*faults, "nobody scored"], []
    slices = [value for name in SLICES for value in times[name]]
    print(f"  95 % of {len(slices)} slices within {np.percentile(slices, 95):.0f} ms")
    print_by_minute([line for line in log if line.get("request") in SAVES])
    last = max(line["at"] for line in log if "at" in line)
    sent = sum(line["bytes"] for line in log if "bytes" in line) / 2**20
    slowest = float(np.percentile(saves, 95))
    print(
        f"  {len(saves)} saves, {len(saves) / last:.1f} a second over {last:.0f} s; "
        f"{sent:.0f} MiB of answers"
    )
    kept = slowest <= SAVE_P95_MS
    mark = f"95 % of saves within {slowest:.0f} ms, at most {SAVE_P95_MS:.0f}"
    print(f"  mark {'kept' if kept else 'MISSED'}: {mark}")
    return faults, [] if kept else [f"missed: {mark}"]


def pace(log: list[dict[str, Any]]) -> dict[str, float]:
    """Requests, saves and slices a second, once everybody was signed in."""
    asked = [line for line in log if "request" in line]
    began = max((line["at"] for line in asked if line["request"] == "sign in"), default=0.0)
    steady = [line for line in asked if line["at"] > began]
    if not steady:
        return {}
    seconds = max(line["at"] for line in steady) - began
    counts = {
        "requests": len(steady),
        "saves": sum(line["request"] in SAVES for line in steady),
        "slices": sum(line["request"].startswith("pixels") for line in steady),
    }
    return {name: count / seconds for name, count in counts.items()}


def print_by_minute(saves: list[dict[str, Any]]) -> None:
    """The first minute holds all sign-ins, and first items that nobody fetched ahead."""
    minutes: dict[int, list[float]] = collections.defaultdict(list)
    for line in saves:
        minutes[int(line["at"] // 60)].append(line["ms"])
    parts = [f"{np.percentile(minutes[minute], 95):.0f}" for minute in sorted(minutes)]
    print(f"  95 % of saves, minute by minute: {', '.join(parts)} ms")


def run(options: argparse.Namespace, database_url: str) -> list[str]:
    """What went wrong, and the marks that were missed."""
    limit = 2 * options.readers
    with benchmark_site(database_url, SIGN_INS_A_MINUTE=str(limit)) as site:
        from benchmarks.reading_site.study import Size, make_study

        rows, columns, slices = (int(part) for part in options.size.split("x"))
        shortest = SHORTEST_ITEM_SECONDS if options.thinking else SHORTEST_UNTHINKING_SECONDS
        items = options.seconds / shortest + 2
        volunteers = -(-int(100 * items) // (ARMS * (100 + REPEATS_PERCENT)))
        study = make_study(
            Size(rows, columns, slices),
            volunteers=max(3, volunteers),
            readers=options.readers,
            repeat_percent=REPEATS_PERCENT,
        )
        emails = list(study.memberships.filter(role="reader").values_list("user__email", flat=True))
        two = set(sorted(os.sched_getaffinity(0))[:2])
        address = site.serve(
            processors=two if options.web_processes <= 2 else None, processes=options.web_processes
        )
        from django.db import connection

        print(
            f"\n{connection.vendor}: {len(emails)} readers, {options.seconds} s, images of "
            f"{Size(rows, columns, slices)}; {options.web_processes} web processes of {THREADS} "
            f"threads; {load_of_the_machine()}\n"
            f"  think times: {options.thinking:g} × a brisk reader's; limit on sign-ins of one "
            f"address: {limit} a minute",
            flush=True,
        )
        from benchmarks.reading_site.uploading import uploading

        size = Size(rows, columns, slices)
        with uploading(site, address, options.uploads, options.workers, size) as uploads:
            used = ProcessorTime()
            log = swarm(site, address, emails, options.seconds, options.thinking)
            shares = used.shares()
        faults, missed = report(log)
        print(f"  {told(shares)}")
        if uploads is not None:
            sent = len(uploads.sent())
            print(
                f"  {sent} volunteers uploaded by {options.uploads} coordinators and read by "
                f"{options.workers} worker{'s' if options.workers > 1 else ''} in "
                f"{uploads.seconds:.0f} s"
            )
            faults += uploads.faults()
        if options.result:
            result = {"paces": pace(log), "shares": shares, "faults": len(faults)}
            options.result.write_text(json.dumps(result), encoding="utf-8")
        differing = missing_scores(log)
        served = site.log_of(0)
        if "Traceback" in served or "ERROR" in served:
            faults.append(f"the server complained:\n{served[-2000:]}")
        scores = sum("score" in line for line in log)
        items_done = sum("submitted" in line for line in log)
        print(
            f"  {scores} scores of {items_done} submitted items compared with the database: ",
            end="",
        )
        print("each is there once" if not differing else f"{len(differing)} DIFFER", flush=True)
        print(f"  requests or answers that went wrong: {len(faults)}")
        print(f"  {load_of_the_machine()}")
        return [*faults, *differing, *missed]


@contextmanager
def a_database(name: str) -> Iterator[str]:
    if name == "sqlite":
        yield ""
        return
    with postgresql.server(durable=True) as address:
        yield postgresql.create_database(address, "reading_load")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--readers", type=int, default=30)
    parser.add_argument("--database", choices=["sqlite", "postgresql"])
    parser.add_argument("--uploads", type=int, default=0, help="coordinators who upload meanwhile")
    parser.add_argument("--web-processes", type=int, default=WORKERS)
    parser.add_argument("--workers", type=int, default=1, help="with --uploads")
    parser.add_argument("--thinking", type=float, default=1.0, help="0: nobody ever thinks")
    parser.add_argument("--result", type=Path, help="what a second brought, as JSON")
    parser.add_argument("--size", default="384x320x20", help="rows x columns x slices")
    options = parser.parse_args()
    if importlib.util.find_spec("locust") is None:
        parser.error(f"Locust is missing: {sys.executable} -m pip install -r requirements-load.txt")
    if options.database is None:
        # One process can be set up for one database only.
        names = ["sqlite", *(["postgresql"] if postgresql.binaries() else [])]
        codes = [
            subprocess.run(
                [sys.executable, __file__, *sys.argv[1:], "--database", name], check=False
            ).returncode
            for name in names
        ]
        raise SystemExit(max(codes))
    with a_database(options.database) as address:
        wrong = run(options, address)
    for line in wrong[:20]:
        print(f"  {line}", file=sys.stderr)
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
