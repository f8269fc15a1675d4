"""The noise estimate: near the truth, and silent about nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks import noise_level as benchmark
from denoise_engine import UntrustedNoiseError, UnusableVolumeError, denoise
from denoise_engine.metrics import body_mask
from denoise_engine.noise import NativeGrid, NoiseEstimate, estimate_noise, from_native, to_native
from denoise_engine.noise.bias import magnitude_mean
from denoise_engine.noise.level import step_of

Volume = NDArray[np.float32]


def phantom() -> Volume:
    """Smooth tissue with edges in a noise-free air background, mean about 100."""
    y, x = np.mgrid[-1:1:256j, -1:1:256j]
    image = 100.0 * (np.hypot(x / 0.8, y / 0.9) < 1)
    for k, (cy, cx) in enumerate([(-0.5, 0.1), (-0.1, 0.2), (0.3, 0.1), (0.0, -0.4)]):
        image += (-40 + 35 * k) * (np.hypot((x - cx) / 0.2, (y - cy) / 0.12) < 1)
    return np.asarray(image * (1 + 0.15 * np.sin(5 * x) * y), dtype=np.float32)[None].repeat(2, 0)


def textured_phantom(kind: str, air: bool) -> Volume:
    """Tissue of mean 100 with texture at several scales, like trabecular bone, or fine objects."""
    y, x = np.mgrid[-1:1:256j, -1:1:256j]
    body = np.hypot(x / 0.8, y / 0.9) < 1 if air else np.ones_like(x)
    rng = np.random.default_rng(7)
    if kind == "several scales":
        texture = np.zeros_like(x)
        for scale, contrast in ((1.5, 0.04), (3, 0.06), (8, 0.1), (20, 0.15)):
            field = ndimage.gaussian_filter(rng.standard_normal(x.shape), scale)
            texture += contrast * field / field.std()
    elif kind == "trabecular":
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
        spectrum = np.fft.fft2(rng.standard_normal(x.shape))
        texture = np.fft.ifft2(spectrum / np.maximum(frequency, 1 / 256) ** 1.5).real
        texture *= 0.15 / texture.std()
    else:
        texture = (
            0.35 * np.sign(np.sin(24 * np.arctan2(y + 0.45, x))) * (np.hypot(x, y + 0.45) < 0.3)
        )
        for _ in range(30):
            cy, cx, size = rng.uniform(0.1, 0.7), rng.uniform(-0.5, 0.5), rng.uniform(0.02, 0.06)
            texture += rng.uniform(-0.6, 0.6) * (np.hypot(y - cy, x - cx) < size)
    return (100 * body * np.clip(1 + texture, 0.2, None))[None].repeat(2, 0).astype(np.float32)


def with_rician_noise(clean: Volume, sigma: float, seed: int = 3) -> Volume:
    rng = np.random.default_rng(seed)
    real, imaginary = sigma * rng.standard_normal((2, *clean.shape))
    return np.hypot(clean + real, imaginary).astype(np.float32)


@pytest.mark.parametrize("snr", [4.0, 7.0, 12.0, 20.0, 35.0])
def test_the_level_is_within_five_percent_on_a_phantom(snr: float) -> None:
    sigma = 100 / snr
    estimate = estimate_noise(with_rician_noise(phantom(), sigma))
    assert estimate.sigma == pytest.approx(sigma, rel=0.05)
    assert estimate.confidence == "high"
    assert estimate.air_sigma == pytest.approx(sigma, rel=0.05)


@pytest.mark.parametrize("air", [True, False], ids=["air", "no air"])
@pytest.mark.parametrize("kind", ["several scales", "trabecular", "fine objects"])
@pytest.mark.parametrize(("snr", "allowed"), [(3, 0.05), (8, 0.05), (20, 0.05), (40, 0.1)])
def test_the_level_holds_on_textured_phantoms(
    kind: str, air: bool, snr: float, allowed: float
) -> None:
    clean = textured_phantom(kind, air)
    sigma = float(clean[clean > 0].mean()) / snr
    estimate = estimate_noise(with_rician_noise(clean, sigma))
    assert estimate.sigma == pytest.approx(sigma, rel=allowed)
    assert estimate.confidence != "low"


@pytest.mark.parametrize("snr", [5.0, 10.0, 20.0, 40.0])
def test_an_error_above_a_tenth_comes_with_a_warning(lumbar: Volume, snr: float) -> None:
    # On a coarser grid the anatomy's own noise is low and its structure as fine as it gets.
    grid = NativeGrid(*lumbar.shape[1:], 80, 80, "header")
    clean = np.maximum(to_native(lumbar, grid), 0)
    sigma = float(clean[body_mask(clean)].mean()) / snr
    estimate = estimate_noise(with_rician_noise(clean, sigma))
    if abs(estimate.sigma / sigma - 1) > 0.1:
        assert estimate.confidence != "high"
        assert estimate.reasons
    else:
        assert estimate.sigma == pytest.approx(sigma, rel=0.1)
    # The structure of the spine lies far above the noise at the highest level.
    assert (estimate.confidence == "high") <= (snr < 40)


def test_no_error_above_a_tenth_is_silent_on_single_slices_of_the_spine(tmp_path: Path) -> None:
    """Few flat windows, and structure that only the air tells from noise."""
    assert benchmark.real_table(benchmark.real_images(tmp_path)) == 0


def test_the_benchmark_fails_on_a_level_read_too_high_without_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sure(volume: Volume) -> NoiseEstimate:
        return replace(estimate_noise(volume), confidence="high", reasons=())

    # The level of the spine is read many times too high at SNR 40, from its structure.
    monkeypatch.setattr(benchmark, "estimate_noise", sure)
    assert benchmark.real_table(benchmark.real_images(tmp_path)) > 10


@pytest.mark.parametrize(("factor", "ends_with"), [(1.0, 0), (1.06, 1)])
def test_the_benchmark_ends_with_1_if_phantoms_miss_the_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, factor: float, ends_with: int
) -> None:
    def off(volume: Volume) -> NoiseEstimate:
        found = estimate_noise(volume)
        return replace(found, sigma=factor * found.sigma)

    monkeypatch.setattr(benchmark, "estimate_noise", off)
    assert benchmark.main(["--data", str(tmp_path), "--judged-only"]) == ends_with


def test_zero_filled_borders_around_the_image_change_nothing() -> None:
    noisy = with_rician_noise(phantom(), 8.0)
    padded = np.pad(noisy[:, 20:-20, 40:-40], ((0, 0), (60, 60), (80, 80)))
    estimate = estimate_noise(padded)
    assert estimate.sigma == pytest.approx(8.0, rel=0.05)


def test_constant_regions_do_not_pass_for_noise_free_tissue() -> None:
    noisy = with_rician_noise(phantom(), 8.0)
    noisy[:, 60:140, 70:160] = 130.0
    estimate = estimate_noise(noisy)
    assert estimate.sigma == pytest.approx(8.0, rel=0.05)
    assert estimate.confidence == "fair"
    assert any("blanked or saturated" in reason for reason in estimate.reasons)


def test_values_stored_too_coarsely_are_not_trusted() -> None:
    estimate = estimate_noise(np.round(with_rician_noise(phantom(), 0.3)))
    assert estimate.confidence == "low"
    assert any("steps" in reason for reason in estimate.reasons)
    fine = estimate_noise(np.round(with_rician_noise(phantom(), 3.0)))
    assert fine.sigma == pytest.approx(3.0, rel=0.05)
    assert fine.confidence == "high"


@pytest.mark.parametrize("slope", [0.37, 1.0, 12.5])
def test_steps_are_found_whatever_slope_the_values_are_stored_with(slope: float) -> None:
    stored = np.round(with_rician_noise(phantom(), 0.3))
    image = (np.float32(slope) * stored.astype(np.float32)).astype(np.float32)
    assert step_of(image) == pytest.approx(slope, rel=1e-3)
    estimate = estimate_noise(image)
    assert estimate.confidence == "low"
    assert any("steps" in reason for reason in estimate.reasons)
    assert estimate_noise(slope * with_rician_noise(phantom(), 0.3)).confidence == "high"


def test_steps_are_found_on_the_grid_on_which_the_values_were_stored() -> None:
    """A zero-filled image that is brought back holds values between the steps."""
    grid = NativeGrid(512, 512, 256, 256, "header")
    stored = np.round(np.abs(from_native(with_rician_noise(phantom(), 0.3), grid))) * 0.37
    with pytest.raises(UntrustedNoiseError, match="smaller than the steps"):
        denoise(stored, model="nlm", acquired=(256, 256))


def test_the_level_is_within_ten_percent_on_the_lumbar_spine(
    noisy_lumbar: tuple[Volume, float],
) -> None:
    volume, sigma = noisy_lumbar
    assert estimate_noise(volume).sigma == pytest.approx(sigma, rel=0.1)


def test_the_estimate_scales_with_the_image(noisy_lumbar: tuple[Volume, float]) -> None:
    volume, _ = noisy_lumbar
    first, second = estimate_noise(volume), estimate_noise(volume * 12.5)
    assert second.sigma == pytest.approx(12.5 * first.sigma, rel=1e-4)


def test_an_interpolated_image_is_not_trusted() -> None:
    noisy = with_rician_noise(phantom(), 10.0)
    spectrum = np.fft.fftshift(np.fft.fft2(noisy), axes=(1, 2))
    padded = np.pad(spectrum, ((0, 0), (128, 128), (128, 128)))
    larger = np.abs(np.fft.ifft2(np.fft.ifftshift(padded, axes=(1, 2)))) * 4
    estimate = estimate_noise(larger)
    assert estimate.confidence == "low"
    assert "interpolated" in estimate.reasons[0]


def test_interpolation_along_one_axis_alone_is_noticed() -> None:
    noisy = with_rician_noise(phantom(), 10.0)
    spectrum = np.fft.fftshift(np.fft.fft(noisy, axis=1), axes=1)
    padded = np.pad(spectrum, ((0, 0), (128, 128), (0, 0)))
    larger = np.abs(np.fft.ifft(np.fft.ifftshift(padded, axes=1), axis=1)) * 2
    assert estimate_noise(larger).confidence == "low"


def test_filtered_noise_lowers_the_confidence_and_is_not_read_too_low() -> None:
    rng = np.random.default_rng(4)
    clean = phantom()
    white = rng.standard_normal(clean.shape)
    smooth = ndimage.gaussian_filter(white, (0, 0.6, 0.6))
    noisy = clean + 8 * smooth / smooth.std()
    estimate = estimate_noise(np.abs(noisy))
    assert estimate.confidence == "fair"
    assert 0.6 * 8 < estimate.sigma < 1.3 * 8


def test_air_set_to_zero_is_said() -> None:
    noisy = with_rician_noise(phantom(), 8.0)
    noisy[phantom() == 0] = 0
    estimate = estimate_noise(noisy)
    assert estimate.air_sigma is None
    assert any("air" in reason for reason in estimate.reasons)
    assert estimate.sigma == pytest.approx(8.0, rel=0.05)


@pytest.mark.parametrize(
    ("volume", "words"),
    [
        (np.zeros((2, 64, 64)), "same value"),
        (np.full((2, 64, 64), np.nan), "not a number"),
        (np.ones((64, 64)), "slices × rows × columns"),
        (np.ones((2, 64, 64, 3)), "Colour"),
        (np.ones((2, 8, 64)), "16 × 16"),
        (np.ones((2, 64, 64), dtype=complex), "real numbers"),
    ],
)
def test_unusable_volumes_are_refused_in_words(volume: NDArray[np.generic], words: str) -> None:
    with pytest.raises(UnusableVolumeError, match=words):
        estimate_noise(volume)


def test_the_rician_mean_equals_that_of_drawn_samples() -> None:
    rng = np.random.default_rng(6)
    for signal in (0.0, 1.0, 3.0, 30.0):
        real, imaginary = 2.0 * rng.standard_normal((2, 400_000))
        drawn = np.hypot(signal + real, imaginary).mean()
        assert float(magnitude_mean(signal, 2.0)) == pytest.approx(drawn, rel=5e-3)


def test_the_body_is_found_without_the_air(lumbar: Volume) -> None:
    clean = phantom()
    mask = body_mask(with_rician_noise(clean, 10.0))
    truth = clean > 0
    assert (mask & truth).sum() / (mask | truth).sum() > 0.95
