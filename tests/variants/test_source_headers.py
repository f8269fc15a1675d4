"""What the headers of a source say of its acquisition reaches the engine and the coordinator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from readerstudy.imaging.models import Series, Volunteer
from readerstudy.imaging.selectors import load_volume
from readerstudy.jobs.worker import run_pending
from readerstudy.variants.derive import acquired_matrix
from readerstudy.variants.evidence import NOISE, UNCERTAINTY, read_map
from readerstudy.variants.models import Variant
from tests.factories import make_study
from tests.imaging.datasets import phantom

from .scans import lumbar, store

pytestmark = pytest.mark.django_db


@pytest.fixture
def volunteer() -> Volunteer:
    return Volunteer.objects.create(study=make_study(), code="V01")


def derived() -> Series:
    assert run_pending("gpu") == 1
    variant = Variant.objects.select_related("job", "series__volunteer").get()
    assert variant.job is not None
    assert variant.series is not None, variant.job.error
    return variant.series


def zero_filled(volume: np.ndarray) -> np.ndarray:
    """Twice the matrix, as a scanner interpolates: k-space with an empty border."""
    _slices, rows, columns = volume.shape
    space = np.fft.fftshift(np.fft.fft2(volume.astype(float)), axes=(1, 2))
    border = ((0, 0), (rows // 2, rows // 2), (columns // 2, columns // 2))
    filled = np.fft.ifftshift(np.pad(space, border), axes=(1, 2))
    return np.rint(np.clip(np.abs(np.fft.ifft2(filled)) * 4, 0, 65535)).astype(np.uint16)


@pytest.mark.parametrize(
    ("matrix", "direction", "expected"),
    [
        ([0, 24, 20, 0], "ROW", (24, 20)),
        ([20, 0, 0, 16], "COL", (16, 20)),
        ([0, 0, 0, 0], "ROW", None),
        (None, "ROW", None),
    ],
)
def test_the_acquired_matrix_is_read_from_what_ingest_keeps(
    volunteer: Volunteer, matrix: Any, direction: str, expected: tuple[int, int] | None
) -> None:
    def change(dataset: Dataset, _index: int) -> None:
        dataset.InPlanePhaseEncodingDirection = direction
        if matrix is not None:
            dataset.AcquisitionMatrix = matrix

    stored = store(volunteer, "STD", phantom(3, 40, 48), change=change)
    assert acquired_matrix(stored) == expected


@pytest.mark.parametrize(("kind", "expected"), [("ORIGINAL", (24, 20)), ("DERIVED", None)])
def test_a_reformatted_source_tells_no_acquired_matrix(
    volunteer: Volunteer, kind: str, expected: tuple[int, int] | None
) -> None:
    def change(dataset: Dataset, _index: int) -> None:
        dataset.ImageType = [kind, "PRIMARY", "MPR"]
        dataset.InPlanePhaseEncodingDirection = "ROW"
        dataset.AcquisitionMatrix = [0, 24, 20, 0]

    stored = store(volunteer, "STD", phantom(3, 40, 48), change=change)
    assert stored.parameters["ImageType"] == kind
    assert acquired_matrix(stored) == expected


def test_an_interpolated_source_is_denoised_on_the_grid_it_was_acquired_on(
    volunteer: Volunteer,
) -> None:
    def change(dataset: Dataset, _index: int) -> None:
        dataset.InPlanePhaseEncodingDirection = "ROW"
        dataset.AcquisitionMatrix = [0, 128, 128, 0]

    pixels = zero_filled(lumbar(slice(100, 228), slice(60, 188)))
    source = store(volunteer, "DF", pixels, change=change)
    made = derived()
    assert made.provenance["native_grid"] == {"rows": 128, "columns": 128, "how": "header"}
    # Images and maps lie on the grid of the source all the same.
    assert (made.rows, made.columns) == (256, 256)
    assert load_volume(made).shape == load_volume(source).shape
    for name in (UNCERTAINTY, NOISE):
        assert read_map(made, name).shape == (made.slices, 256, 256)
    assert made.provenance["achieved_gain"] == pytest.approx(1.7, rel=0.05)


def test_images_that_the_scanner_had_denoised_bring_a_warning(volunteer: Volunteer) -> None:
    arm = volunteer.study.arms.get(code="DLR_DF")
    arm.recipe = {"method": "ddlr", "strength": {"kind": "blend", "value": 0}}
    arm.save()

    def change(dataset: Dataset, _index: int) -> None:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "NORM", "DRB"]

    source = store(volunteer, "DF", lumbar(), change=change)
    assert source.parameters["VendorDenoising"] == "Deep Resolve"
    (warning,) = [w for w in derived().provenance["warnings"] if "scanner" in w]
    assert "(Deep Resolve)" in warning


@pytest.mark.parametrize(
    ("block", "said"), [("SIEMENS", "Deep Resolve"), ("GEMS", "AIR Recon DL"), ("none", None)]
)
def test_private_values_tell_too_and_none_of_them_is_kept(
    volunteer: Volunteer, block: str, said: str | None
) -> None:
    def change(dataset: Dataset, _index: int) -> None:
        if block == "SIEMENS":
            dataset.private_block(0x0021, "SIEMENS MR SDI 02", create=True).add_new(
                0x75, "CS", ["ORIGINAL", "PRIMARY", "M", "DRG"]
            )
        if block == "GEMS":
            dataset.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(
                0xCA, "LO", "AIR Recon DL\\High"
            )

    stored = store(volunteer, "STD", phantom(3), change=change)
    assert stored.parameters.get("VendorDenoising") == said
    assert "High" not in str(stored.parameters)
