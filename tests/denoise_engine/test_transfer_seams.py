"""The seam mark sees borders of patches along every axis, and passes only where it can see them."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from benchmarks.transfer_site.report import Report
from benchmarks.transfer_site.seams import Jumps, jumps, other_axes, seam_mark
from denoise_engine.runtime import choose_backend
from denoise_engine.transfer.patches import PatchSettings, in_patches, patch_borders, window

NONE: tuple[list[int], list[int], list[int]] = ([], [], [])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_step_at_a_border_is_seen_along_every_axis_and_one_of_the_image_is_not(axis: int) -> None:
    rng = np.random.default_rng(0)
    shape = (48, 50, 52)
    whole = rng.normal(0, 1, shape).astype(np.float32)
    np.moveaxis(whole, axis, 0)[20:] += 5  # the image's own: no seam
    smooth = ndimage.gaussian_filter(rng.normal(0, 1, shape), 3).astype(np.float32)
    borders: tuple[list[int], list[int], list[int]] = ([], [], [])
    borders[axis].append(20)
    without = jumps(whole + smooth, whole, borders)
    assert without.along[axis] == pytest.approx(1, abs=0.2)
    assert [without.along[k] for k in range(3) if k != axis] == [None, None]
    stepped = smooth.copy()
    np.moveaxis(stepped, axis, 0)[20:] += 0.05
    assert jumps(whole + stepped, whole, borders).worst > 1.5


class _Numbered:
    """In place of a network: each patch is filled with a number of its own."""

    low_precision = False
    count = 0

    def __call__(self, patch: torch.Tensor, factor: int) -> tuple[torch.Tensor, torch.Tensor]:
        self.count += 1
        slices, rows, columns = patch.shape[2:]
        filled = torch.full((1, 1, slices * factor, rows, columns), float(self.count**2))
        return filled, torch.zeros_like(filled)


@pytest.mark.parametrize("factor", [1, 8])
def test_borders_lie_where_patches_begin_and_end(factor: int) -> None:
    thick = np.ones((96 // factor, 64, 64), dtype=np.float32)
    settings = PatchSettings(32, 0.25, blend=False)
    network: Any = _Numbered()
    filled, _ = in_patches(
        network, thick, factor, settings=settings, backend=choose_backend("cpu", "float32")
    )
    borders = patch_borders((96 // factor, 64, 64), factor, settings)
    for axis, of in enumerate(borders):
        steps = np.abs(np.diff(filled, axis=axis)).mean(axis=other_axes(axis))
        assert of == [int(k) + 1 for k in np.nonzero(steps > 1e-3)[0]]


@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_a_patch_and_the_next_count_alike_everywhere_and_count_for_nothing_at_their_borders(
    overlap: float,
) -> None:
    shared = round(64 * overlap)
    along = window((32, 48, 64), overlap)[0, 0, 16, 24]
    both = along[:shared] + along[-shared:]
    torch.testing.assert_close(both, torch.full_like(both, float(both[0])))
    assert float(along[0]) < 0.005 * float(both[0])


@pytest.mark.parametrize("factor", [1, 8])
@pytest.mark.parametrize("overlap", [0.25, 0.5, 0.75])
def test_patches_of_different_brightness_fade_into_one_another_without_a_step(
    factor: int, overlap: float
) -> None:
    """Also off the axes of a patch, where all that are left count little."""
    thick = np.ones((96 // factor, 64, 64), dtype=np.float32)
    network: Any = _Numbered()
    settings = PatchSettings(32, overlap)
    filled, _ = in_patches(
        network, thick, factor, settings=settings, backend=choose_backend("cpu", "float32")
    )
    borders = patch_borders((96 // factor, 64, 64), factor, settings)
    most = network.count**2
    for axis, of in enumerate(borders):
        assert of
        steps = np.abs(np.diff(np.moveaxis(filled, axis, 0), axis=0)).max(axis=(1, 2)) / most
        assert steps.max() < 0.1
        assert max(steps[k - 1] for k in of) < 0.03


def test_one_patch_over_all_has_no_border() -> None:
    assert patch_borders((8, 64, 64), 8, PatchSettings(96, 0.25)) == NONE


def test_blended_patches_pass_only_where_the_figure_sees_those_that_are_not() -> None:
    bad, good = Jumps((None, 3.0, 1.1)), Jumps((None, 1.05, 1.0))
    report = Report()
    seam_mark(report, "a", good, bad)
    seam_mark(report, "b", bad, bad)
    seam_mark(report, "c", good, good)
    assert [mark.reached for mark in report.marks] == [True, False, False]
    assert "even unblended" in report.marks[2].found
    assert "rows 1.05" in report.marks[0].found
    assert "unblended slices –, rows 3.00" in report.marks[0].found
