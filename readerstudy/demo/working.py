"""The demo's worker, and waiting for what it makes."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from datetime import datetime

from django.conf import settings

from readerstudy.imaging.models import Series, Upload, UploadedFile
from readerstudy.jobs.models import Job
from readerstudy.studies.models import Study

from .console import ProgressLine

logger = logging.getLogger(__name__)

FAILED_STATES = {Job.State.FAILED, Job.State.CANCELLED}


class DemoError(Exception):
    """The demo could not be made; the message says why."""


def wait_for_jobs(study: Study, volunteers: int, started: datetime) -> None:
    """Show each job's progress until every arm of every volunteer is there, or one of this run's
    jobs failed."""
    expected = volunteers * study.arms.count()
    line = ProgressLine("worker: de-identified, images made")
    while True:
        failed = Job.objects.filter(
            study_id=study.pk, state__in=FAILED_STATES, finished_at__gte=started
        ).first()
        if failed is not None:
            raise DemoError(f"The job “{failed.label or failed.kind}” failed: {failed.error}")
        ready = Series.objects.filter(volunteer__study=study).count()
        running = Job.objects.filter(study_id=study.pk, state=Job.State.RUNNING).first()
        line.update(ready, expected, running.label if running else "")
        if ready >= expected:
            line.close("all arms ready")
            return
        pending = Job.objects.filter(
            study_id=study.pk, state__in=[Job.State.QUEUED, Job.State.RUNNING]
        ).exists()
        if not pending and Series.objects.filter(volunteer__study=study).count() < expected:
            report_refusals(study, started)
            raise DemoError(f"Only {ready} of {expected} series came to be, and no job is left.")
        time.sleep(0.5)


def report_refusals(study: Study, started: datetime) -> None:
    uploads = Upload.objects.filter(study=study, updated_at__gte=started)
    refused = UploadedFile.objects.filter(upload__in=uploads, accepted=False).first()
    if refused is not None:
        raise DemoError(f"A file of the demo was refused: {refused.name}: {refused.reason}")
    broken = uploads.filter(state=Upload.State.FAILED).first()
    if broken is not None:
        raise DemoError(f"An upload of the demo failed: {broken.error}")


class Worker:
    """`manage.py worker` beside this command, ended with it."""

    def __enter__(self) -> Worker:
        self.log = (settings.VAR_DIR / "worker.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, str(settings.BASE_DIR / "manage.py"), "worker"],
            stdout=self.log,
            stderr=self.log,
        )
        return self

    def __exit__(self, *_exception: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            logger.warning("The worker did not stop in 30 s and was killed.")
            self.process.kill()
            self.process.wait()
        self.log.close()
