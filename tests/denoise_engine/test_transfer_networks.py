"""The transfer networks: shapes, and volumes in patches without seams."""

import numpy as np
import pytest
import torch

from denoise_engine import UnusableVolumeError
from denoise_engine.runtime import REFERENCE
from denoise_engine.transfer.networks import Architecture, Kind, TransferNetwork, slices_at_once
from denoise_engine.transfer.patches import PatchSettings, in_patches
from tests.denoise_engine.heads import phantom, small_model


@pytest.mark.parametrize("kind", ["sr-unet", "anisotropic-unet"])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_network_gives_factor_times_the_slices(kind: Kind, factor: int) -> None:
    torch.manual_seed(0)
    network = TransferNetwork(
        Architecture(kind, factors=(2, 4, 8), channels=(4, 4, 8, 8), fine=4, dropout=0.5)
    ).eval()
    thick = torch.rand(1, 1, 2 * slices_at_once(factor), 24, 16)
    with torch.no_grad():
        correction, log_variance = network(thick, factor)
        again, _ = network(thick, factor)
        network.sample_dropout(True)
        first, second = network(thick, factor)[0], network(thick, factor)[0]
    shape = (1, 1, factor * thick.shape[2], 24, 16)
    assert correction.shape == log_variance.shape == shape
    assert torch.equal(correction, again)
    assert not torch.equal(first, second)
    assert float(correction.abs().mean()) < 0.2  # untrained, it hardly departs from interpolation


def test_what_lies_far_off_changes_nothing() -> None:
    """Without normalisation layers an output depends on its surroundings alone."""
    network = small_model().network
    thick = torch.rand(1, 1, 2, 24, 144)
    other = thick.clone()
    other[..., 120:] = 3
    with torch.no_grad():
        a, b = network(thick, 8)[0], network(other, 8)[0]
    torch.testing.assert_close(a[..., :48], b[..., :48])
    assert not torch.equal(a[..., 112:120], b[..., 112:120])


def _seam(overlap: float, blend: bool) -> tuple[float, int]:
    """Jump across the border of patches, over that elsewhere, and how many patches it took."""
    thick = np.ascontiguousarray(phantom((8, 64, 64))) / np.float32(70)
    done: list[int] = []
    correction, variance = in_patches(
        small_model().network,
        thick,
        4,
        settings=PatchSettings(32, overlap, blend),
        backend=REFERENCE,
        progress=lambda k, n: done.append(k),
    )
    assert correction.shape == variance.shape == (32, 64, 64)
    assert (variance > 0).all()
    whole, _ = in_patches(
        small_model().network,
        thick,
        4,
        settings=PatchSettings(80),
        backend=REFERENCE,
    )
    departure = np.abs(np.diff(correction - whole, axis=2)).mean(axis=(0, 1))
    return float(departure.max()), len(done)


def test_overlap_and_blending_leave_no_seam() -> None:
    abrupt, few = _seam(0.0, blend=False)
    smooth, more = _seam(0.5, blend=True)
    assert smooth < 0.25 * abrupt
    assert few < more


def test_patches_of_impossible_size_are_refused() -> None:
    with pytest.raises(UnusableVolumeError, match="multiple of 16"):
        PatchSettings(size=40)
    with pytest.raises(UnusableVolumeError, match="overlap"):
        PatchSettings(overlap=0.3)
