"""What a caller of ``denoise`` gets, and what is refused."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage.restoration import estimate_sigma

import denoise_engine as engine
from denoise_engine.evaluation import REQUIRED_GAIN_DB, ArmFigures, verdict
from denoise_engine.evidence import gather_evidence
from denoise_engine.metrics import body_mask, psnr, rmse, ssim
from denoise_engine.models import MANIFEST, available_models, find_model, load_model, read_card
from denoise_engine.noise_in_use import settle_noise
from denoise_engine.resampling import map_on_grid
from denoise_engine.strength import NoiseMoments

Volume = NDArray[np.float32]
Noisy = tuple[Volume, float]


@pytest.fixture(scope="module")
def results(noisy_lumbar: Noisy) -> dict[str, engine.DenoiseResult]:
    strengths = {
        "zero": engine.Blend(0.0),
        "third": engine.Blend(1 / 3),
        "two thirds": engine.Blend(2 / 3),
        "full": engine.Full(),
        "target": engine.TargetSnrGain(1.7),
    }
    seen: list[tuple[int, int]] = []
    made = engine.denoise_at_strengths(
        noisy_lumbar[0],
        list(strengths.values()),
        precision="float32",
        progress=lambda a, b: seen.append((a, b)),
    )
    assert seen[-1] == (2, 2), "progress is reported to the end"
    return dict(zip(strengths, made, strict=True))


def test_importing_the_package_does_not_load_torch() -> None:
    code = "import denoise_engine, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_blind_denoising_of_unseen_spine_gains_over_3_db(
    lumbar: Volume, noisy_lumbar: Noisy, results: dict[str, engine.DenoiseResult]
) -> None:
    body = body_mask(lumbar)
    before = psnr(noisy_lumbar[0], lumbar, body)
    assert psnr(results["full"].volume, lumbar, body) > before + 3
    assert psnr(results["target"].volume, lumbar, body) > before + 2
    assert ssim(results["full"].volume, lumbar, body) > ssim(noisy_lumbar[0], lumbar, body)


def test_compressed_sensing_input_gains_too_but_its_noise_level_is_not_trusted(
    lumbar: Volume,
) -> None:
    body = body_mask(lumbar)
    scan = engine.simulate_acquisition(lumbar[:1], protocol="triple-fast", snr=9, seed=1).volume
    result = engine.denoise(scan)
    out = result.volume
    assert psnr(out, lumbar[:1], body[:1]) > psnr(scan, lumbar[:1], body[:1]) + 0.5
    assert not result.sigma_trusted
    assert "compressed sensing" in result.warnings[0]


def test_strength_is_monotonic_from_the_input_to_full(
    noisy_lumbar: Noisy, results: dict[str, engine.DenoiseResult]
) -> None:
    np.testing.assert_array_equal(results["zero"].volume, noisy_lumbar[0])
    order = [results[name] for name in ("zero", "third", "two thirds", "full")]
    removed = [rmse(r.volume, noisy_lumbar[0]) for r in order]
    gains = [r.achieved_gain for r in order]
    assert removed == sorted(removed)
    assert gains == sorted(gains)
    assert gains[0] == pytest.approx(1)
    assert [r.blend for r in order] == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_the_blend_for_a_gain_is_the_inverse_of_the_gain_of_a_blend() -> None:
    moments = NoiseMoments(of_input=4.0, of_output=0.3, covariance=0.9)
    for gain in (1.0, 1.2, 1.7, 2.4):
        assert moments.gain(moments.blend_for(gain)) == pytest.approx(gain)
    with pytest.raises(engine.StrengthError, match="cannot be reached"):
        moments.blend_for(4.0)


def test_no_noise_means_no_change(lumbar: Volume) -> None:
    result = engine.denoise(lumbar, noise=0)
    np.testing.assert_array_equal(result.volume, lumbar)
    assert (result.sigma, result.blend, result.achieved_gain) == (0, 0, 1)


def test_integers_of_a_scanner_are_taken_as_they_are(noisy_lumbar: Noisy) -> None:
    stored = np.round(noisy_lumbar[0][:1]).astype(np.uint16)
    result = engine.denoise(stored, noise=7.0, strength=engine.Full())
    assert result.volume.dtype == np.float32
    expected = engine.denoise(stored.astype(np.float64), noise=7.0).volume
    np.testing.assert_array_equal(result.volume, expected)


def test_the_record_says_how_the_result_came_about(
    results: dict[str, engine.DenoiseResult],
) -> None:
    record = json.loads(json.dumps(results["target"].record()))
    assert record["model"] == "ddlr"
    assert record["weights_sha256"] == available_models()["ddlr"].sha256
    assert record["sigma_method"].startswith("median of the")
    assert record["backend"] == "cpu, float32, contiguous"
    assert record["native_grid"] == {"rows": 128, "columns": 128, "how": "native"}
    assert record["method"] == "ddlr"
    assert record["bias"] is None
    assert record["warnings"] == list(results["target"].warnings)


def test_broken_pixels_are_refused(noisy_lumbar: Noisy) -> None:
    broken = noisy_lumbar[0].copy()
    broken[0, 3, 4] = np.nan
    with pytest.raises(engine.UnusableVolumeError, match="1 pixel"):
        engine.denoise(broken)


def test_a_noise_level_just_outside_the_card_is_warned_of_and_far_outside_refused(
    noisy_lumbar: Noisy,
) -> None:
    volume = noisy_lumbar[0][:1, :64, :64]
    signal = float(volume[body_mask(volume)].mean())
    assert engine.denoise(volume, noise=signal / 10).warnings == ()
    for snr in (2.5, 50):
        warnings = engine.denoise(volume, noise=signal / snr).warnings
        assert len(warnings) == 1
        assert f"{snr:.1f} times the noise" in warnings[0]
        assert "trained for 3 to 40" in warnings[0]
    for snr in (1.5, 70):
        with pytest.raises(engine.NoiseOutOfRangeError, match="trained for 3 to 40"):
            engine.denoise(volume, noise=signal / snr)


def test_a_map_that_leaves_the_range_of_the_card_in_part_of_the_body_is_warned_of(
    noisy_lumbar: Noisy,
) -> None:
    volume = noisy_lumbar[0][:1, :64, :64]
    signal = float(volume[body_mask(volume)].mean())
    across = signal / np.geomspace(4, 60, 64, dtype=np.float32)
    result = engine.denoise(volume, noise=np.broadcast_to(across, volume.shape), native_grid="off")
    assert len(result.warnings) == 1
    assert "trained for 3 to 40" in result.warnings[0]
    assert "% of the body lies outside" in result.warnings[0]
    assert gather_evidence(volume, result).qc()["in_range"] is False


def test_a_given_map_goes_to_the_native_grid_and_back_to_where_it_was() -> None:
    rows = np.arange(100, 228, dtype=np.float32)
    given = np.broadcast_to(rows[None, :, None], (1, 128, 128))
    there = map_on_grid(given, (1, 64, 64))
    np.testing.assert_allclose(there[0, :, 5], rows[::2], rtol=1e-6)
    back = map_on_grid(there, given.shape)
    np.testing.assert_allclose(back[:, :-2], given[:, :-2], rtol=1e-6)
    image = np.zeros((1, 64, 64), dtype=np.float32)
    used = settle_noise(image, np.ones(image.shape, dtype=np.bool_), given, given.shape)
    np.testing.assert_array_equal(used.map, there)


def test_a_volume_that_the_scanner_interpolated_is_denoised_on_its_native_grid(
    lumbar: Volume,
) -> None:
    """Denoised as it stands with the level that is read from it, next to nothing is removed."""
    rng = np.random.default_rng(3)
    clean = lumbar[:1]
    sigma = float(clean[body_mask(clean)].mean()) / 7
    noisy = clean + sigma * (
        rng.standard_normal(clean.shape) + 1j * rng.standard_normal(clean.shape)
    )
    scan, truth = _zero_filled(noisy), _zero_filled(clean)
    body = body_mask(truth)
    read = float(estimate_sigma(scan[0]))
    as_it_stands = engine.denoise(scan, noise=read, native_grid="off")
    result = engine.denoise(scan)
    assert not result.native_grid.is_native
    assert result.sigma == pytest.approx(sigma, rel=0.15)
    assert result.volume.shape == scan.shape
    assert result.working_output.shape[1] == result.native_grid.native_rows < scan.shape[1]
    gain = psnr(result.volume, truth, body) - psnr(as_it_stands.volume, truth, body)
    assert gain >= 6
    unchanged = engine.denoise(scan, strength=engine.Blend(0.0))
    np.testing.assert_array_equal(unchanged.volume, scan)


def _zero_filled(image: NDArray[np.complexfloating] | Volume) -> Volume:
    """Magnitude on twice the matrix, as a scanner interpolates."""
    half = image.shape[1] // 2
    k = np.fft.fftshift(np.fft.fft2(image), axes=(1, 2))
    padded = np.pad(k, ((0, 0), (half, half), (half, half)))
    return np.abs(4 * np.fft.ifft2(np.fft.ifftshift(padded, axes=(1, 2)))).astype(np.float32)


def test_what_evidence_needs_is_handed_over_without_copies(
    noisy_lumbar: Noisy, results: dict[str, engine.DenoiseResult]
) -> None:
    volume = np.ascontiguousarray(noisy_lumbar[0])
    result = engine.denoise(volume, noise=noisy_lumbar[1], strength=engine.Blend(0.5))
    assert np.shares_memory(result.working_input, volume)
    np.testing.assert_allclose(
        result.volume, (result.working_input + result.working_output) / 2, atol=1e-3
    )
    assert (result.noise_map == np.float32(noisy_lumbar[1])).all()
    assert result.noise_map.shape == result.working_output.shape == volume.shape
    np.testing.assert_array_equal(results["zero"].working_output, results["full"].volume)


def test_a_noise_map_is_estimated_when_asked_for(lumbar: Volume) -> None:
    rng = np.random.default_rng(8)
    truth = np.broadcast_to(np.linspace(4, 12, 128, dtype=np.float32), lumbar.shape)
    real, imaginary = rng.standard_normal((2, *lumbar.shape))
    scan = np.hypot(lumbar + truth * real, truth * imaginary).astype(np.float32)
    result = engine.denoise(scan, noise="map")
    assert result.noise_map[..., 96:].mean() > 1.25 * result.noise_map[..., :32].mean()
    assert "map" in result.sigma_method
    with pytest.raises(engine.UnusableVolumeError, match="the word “map”"):
        engine.denoise(scan, noise="mp")


def test_bias_correction_is_a_recorded_last_step_and_off_unless_asked_for(
    lumbar: Volume,
) -> None:
    rng = np.random.default_rng(2)
    sigma = 12.0
    real, imaginary = sigma * rng.standard_normal((2, *lumbar.shape))
    scan = np.hypot(lumbar + real, imaginary).astype(np.float32)
    plain = engine.denoise(scan, noise=sigma)
    corrected = engine.denoise(scan, noise=sigma, bias_coils=1)
    assert plain.bias is None
    assert corrected.record()["bias"] == {"noise": "Rician", "coils": 1}
    np.testing.assert_array_equal(corrected.working_output, plain.volume)
    dark = (lumbar < 2 * sigma) & (lumbar > 0.5 * sigma)
    before = abs(float((plain.volume - lumbar)[dark].mean()))
    after = abs(float((corrected.volume - lumbar)[dark].mean()))
    assert after < 0.5 * before
    with pytest.raises(engine.StrengthError, match="whole number from 1 to 48"):
        engine.denoise(scan, bias_coils=0)


def test_the_bias_is_taken_out_to_the_same_mean_at_every_strength() -> None:
    """The formula holds for the local mean; a mixture still holds noise, and its pixels do not."""
    true = np.full((1, 128, 128), 14, dtype=np.float32)
    true[:, 16:56, 16:56], true[:, 16:56, 72:112], true[:, 72:112, 16:56] = 1, 2, 0
    rng = np.random.default_rng(1)
    real, imaginary = rng.standard_normal((2, *true.shape))
    scan = np.hypot(true + real, imaginary).astype(np.float32)
    strengths = [engine.Blend(amount) for amount in (0.0, 0.3, 0.5, 1.0)]
    made = engine.denoise_at_strengths(
        scan, strengths, noise=1.0, bias_coils=1, native_grid="off", precision="float32"
    )
    for result, strength in zip(made, strengths, strict=True):
        assert result.blend == strength.amount
        dark, dim, none = (
            float(result.volume[0, rows, columns].mean())
            for rows, columns in (
                (slice(24, 48), slice(24, 48)),
                (slice(24, 48), slice(80, 104)),
                (slice(80, 104), slice(24, 48)),
            )
        )
        assert dark == pytest.approx(1, abs=0.05)
        assert dim == pytest.approx(2, abs=0.05)
        # Below zero there is no magnitude: what is clipped there leaves a rest of the noise.
        assert none < 0.35
        assert result.volume.min() >= 0
        assert result.working_output.shape == scan.shape


def test_bias_correction_of_an_interpolated_volume_is_done_on_its_native_grid(
    lumbar: Volume,
) -> None:
    rng = np.random.default_rng(4)
    clean = lumbar[:1]
    sigma = 10.0
    real, imaginary = sigma * rng.standard_normal((2, *clean.shape))
    scan = _zero_filled(np.hypot(clean + real, imaginary).astype(np.float32))
    plain = engine.denoise(scan, noise=sigma)
    corrected = engine.denoise(scan, noise=sigma, bias_coils=1)
    assert not plain.native_grid.is_native
    assert corrected.volume.shape == scan.shape
    assert float(corrected.volume.min()) >= 0
    dark = plain.volume < 1.5 * sigma
    assert corrected.volume[dark].mean() < 0.8 * plain.volume[dark].mean()


def test_what_the_caller_knows_is_among_the_warnings(noisy_lumbar: Noisy) -> None:
    known = "The scanner has denoised this series."
    result = engine.denoise(noisy_lumbar[0][:1, :64, :64], noise=7.0, caveats=[known])
    assert result.warnings == (known,)
    assert result.record()["warnings"] == [known]


def test_an_untrusted_noise_level_is_refused_but_a_given_one_accepted(lumbar: Volume) -> None:
    interpolated = _zero_filled(lumbar[:1, :80, :80])
    with pytest.raises(engine.UntrustedNoiseError, match="interpolated"):
        engine.denoise(interpolated, native_grid="off")
    given = engine.denoise(interpolated, noise=4.0, native_grid="off")
    assert given.sigma_method == "given"
    assert given.sigma_trusted
    # Nothing is acted on at strength 0, so nothing is refused.
    unchanged = engine.denoise(interpolated, native_grid="off", strength=engine.Blend(0.0))
    np.testing.assert_array_equal(unchanged.volume, interpolated)
    assert not unchanged.sigma_trusted
    # The bias correction does act on it.
    with pytest.raises(engine.UntrustedNoiseError, match="interpolated"):
        engine.denoise(interpolated, native_grid="off", strength=engine.Blend(0.0), bias_coils=1)


@pytest.mark.parametrize("noise", [-1.0, float("nan"), np.ones((2, 5, 5))])
def test_impossible_noise_levels_are_refused(noisy_lumbar: Noisy, noise: object) -> None:
    with pytest.raises(engine.UnusableVolumeError, match="noise level"):
        engine.denoise(noisy_lumbar[0], noise=noise)  # type: ignore[arg-type]


def test_impossible_strengths_are_refused(noisy_lumbar: Noisy) -> None:
    with pytest.raises(engine.StrengthError, match="between 0 and 1"):
        engine.Blend(1.2)
    with pytest.raises(engine.StrengthError, match="1 or more"):
        engine.TargetSnrGain(0.5)
    with pytest.raises(engine.StrengthError, match="cannot be reached"):
        engine.denoise(noisy_lumbar[0][:1, :64, :64], noise=7.0, strength=engine.TargetSnrGain(50))


def test_a_demanded_gpu_that_is_not_there_is_an_error(noisy_lumbar: Noisy) -> None:
    if torch.cuda.is_available():
        assert engine.denoise(noisy_lumbar[0], device="cuda").backend.device == "cuda"
    else:
        with pytest.raises(engine.BackendError, match="none is available"):
            engine.denoise(noisy_lumbar[0], device="cuda")


def test_altered_weights_are_refused(tmp_path: Path) -> None:
    shutil.copytree(MANIFEST.parent, tmp_path / "weights")
    file = find_model("ddlr", tmp_path / "weights" / MANIFEST.name)
    assert load_model(file).card["name"] == "ddlr"
    content = bytearray(file.path.read_bytes())
    content[-1] ^= 1
    file.path.write_bytes(content)
    with pytest.raises(engine.ModelError, match="not the ones that were validated"):
        load_model(file)
    file.path.unlink()
    with pytest.raises(engine.ModelError, match="cannot be read"):
        load_model(file)


def test_an_unknown_model_is_refused(noisy_lumbar: Noisy) -> None:
    with pytest.raises(engine.ModelError, match="no model or method “none”"):
        engine.denoise(noisy_lumbar[0], model="none")


def test_the_card_and_the_page_beside_the_weights_belong_to_them() -> None:
    file = find_model("ddlr")
    card = read_card(file)
    assert not any("lumbar" in d["path"] or "spine" in d["path"] for d in card["data"])
    assert {d["anatomy"] for d in card["data"]} == {"brain", "knee"}
    assert file.sha256 in file.path.with_suffix(".md").read_text(encoding="utf-8")
    assert file.path.stat().st_size < 3_000_000
    assert all(f["trained"] > f["start"] > f["noisy"] for f in card["figures"])


def test_a_missed_bound_is_named(results: dict[str, engine.DenoiseResult]) -> None:
    full, target = results["full"], results["target"]
    bound = REQUIRED_GAIN_DB["double-fast"]
    good = ArmFigures("V01", "double-fast", 30.0, 30.0 + bound, 0.8, 0.9, full, target)
    bad = replace(good, volunteer="V02", denoised_psnr=30.0 + bound - 0.01)
    assert verdict([good])[0]
    passed, sentence = verdict([good, bad])
    assert not passed
    assert "V02 double-fast" in sentence
    assert "V01" not in sentence


def test_an_image_that_is_no_magnitude_image_gets_a_warning(noisy_lumbar: Noisy) -> None:
    volume, sigma = noisy_lumbar[0][:1], noisy_lumbar[1]
    assert not [w for w in engine.denoise(volume, noise=sigma).warnings if "negative" in w]
    phase = volume - np.float32(volume.mean())
    warned = engine.denoise(phase, noise=sigma).warnings
    assert [w for w in warned if "no magnitude image" in w]
