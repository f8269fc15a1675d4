"""The noise map follows what the coils do to the noise, and not what the anatomy does."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from denoise_engine.metrics import body_mask
from denoise_engine.noise import NativeGrid, estimate_noise, estimate_noise_map, from_native

Volume = NDArray[np.float32]
SIZE = 160
Y, X = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
BODY = np.hypot(X / 0.85, Y / 0.92) < 1


def phantom(spokes: bool = False) -> Volume:
    """Textured tissue of mean 100 in air; with spokes, a wheel of fine structure in it."""
    texture = np.zeros_like(X)
    rng = np.random.default_rng(7)
    for scale, contrast in ((3, 0.05), (8, 0.1), (20, 0.15)):
        field = ndimage.gaussian_filter(rng.standard_normal(X.shape), scale)
        texture += contrast * field / field.std()
    image = 100 * BODY * np.clip(1 + texture, 0.3, None)
    if spokes:
        wheel = np.hypot(X, Y + 0.4) < 0.3
        image *= 1 + 0.35 * np.sign(np.sin(24 * np.arctan2(Y + 0.4, X))) * wheel
    return image[None].repeat(2, 0).astype(np.float32)


def g_factor() -> Volume:
    """Hills of a parallel-imaging g-factor, 0.5 to 2."""
    hills = np.exp(-(X**2 + Y**2) / 0.25) + 0.6 * np.exp(-((X - 0.5) ** 2 + (Y + 0.4) ** 2) / 0.1)
    return (0.5 + 1.5 * (hills - hills.min()) / np.ptp(hills))[None].astype(np.float32)


def coil_fall_off() -> Volume:
    """Noise after an intensity correction: it rises fivefold away from a surface coil."""
    rise = 1 + (X + 1) ** 2
    return (rise / rise.mean())[None].astype(np.float32)


def with_rician_noise(clean: Volume, sigma: Volume | float) -> Volume:
    real, imaginary = np.random.default_rng(3).standard_normal((2, *clean.shape)) * sigma
    return np.hypot(clean + real, imaginary).astype(np.float32)


def error_in_body(found: Volume, truth: Volume | float) -> float:
    return float(np.sqrt(np.mean(np.square((found / truth)[:, BODY] - 1))))


@pytest.mark.parametrize("snr", [5.0, 12.0])
@pytest.mark.parametrize(
    ("shape", "allowed"),
    [(g_factor(), 0.13), (coil_fall_off(), 0.09), (np.ones((1, SIZE, SIZE)), 0.06)],
    ids=["g-factor", "coil fall-off", "even"],
)
def test_the_map_is_near_the_truth(shape: Volume, allowed: float, snr: float) -> None:
    sigma = 100 / snr * shape
    noisy = with_rician_noise(phantom(), sigma)
    found = estimate_noise_map(noisy)
    assert found.map.shape == noisy.shape
    assert found.map.dtype == np.float32
    assert error_in_body(found.map, sigma) < allowed
    in_body = np.broadcast_to(sigma, noisy.shape)[body_mask(noisy)]
    assert found.level == pytest.approx(float(np.median(in_body)), rel=0.06)
    one_number = np.full_like(found.map, estimate_noise(noisy).sigma)
    if np.ptp(shape) > 0:
        assert error_in_body(found.map, sigma) < error_in_body(one_number, sigma) / 2


def test_fine_structure_is_not_taken_for_noise() -> None:
    found = estimate_noise_map(with_rician_noise(phantom(spokes=True), 5.0))
    assert error_in_body(found.map, 5.0) < 0.2


def test_the_map_goes_on_smoothly_into_the_air() -> None:
    sigma = 8 * coil_fall_off()
    found = estimate_noise_map(with_rician_noise(phantom(), sigma)).map
    assert (found > 0).all()
    assert np.abs(np.diff(np.log(found), axis=2)).max() < 0.06


def test_the_map_scales_with_the_image() -> None:
    noisy = with_rician_noise(phantom(), 10 * g_factor())
    first, second = estimate_noise_map(noisy), estimate_noise_map(noisy * 12.5)
    np.testing.assert_allclose(second.map, 12.5 * first.map, rtol=1e-3)


def test_the_map_of_an_interpolated_image_is_not_trusted() -> None:
    grid = NativeGrid(2 * SIZE, 2 * SIZE, SIZE, SIZE, "header")
    larger = from_native(with_rician_noise(phantom(), 10.0), grid)
    found = estimate_noise_map(np.abs(larger))
    assert found.confidence == "low"
    assert "interpolated" in found.reasons[0]


def test_a_map_from_little_readable_tissue_says_so() -> None:
    wheel = 1 + 0.5 * np.sign(np.sin(40 * np.arctan2(Y, X + 0.1)))
    found = estimate_noise_map(with_rician_noise(phantom() * wheel.astype(np.float32), 3.0))
    assert found.confidence != "high"
    assert found.reasons


def test_real_tissue_reads_within_a_fifth_of_the_added_noise(
    noisy_lumbar: tuple[Volume, float],
) -> None:
    volume, sigma = noisy_lumbar
    found = estimate_noise_map(volume)
    inside = found.map[body_mask(volume)]
    assert np.median(inside) == pytest.approx(sigma, rel=0.1)
    assert np.percentile(np.abs(inside / sigma - 1), 95) < 0.3
