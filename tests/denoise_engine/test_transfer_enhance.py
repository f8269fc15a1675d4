"""Enhancing a scan: what is refused, what is warned of, what is told of the errors."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from denoise_engine import UnusableVolumeError
from denoise_engine.errors import ModelError
from denoise_engine.transfer.calibration import (
    calibration_in,
    fit_calibration,
    fit_factors,
    flagging,
    over_rest,
    reliability,
    warning_map,
)
from denoise_engine.transfer.checks import (
    checked_scan,
    chosen_factor,
    contrast_warnings,
    dark_share_below_surface,
)
from denoise_engine.transfer.enhance import enhance_with, telling_samples
from denoise_engine.transfer.grids import interpolate
from denoise_engine.transfer.heads import read_axial
from denoise_engine.transfer.models import LoadedTransfer
from denoise_engine.transfer.patches import PatchSettings
from tests.denoise_engine.heads import phantom, small_model

SPACING = (8.0, 1.0, 1.0)
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def _scan(*, skull: bool = True) -> NDArray[np.float32]:
    return phantom((48, 56, 56), skull=skull).reshape(6, 8, 56, 56).mean(axis=1)


def _enhanced(model: LoadedTransfer, scan: NDArray[np.float32], *args: Any, **more: Any) -> Any:
    """In the precision of the reference, in one patch."""
    return enhance_with(model, scan, *args, patches=PatchSettings(80), precision="float32", **more)


def test_a_scan_becomes_thinner_slices_with_maps_of_what_to_doubt() -> None:
    model = small_model(calibration={"intrinsic": 4.0, "parameter": 9.0})
    result = _enhanced(model, 10 * _scan(), SPACING, samples=2)
    plain = _enhanced(small_model(), 10 * _scan(), SPACING, samples=2)
    assert result.volume.shape == result.intrinsic.shape == (48, 56, 56)
    assert result.spacing == (1.0, 1.0, 1.0)
    assert result.factor == 8
    # Variances are multiplied, maps are SDs, in the unit of the scan.
    np.testing.assert_allclose(result.intrinsic, 2 * plain.intrinsic, rtol=0.2)
    assert result.parameter is not None
    assert plain.parameter is not None
    assert result.parameter.mean() == pytest.approx(3 * plain.parameter.mean(), rel=0.2)
    both = np.hypot(result.intrinsic, result.parameter)
    np.testing.assert_allclose(result.uncertainty, both, rtol=1e-5)
    # An untrained network corrects little.
    cubic = interpolate((10 * _scan()).astype(np.float32), 8)
    assert np.abs(result.volume - cubic).mean() < 0.3 * cubic.mean()
    record = json.loads(json.dumps(result.record()))
    calibration = record["uncertainty"].pop("calibration")
    assert record["uncertainty"] == {"dropout_samples": 2, "seed": 0}
    # The same weights, calibrated otherwise, give another map: the record tells them apart.
    assert len(calibration) == 16
    assert calibration == result.record()["uncertainty"]["calibration"]
    assert calibration != plain.record()["uncertainty"]["calibration"]
    assert record["factor"] == 8
    assert not record["warnings"]


def test_runs_that_change_nothing_are_not_made_unasked() -> None:
    told = small_model(calibration={"intrinsic": 1.2, "parameter": 0.0})
    assert telling_samples(told) == 0
    assert telling_samples(small_model()) == 8
    without = _enhanced(told, _scan(), SPACING)
    with_them = _enhanced(told, _scan(), SPACING, samples=2)
    np.testing.assert_allclose(with_them.uncertainty, without.uncertainty, rtol=1e-5)


def test_the_unit_of_the_scan_does_not_matter() -> None:
    one = _enhanced(small_model(), _scan(), SPACING)
    ten = _enhanced(small_model(), 1024 * _scan(), SPACING)
    np.testing.assert_allclose(ten.volume, 1024 * one.volume, rtol=1e-3, atol=20)


def test_volumes_that_no_network_was_trained_on_are_refused_in_a_sentence() -> None:
    scan, model = _scan(), small_model()
    broken = scan.copy()
    broken[2, 3, 4] = np.nan
    tiny = scan[:, 8:48, 8:48]
    refusals = [
        (broken, SPACING, "not a number"),
        (tiny, SPACING, "at least 4 slices of 48 × 48"),
        (scan[:3], SPACING, "at least 4 slices"),
        (scan, (1.0, 1.0, 8.0), "columns lie furthest apart"),
        (scan, (0.5, 1.0, 1.0), "Turn the volume"),
        (scan, (2.0, 1.0, 1.0), "trained where it is 4 or 8 times"),
        (scan, (20.0, 1.0, 1.0), "Use interpolation"),
        (scan, (2.0, 0.25, 0.25), "far from the 1 to 1.15 mm"),
        (scan, (8.0, 0.0, 1.0), "above 0"),
        (_scan(skull=False), SPACING, "skull seems to have been removed"),
    ]
    for volume, spacing, sentence in refusals:
        with pytest.raises(UnusableVolumeError, match=sentence):
            _enhanced(model, volume, spacing)
    with pytest.raises(UnusableVolumeError, match="factors of 4 or 8"):
        enhance_with(model, scan, SPACING, factor=3)


@pytest.mark.parametrize("samples", [-3, 1, 2.5])
def test_a_number_of_samples_without_a_spread_is_refused(samples: int) -> None:
    with pytest.raises(UnusableVolumeError, match="0 \\(none\\) or at least 2 samples"):
        _enhanced(small_model(), _scan(), SPACING, samples=samples)


def test_what_lies_a_little_outside_the_training_is_warned_of() -> None:
    card = small_model().card
    assert chosen_factor((7.0, 1.0, 1.0), None, card) == (8, [])
    assert chosen_factor((4.0, 1.0, 1.0), None, card) == (4, [])
    factor, (warning,) = chosen_factor((5.2, 1.0, 1.0), None, card)
    assert factor == 4
    assert "no cubes" in warning
    factor, (warning,) = chosen_factor((6.4, 0.8, 0.8), None, card)
    assert factor == 8
    assert "0.80 mm lie outside" in warning
    _, (warning,) = checked_scan(_scan() - 30, SPACING)
    assert "no magnitude image" in warning


def test_a_head_whose_cortex_is_brighter_than_white_matter_is_warned_of() -> None:
    """FLAIR, PD and T2: the networks have seen T1 alone."""
    head = phantom((96, 160, 160))
    white, grey = (head > 92) & (head < 108), (head > 62) & (head < 78)
    other = head.copy()
    other[white], other[grey] = head[white] - 30, head[grey] + 30
    # Coils at the surface make what lies near them brighter; that is no other contrast.
    rows = np.linspace(-1, 1, 160, dtype=np.float32)
    coils = 1 + 1.5 * rows[:, None] ** 2 + 0.5 * rows**2
    for spacing in ((1.0, 1.0, 1.0), (8.0, 1.0, 1.0)):
        thick = int(spacing[0])

        def scan(volume: NDArray[np.float32], thick: int = thick) -> NDArray[np.float32]:
            return volume.reshape(96 // thick, thick, 160, 160).mean(axis=1)

        assert contrast_warnings(scan(head), spacing) == []
        assert contrast_warnings(scan(head * coils), spacing) == []
        (warning,) = contrast_warnings(scan(other), spacing)
        assert "does not look T1-weighted" in warning
        assert len(contrast_warnings(scan(other * coils), spacing)) == 1
        for unit in (1e-7, 1e4):
            assert contrast_warnings(np.float32(unit) * scan(head), spacing) == []
            assert len(contrast_warnings(np.float32(unit) * scan(other), spacing)) == 1
    result = _enhanced(small_model(), scan(other), spacing)
    assert any("T1-weighted" in warning for warning in result.record()["warnings"])
    # Too small to tell: nothing is said.
    assert contrast_warnings(_scan(), SPACING) == []


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "warned"),
    [
        ("brain-flair-2d", True),
        ("brain-pd-3t", True),
        ("brain-t2-3t", True),
        ("colin27-t1-1mm", False),
        ("brain-t1-1mm-conformed", False),
        ("brain-t1-3t-0p88mm", False),
        ("brain-t1-3t-0p67mm-forrest", False),
    ],
)
def test_real_heads_of_another_contrast_are_warned_of(name: str, warned: bool) -> None:
    image, _, spacing = read_axial(SHARED / "anatomy" / f"{name}.nii.gz")
    assert bool(contrast_warnings(image, spacing)) is warned
    if not warned:
        slices = len(image) // 8 * 8
        thick = image[:slices].reshape(-1, 8, *image.shape[1:]).mean(axis=1)
        assert contrast_warnings(thick, (8 * spacing[0], *spacing[1:])) == []


def test_below_the_surface_of_a_head_is_dark_skull() -> None:
    whole, stripped = _scan(), _scan(skull=False)
    assert dark_share_below_surface(whole, SPACING) > dark_share_below_surface(stripped, SPACING)


def test_the_factors_of_calibration_are_found_again() -> None:
    rng = np.random.default_rng(0)
    intrinsic, parameter = rng.gamma(2, 0.01, (2, 40_000))
    drawn = rng.standard_normal(40_000) ** 2
    found = fit_factors((0.5 * intrinsic + 3 * parameter) * drawn, intrinsic, parameter)
    assert found.intrinsic == pytest.approx(0.5, abs=0.25)
    assert found.parameter == pytest.approx(3, rel=0.15)
    # A spread thousands of times smaller counts all the same where it tells the error, and not
    # at all where it tells nothing.
    found = fit_factors((0.5 * intrinsic + 3 * parameter) * drawn, intrinsic, 1e-4 * parameter)
    assert found.parameter == pytest.approx(3e4, rel=0.15)
    found = fit_factors(2 * intrinsic * drawn, intrinsic, np.full_like(parameter, 1e-6))
    assert found.parameter * 1e-6 < 0.1 * 2 * float(intrinsic.mean())
    assert found.intrinsic == pytest.approx(2, rel=0.1)


def test_each_uncertainty_is_calibrated_on_its_own_and_both_together() -> None:
    """Neither is in the unit of the error, nor proportional to it."""
    rng = np.random.default_rng(3)
    true = rng.gamma(2, 0.01, 60_000)
    squared = true * rng.standard_normal(true.size) ** 2
    intrinsic, parameter = 4 * true**1.5, 1e-4 * np.sqrt(true)
    calibration = fit_calibration({8: (squared, intrinsic, parameter)})
    assert calibration_in({"calibration": calibration.as_json()}) == calibration
    error, mask = np.sqrt(squared).astype(np.float32), np.ones(true.size, dtype=np.bool_)
    for found in (
        calibration.intrinsic(intrinsic.astype(np.float32), 8),
        calibration.parameter(parameter.astype(np.float32), 8),
        calibration.together(intrinsic.astype(np.float32), parameter.astype(np.float32), 8),
    ):
        assert found.dtype == np.float32
        assert reliability(error, np.sqrt(found), mask).error < 0.06
        # A rising line leaves the ranking as it is, beyond its ends too.
        assert (np.diff(found[np.argsort(true)]) >= 0).all()
        assert len(np.unique(found)) > 0.9 * true.size
    # Of another factor nothing is known: nothing is made up either.
    with pytest.raises(ModelError, match="calibrated for factors of 8 along the slices, not 4"):
        calibration.intrinsic(intrinsic.astype(np.float32), 4)


def test_a_calibration_by_factors_alone_is_still_read() -> None:
    calibration = calibration_in({"calibration": {"intrinsic": 4.0, "parameter": 9.0}})
    two = np.full((2, 2), 2, dtype=np.float32)
    np.testing.assert_array_equal(calibration.intrinsic(two, 8), 8)
    np.testing.assert_array_equal(calibration.parameter(two, 8), 18)
    np.testing.assert_array_equal(calibration.together(two, two, 8), 26)


def test_flagging_by_the_true_error_beats_gradients_and_calibration_is_measured() -> None:
    rng = np.random.default_rng(1)
    expected = rng.gamma(2, 0.1, (16, 32, 32)).astype(np.float32)
    error = (expected * rng.standard_normal(expected.shape)).astype(np.float32)
    mask = np.ones(expected.shape, dtype=np.bool_)
    image = phantom((16, 32, 32))
    found = flagging(error, expected, image, mask)
    assert found.over_rest > 2
    assert found.over_gradient > 1.2
    assert found.squared_over_rest == pytest.approx(found.over_rest**2)
    assert found.absolute_over_rest > 2
    squared = np.square(error).ravel()
    assert over_rest(squared, expected.ravel()) == pytest.approx(found.over_rest, rel=1e-4)
    assert reliability(error, expected, mask).error < 0.06
    assert reliability(error, 2 * expected, mask).error == pytest.approx(0.5, abs=0.05)
    flags = warning_map(expected, mask, 0.1)
    assert flags.mean() == pytest.approx(0.1, abs=0.01)
    assert expected[flags].min() >= expected[~flags].max()
