"""The dDLR network keeps the promises of its paper, whatever its weights."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from denoise_engine.ddlr.dct import MARGIN, SlidingDCT, dct_kernels
from denoise_engine.ddlr.network import DDLR, RECEPTIVE_FIELD, parameter_count
from denoise_engine.models import find_model, load_model


@pytest.fixture(scope="module")
def trained() -> DDLR:
    return load_model(find_model("ddlr")).network


def _as_tensor(image: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(image)[:1, None].contiguous()


def test_the_dct_basis_is_orthonormal_and_starts_with_the_mean() -> None:
    basis = dct_kernels().reshape(49, 49)
    torch.testing.assert_close(basis @ basis.T, torch.eye(49, dtype=torch.float64))
    torch.testing.assert_close(basis[0], torch.full((49,), 1 / 7, dtype=torch.float64))


def test_forward_and_adjoint_dct_satisfy_the_dot_product_test() -> None:
    generator = torch.Generator().manual_seed(1)
    dct = SlidingDCT().double()
    image = torch.randn((2, 1, 31, 26), generator=generator, dtype=torch.float64)
    components = torch.randn((2, 49, 25, 20), generator=generator, dtype=torch.float64)
    left = (dct(image) * components).sum()
    right = (image * dct.adjoint(components)).sum()
    torch.testing.assert_close(left, right, rtol=1e-6, atol=1e-6)


def test_the_dct_reconstructs_perfectly_up_to_the_border(lumbar: NDArray[np.float32]) -> None:
    image = _as_tensor(lumbar)
    dct = SlidingDCT()
    padded = torch.nn.functional.pad(image, (MARGIN,) * 4, mode="reflect")
    back = dct.adjoint(dct(padded))[..., MARGIN:-MARGIN, MARGIN:-MARGIN] / 49
    torch.testing.assert_close(back, image, rtol=0, atol=1e-5 * float(image.max()))


def test_the_network_has_the_size_of_the_paper() -> None:
    assert parameter_count(DDLR()) == 457_296
    assert RECEPTIVE_FIELD == 57


def test_a_pixel_reaches_as_far_as_the_receptive_field_and_no_further(trained: DDLR) -> None:
    generator = torch.Generator().manual_seed(2)
    image = 50 + 5 * torch.randn((1, 1, 81, 81), generator=generator)
    image.requires_grad_()
    trained(image, torch.full((1, 1, 1, 1), 5.0))[0, 0, 40, 40].backward()
    assert image.grad is not None
    rows = image.grad[0, 0].abs().sum(dim=1).nonzero().flatten()
    assert int(rows.min()) >= 40 - RECEPTIVE_FIELD // 2
    assert int(rows.max()) <= 40 + RECEPTIVE_FIELD // 2
    assert int(rows.max() - rows.min()) > 20


@pytest.mark.parametrize("factor", [1e-3, 0.37, 250.0])
def test_scaling_image_and_noise_scales_the_result(
    trained: DDLR, lumbar: NDArray[np.float32], factor: float
) -> None:
    image, sigma = _as_tensor(lumbar), torch.full((1, 1, 1, 1), 6.0)
    with torch.inference_mode():
        once = trained(image, sigma) * factor
        scaled = trained(image * factor, sigma * factor)
    torch.testing.assert_close(scaled, once, rtol=1e-5, atol=1e-5 * factor * float(image.max()))


def test_a_constant_noise_map_equals_the_number(trained: DDLR, lumbar: NDArray[np.float32]) -> None:
    image = _as_tensor(lumbar)
    with torch.inference_mode():
        number = trained(image, torch.full((1, 1, 1, 1), 6.0))
        as_map = trained(image, torch.full_like(image, 6.0))
    torch.testing.assert_close(as_map, number, rtol=1e-5, atol=1e-3)


def test_a_noise_map_smooths_more_where_it_is_higher(
    trained: DDLR, noisy_lumbar: tuple[NDArray[np.float32], float]
) -> None:
    image, sigma = _as_tensor(noisy_lumbar[0]), noisy_lumbar[1]
    level = torch.full_like(image, sigma)
    level[..., 80:] = sigma / 10
    with torch.inference_mode():
        removed = (image - trained(image, level)).square().mean(dim=(0, 1, 2)).sqrt()
    assert removed[10:60].mean() > 4 * removed[100:150].mean()


def test_the_zero_frequency_component_bypasses_the_layers(lumbar: NDArray[np.float32]) -> None:
    """With thresholds that remove all detail, what is left is the local mean."""
    network = DDLR()
    with torch.no_grad():
        network.shrinkages[0].get_parameter("threshold").fill_(1e9)
        out = network(_as_tensor(lumbar), torch.full((1, 1, 1, 1), 1.0))
    padded = torch.nn.functional.pad(_as_tensor(lumbar), (MARGIN,) * 4, mode="reflect")
    pool = torch.nn.functional.avg_pool2d
    torch.testing.assert_close(out, pool(pool(padded, 7, stride=1), 7, stride=1), atol=1e-3, rtol=0)


def test_the_untrained_network_is_dct_shrinkage_and_all_of_it_learns() -> None:
    """A dead zone anywhere would leave a layer without gradient for ever."""
    torch.manual_seed(0)
    network = DDLR()
    image = 20 * torch.rand((2, 1, 40, 40))
    out = network(image, torch.full((1, 1, 1, 1), 1.0))
    (out - image).abs().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name


def test_the_reference_is_bit_identical_over_threads(
    trained: DDLR, lumbar: NDArray[np.float32]
) -> None:
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            with torch.inference_mode():
                results.append(trained(_as_tensor(lumbar), torch.full((1, 1, 1, 1), 7.0)))
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)


def test_a_slice_does_not_depend_on_its_neighbours_in_a_batch(
    trained: DDLR, lumbar: NDArray[np.float32]
) -> None:
    both, sigma = torch.from_numpy(lumbar)[:, None].contiguous(), torch.full((1, 1, 1, 1), 7.0)
    with torch.inference_mode():
        batched, alone = trained(both, sigma), trained(both[1:], sigma)
    torch.testing.assert_close(batched[1:], alone, rtol=0, atol=0)


def test_low_precision_stays_within_a_tenth_of_the_noise(
    trained: DDLR, noisy_lumbar: tuple[NDArray[np.float32], float]
) -> None:
    image, sigma = _as_tensor(noisy_lumbar[0]), torch.full((1, 1, 1, 1), noisy_lumbar[1])
    with torch.inference_mode():
        reference = trained(image, sigma)
        low = trained(image, sigma, dtype=torch.bfloat16)
    assert float((low - reference).square().mean().sqrt()) < 0.1 * noisy_lumbar[1]
