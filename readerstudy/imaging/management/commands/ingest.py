"""``manage.py ingest STUDY PATH``: the way of a browser's upload, from a folder, file or zip."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from readerstudy.imaging.errors import ImagingError
from readerstudy.imaging.models import Series, Upload, UploadedFile
from readerstudy.imaging.parsing.archives import is_clutter
from readerstudy.imaging.uploads import do_take_files
from readerstudy.jobs.models import Job
from readerstudy.jobs.worker import run_pending
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Study


class Command(BaseCommand):
    help = (
        "Read a folder, file or zip of DICOM images into a study that is still a draft. Without "
        "--volunteer and --arm the folders decide: VOLUNTEER/ARM/…. Prints a JSON summary; "
        "refused files are listed with their reasons."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", help="the study's address (slug)")
        parser.add_argument("path", type=Path)
        parser.add_argument("--volunteer", default="")
        parser.add_argument("--arm", default="", help="arm code")

    def handle(self, **options: Any) -> None:
        study = Study.objects.filter(slug=options["study"]).first()
        if study is None:
            raise CommandError(f"There is no study with the address “{options['study']}”.")
        arm = None
        if options["arm"]:
            arm = study.arms.filter(code__iexact=options["arm"]).first()
            if arm is None:
                codes = ", ".join(study.arms.values_list("code", flat=True))
                raise CommandError(f"There is no arm “{options['arm']}”: the arms are {codes}.")
        files = _files(options["path"])
        if not files:
            raise CommandError(f"{options['path']} holds no file.")
        try:
            job = do_take_files(study, files, None, volunteer=options["volunteer"], arm=arm)
        except (ImagingError, StudyError) as error:
            raise CommandError(str(error)) from None
        _wait(job)
        self.stdout.write(json.dumps(_summary(job), indent=2, ensure_ascii=False))
        if job.state != Job.State.SUCCEEDED:
            raise CommandError(job.error or "The files could not be read.")


def _files(path: Path) -> list[tuple[str, Path]]:
    """Name and place of every regular file; a link is not followed."""
    if path.is_file():
        return [(path.name, path)]
    found = []
    for folder, _folders, names in os.walk(path, followlinks=False):
        for name in names:
            item = Path(folder) / name
            shown = item.relative_to(path).as_posix()
            if item.is_file() and not item.is_symlink() and not is_clutter(shown):
                found.append((shown, item))
    return sorted(found)


def _wait(job: Job) -> None:
    """Run waiting jobs here until ours is over; a worker elsewhere may well be faster."""
    while not job.is_over:
        if run_pending("cpu", limit=1) == 0:
            time.sleep(0.2)
        job.refresh_from_db()


def _summary(job: Job) -> dict[str, Any]:
    uploads = Upload.objects.filter(job=job)
    files = UploadedFile.objects.filter(upload__in=uploads)
    return {
        "state": job.state,
        "series": [
            {
                "volunteer": series.volunteer.code,
                "arm": series.arm.code,
                "matrix": [series.rows, series.columns],
                "slices": series.slices,
                "deidentification": series.deidentification,
            }
            for series in Series.objects.filter(upload__in=uploads).select_related(
                "volunteer", "arm"
            )
        ],
        "accepted": files.filter(accepted=True).count(),
        "refused": list(files.filter(accepted=False).values("name", "reason")),
    }
