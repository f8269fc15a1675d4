"""Noise told from structure in what was removed, and artifact from noise in an error."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from denoise_engine.errors import UnusableVolumeError
from denoise_engine.evidence import judge_removed_noise, split_error
from denoise_engine.evidence.expected_noise import standardised
from denoise_engine.evidence.structure import lost_structure
from denoise_engine.evidence.uncertainty import uncertainty_of_slice
from denoise_engine.methods.filters import open_filter
from denoise_engine.metrics import body_mask

Volume = NDArray[np.float32]


def _with_noise(clean: Volume, snr: float, kind: str) -> tuple[Volume, Volume]:
    sigma = np.float32(clean[body_mask(clean)].mean() / snr)
    rng = np.random.default_rng(round(snr))
    real, imaginary = sigma * rng.standard_normal((2, *clean.shape), dtype=np.float32)
    noisy = clean + real if kind == "Gaussian" else np.hypot(clean + real, imaginary)
    return noisy, np.full(clean.shape, sigma, dtype=np.float32)


@pytest.mark.parametrize("snr", [5, 10, 20])
@pytest.mark.parametrize("kind", ["Gaussian", "Rician"])
def test_the_denoiser_passes_on_anatomy_that_it_never_saw(
    lumbar: Volume, snr: float, kind: str
) -> None:
    noisy, sigma = _with_noise(lumbar, snr, kind)
    out = open_filter("ddlr", "cpu", "float32")(noisy, sigma)
    found = judge_removed_noise(noisy, out, sigma, body_mask(noisy))
    assert found.passed, found
    assert not found.coloured


@pytest.mark.parametrize("snr", [5, 10, 20])
@pytest.mark.parametrize(
    "blunt",
    [
        lambda v: ndimage.gaussian_filter(v, (0, 1, 1)),
        lambda v: ndimage.gaussian_filter(v, (0, 1.5, 1.5)),
        lambda v: ndimage.median_filter(v, (1, 5, 5)),
    ],
    ids=["blur of 1 pixel", "blur of 1.5 pixels", "median of 5 x 5"],
)
def test_a_blur_in_place_of_the_denoiser_fails(
    lumbar: Volume, snr: float, blunt: Callable[[Volume], Volume]
) -> None:
    noisy, sigma = _with_noise(lumbar, snr, "Rician")
    found = judge_removed_noise(noisy, blunt(noisy), sigma, body_mask(noisy))
    assert not found.passed, found
    assert found.sentence.startswith("What was removed is not noise alone")


def test_a_level_taken_twice_too_high_fails(lumbar: Volume) -> None:
    noisy, sigma = _with_noise(lumbar, 5, "Rician")
    out = open_filter("ddlr", "cpu", "float32")(noisy, 2 * sigma)
    assert not judge_removed_noise(noisy, out, sigma, body_mask(noisy)).passed


def test_pure_noise_removed_wholly_is_white_and_follows_no_edge(lumbar: Volume) -> None:
    """The ideal: the truth itself as output. In dark tissue Rician noise is smaller, and allowed
    for: the edge figures stay at those of noise."""
    bright = lumbar + 20
    rng = np.random.default_rng(3)
    real, imaginary = 8 * rng.standard_normal((2, *lumbar.shape), dtype=np.float32)
    noisy = np.hypot(bright + real, imaginary)
    mean = np.mean(
        [np.hypot(bright + 8 * a, 8 * b) for a, b in rng.standard_normal((200, 2, *lumbar.shape))],
        axis=0,
    ).astype(np.float32)
    sigma = np.full(lumbar.shape, 8, dtype=np.float32)
    found = judge_removed_noise(noisy, mean, sigma, np.ones(lumbar.shape, dtype=bool))
    assert found.spectrum == pytest.approx([1] * 6, abs=0.08)
    assert found.whiteness == pytest.approx(1, abs=0.01)
    assert abs(found.edge_correlation or 1) < 0.05
    assert found.edge_excess == pytest.approx(1, abs=0.1)
    assert found.local_mean == pytest.approx(1, abs=0.15)
    assert found.passed


def test_standardised_noise_has_unit_sd_from_air_to_bright_tissue() -> None:
    rng = np.random.default_rng(0)
    for signal in (0.0, 1.0, 2.0, 5.0, 50.0):
        real, imaginary = 3 * rng.standard_normal((2, 400, 400), dtype=np.float32)
        magnitude = np.hypot(3 * signal + real, imaginary).astype(np.float32)
        mean = np.full_like(magnitude, magnitude.mean())
        units = standardised(magnitude - mean, mean, np.full_like(magnitude, 3))
        assert float(units.std()) == pytest.approx(1, abs=0.02), signal


def test_where_no_noise_is_expected_nothing_is_divided_by_zero() -> None:
    image = np.ones((32, 32), dtype=np.float32)
    assert not standardised(image, image, np.zeros_like(image)).any()


def test_white_noise_holds_no_lost_structure_in_a_hundred_slices() -> None:
    rng = np.random.default_rng(12)
    body = np.ones((128, 128), dtype=bool)
    # The denoiser lets the local mean through, so what it removes is never more than this.
    found = sum(
        int(lost_structure(0.9 * rng.standard_normal(body.shape, dtype=np.float32), body).any())
        for _ in range(100)
    )
    assert found <= 2


def test_white_noise_removed_wholly_passes_in_a_large_slice() -> None:
    """Somewhere in so many pixels chance alone makes a place."""
    noise = np.random.default_rng(0).standard_normal((1, 640, 512), dtype=np.float32)
    flat = np.full_like(noise, 100)
    whole = np.ones(noise.shape, dtype=bool)
    found = judge_removed_noise(flat + noise, flat, np.ones_like(noise), whole)
    assert found.places > 0
    assert "lost" not in found.sentence


def test_too_small_a_body_is_not_judged(lumbar: Volume) -> None:
    body = np.zeros(lumbar.shape, dtype=bool)
    body[0, 60:70, 60:70] = True
    noisy, sigma = _with_noise(lumbar, 20, "Gaussian")
    found = judge_removed_noise(noisy, lumbar, sigma, body)
    assert found.edge_correlation is None
    assert "Too little of the body" in found.sentence
    assert not found.passed


def test_uncertainty_of_a_method_that_does_nothing_is_one(lumbar: Volume) -> None:
    """What comes through is all of the noise that was added."""
    sigma = np.full(lumbar[0].shape, 6, dtype=np.float32)
    found = uncertainty_of_slice(lumbar[0], sigma, lambda image, _: image, number=0)
    assert float(np.sqrt(np.square(found).mean())) == pytest.approx(1, abs=0.02)


def test_uncertainty_of_a_method_that_ignores_the_image_is_zero(lumbar: Volume) -> None:
    sigma = np.full(lumbar[0].shape, 6, dtype=np.float32)
    found = uncertainty_of_slice(lumbar[0], sigma, lambda image, _: 0 * image, number=0)
    assert not found.any()


def test_uncertainty_shows_what_depends_on_how_the_slice_lies(lumbar: Volume) -> None:
    """A method that answers otherwise at the top of its slice is unsure at top and bottom."""
    sigma = np.full((128, 100), 1, dtype=np.float32)

    def brighter_at_the_top(images: Volume, _: Volume) -> Volume:
        out = np.zeros_like(images)
        out[:, :20] = 10
        return out

    found = uncertainty_of_slice(lumbar[0][:, :100], sigma, brighter_at_the_top, number=0)
    assert found[:10].min() > 1
    assert found[-10:].min() > 1
    assert found[50:70].max() < 0.1


def test_error_is_parted_into_noise_and_artifact() -> None:
    rng = np.random.default_rng(6)
    truth = np.full((2, 64, 64), 100.0)
    streaks = 3 * np.sign(np.sin(np.arange(64)))[None, None, :]
    outputs = truth + streaks + 4 * rng.standard_normal((5, *truth.shape))
    parts = split_error(outputs, truth, np.ones(truth.shape, dtype=bool))
    assert parts.noise == pytest.approx(4, rel=0.03)
    assert parts.artifact == pytest.approx(3, rel=0.03)
    assert parts.total == pytest.approx(5, rel=0.03)
    assert parts.total**2 == pytest.approx(parts.noise**2 + parts.artifact**2)


def test_noise_alone_leaves_hardly_any_artifact_even_with_two_replicas() -> None:
    truth = np.zeros((1, 128, 128))
    outputs = np.random.default_rng(2).standard_normal((2, *truth.shape))
    parts = split_error(outputs, truth, np.ones(truth.shape, dtype=bool))
    assert parts.artifact < 0.2
    assert parts.noise == pytest.approx(1, abs=0.03)


def test_error_is_measured_inside_the_body_alone() -> None:
    truth = np.zeros((1, 32, 32))
    outputs = np.zeros((2, 1, 32, 32))
    outputs[:, :, :16] = 7
    body = np.zeros(truth.shape, dtype=bool)
    body[:, 16:] = True
    assert split_error(outputs, truth, body).total == 0


def test_what_cannot_be_parted_is_refused() -> None:
    truth = np.zeros((1, 32, 32))
    body = np.ones(truth.shape, dtype=bool)
    with pytest.raises(UnusableVolumeError, match="At least two replicas"):
        split_error(truth[None], truth, body)
    with pytest.raises(UnusableVolumeError, match="replicas × slices"):
        split_error(truth, truth, body)
    with pytest.raises(UnusableVolumeError, match="body is empty"):
        split_error(np.stack([truth, truth]), truth, ~body)
