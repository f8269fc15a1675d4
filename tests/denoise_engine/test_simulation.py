"""Simulated scans differ as real ones would: noise by averages, structure by sampling."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from denoise_engine import SimulationError, simulate_acquisition
from denoise_engine.metrics import body_mask, rmse
from denoise_engine.reconstruction.compressed_sensing import fista, soft_threshold_wavelets
from denoise_engine.reconstruction.operators import CartesianEncoding
from denoise_engine.simulation.coils import smooth_coils
from denoise_engine.simulation.sampling import variable_density_mask

Volume = NDArray[np.float32]


def _noise_sd(source: Volume, protocol: str) -> float:
    """SD between two scans that differ in their noise alone, where the signal is high."""
    bright = source > 40
    scan = simulate_acquisition(source, protocol=protocol, snr=15, seed=9).volume  # type: ignore[arg-type]
    return float((scan - source)[bright].std())


def test_one_average_has_root_two_times_the_noise_of_two(lumbar: Volume) -> None:
    ratio = _noise_sd(lumbar, "double-fast") / _noise_sd(lumbar, "standard")
    assert ratio == pytest.approx(np.sqrt(2), rel=0.03)


def test_the_noise_has_the_snr_that_was_asked_for(lumbar: Volume) -> None:
    expected = float(lumbar[body_mask(lumbar)].mean()) / 15
    assert _noise_sd(lumbar, "standard") == pytest.approx(expected, rel=0.03)
    result = simulate_acquisition(lumbar, protocol="standard", snr=15, seed=9)
    assert result.provenance["noise_sigma"] == pytest.approx(expected, rel=1e-4)


def test_all_arms_share_the_intensity_scale(lumbar: Volume) -> None:
    bright = lumbar > 60
    for protocol in ("standard", "double-fast", "triple-fast", "parallel"):
        scan = simulate_acquisition(lumbar[:1], protocol=protocol, snr=20, seed=1).volume  # type: ignore[arg-type]
        assert scan[bright[:1]].mean() == pytest.approx(lumbar[:1][bright[:1]].mean(), rel=0.02)
        assert scan.shape == lumbar[:1].shape
        assert scan.dtype == np.float32


def test_compressed_sensing_samples_55_percent_and_says_so(lumbar: Volume) -> None:
    calls: list[tuple[int, int]] = []
    result = simulate_acquisition(
        lumbar[:1],
        protocol="triple-fast",
        snr=12,
        seed=2,
        progress=lambda a, b: calls.append((a, b)),
    )
    p = result.provenance
    assert p["sampling_fraction"] == pytest.approx(0.55, abs=0.004)
    assert p["reduction"] == pytest.approx(1.82, abs=0.02)
    assert (p["nex"], p["coils"], p["seed"], p["simulated"]) == (1, 8, 2, True)
    assert calls == [(1, 1)]


def test_parallel_imaging_has_more_noise_than_the_root_of_its_reduction(lumbar: Volume) -> None:
    ratio = _noise_sd(lumbar[:1], "parallel") / _noise_sd(lumbar[:1], "double-fast")
    assert np.sqrt(2) * 0.97 < ratio < 5
    made = simulate_acquisition(lumbar[:1], protocol="parallel", snr=15, seed=9).provenance
    assert (made["reduction"], made["acceleration"]) == (2.0, 4.0)
    assert made["reconstruction"] == "regularised SENSE, λ = 5"


def test_compressed_sensing_fills_in_what_was_not_sampled(lumbar: Volume) -> None:
    rng = np.random.default_rng(3)
    coils = torch.from_numpy(smooth_coils(128, 128, count=8, rng=rng))
    mask = torch.from_numpy(variable_density_mask(128, fraction=0.55, rng=rng))
    encoding = CartesianEncoding(coils, mask)
    samples = encoding.forward(torch.from_numpy(lumbar[0]).to(torch.complex64))
    zero_filled = encoding.adjoint(samples).abs().numpy()
    solved = fista(encoding, samples, penalty=0.05, steps=40, rng=rng).abs().numpy()
    assert rmse(solved, lumbar[0]) < 0.3 * rmse(zero_filled, lumbar[0])


def test_a_seed_repeats_a_scan_and_another_changes_it(lumbar: Volume) -> None:
    first = simulate_acquisition(lumbar[:1], protocol="triple-fast", snr=12, seed=4).volume
    again = simulate_acquisition(lumbar[:1], protocol="triple-fast", snr=12, seed=4).volume
    other = simulate_acquisition(lumbar[:1], protocol="triple-fast", snr=12, seed=5).volume
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_the_noise_of_two_arms_is_independent(lumbar: Volume) -> None:
    bright = lumbar > 40
    errors = [
        (simulate_acquisition(lumbar, protocol=p, snr=15, seed=9).volume - lumbar)[bright]
        for p in ("standard", "double-fast")
    ]
    assert abs(np.corrcoef(errors[0], errors[1])[0, 1]) < 0.05


def test_encoding_and_adjoint_satisfy_the_dot_product_test() -> None:
    rng = np.random.default_rng(1)
    coils = torch.from_numpy(smooth_coils(48, 40, count=4, rng=rng))
    mask = torch.from_numpy(variable_density_mask(48, fraction=0.55, rng=rng))
    encoding = CartesianEncoding(coils, mask)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn((48, 40), generator=generator, dtype=torch.complex64)
    y = torch.randn((4, 48, 40), generator=generator, dtype=torch.complex64)
    left = torch.vdot(encoding.forward(x).flatten(), y.flatten())
    right = torch.vdot(x.flatten(), encoding.adjoint(y).flatten())
    torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-4)


def test_full_sampling_returns_the_image() -> None:
    coils = torch.from_numpy(smooth_coils(48, 40, count=8, rng=np.random.default_rng(2)))
    image = torch.randn((48, 40), dtype=torch.complex64)
    encoding = CartesianEncoding(coils)
    torch.testing.assert_close(
        encoding.adjoint(encoding.forward(image)), image, rtol=1e-5, atol=1e-5
    )


def test_the_mask_keeps_the_centre_and_thins_outwards() -> None:
    mask = variable_density_mask(640, fraction=0.55, rng=np.random.default_rng(0))
    assert mask.sum() == 352
    assert mask[320 - 20 : 320 + 20].all()
    assert mask[160:480].mean() > mask.mean() + 0.1


def test_a_zero_threshold_leaves_the_image_under_any_shift(lumbar: Volume) -> None:
    image = lumbar[0, :120, :101].astype(np.complex64)
    same = soft_threshold_wavelets(image, 0.0, shift=(5, 11))
    np.testing.assert_allclose(same, image, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"protocol": "quadruple"}, "no protocol"),
        ({"snr": 0.0}, "above 0"),
        ({"snr": float("nan")}, "above 0"),
        ({"source": -np.ones((1, 64, 64))}, "magnitude"),
        ({"source": np.full((1, 64, 64), np.inf)}, "magnitude"),
        ({"source": np.ones((64, 64))}, "slices × rows × columns"),
    ],
)
def test_impossible_scans_are_refused(
    lumbar: Volume, change: dict[str, object], words: str
) -> None:
    settings = {"source": lumbar, "protocol": "standard", "snr": 10.0, "seed": 0} | change
    with pytest.raises(SimulationError, match=words):
        simulate_acquisition(settings.pop("source"), **settings)  # type: ignore[arg-type]
