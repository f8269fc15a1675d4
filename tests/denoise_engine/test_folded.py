"""The network for bfloat16: the same function, thresholds folded into the kernels."""

import numpy as np
import pytest
import torch

from denoise_engine.ddlr.folded import FoldedDDLR
from denoise_engine.ddlr.network import DDLR
from denoise_engine.models import find_model, load_model


@pytest.fixture(scope="module")
def trained() -> DDLR:
    return load_model(find_model("ddlr")).network


def _image(rows: int, columns: int) -> tuple[torch.Tensor, float]:
    """Edges, texture and noise of SD 8."""
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:rows, :columns]
    clean = 60 + 80 * (x > columns / 2) + 30 * np.sin(x / 4) * np.cos(y / 6)
    noisy = clean + 8 * rng.standard_normal(clean.shape)
    return torch.from_numpy(noisy.astype(np.float32))[None, None], 8.0


# Sizes that are no multiple of the blocks inside.
@pytest.mark.parametrize("shape", [(64, 64), (53, 77)])
def test_in_float32_it_is_the_same_function(trained: DDLR, shape: tuple[int, int]) -> None:
    image, sigma = _image(*shape)
    level = torch.full((1, 1, 1, 1), sigma)
    smooth = sigma * (1 + 0.5 * torch.linspace(-1, 1, shape[1])).expand(1, 1, *shape)
    with torch.inference_mode():
        for given in (level, smooth.contiguous()):
            folded = FoldedDDLR(trained, torch.float32)(image, given)
            difference = (folded - trained(image, given)).abs().max()
            assert float(difference) < 1e-4 * sigma


def test_in_bfloat16_it_stays_within_a_twentieth_of_the_noise(trained: DDLR) -> None:
    image, sigma = _image(96, 80)
    level = torch.full((1, 1, 1, 1), sigma)
    with torch.inference_mode():
        reference = trained(image, level)
    folded = FoldedDDLR(trained)
    for given in (level, level.expand_as(image).contiguous()):
        difference = folded(image, given) - reference
        assert float(difference.square().mean().sqrt()) < 0.05 * sigma


def test_several_slices_keep_their_own_level(trained: DDLR) -> None:
    image, sigma = _image(40, 40)
    both = torch.cat([image, 3 * image])
    levels = torch.tensor([sigma, 3 * sigma]).reshape(2, 1, 1, 1)
    out = FoldedDDLR(trained, torch.float32)(both, levels)
    torch.testing.assert_close(out[1], 3 * out[0], rtol=1e-4, atol=1e-3)


def test_a_channel_that_is_not_shrunk_is_no_division_by_zero() -> None:
    network = DDLR(layers=2).eval()
    with torch.no_grad():
        network.shrinkages[1].get_parameter("threshold")[0, 3] = 0
    image, sigma = _image(32, 32)
    level = torch.full((1, 1, 1, 1), sigma)
    with torch.inference_mode():
        torch.testing.assert_close(
            FoldedDDLR(network, torch.float32)(image, level),
            network(image, level),
            rtol=1e-4,
            atol=1e-3,
        )
