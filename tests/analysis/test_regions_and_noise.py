"""Regions against the reference cases, and SNR and CNR under each named noise estimate."""

import json

import numpy as np
import pytest

from analysis import (
    cnr,
    contrast_ratio,
    ellipse_region,
    noise_sd,
    noise_warnings,
    region_statistics,
    snr,
)
from analysis.noise import expected_air_ratio, noise_estimate, pooled_sd
from tests.analysis.published_study import REFERENCE

ROI = json.loads((REFERENCE / "roi_expected.json").read_text())
IMAGE = np.loadtxt(REFERENCE / "data" / "roi_image_48x40.csv", delimiter=",")


@pytest.mark.parametrize("name", sorted(ROI["cases"]))
def test_an_ellipse_measures_what_the_reference_gives(name: str) -> None:
    given, expected = ROI["cases"][name]["params"], ROI["cases"][name]["expected"]
    region = ellipse_region(
        IMAGE.shape,
        (given["sy"], given["sx"]),
        (given["cx"], given["cy"]),
        (given["a"], given["b"]),
        given["theta_deg"],
    )
    found = region_statistics(IMAGE, region)
    assert found.n_pixels == expected["n"]
    for key, value in {
        "mean": found.mean,
        "sd_ddof1": found.sd,
        "min": found.minimum,
        "max": found.maximum,
        "median": found.median,
        "area_pixels_mm2": found.area_pixels_mm2,
        "area_analytic_mm2": found.area_ellipse_mm2,
    }.items():
        assert value == pytest.approx(expected[key], abs=1e-9), key


def test_a_turned_ellipse_leans_clockwise_on_the_screen() -> None:
    region = ellipse_region((41, 41), (1, 1), (20, 20), (15, 3), 45)
    assert region.mask[30, 30]  # right and down
    assert not region.mask[10, 30]
    straight = ellipse_region((41, 41), (1, 1), (20, 20), (3, 15), 0)
    assert (ellipse_region((41, 41), (1, 1), (20, 20), (15, 3), 90).mask == straight.mask).all()


def test_rescaling_is_applied_before_measuring() -> None:
    region = ellipse_region(IMAGE.shape, (1, 1), (20, 24), (5, 5))
    plain = region_statistics(IMAGE, region)
    scaled = region_statistics(IMAGE.astype(np.int16), region, slope=2.5, intercept=-7)
    assert scaled.mean == pytest.approx(2.5 * plain.mean - 7)
    assert scaled.sd == pytest.approx(2.5 * plain.sd)


def test_zero_and_clipped_pixels_are_counted() -> None:
    image = np.full((9, 9), 50)
    image[4, 3], image[4, 4], image[4, 5] = 0, 0, 4095
    region = ellipse_region((9, 9), (1, 1), (4, 4), (2, 2))
    found = region_statistics(image, region, limits=(0, 4095))
    assert (found.n_zero, found.n_at_limits) == (2, 3)


def test_a_region_without_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="no pixel centre"):
        ellipse_region((10, 10), (1, 1), (50, 50), (3, 3))
    with pytest.raises(ValueError, match="positive semi-axes"):
        ellipse_region((10, 10), (1, 1), (5, 5), (0, 3))
    with pytest.raises(ValueError, match="placed on an image"):
        region_statistics(np.zeros((5, 5)), ellipse_region((10, 10), (1, 1), (5, 5), (2, 2)))


@pytest.mark.parametrize("channels", [1, 4, 8, 32])
def test_air_estimates_recover_the_noise_of_simulated_coils(channels: int) -> None:
    generator = np.random.default_rng(channels)
    parts = generator.normal(0, 3.0, (2 * channels, 200_000))
    air = np.sqrt((parts**2).sum(axis=0))
    name = "rayleigh" if channels == 1 else f"noncentral_chi({channels})"
    assert float(noise_sd(air.std(ddof=1), name)) == pytest.approx(3.0, rel=0.01)
    assert air.mean() / air.std() == pytest.approx(expected_air_ratio(channels), rel=0.01)


def test_the_difference_of_two_acquisitions_recovers_the_noise() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(100, 4.0, (2, 100_000))
    assert float(snr(100, (first - second).std(ddof=1), "difference")) == pytest.approx(
        25, rel=0.01
    )


def test_published_air_ratios() -> None:
    assert expected_air_ratio(1) == pytest.approx(1.913, abs=5e-4)
    assert expected_air_ratio(32) == pytest.approx(11.3, abs=0.05)
    assert noise_estimate("rayleigh").divisor == pytest.approx(0.6551, abs=5e-5)


def test_cnr_is_the_difference_of_two_snr_and_contrast_ratio_is_another_quantity() -> None:
    assert cnr(150, 60, 5) == pytest.approx(snr(150, 5) - snr(60, 5))
    assert contrast_ratio(150, 60) == pytest.approx(1.5)
    assert pooled_sd(5, 5) == pytest.approx(5)


def test_no_ratio_is_made_from_a_zero_sd() -> None:
    with pytest.raises(ValueError, match="is zero"):
        snr([100, 200], [5, 0])
    with pytest.raises(ValueError, match="no contrast ratio"):
        contrast_ratio(100, 0)
    for name in ("air", "noncentral_chi(0)", "noncentral_chi(33)", "noncentral_chi"):
        with pytest.raises(ValueError, match="no noise estimate"):
            noise_estimate(name)


def test_warnings_name_what_is_wrong_with_an_air_region() -> None:
    good = {"air_mean": 7.2, "air_sd": 3.75, "air_n_pixels": 45}
    assert noise_warnings("air_sd", **good) == ()  # type: ignore[arg-type]
    (masked,) = noise_warnings("air_sd", air_n_zero=20, **good)  # type: ignore[arg-type]
    assert "20 zero" in masked
    (ghosts,) = noise_warnings("air_sd", air_mean=2, air_sd=4, air_n_pixels=45)
    assert "0.50" in ghosts
    # A 32-channel ratio fits the default, but not a claim of one channel.
    array = {"air_mean": 11.3, "air_sd": 1.0, "air_n_pixels": 45}
    assert noise_warnings("air_sd", **array) == ()  # type: ignore[arg-type]
    assert noise_warnings("rayleigh", **array)  # type: ignore[arg-type]
    (processed,) = noise_warnings("air_sd", processed=True)
    assert "by construction" in processed
