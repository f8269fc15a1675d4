"""Tissues, figures and painted lesions: measured on heads whose truth is known."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from denoise_engine.transfer.evaluation import judge, reference_of, simulate, ssim_3d, trimmed
from denoise_engine.transfer.forward import Degradation
from denoise_engine.transfer.grids import interpolate
from denoise_engine.transfer.heads import Head
from denoise_engine.transfer.registration import register
from denoise_engine.transfer.segmentation import Priors, dice, segment, tissue_volumes
from tests.denoise_engine.heads import phantom, phantom_head

SPACING = (1.0, 1.0, 1.0)


def _truth(volume: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Tissues of the phantom: what its intensities were before the noise."""
    radius = _radius(volume.shape)
    truth = np.zeros(volume.shape, dtype=np.uint8)
    truth[(radius < 0.72)] = 1
    truth[ndimage.median_filter(volume, 3) > 85] = 2
    truth[radius >= 0.72] = 0
    truth[(radius < 0.16) | ((radius >= 0.72) & (radius < 0.76))] = 3
    return truth


def _radius(shape: tuple[int, ...]) -> NDArray[np.float64]:
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    return np.sqrt(z**2 + y**2 + x**2)


def _priors(truth: NDArray[np.uint8]) -> Priors:
    maps = np.stack(
        [ndimage.gaussian_filter((truth == k).astype(np.float32), 2) for k in (1, 2, 3)]
    )
    return Priors(maps / np.maximum(maps.sum(axis=0), 1e-3), truth > 0, 1.0)


@pytest.fixture(scope="module")
def head() -> Head:
    return phantom_head("test", (64, 64, 64))


def test_tissues_are_found_again_also_under_an_uneven_sensitivity(head: Head) -> None:
    truth = _truth(head.volume)
    slope = np.linspace(0.85, 1.15, head.volume.shape[2], dtype=np.float32)
    for volume in (head.volume, head.volume * slope):
        found = segment(volume, _priors(truth), SPACING)
        overlap = dice(found, truth)
        assert min(overlap["GM"], overlap["WM"]) > 0.93
        assert overlap["CSF"] > 0.8
    volumes = tissue_volumes(truth, (2.0, 1.0, 1.0))
    assert volumes["CSF"] == 2 * np.count_nonzero(truth == 3)


def test_a_template_is_laid_onto_a_head_that_lies_elsewhere() -> None:
    template = ndimage.zoom(phantom((40, 44, 40)), 1.0, order=1)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    moved = affine.copy()
    moved[:3, :3] *= 1.08
    moved[:3, 3] = (25, -18, 12)
    brain = np.asarray(_radius(template.shape) < 0.72)
    placed = register(template, affine, brain, template, moved)
    carried = placed.carry(brain.astype(np.float32), affine, template.shape, moved) > 0.5
    both = 2 * np.count_nonzero(carried & brain) / (carried.sum() + brain.sum())
    assert both > 0.95
    assert placed.correlation > 0.9


def test_the_reference_judges_itself_perfect_and_a_thick_scan_worse(head: Head) -> None:
    reference = reference_of(head, _priors(_truth(head.volume)))
    itself = judge(head.volume, reference)
    assert itself.ssim == itself.ssim_3d == pytest.approx(1)
    assert itself.rmse == 0
    assert itself.detail_error == pytest.approx(0, abs=1e-3)
    assert set(itself.dice.values()) == {1.0}
    assert set(itself.bias.values()) == {0.0}
    four, eight = (
        judge(interpolate(simulate(head, Degradation(f), 0), f), reference) for f in (4, 8)
    )
    assert eight.psnr < four.psnr < 60
    assert eight.detail_error > four.detail_error > 0
    assert eight.ssim < four.ssim < 1
    assert eight.rmse > four.rmse > 0
    assert eight.dice["GM"] < four.dice["GM"] < 1
    assert len(eight.psnr_of_slices) == len(eight.ssim_of_slices) > 30


def test_structural_similarity_sees_what_lies_across_slices() -> None:
    volume = phantom((24, 32, 32))
    mask = np.ones(volume.shape, dtype=np.bool_)
    swapped = volume.copy()
    swapped[::2], swapped[1::2] = volume[1::2], volume[::2]
    assert ssim_3d(volume, volume, mask, 100) == pytest.approx(1)
    assert ssim_3d(swapped, volume, mask, 100) < 0.99


def test_slices_are_left_off_at_the_foot_and_the_rest_stays_in_place() -> None:
    whole = phantom_head("test", (68, 64, 64))
    cut = trimmed(whole, 8)
    np.testing.assert_array_equal(cut.volume, whole.volume[4:])
    np.testing.assert_allclose(cut.affine @ [0, 3, 5, 1], whole.affine @ [4, 3, 5, 1])
