"""The demo: one study made ready from scans, and one that is complete and locked.

Everything goes the way that a hospital's data would go: the zip of a volunteer is an upload, a
worker reads and de-identifies it and fills the DLR arms, regions are placed through the same
service as in the browser, launch stores the order. Run again after an interruption, it goes on
where it stopped.
"""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.conduct.imports import do_import_study_tables
from readerstudy.conduct.quality import do_accept_ready
from readerstudy.conduct.services import do_launch, do_lock
from readerstudy.imaging.models import Series, Upload, UploadedFile, Volunteer
from readerstudy.imaging.uploads import do_create_upload, do_finish_batch, do_receive
from readerstudy.jobs.models import Job
from readerstudy.measurements.services import do_place_regions_from_file
from readerstudy.reports.plan_services import do_sign_plan
from readerstudy.studies.models import Arm, PlanVersion, Role, Study
from readerstudy.studies.services import do_add_member, do_update_study
from readerstudy.studies.tables import TableFile
from readerstudy.studies.templates_lumbar import create_lumbar_study
from readerstudy.variants.models import Variant
from readerstudy.variants.services import do_request_variant

from .console import ProgressLine
from .people import PEOPLE
from .scans import volunteer_zip
from .sources import Source, load_sources

logger = logging.getLogger(__name__)

LUMBAR_SLUG = "lumbar-dlr-validation"
PUBLISHED_SLUG = "published-tables"
LUMBAR_NOTICE = (
    "Simulated acceleration: no accelerated scan of these volunteers exists; the acquired arms "
    "were computed from one image each, through k-space. Not for clinical use."
)
LUMBAR_CREDITS = (
    "Images: SPIDER lumbar spine data set (van der Graaf et al., “Lumbar spine segmentation in MR "
    "images: a dataset and a public benchmark”, Scientific Data 11:264, 2024; CC BY 4.0; central "
    "slices, 8-bit, acceleration simulated) and one volunteer of the Spinal Cord Toolbox tutorial "
    "data (MIT licence, NeuroPoly)."
)
PUBLISHED_NOTICE = (
    "Synthetic scores and measurements, constructed so that their summaries are the published "
    "tables of a lumbar 1.5T validation: no patient data."
)
PUBLISHED_DATA = Path(__file__).parent / "data" / "published"

# How the demo is read: two items to get to know the page, and rest for the eyes.
READING = {"practice_items": 2, "pause_after_minutes": 45, "pause_minutes": 5}

# The acquired arms and how the engine names their protocol.
PROTOCOLS = {"STD": "standard", "DF": "double-fast", "TF": "triple-fast"}
FAILED_STATES = {Job.State.FAILED, Job.State.CANCELLED}


class DemoError(Exception):
    """The demo could not be made; the message says why."""


@dataclass(frozen=True)
class DemoStudies:
    lumbar: Study
    published: Study


def build_demo(
    users: dict[str, User],
    say: Callable[[str], None] = print,
    sources: Sequence[Source] | None = None,
) -> DemoStudies:
    """Both demo studies, complete. Raises DemoError with what went wrong.

    `sources` are the images to simulate from; without them, those that ship with the platform.
    """
    coordinator = users["coordinator@example.org"]
    say("Study “Published tables”: scores and measurements imported from tables")
    published = _published(coordinator, users)
    say("Study “Lumbar DLR validation”: scans simulated, uploaded, de-identified, denoised")
    lumbar = _lumbar(coordinator, users, load_sources() if sources is None else sources)
    return DemoStudies(lumbar=lumbar, published=published)


def _members(study: Study, users: dict[str, User], *roles: Role) -> None:
    """The platform itself adds them: nobody coordinates the first study yet."""
    for person in PEOPLE:
        user = users[person.email]
        if person.role in roles and not study.memberships.filter(user=user).exists():
            do_add_member(study, None, user, person.role)


# --- The published tables -------------------------------------------------------------------------


def _published(coordinator: User, users: dict[str, User]) -> Study:
    study = Study.objects.filter(slug=PUBLISHED_SLUG).first()
    if study is None:
        study = create_lumbar_study(
            PUBLISHED_SLUG, "Published tables", None, notice=PUBLISHED_NOTICE
        )
    if study.is_draft:
        _members(study, users, Role.COORDINATOR, Role.STATISTICIAN)
        do_import_study_tables(
            study,
            coordinator,
            scores=_table("table3_reader_scores_long.csv"),
            regions=_table("table2_roi_long.csv"),
        )
        study.refresh_from_db()
    if not PlanVersion.objects.filter(study=study).exists():
        do_sign_plan(study, coordinator)
    if not study.is_locked:
        study = do_lock(study, coordinator, reason="Imported complete.")
    return study


def _table(name: str) -> TableFile:
    return TableFile(name, (PUBLISHED_DATA / name).read_bytes())


# --- The lumbar study -----------------------------------------------------------------------------


def _lumbar(coordinator: User, users: dict[str, User], sources: Sequence[Source]) -> Study:
    study = Study.objects.filter(slug=LUMBAR_SLUG).first()
    if study is None:
        study = create_lumbar_study(
            LUMBAR_SLUG,
            "Lumbar DLR validation",
            None,
            notice=LUMBAR_NOTICE,
            credits=LUMBAR_CREDITS,
        )
        study = do_update_study(study, None, **READING)
    if not study.is_draft:
        return study
    _members(study, users, Role.COORDINATOR, Role.READER, Role.STATISTICIAN)
    started = timezone.now()
    _try_again(study, coordinator)
    with _Worker():
        for index, source in enumerate(sources):
            if not _is_handed_in(study, source.code):
                _upload_volunteer(study, coordinator, source, index)
        _wait_for_jobs(study, sources, started)
    _report_refusals(study, started)
    for source in sources:
        volunteer = Volunteer.objects.get(study=study, code=source.code)
        if not volunteer.regions.exists():
            do_place_regions_from_file(volunteer, source.regions, coordinator)
    do_accept_ready(study, coordinator)
    do_launch(study, coordinator)
    study.refresh_from_db()
    return study


def _is_handed_in(study: Study, volunteer_code: str) -> bool:
    """Read already, or waiting for the worker since an earlier, interrupted run."""
    acquired = Series.objects.filter(
        volunteer__study=study, volunteer__code=volunteer_code, arm__kind=Arm.Kind.ACQUIRED
    )
    waiting = Upload.objects.filter(
        study=study,
        name=f"{volunteer_code}.zip",
        state__in=[Upload.State.QUEUED, Upload.State.READING],
    )
    return acquired.count() == len(PROTOCOLS) or waiting.exists()


def _upload_volunteer(study: Study, coordinator: User, source: Source, index: int) -> None:
    """Simulate the acquired arms and hand them in as one zip, as a coordinator's browser does."""
    from denoise_engine.simulation import simulate_acquisition

    line = ProgressLine(f"{source.code}: scanning (simulated)")
    total = source.volume.shape[0] * len(PROTOCOLS)
    volumes = {}
    for number, (arm_code, protocol) in enumerate(PROTOCOLS.items()):
        before = number * source.volume.shape[0]

        def advance(done: int, _total: int, before: int = before, arm_code: str = arm_code) -> None:
            line.update(before + done, total, arm_code)

        volumes[arm_code] = simulate_acquisition(
            source.volume,
            protocol=protocol,  # type: ignore[arg-type]
            snr=source.snr,
            seed=source.seed,
            progress=advance,
        ).volume
    content = volunteer_zip(
        volumes,
        volunteer_code=source.code,
        volunteer_index=index,
        spacing_mm=source.spacing_mm,
    )
    batch = uuid.uuid4()
    upload = do_create_upload(
        study, coordinator, name=f"{source.code}.zip", size=len(content), batch=batch
    )
    do_receive(upload, 0, io.BytesIO(content))
    do_finish_batch(study, batch, coordinator)
    line.close("uploaded")


def _try_again(study: Study, coordinator: User) -> None:
    """Derived arms whose job failed or was cancelled in an earlier run are asked for once more."""
    given_up = Variant.objects.filter(
        volunteer__study=study, series=None, job__state__in=FAILED_STATES
    )
    for variant in given_up.select_related("volunteer__study", "arm__source"):
        do_request_variant(variant.volunteer, variant.arm, coordinator)


def _wait_for_jobs(study: Study, sources: Sequence[Source], started: datetime) -> None:
    """Show each job's progress until every arm of every volunteer is there, or one of this run's
    jobs failed."""
    expected = len(sources) * study.arms.count()
    line = ProgressLine("worker: de-identified, denoised")
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
            _report_refusals(study, started)
            raise DemoError(f"Only {ready} of {expected} series came to be, and no job is left.")
        time.sleep(0.5)


def _report_refusals(study: Study, started: datetime) -> None:
    uploads = Upload.objects.filter(study=study, updated_at__gte=started)
    refused = UploadedFile.objects.filter(upload__in=uploads, accepted=False).first()
    if refused is not None:
        raise DemoError(f"A file of the demo was refused: {refused.name}: {refused.reason}")
    broken = uploads.filter(state=Upload.State.FAILED).first()
    if broken is not None:
        raise DemoError(f"An upload of the demo failed: {broken.error}")


class _Worker:
    """`manage.py worker` beside this command, ended with it."""

    def __enter__(self) -> _Worker:
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
