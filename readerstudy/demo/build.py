"""The demo: a study made ready from scans, one that is complete and locked, and one in preparation.

Everything goes the way that a hospital's data would go: the zip of a volunteer is an upload, a
worker reads and de-identifies it and fills the DLR arms, regions are placed through the same
service as in the browser, launch stores the order. Run again after an interruption, it goes on
where it stopped.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.utils import timezone

from readerstudy.accounts.models import User
from readerstudy.conduct.imports import do_import_study_tables
from readerstudy.conduct.quality import do_accept_ready
from readerstudy.conduct.services import do_launch, do_lock
from readerstudy.imaging.models import Series, Upload, Volunteer
from readerstudy.imaging.uploads import do_create_upload, do_finish_batch, do_receive
from readerstudy.measurements.services import do_place_regions_from_file
from readerstudy.reports.plan_services import do_sign_plan
from readerstudy.studies.models import Arm, PlanVersion, Role, Study
from readerstudy.studies.services import do_update_study
from readerstudy.studies.tables import TableFile
from readerstudy.studies.templates_lumbar import create_lumbar_study
from readerstudy.variants.models import Variant
from readerstudy.variants.services import do_request_variant

from .console import ProgressLine
from .heads import Head, begin_heads, finish_heads, load_heads
from .people import add_members
from .scans import volunteer_zip
from .sources import Source, load_sources
from .working import FAILED_STATES, DemoError, Worker, report_refusals, wait_for_jobs

__all__ = ["DemoError", "DemoStudies", "build_demo"]

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


@dataclass(frozen=True)
class DemoStudies:
    lumbar: Study
    published: Study
    heads: Study | None


def build_demo(
    users: dict[str, User],
    say: Callable[[str], None] = print,
    sources: Sequence[Source] | None = None,
    heads: Sequence[Head] | None = None,
) -> DemoStudies:
    """The demo studies, complete. Raises DemoError with what went wrong.

    `sources` and `heads` are the images to begin with; without them, those that ship with the
    platform. No head, no study of heads.
    """
    started = timezone.now()
    coordinator = users["coordinator@example.org"]
    say("Study “Published tables”: scores and measurements imported from tables")
    published = _published(coordinator, users)
    given = load_heads() if heads is None else heads
    if given:
        say("Study “Healthy heads”: uploaded; the worker makes the slices")
    # Before the lumbar scans, whose worker then makes both.
    head_study = begin_heads(coordinator, users, given) if given else None
    say("Study “Lumbar spine validation”: scans simulated, uploaded, de-identified, denoised")
    lumbar = _lumbar(coordinator, users, load_sources() if sources is None else sources)
    if head_study is not None:
        finish_heads(head_study, given, started)
    return DemoStudies(lumbar=lumbar, published=published, heads=head_study)


# --- The published tables -------------------------------------------------------------------------


def _published(coordinator: User, users: dict[str, User]) -> Study:
    study = Study.objects.filter(slug=PUBLISHED_SLUG).first()
    if study is None:
        study = create_lumbar_study(
            PUBLISHED_SLUG, "Published tables", None, notice=PUBLISHED_NOTICE
        )
    if study.is_draft:
        add_members(study, users, Role.COORDINATOR, Role.STATISTICIAN)
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
            "Lumbar spine validation",
            None,
            notice=LUMBAR_NOTICE,
            credits=LUMBAR_CREDITS,
        )
        study = do_update_study(study, None, **READING)
    if not study.is_draft:
        return study
    add_members(study, users, Role.COORDINATOR, Role.READER, Role.STATISTICIAN)
    started = timezone.now()
    _try_again(study, coordinator)
    with Worker():
        for index, source in enumerate(sources):
            if not _is_handed_in(study, source.code):
                _upload_volunteer(study, coordinator, source, index)
        wait_for_jobs(study, len(sources), started)
    report_refusals(study, started)
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
