"""Every backend against the committed output of the reference: eager float32 on a CPU."""

import numpy as np
import pytest
import torch

from denoise_engine import denoise
from denoise_engine.ddlr.folded import FoldedDDLR
from denoise_engine.models import find_model, load_model

from .reference_output import SIGMA, STORED


@pytest.fixture(scope="module")
def stored() -> dict[str, np.ndarray]:
    with np.load(STORED, allow_pickle=False) as file:
        return dict(file)


def test_the_stored_output_belongs_to_the_shipped_weights(stored: dict[str, np.ndarray]) -> None:
    assert str(stored["sha256"]) == find_model("ddlr").sha256


def test_float32_on_a_cpu_equals_the_stored_output(stored: dict[str, np.ndarray]) -> None:
    result = denoise(
        stored["image"][None], noise=SIGMA, device="cpu", precision="float32", native_grid="off"
    )
    limit = 1e-5 * float(stored["output"].max())
    np.testing.assert_allclose(result.volume[0], stored["output"], rtol=0, atol=limit)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("as_map", [False, True])
def test_faster_backends_stay_within_a_twentieth_of_the_noise(
    stored: dict[str, np.ndarray], dtype: torch.dtype, as_map: bool
) -> None:
    image = torch.from_numpy(stored["image"])[None, None]
    level = torch.full(tuple(image.shape) if as_map else (1, 1, 1, 1), SIGMA)
    out = FoldedDDLR(load_model(find_model("ddlr")).network, dtype)(image, level)
    difference = out[0, 0].numpy() - stored["output"]
    assert float(np.sqrt(np.mean(difference**2))) < 0.05 * SIGMA
