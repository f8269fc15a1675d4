"""The bias of magnitude data is taken out of local means, and out of nothing else."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from denoise_engine import UnusableVolumeError
from denoise_engine.noise import correct_bias, magnitude_mean
from denoise_engine.noise.bias import noise_floor, signal_of_mean

Volume = NDArray[np.float32]


def drawn_mean(signal: float, sigma: float, coils: int) -> float:
    """Mean of simulated root-sum-of-squares magnitudes, the signal spread over the coils."""
    rng = np.random.default_rng(11)
    parts = sigma * rng.standard_normal((coils, 2, 200_000))
    parts[:, 0] += signal / np.sqrt(coils)
    return float(np.sqrt(np.square(parts).sum(axis=(0, 1))).mean())


def as_volume(values: NDArray[np.float64]) -> Volume:
    return np.broadcast_to(values[None, None], (1, 16, values.size)).astype(np.float32)


@pytest.mark.parametrize("coils", [1, 2, 8, 16])
@pytest.mark.parametrize("signal", [2.0, 5.0, 12.0, 60.0, 400.0])
def test_the_signal_comes_back_from_simulated_means(signal: float, coils: int) -> None:
    sigma = 3.0
    mean = drawn_mean(signal, sigma, coils)
    volume = as_volume(np.linspace(mean, 2 * mean + 50, 32))
    corrected = correct_bias(volume, sigma, coils)[0, 0, 0]
    # One hundredth of the noise is what the draws allow where the mean hardly rises with s.
    slope = (magnitude_mean(signal + 0.01, sigma, coils) - magnitude_mean(signal, sigma, coils)) / (
        0.01
    )
    assert corrected == pytest.approx(signal, abs=0.01 * sigma / float(slope) + 1e-3)


@pytest.mark.parametrize("coils", [1, 3, 32, 48])
def test_the_inverse_is_exact_and_rising_over_table_and_expansion(coils: int) -> None:
    signals = np.geomspace(0.5, 5000, 4000)
    corrected = correct_bias(as_volume(magnitude_mean(signals, 1.0, coils)), 1.0, coils)[0, 0]
    np.testing.assert_allclose(corrected, signals, rtol=1e-6, atol=1e-3)
    assert (np.diff(corrected) > 0).all()


@pytest.mark.parametrize("coils", [1, 4, 33, 48])
def test_the_mean_runs_smoothly_from_its_series_into_its_expansion(coils: int) -> None:
    seam = np.sqrt(1200.0)
    means = magnitude_mean(seam + np.linspace(-1, 1, 41), 1.0, coils)
    assert np.abs(np.diff(means, 3)).max() < 1e-5


def test_one_coil_is_rician() -> None:
    signals = np.linspace(0, 200, 400)
    # The closed form for one coil, by Bessel functions: Gudbjartsson and Patz 1995.
    quarter = np.square(signals / 2.0) / 4
    laguerre = (1 + 2 * quarter) * special.ive(0, quarter) + 2 * quarter * special.ive(1, quarter)
    rician = np.sqrt(np.pi / 2) * 2.0 * laguerre
    np.testing.assert_allclose(magnitude_mean(signals, 2.0), rician, rtol=1e-8)


@pytest.mark.parametrize("coils", [1, 8])
def test_means_at_or_below_the_noise_floor_become_zero(coils: int) -> None:
    floor = noise_floor(coils)
    below = as_volume(np.linspace(0, 1, 40) * floor * 0.9999)
    assert (correct_bias(below, 1.0, coils) == 0).all()


def test_a_noise_map_acts_pixel_by_pixel_and_zero_noise_leaves_the_value() -> None:
    volume = np.full((2, 16, 20), 10.0, dtype=np.float32)
    volume[0, 0, 0] = 10.5
    sigma = np.full(volume.shape, 4.0)
    sigma[1] = 0.0
    corrected = correct_bias(volume, sigma)
    np.testing.assert_array_equal(corrected[1], volume[1])
    np.testing.assert_allclose(magnitude_mean(corrected[0], 4.0), volume[0], rtol=1e-5)


def test_the_signal_of_a_mean_is_the_inverse_at_any_shape() -> None:
    signals = np.array([[0.5, 1.0], [3.0, 2000.0]])
    np.testing.assert_allclose(
        signal_of_mean(magnitude_mean(signals, 1.5), 1.5), signals, rtol=1e-3
    )


def test_bright_tissue_hardly_changes() -> None:
    corrected = correct_bias(as_volume(np.linspace(1000, 2000, 32)), 10.0)[0, 0]
    np.testing.assert_allclose(corrected, np.linspace(1000, 2000, 32), rtol=6e-5)


@pytest.mark.parametrize(
    ("sigma", "coils", "words"),
    [
        (-1.0, 1, "not below 0"),
        (np.nan, 1, "finite"),
        (np.ones((16, 32)), 1, "one number or a map"),
        (1.0, 0, "number of coils"),
        (1.0, 2.5, "number of coils"),
        (1.0, 1000, "number of coils"),
    ],
)
def test_unusable_settings_are_refused_in_words(sigma: object, coils: object, words: str) -> None:
    with pytest.raises(UnusableVolumeError, match=words):
        correct_bias(as_volume(np.linspace(1, 2, 32)), sigma, coils)  # type: ignore[arg-type]
