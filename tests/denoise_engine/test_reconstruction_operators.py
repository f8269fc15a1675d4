"""Every operator and its adjoint belong together; orders and shapes are what they claim."""

import numpy as np
import pytest
import torch

from denoise_engine.errors import ReconstructionError
from denoise_engine.reconstruction.channels import (
    NoiseCovariance,
    compression_matrix,
    covariance_of_noise_scan,
    covariance_of_outer_kspace,
    mix,
    whitening_matrix,
)
from denoise_engine.reconstruction.operators import (
    CartesianEncoding,
    Fourier,
    Operator,
    Sampling,
    Sensitivities,
    centred_images,
    centred_kspace,
    from_centred,
)
from denoise_engine.simulation.coils import smooth_coils
from denoise_engine.simulation.sampling import uniform_mask, variable_density_mask
from tests.denoise_engine.multicoil import phantom_scan

SLICES, COILS, ROWS, COLUMNS = 2, 5, 45, 32
IMAGES, DATA = (SLICES, ROWS, COLUMNS), (SLICES, COILS, ROWS, COLUMNS)


def _coils() -> torch.Tensor:
    rng = np.random.default_rng(0)
    maps = [smooth_coils(ROWS, COLUMNS, count=COILS, rng=rng) for _ in range(SLICES)]
    return torch.from_numpy(np.stack(maps))


def _line_mask() -> torch.Tensor:
    rng = np.random.default_rng(1)
    return torch.from_numpy(variable_density_mask(ROWS, fraction=0.5, rng=rng))


def _point_mask() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(2).random((ROWS, COLUMNS)) < 0.3)


OPERATORS: dict[str, tuple[Operator, tuple[int, ...], tuple[int, ...]]] = {
    "Fourier": (Fourier(), IMAGES, IMAGES),
    "Fourier along the rows": (Fourier((-2,)), DATA, DATA),
    "sampling of lines": (Sampling(_line_mask()), DATA, DATA),
    "sampling of points": (Sampling(_point_mask()), DATA, DATA),
    "sensitivities": (Sensitivities(_coils()), IMAGES, DATA),
    "encoding, all lines": (CartesianEncoding(_coils()), IMAGES, DATA),
    "encoding, some lines": (CartesianEncoding(_coils(), _line_mask()), IMAGES, DATA),
    "encoding, points": (CartesianEncoding(_coils(), _point_mask()), IMAGES, DATA),
    "a composition": (
        Sampling(_point_mask()) @ Fourier() @ Sensitivities(_coils()),
        IMAGES,
        DATA,
    ),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operator_and_adjoint_pass_the_dot_product_test(name: str) -> None:
    operator, inward, outward = OPERATORS[name]
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(inward, generator=generator, dtype=torch.complex64)
    y = torch.randn(outward, generator=generator, dtype=torch.complex64)
    forward, adjoint = operator.forward(x), operator.adjoint(y)
    assert forward.shape == torch.Size(outward)
    assert forward.dtype == torch.complex64
    left = torch.vdot(forward.flatten().to(torch.complex128), y.flatten().to(torch.complex128))
    right = torch.vdot(x.flatten().to(torch.complex128), adjoint.flatten().to(torch.complex128))
    scale = torch.linalg.vector_norm(forward) * torch.linalg.vector_norm(y)
    assert abs(left - right) <= 1e-5 * scale


def test_a_composition_is_the_encoding_it_spells_out() -> None:
    x = torch.randn(IMAGES, dtype=torch.complex64)
    composed = Sampling(_point_mask()) @ Fourier() @ Sensitivities(_coils())
    torch.testing.assert_close(
        composed.forward(x), CartesianEncoding(_coils(), _point_mask()).forward(x)
    )


def test_the_encoding_never_amplifies() -> None:
    x = torch.randn(IMAGES, dtype=torch.complex64)
    seen = CartesianEncoding(_coils(), _line_mask()).forward(x)
    assert float(torch.linalg.vector_norm(seen)) <= float(torch.linalg.vector_norm(x))


@pytest.mark.parametrize("matrix", [(64, 48), (63, 47)])
@pytest.mark.parametrize("lines_only", [True, False])
def test_stored_kspace_comes_into_the_order_of_the_encoding(
    matrix: tuple[int, int], lines_only: bool
) -> None:
    scan = phantom_scan(*matrix)
    mask = uniform_mask(matrix[: 1 if lines_only else 2], (2,) if lines_only else (2, 2))
    encoding = CartesianEncoding(scan.coils, torch.from_numpy(mask))
    samples = encoding.sampled(from_centred(torch.from_numpy(scan.kspace), encoding.fourier.axes))
    torch.testing.assert_close(samples, encoding.forward(scan.truth), rtol=1e-4, atol=1e-5)
    stored = torch.from_numpy(scan.kspace)
    torch.testing.assert_close(centred_kspace(centred_images(stored)), stored, rtol=1e-4, atol=1e-5)


def test_whitened_noise_is_white_with_unit_sd() -> None:
    rng = np.random.default_rng(4)
    mixing = rng.standard_normal((6, 6)) + 1j * rng.standard_normal((6, 6))
    noise = rng.standard_normal((6, 20_000)) + 1j * rng.standard_normal((6, 20_000))
    correlated = torch.from_numpy((mixing @ noise).astype(np.complex64))
    whitening = whitening_matrix(covariance_of_noise_scan(correlated))
    white = whitening @ correlated
    covariance = (white @ white.mH / white.shape[1] / 2).abs()
    torch.testing.assert_close(covariance, torch.eye(6), rtol=0, atol=0.02)


def test_noise_is_found_in_the_outer_kspace() -> None:
    scan = phantom_scan(128, 96, sigma=0.05)
    kspace = torch.from_numpy(scan.kspace)[None]
    estimate = covariance_of_outer_kspace(kspace, torch.ones(128, 96, dtype=torch.bool))
    sigma = (estimate.matrix.diagonal().real / 2).sqrt()
    torch.testing.assert_close(sigma, torch.full((8,), 0.05, dtype=sigma.dtype), rtol=0.15, atol=0)


def test_compression_keeps_white_noise_white_and_most_of_the_energy() -> None:
    kspace = torch.from_numpy(phantom_scan(coils=16).kspace)[None]
    matrix, kept = compression_matrix(kspace, 8)
    torch.testing.assert_close(matrix @ matrix.mH, torch.eye(8, dtype=torch.complex64))
    compressed = mix(matrix, kspace)
    share = float(compressed.abs().square().sum() / kspace.abs().square().sum())
    assert share == pytest.approx(kept, abs=1e-4)
    assert kept > 0.95


def test_copied_channels_and_dead_channels_are_refused() -> None:
    noise = torch.randn(4, 1000, dtype=torch.complex64)
    dead = noise.clone()
    dead[2] = 0
    with pytest.raises(ReconstructionError, match="Channel 3: neither signal nor noise"):
        covariance_of_noise_scan(dead)
    with pytest.raises(ReconstructionError, match="copies"):
        whitening_matrix(NoiseCovariance(torch.ones(4, 4, dtype=torch.complex128), ""))
    with pytest.raises(ReconstructionError, match="at least 16"):
        covariance_of_noise_scan(noise[:, :10])
