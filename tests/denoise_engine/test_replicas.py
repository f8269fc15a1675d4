"""The gain in SNR is that of the noise of the image at hand."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from denoise_engine.noise.bias import magnitude_mean
from denoise_engine.replicas import measure_replicas

Volume = NDArray[np.float32]


def test_with_a_map_every_part_of_the_body_counts_alike() -> None:
    """The left half is left alone; the right, four times as noisy, is averaged over 3 × 3."""
    true = np.full((1, 192, 192), 200, dtype=np.float32)
    level = np.ones_like(true)
    level[..., 96:] = 4

    def run(images: Volume, sigma: Volume) -> Volume:
        averaged = ndimage.uniform_filter(images, (0, 3, 3))
        return np.where(sigma > 2, averaged, images)

    rng = np.random.default_rng(3)
    real, imaginary = level * rng.standard_normal((2, *true.shape), dtype=np.float32)
    noisy = np.hypot(true + real, imaginary)
    body = np.ones(true.shape, dtype=np.bool_)
    moments = measure_replicas(noisy, run(noisy, level), level, body, run)
    covariance, left_over = (1 + 1 / 9) / 2, (1 + 1 / 9) / 2
    for found in (moments.choose, moments.check):
        assert found.of_input == pytest.approx(1, rel=0.03)
        assert found.covariance == pytest.approx(covariance, rel=0.1)
        assert found.gain(1.0) == pytest.approx(left_over**-0.5, rel=0.06)
    assert moments.air is None


def test_replicas_have_the_mean_of_the_denoised_image() -> None:
    """At twice the noise, where neither formula for weak nor for strong signal holds."""
    seen: list[Volume] = []

    def run(images: Volume, sigma: Volume) -> Volume:
        seen.append(images)
        return images

    level = np.ones((1, 192, 192), dtype=np.float32)
    denoised = magnitude_mean(2.0, level).astype(np.float32)
    body = np.ones(level.shape, dtype=np.bool_)
    measure_replicas(denoised, denoised, level, body, run)
    drawn = np.concatenate([seen[0], seen[1]])
    assert float(drawn.mean()) == pytest.approx(float(denoised.mean()), abs=0.02)
