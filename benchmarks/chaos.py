"""Kill -9 of web, worker, broker, database and object store while people work: what is lost?

On loopback: PostgreSQL that waits for the disk, RabbitMQ, an S3-type object store that writes what
it confirms to the disk, two web processes (gunicorn), two workers woken by the broker. Readers
score and a coordinator uploads volunteers all the while; whatever is killed, at a random moment, is
started again at once, as systemd does. The object store is also frozen, and so are the workers, for
longer than a job's lease and in the middle of one if they come to one soon. Afterwards:

- every score that a reader got a receipt for is stored once, and no other is;
- every volunteer that was sent is there with all slices, once; no job failed or hangs;
- every stored volume, of all series, is in the object store with the hash of its record, and every
  series with its DICOM files;
- `verify_audit` and, after the lock, `verify_snapshot` pass.

    python benchmarks/chaos.py [--kills 100] [--minutes 15] [--seed 1] [--log docs/chaos.md]

It ends with 1 if anything of this is not so. RabbitMQ and PostgreSQL are the system's own packages
(.ci/debian-packages); the object store is moto's server with a journal (chaos_site/lasting_store).
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import io
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.chaos_site.callers import Caller, Coordinator, Reader
from benchmarks.chaos_site.processes import LEASE_SECONDS, ROOT, Stack, stack
from benchmarks.reading_site.site import load_of_the_machine

READERS, VOLUNTEERS, SLICES = 3, 24, 4
# How often each is hit. A broker takes longest to come back.
WEIGHTS = {
    **{"web 1": 5, "web 2": 5, "worker 1": 6, "worker 2": 6},
    **{"database": 3, "store": 3, "broker": 2},
}
# For how many seconds: a worker for longer than its lease, a store for more or less than one
# attempt of a page.
BEYOND_THE_LEASE = (1.2 * LEASE_SECONDS, 2.0 * LEASE_SECONDS)
FROZEN = {"store": (2, 9), "worker 1": BEYOND_THE_LEASE, "worker 2": BEYOND_THE_LEASE}
# A worker is frozen after so many kills; how often the store is, of all that is done.
KILLS_A_FREEZE, STORE_FREEZES = 12, 0.06
DRAIN_SECONDS = 300


def prepare(site: Stack) -> None:
    (site.home / "var" / "static").mkdir(parents=True)
    os.environ.update(site.environment)
    import django

    django.setup()
    from django.core.files.storage import default_storage
    from django.core.management import call_command

    default_storage.connection.create_bucket(Bucket="images")  # type: ignore[attr-defined]
    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)


def session_cookie(user: Any) -> str:
    """Signed in, without the second that a password takes on purpose."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    from readerstudy.accounts.sign_ins import STARTED

    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session[STARTED] = time.time()  # as the door does: no later request has to write it
    session.create()
    return str(session.session_key)


def archives(number: int) -> list[tuple[str, bytes]]:
    import numpy as np

    from tests.imaging.datasets import as_files, series

    made = []
    for volunteer in range(1, number + 1):
        draws = np.random.default_rng(volunteer)
        pixels = draws.integers(0, 2000, (SLICES, 64, 48)).astype("u2")
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
            for name, data in as_files(series(pixels)).items():
                archive.writestr(name, data)
        made.append((f"U{volunteer:03d}", content.getvalue()))
    return made


def people(site: Stack, over: threading.Event) -> tuple[Any, Any, list[Caller]]:
    from benchmarks.reading_site.study import Size, make_study
    from readerstudy.jobs.models import Job
    from readerstudy.jobs.services import do_cancel
    from readerstudy.studies.models import Study
    from readerstudy.studies.services import draw_arm_letters
    from tests.factories import make_coordinator
    from tests.factories import make_study as make_draft
    from tests.reading.imaged_study import first_item, reader_of

    study = make_study(Size(32, 24, 3), volunteers=VOLUNTEERS, readers=READERS, repeat_percent=50)
    # Opened for reading without the launch page, which draws the letters.
    Study.objects.filter(pk=study.pk).update(arm_letters=draw_arm_letters(study))
    # Its derived arms were put there with the others: none is left for a worker to make, and images
    # so small show no noise that a denoiser could be set by.
    for job in Job.objects.filter(study_id=study.pk, state=Job.State.QUEUED):
        do_cancel(job, actor=None, why="the arm is there already")
    draft = make_draft("uploads", "Uploads during the run")
    callers: list[Caller] = [
        Reader(
            *(site.webs, session_cookie(reader_of(session)), over, number),
            first=f"/reading/item/{first_item(session).token}/data/",
        )
        for number, session in enumerate(study.sessions.select_related("reader", "study"))
    ]
    cookie = session_cookie(make_coordinator(draft))
    callers.append(
        Coordinator(site.webs, cookie, over, 99, slug=draft.slug, archives=archives(400))
    )
    return study, draft, callers


def havoc(site: Stack, kills: int, minutes: float, seed: int) -> list[str]:
    """The log of it, a line each, spread over the time; several may be down at once."""
    choose = random.Random(seed)  # noqa: S311
    began, lines, done = time.monotonic(), [], 0
    threads: list[threading.Thread] = []

    def hit(name: str, act: str, seconds: float) -> None:
        at = time.monotonic() - began
        if act == "frozen":
            at += site.kept[name].freeze(seconds)
            lines.append(f"{at:7.1f} s  {name} frozen for {seconds:.1f} s")
        else:
            took = site.kept[name].kill()
            lines.append(f"{at:7.1f} s  kill -9 {name}; up again after {took:.1f} s")

    longest_pause = 1.1 * 60 * minutes / kills
    workers = [name for name in FROZEN if name.startswith("worker")]
    freezes = 0
    while done < kills and time.monotonic() - began < 60 * minutes:
        for kept in site.kept.values():
            kept.look_after()
        time.sleep(choose.uniform(0.3, longest_pause))
        if freezes < done // KILLS_A_FREEZE:
            name, act = choose.choice(workers), "frozen"
        elif choose.random() < STORE_FREEZES:
            name, act = "store", "frozen"
        else:
            (name,), act = choose.choices(list(WEIGHTS), list(WEIGHTS.values())), "killed"
        if site.kept[name].busy.locked():
            continue  # it is down already
        seconds = choose.uniform(*FROZEN.get(name, (0, 0)))
        thread = threading.Thread(target=hit, args=(name, act, seconds), daemon=True)
        thread.start()
        threads.append(thread)
        done += act == "killed"
        freezes += act == "frozen" and name != "store"
    for thread in threads:
        thread.join()
    return sorted(lines)


def drained() -> collections.Counter[str]:
    """States of all jobs, once none waits or runs any more."""
    from django.db import connection

    from readerstudy.jobs.models import Job

    connection.close()
    deadline = time.monotonic() + DRAIN_SECONDS
    while True:
        states = collections.Counter(Job.objects.values_list("state", flat=True))
        if not states[Job.State.QUEUED] + states[Job.State.RUNNING]:
            return states
        if time.monotonic() > deadline:
            return states
        time.sleep(0.5)


def faults_of_jobs(draft: Any) -> list[str]:
    """Every job of the uploads has succeeded; those that have not, with what they say."""
    from readerstudy.jobs.models import Job

    over = Job.objects.filter(study_id=draft.pk).exclude(state=Job.State.SUCCEEDED)
    return [
        f"job {job.kind} {job.state} after {job.attempts} attempts: {job.error}" for job in over
    ]


def faults_of_uploads(draft: Any, sent: list[str], slices: int = SLICES) -> list[str]:
    from readerstudy.imaging.models import Series

    stored = collections.Counter(
        Series.objects.filter(volunteer__study=draft).values_list(
            "volunteer__code", "arm__code", "slices"
        )
    )
    wanted = collections.Counter((code, "STD", slices) for code in sent)
    faults = [f"upload lost: {one}" for one in wanted - stored]
    return [*faults, *(f"nobody sent: {one}" for one in stored - wanted)]


def faults_of_images() -> list[str]:
    """Whether the store has what the records say, after all that was done to it."""
    from django.core.files.storage import default_storage

    from readerstudy.imaging.models import Series
    from readerstudy.imaging.volumes import VOLUME

    faults = []
    for series in Series.objects.all():
        try:
            with default_storage.open(f"{series.prefix}/{VOLUME}") as stored:
                is_sound = hashlib.sha256(stored.read()).hexdigest() == series.volume_sha256
            files = len(default_storage.listdir(f"{series.prefix}/dicom")[1])
        except OSError as error:
            faults.append(f"images lost of {series}: {error}")
            continue
        if not is_sound or files != series.slices:
            faults.append(f"images of {series} differ: {files} files, volume sound: {is_sound}")
    return faults


def faults_of_verifying(study: Any, told: list[str]) -> list[str]:
    """What the two commands say is added to `told`."""
    from django.core.management import CommandError, call_command

    from readerstudy.conduct.locking import do_lock
    from readerstudy.studies.errors import StudyError

    faults = []
    study.refresh_from_db()
    try:
        do_lock(study, None, "The run is over.")
    except StudyError as error:
        return [f"the study could not be locked: {error}"]
    drained()
    for command, arguments in (("verify_audit", []), ("verify_snapshot", ["--all"])):
        said = io.StringIO()
        told += ["", " ".join(["$ manage.py", command, *arguments])]
        try:
            call_command(command, *arguments, stdout=said, stderr=said)
        except (CommandError, SystemExit) as error:
            if not isinstance(error, SystemExit) or error.code:
                faults.append(f"{command}: {error}")
                said.write(f"{error}\n")
        told += said.getvalue().splitlines()
    return faults


def commit() -> str:
    """What was run: the commit, and whether the tree differed from it."""

    def git(*arguments: str) -> str:
        asked = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return asked.stdout.strip()

    changed = " with changes" if git("status", "--porcelain", "--untracked-files=no") else ""
    return (git("rev-parse", "HEAD") or "not under version control") + changed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="readerstudy-chaos-"))
    # Stopped from outside, it stops what it started as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    try:
        with stack(home) as site:
            text, faults = run(site, options)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print(text)
    if options.log:
        options.log.write_text(text, encoding="utf-8")
    return 1 if faults else 0


def run(site: Stack, options: argparse.Namespace) -> tuple[str, list[str]]:
    from benchmarks.reading_load import missing_scores

    prepare(site)
    over = threading.Event()
    for number in (1, 2):
        site.web(number)
        site.worker(number)
    study, draft, callers = people(site, over)
    from django.db import connection

    connection.close()
    for kept in site.kept.values():
        if not kept.pid and kept.name != "broker":
            kept.bring_up()
    print(f"up; {load_of_the_machine()}", flush=True)
    for caller in callers:
        caller.start()
    began = time.monotonic()
    told = havoc(site, options.kills, options.minutes, options.seed)
    over.set()
    for caller in callers:
        caller.join(timeout=DRAIN_SECONDS)
    seconds = time.monotonic() - began
    states = drained()
    lines = [line for caller in callers for line in caller.lines]
    sent = [name for caller in callers if isinstance(caller, Coordinator) for name in caller.sent]
    faults = [f"{type(c).__name__}: {c.fault}" for c in callers if c.fault]
    faults += [f"{type(c).__name__} never came to an end" for c in callers if c.is_alive()]
    faults += faults_of_jobs(draft)
    faults += missing_scores(lines) + faults_of_uploads(draft, sent) + faults_of_images()
    verified: list[str] = []
    faults += faults_of_verifying(study, verified)
    of_workers = [line for line in told if "worker" in line and "frozen" in line]
    logs = site.logs()
    ended = ", ".join(f"{k.ended_itself} × {k.name}" for k in site.kept.values() if k.ended_itself)
    figures = [
        ("processes killed", ", ".join(f"{k.kills} × {k.name}" for k in site.kept.values())),
        (
            "slowest to come back",
            ", ".join(f"{k.name} {k.slowest_return:.1f} s" for k in site.kept.values() if k.kills),
        ),
        (
            "frozen",
            f"{sum('store frozen' in line for line in told)} × store, {len(of_workers)} × worker, "
            f"the latter for {_range(of_workers)} s; a job's lease is {LEASE_SECONDS} s",
        ),
        ("jobs left alone by a worker that had lost them", str(logs.count("was taken over"))),
        ("ended by themselves", ended or "none"),
        ("time", f"{seconds:.0f} s"),
        ("requests", str(sum(c.tries for c in callers))),
        ("of them sent again", str(sum(c.repeats for c in callers))),
        ("longest until an answer", f"{max(c.longest for c in callers):.1f} s"),
        ("scores confirmed", str(sum("score" in line for line in lines))),
        ("items submitted", str(sum("submitted" in line for line in lines))),
        ("volunteers uploaded and read", str(len(sent))),
        ("jobs", ", ".join(f"{count} {state}" for state, count in states.items())),
        ("commit", commit()),
        ("machine", f"{platform.machine()}, {load_of_the_machine()}, seed {options.seed}"),
    ]
    kills = sum(kept.kills for kept in site.kept.values())
    verdict = "nothing lost, nothing doubled" if not faults else f"{len(faults)} FAULTS"
    text = "\n".join(
        [
            f"# A run of `benchmarks/chaos.py`: {kills} kills, {verdict}",
            "",
            *_about(),
            "",
            "| | |",
            "| --- | --- |",
            *(f"| {name} | {value} |" for name, value in figures),
            "",
            *(f"- FAULT: {fault}" for fault in faults[:50]),
            "",
            "```",
            *told,
            *verified,
            "```",
            "",
        ]
    )
    if faults:
        print(site.logs()[-6000:], file=sys.stderr)
    return text, faults


def _range(lines: list[str]) -> str:
    """Of lines that end in so many seconds: the least and the most."""
    seconds = [float(line.split()[-2]) for line in lines]
    return f"{min(seconds)} to {max(seconds)}" if seconds else "0"


def _about() -> list[str]:
    """The head of this file says what the run is."""
    about, _, _ = (__doc__ or "").partition("\n\nIt ends")
    return ["What was run and what was checked:", "", *about.splitlines()[2:]]


if __name__ == "__main__":
    assert ROOT.exists()
    sys.exit(main())
