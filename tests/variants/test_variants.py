"""Derived arms are made when their source comes, once, and go when it goes."""

from __future__ import annotations

import errno
from typing import Any

import numpy as np
import pytest
from django.core.files.storage import FileSystemStorage, default_storage

from denoise_engine.simulation import simulate_acquisition
from readerstudy.audit.models import Event
from readerstudy.demo.sources import load_sources
from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.selectors import display_slice, load_volume
from readerstudy.imaging.services import do_delete_series, do_store_series
from readerstudy.jobs import leases
from readerstudy.jobs.context import JobContext, LostLease
from readerstudy.jobs.models import Job
from readerstudy.jobs.worker import run_pending
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Study
from readerstudy.variants.derive import derive
from readerstudy.variants.models import Variant
from readerstudy.variants.services import do_request_variant, do_request_variants, plan_variants
from tests.factories import make_study
from tests.imaging.datasets import phantom, series

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    return make_study()


@pytest.fixture
def volunteer(study: Study) -> Volunteer:
    return Volunteer.objects.create(study=study, code="V01")


def store(volunteer: Volunteer, code: str, pixels: np.ndarray) -> Series:
    return do_store_series(volunteer, volunteer.study.arms.get(code=code), series(pixels))


def ask_for_nothing(volunteer: Volunteer) -> None:
    """A blend of 0: the engine checks the image, loads the model, and returns at once."""
    for arm in volunteer.study.arms.filter(kind="derived"):
        arm.recipe = {**arm.recipe, "strength": {"kind": "blend", "value": 0}}
        arm.save()


@pytest.fixture(scope="module")
def lumbar() -> np.ndarray:
    """A noisy double-fast lumbar spine of two slices, cropped: uint16 [2, 256, 192]."""
    source = load_sources()[0]
    crop = source.volume[2:4, 224:320, 112:208].astype(np.float32)
    noisy = simulate_acquisition(crop, protocol="double-fast", snr=12.0, seed=1).volume
    return np.rint(np.clip(noisy * 4, 0, 65535)).astype(np.uint16)


def test_a_stored_source_brings_its_derived_arm_onto_the_gpu_queue(volunteer: Volunteer) -> None:
    store(volunteer, "STD", phantom(3))
    assert not Variant.objects.exists()
    store(volunteer, "DF", phantom(3))
    variant = Variant.objects.select_related("job").get()
    assert (variant.arm.code, variant.job.queue, variant.job.state) == ("DLR_DF", "gpu", "queued")
    assert plan_variants(volunteer.study) == []
    assert do_request_variants(volunteer.study, None) == []  # asked once already
    assert Event.objects.filter(action="variants.variant.requested").count() == 1


def test_a_derived_series_is_made_on_the_controls_grid_with_its_provenance(
    volunteer: Volunteer, lumbar: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[float, str]] = []
    tell = JobContext.progress

    def progress(self: JobContext, done: int, total: int, message: str = "") -> None:
        told.append((done / total, message))
        tell(self, done, total, message)

    monkeypatch.setattr(JobContext, "progress", progress)
    store(volunteer, "STD", lumbar)
    source = store(volunteer, "DF", lumbar)
    assert run_pending("gpu") == 1
    # One bar over three steps: whatever stands above it while it is not full says which step it is.
    assert [words for share, words in told if share < 1 and " of 3" not in words] == [
        "The noise is being measured"
    ]
    assert {words[:11] for _, words in told[1:]} == {"Step 1 of 3", "Step 2 of 3", "Step 3 of 3"}
    variant = Variant.objects.select_related("job", "series__volunteer").get()
    assert variant.job.state == Job.State.SUCCEEDED, variant.job.error
    made = variant.series
    assert made is not None
    assert made.geometry == source.geometry
    assert made.provenance["source_sha256"] == source.volume_sha256
    assert made.provenance["strength"] == {"kind": "target_snr_gain", "value": 1.7}
    assert made.provenance["achieved_gain"] == pytest.approx(1.7, abs=0.1)
    before, after = load_volume(source), load_volume(made)
    assert before.shape == after.shape
    assert 0 < np.std(before - after) < np.std(before)
    assert len(display_slice(made, 0)) == len(display_slice(source, 0))
    files = default_storage.listdir(f"{made.prefix}/dicom")[1]
    assert len(files) == made.slices


def test_an_attempt_that_lost_its_lease_leaves_nothing_and_the_next_finishes_once(
    volunteer: Volunteer, lumbar: np.ndarray
) -> None:
    import uuid

    ask_for_nothing(volunteer)
    store(volunteer, "DF", lumbar)
    claimed = leases.claim(("gpu",))
    assert claimed is not None
    thawed = JobContext(claimed)
    Job.objects.filter(pk=claimed.pk).update(token=uuid.uuid4())
    with pytest.raises(LostLease):
        derive(thawed, claimed.payload["variant"], claimed.payload["source"])
    assert not Series.objects.filter(arm__code="DLR_DF").exists()
    assert not default_storage.exists(f"series/{volunteer.study_id}/{thawed.token}")
    Job.objects.filter(pk=claimed.pk).update(state=Job.State.QUEUED, token=None)
    assert run_pending("gpu") == 1
    assert Series.objects.filter(arm__code="DLR_DF").count() == 1


def test_what_the_engine_refuses_is_said_and_can_be_tried_again(
    volunteer: Volunteer, lumbar: np.ndarray
) -> None:
    arm = volunteer.study.arms.get(code="DLR_DF")
    arm.recipe = {**arm.recipe, "model": "another"}
    arm.save()
    store(volunteer, "DF", lumbar)
    run_pending("gpu")
    variant = Variant.objects.select_related("job").get()
    assert variant.job.state == Job.State.FAILED
    assert variant.job.error.startswith("DLR-double-fast: the method “another” is unknown")
    assert variant.job.attempts == 1  # what cannot succeed is not tried thrice
    arm.recipe = {**arm.recipe, "model": "ddlr"}
    arm.save()
    ask_for_nothing(volunteer)
    arm.refresh_from_db()
    do_request_variant(volunteer, arm, None)
    run_pending("gpu")
    variant.refresh_from_db()
    assert variant.series is not None
    assert variant.series.provenance["blend"] == 0
    with pytest.raises(StudyError, match="there already"):
        do_request_variant(volunteer, arm, None)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({}, "has no recipe"),
        ({"method": "magic"}, "method “magic” is unknown"),
        ({"method": "ddlr", "strength": {"kind": "blend", "value": 2}}, "between 0 and 1"),
        ({"method": "ddlr", "strength": {"kind": "target_snr_gain"}}, "needs a number"),
    ],
)
def test_a_recipe_that_cannot_be_followed_fails_with_its_reason(
    volunteer: Volunteer, recipe: dict, said: str
) -> None:
    arm = volunteer.study.arms.get(code="DLR_DF")
    arm.recipe = recipe
    arm.save()
    store(volunteer, "DF", phantom(3))
    run_pending("gpu")
    job = Variant.objects.select_related("job").get().job
    assert job.state == Job.State.FAILED
    assert said in job.error
    with pytest.raises(StudyError, match=said):
        do_request_variant(volunteer, arm, None)


def test_deleting_a_source_takes_its_derived_series_and_waiting_jobs_along(
    volunteer: Volunteer, lumbar: np.ndarray, django_capture_on_commit_callbacks
) -> None:
    ask_for_nothing(volunteer)
    source = store(volunteer, "DF", lumbar)
    run_pending("gpu")
    other = store(volunteer, "TF", lumbar)
    assert Job.objects.filter(state="queued").count() == 1
    prefixes = list(Series.objects.values_list("prefix", flat=True))
    with django_capture_on_commit_callbacks(execute=True):
        do_delete_series(source, None)
        do_delete_series(other, None)
    assert not Series.objects.exists()
    assert not Variant.objects.exists()
    assert Job.objects.filter(state="cancelled").count() == 1
    assert not any(default_storage.exists(prefix) for prefix in prefixes)
    assert Event.objects.filter(action="imaging.series.deleted").count() == 3


def test_a_full_disk_is_said_and_leaves_nothing(
    volunteer: Volunteer, lumbar: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_for_nothing(volunteer)
    store(volunteer, "DF", lumbar)
    plain = FileSystemStorage.save
    written: list[str] = []

    def until_full(storage: Any, name: str, content: Any, max_length: int | None = None) -> str:
        if name.endswith("qc.json"):
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(name)
        return plain(storage, name, content, max_length)

    monkeypatch.setattr(FileSystemStorage, "save", until_full)
    run_pending("gpu")
    job = Variant.objects.select_related("job").get().job
    assert job is not None
    assert (job.state, job.attempts) == (Job.State.FAILED, 1)
    assert job.error.startswith("The storage is full: nothing of this series was kept.")
    assert any(name.endswith("volume.npy") for name in written)
    assert not any(default_storage.exists(name) for name in written)
    assert not Series.objects.filter(arm__code="DLR_DF").exists()
