"""Time and memory of the whole report and of the export bundle, on invented studies.

The report: frozen data read and held to their hash, every result computed, every page of the
results asked for as a statistician's browser does, every table and figure of the paper made.

    python benchmarks/report.py [--small]

Each study is measured in a process of its own, on a database and storage of its own, so that the
largest resident set is that study's alone.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Volunteers, readers, limit of the report in s, limit of the export in s (none: not promised).
STUDIES = ((10, 3, 5.0, None), (300, 10, 30.0, 60.0))
MOST_BYTES = 1024**3
PAGES = (
    *("", "?values=medians", "tests/", "agreement/", "sensitivity/", "readers/", "volunteers/"),
    *(f"figures/?figure={name}" for name in ("figure3", "figure4", "scores", "differences")),
    *("figures/?figure=bland_altman", "behind/?metric=score&row=sharpness&a=STD&b=DLR_DF"),
    "export/",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="the study of ten volunteers alone")
    parser.add_argument("--one", nargs=2, type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        return _measure(*given.one)
    late = False
    for volunteers, readers, report_limit, export_limit in STUDIES[: 1 if given.small else None]:
        with tempfile.TemporaryDirectory() as home:
            done = subprocess.run(
                [sys.executable, __file__, "--one", str(volunteers), str(readers)],
                env={**os.environ, "READERSTUDY_VAR": home, "LOG_LEVEL": "WARNING"},
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            return done.returncode
        found = json.loads(done.stdout.splitlines()[-1])
        late |= found["report_s"] > report_limit
        if export_limit:
            late |= found["export_s"] > export_limit or found["bytes"] > MOST_BYTES
        print(
            f"{volunteers} volunteers × 5 arms × {readers} readers: "
            f"report {found['report_s']:.1f} s (limit {report_limit:g}; "
            f"{found['report_cpu']:.1f} s of processor), "
            f"export {found['export_s']:.1f} s ({found['export_cpu']:.1f} s of processor)"
            + (f" (limit {export_limit:g})" if export_limit else "")
            + f", largest memory {found['bytes'] / 2**20:.0f} MiB, "
            f"zip {found['zip_bytes'] / 2**20:.1f} MiB"
        )
    return int(late)


def _measure(volunteers: int, readers: int) -> int:
    sys.path.insert(0, str(ROOT))
    os.environ["DJANGO_SETTINGS_MODULE"] = "readerstudy.settings"
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from readerstudy.reports.bundles.contents import write_bundle
    from readerstudy.reports.bundles.paper import figures, tables
    from readerstudy.reports.report import named_report

    study = _study(volunteers, readers)
    client = _client(study)
    started, before = time.perf_counter(), time.process_time()
    report = named_report(study)
    for page in PAGES:
        answer = client.get(f"/studies/{study.slug}/results/{page}")
        if answer.status_code != 200:
            raise SystemExit(f"{page or 'results'} answered {answer.status_code}.")
    tables(report, None)
    for draw in figures(report).values():
        draw("svg")
    report_s, report_cpu = time.perf_counter() - started, time.process_time() - before
    started, before = time.perf_counter(), time.process_time()
    with tempfile.TemporaryFile() as target:
        write_bundle(target, study, report)
        zip_bytes = target.tell()
    export_s, export_cpu = time.perf_counter() - started, time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found = {"report_s": report_s, "export_s": export_s, "bytes": peak, "zip_bytes": zip_bytes}
    found |= {"report_cpu": report_cpu, "export_cpu": export_cpu}
    print(json.dumps(found))
    return 0


def _client(study):  # type: ignore[no-untyped-def]
    """Signed in as the study's statistician."""
    from django.conf import settings
    from django.test import Client

    from readerstudy.accounts.models import User
    from readerstudy.studies.models import Membership, Role

    settings.ALLOWED_HOSTS = ["testserver"]
    settings.SECURE_SSL_REDIRECT = False
    plain = "django.contrib.staticfiles.storage.StaticFilesStorage"  # nothing is collected here
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": plain}}
    user = User.objects.create_user("bench@example.org", "a long enough password 42", name="B")
    Membership.objects.create(study=study, user=user, role=Role.STATISTICIAN)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def _study(volunteers: int, readers: int):  # type: ignore[no-untyped-def]
    """An invented study, written into the tables that an import fills, locked and unblinded."""
    import numpy as np

    from readerstudy.conduct.imports import do_import_study_tables
    from readerstudy.conduct.services import do_lock
    from readerstudy.reports.plan_services import do_sign_plan
    from readerstudy.reports.services import do_unblind
    from readerstudy.studies.models import Study
    from readerstudy.studies.tables import TableFile
    from readerstudy.studies.templates_lumbar import create_lumbar_study

    study = create_lumbar_study("bench", "Benchmark", None)
    draw = np.random.default_rng(1)
    arms = list(study.arms.values_list("code", flat=True))
    criteria = list(study.criteria.values_list("code", flat=True))
    tissues = list(study.tissues.values_list("code", "purpose"))
    scores = ["case,sequence,reader,criterion,score"]
    regions = ["case,sequence,roi,mean,sd,n_pixels,area_mm2"]
    for number in range(1, volunteers + 1):
        for level, arm in enumerate(arms):
            for reader in range(1, readers + 1):
                for criterion in criteria:
                    value = int(np.clip(draw.normal(2.5 + 0.3 * level, 0.8), 1, 5))
                    scores.append(f"V{number:03d},{arm},R{reader},{criterion},{value}")
            for code, purpose in tissues:
                mean = 12 if purpose == "air" else draw.normal(200, 40)
                sd = abs(draw.normal(5 - 0.5 * level, 0.5)) + 0.5
                regions.append(f"V{number:03d},{arm},{code},{mean:.3f},{sd:.3f},45,29.7")
    do_import_study_tables(
        study,
        None,
        scores=TableFile("scores.csv", "\n".join(scores).encode()),
        regions=TableFile("regions.csv", "\n".join(regions).encode()),
    )
    study = Study.objects.get(pk=study.pk)
    do_lock(study, None)
    do_sign_plan(Study.objects.get(pk=study.pk), None)
    do_unblind(Study.objects.get(pk=study.pk), None, "benchmark")
    return Study.objects.get(pk=study.pk)


if __name__ == "__main__":
    sys.exit(main())
