"""The forward model: what is lost, how much, and the same again with the same seed."""

import numpy as np
import pytest

from denoise_engine import SimulationError
from denoise_engine.transfer.forward import (
    LOW_FIELD,
    Degradation,
    Tissues,
    degrade,
    reduced_contrast,
)
from denoise_engine.transfer.grids import cubic_interpolation, interpolate, slice_profile
from denoise_engine.transfer.heads import typical_intensity
from denoise_engine.transfer.label_maps import synthesise, tissue_masks
from tests.denoise_engine.heads import TISSUES, phantom


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_slices_keep_a_constant_and_a_slope(factor: int) -> None:
    profile = slice_profile(6, factor, 0.9)
    np.testing.assert_allclose(profile.sum(axis=1), 1, rtol=1e-5)
    slope = np.arange(6 * factor, dtype=np.float32)
    thick = profile @ slope
    # Between the ends the centre of mass of a slice is its centre.
    np.testing.assert_allclose(thick[2:4], (np.arange(2, 4) + 0.5) * factor - 0.5, rtol=1e-4)


def test_the_profile_is_half_as_high_at_half_the_nominal_thickness() -> None:
    # An odd number of thin slices would have one at the centre; here two lie half a slice off it.
    profile = slice_profile(5, 8, thickness=0.625)[2]
    centre = 2.5 * 8 - 0.5
    at_centre = np.interp(centre, np.arange(40), profile)
    at_half = np.interp(centre + 2.5, np.arange(40), profile)
    assert at_half / at_centre == pytest.approx(0.5, abs=0.03)


def test_cubic_interpolation_is_exact_for_a_slope_inside_and_keeps_constants() -> None:
    matrix = cubic_interpolation(12, 4)
    np.testing.assert_allclose(matrix @ np.ones(12, dtype=np.float32), 1, atol=1e-5)
    centres = (np.arange(12, dtype=np.float32) + 0.5) * 4 - 0.5
    inside = slice(16, 32)
    np.testing.assert_allclose((matrix @ centres)[inside], np.arange(48)[inside], atol=0.03)
    assert interpolate(np.ones((1, 4, 4), dtype=np.float32), 8).shape == (8, 4, 4)


def test_the_same_seed_degrades_alike_and_another_does_not() -> None:
    head = phantom((32, 24, 24))
    first, again, other = (
        degrade(head, LOW_FIELD[8], TISSUES, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first.shape == (4, 24, 24)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_noise_is_rician_of_the_asked_level() -> None:
    volume = np.zeros((16, 64, 64), dtype=np.float32)
    volume[:8] = 2000
    noisy = degrade(volume, Degradation(snr=17.0), TISSUES, np.random.default_rng(0))
    sigma = TISSUES.mean / 17
    assert noisy[:8].std() == pytest.approx(sigma, rel=0.03)
    # In air a Rayleigh distribution: mean √(π/2) σ.
    assert noisy[8:].mean() == pytest.approx(np.sqrt(np.pi / 2) * sigma, rel=0.03)


def test_contrast_shrinks_around_the_mean_of_grey_and_white() -> None:
    values = np.array([[[0, 70, 85, 100, 180, 1000]]], dtype=np.float32)
    np.testing.assert_allclose(
        reduced_contrast(values, 0.5, TISSUES)[0, 0], [0, 77.5, 85, 92.5, 172.5, 992.5]
    )
    with pytest.raises(SimulationError, match="T1-weighted"):
        reduced_contrast(values, 0.5, Tissues(grey=100, white=70))


def test_impossible_scans_are_refused_in_a_sentence() -> None:
    with pytest.raises(SimulationError, match="1 to 8"):
        Degradation(factor=9)
    with pytest.raises(SimulationError, match="thickness"):
        Degradation(thickness=3)
    with pytest.raises(SimulationError, match="contrast"):
        Degradation(contrast=0)
    with pytest.raises(SimulationError, match="multiple of 8"):
        degrade(phantom((20, 16, 16)), Degradation(8), TISSUES, np.random.default_rng(0))


def test_a_label_map_becomes_a_t1_image_with_known_tissues() -> None:
    labels = np.zeros((24, 24, 24), dtype=np.int16)
    labels[4:20, 4:20, 4:20], labels[7:17, 7:17, 7:17], labels[10:14, 10:14, 10:14] = 3, 2, 4
    volume, tissues = synthesise(labels, np.random.default_rng(3))
    again, _ = synthesise(labels, np.random.default_rng(3))
    np.testing.assert_array_equal(volume, again)
    grey, white, csf = tissue_masks(labels)
    assert 0 < volume[csf].mean() < tissues.grey < tissues.white
    assert volume[grey].mean() == pytest.approx(tissues.grey)
    assert np.median(volume[labels == 0]) < 1
    assert white.sum() == 10**3 - 4**3
    assert typical_intensity(volume) == pytest.approx(tissues.mean, rel=0.25)
