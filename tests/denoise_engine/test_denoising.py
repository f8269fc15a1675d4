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

import denoise_engine as engine
from denoise_engine.cli import main
from denoise_engine.evaluation import REQUIRED_GAIN_DB, ArmFigures, verdict
from denoise_engine.metrics import body_mask, psnr, rmse, ssim
from denoise_engine.models import MANIFEST, available_models, find_model, load_model, read_card
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
        noisy_lumbar[0], list(strengths.values()), progress=lambda a, b: seen.append((a, b))
    )
    assert seen == [(1, 2), (2, 2)], "progress is reported for every slice"
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


def test_compressed_sensing_input_gains_too(lumbar: Volume) -> None:
    body = body_mask(lumbar)
    scan = engine.simulate_acquisition(lumbar[:1], protocol="triple-fast", snr=9, seed=1).volume
    out = engine.denoise(scan).volume
    assert psnr(out, lumbar[:1], body[:1]) > psnr(scan, lumbar[:1], body[:1]) + 0.5


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


def test_a_target_gain_is_met_on_noise_that_it_was_not_chosen_on(
    lumbar: Volume, results: dict[str, engine.DenoiseResult], noisy_lumbar: Noisy
) -> None:
    result = results["target"]
    assert result.target_gain == 1.7
    assert result.achieved_gain == pytest.approx(1.7, rel=0.05)
    assert result.air_gain is not None
    assert result.air_gain > 1
    # Fresh noise on the true image, the same blend.
    rng = np.random.default_rng(77)
    replicas = [
        np.hypot(
            lumbar + noisy_lumbar[1] * rng.standard_normal(lumbar.shape),
            noisy_lumbar[1] * rng.standard_normal(lumbar.shape),
        ).astype(np.float32)
        for _ in range(4)
    ]
    network = load_model(find_model("ddlr")).network
    level = torch.full((1, 1, 1, 1), result.sigma)
    with torch.inference_mode():
        full = [network(torch.from_numpy(r)[:, None], level)[:, 0].numpy() for r in replicas]
    out = [r + result.blend * (f - r) for r, f in zip(replicas, full, strict=True)]
    body = body_mask(lumbar)
    before = np.sqrt(np.var(replicas, axis=0, ddof=1)[body].mean())
    after = np.sqrt(np.var(out, axis=0, ddof=1)[body].mean())
    assert before / after == pytest.approx(1.7, rel=0.06)


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
    result = engine.denoise(stored, noise=7.0)
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
    assert record["backend"].endswith("float32, contiguous")


def test_broken_pixels_are_refused(noisy_lumbar: Noisy) -> None:
    broken = noisy_lumbar[0].copy()
    broken[0, 3, 4] = np.nan
    with pytest.raises(engine.UnusableVolumeError, match="1 pixel"):
        engine.denoise(broken)


def test_a_noise_level_outside_the_card_is_refused(noisy_lumbar: Noisy) -> None:
    with pytest.raises(engine.NoiseOutOfRangeError, match="trained for 3 to 40"):
        engine.denoise(noisy_lumbar[0], noise=60.0)
    with pytest.raises(engine.NoiseOutOfRangeError):
        engine.denoise(noisy_lumbar[0], noise=0.01)


def test_an_untrusted_noise_level_is_refused_but_a_given_one_accepted(lumbar: Volume) -> None:
    zoomed = np.fft.fftshift(np.fft.fft2(lumbar[:1, :80, :80]), axes=(1, 2))
    padded = np.fft.ifftshift(np.pad(zoomed, ((0, 0), (40, 40), (40, 40))), axes=(1, 2))
    interpolated = 4 * np.abs(np.fft.ifft2(padded))
    with pytest.raises(engine.UntrustedNoiseError, match="interpolated"):
        engine.denoise(interpolated)
    assert engine.denoise(interpolated, noise=4.0).sigma_method == "given"


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
    with pytest.raises(engine.ModelError, match="no model “none”"):
        engine.denoise(noisy_lumbar[0], model="none")


def test_the_card_and_the_page_beside_the_weights_belong_to_them() -> None:
    file = find_model("ddlr")
    card = read_card(file)
    assert not any("lumbar" in d["path"] or "spine" in d["path"] for d in card["data"])
    assert {d["anatomy"] for d in card["data"]} == {"brain", "knee"}
    assert file.sha256 in file.path.with_suffix(".md").read_text(encoding="utf-8")
    assert file.path.stat().st_size < 3_000_000
    assert all(f["trained"] > f["start"] > f["noisy"] for f in card["figures"])


def test_the_command_line_simulates_and_denoises(
    tmp_path: Path, lumbar: Volume, capsys: pytest.CaptureFixture[str]
) -> None:
    source, scan, out = (tmp_path / name for name in ("source.npy", "scan.nii.gz", "out.nii.gz"))
    np.save(source, lumbar[:1])
    settings = ["--protocol", "double-fast", "--snr", "9", "--seed", "1"]
    assert main(["simulate", str(source), str(scan), *settings]) == 0
    assert json.loads(capsys.readouterr().out)["nex"] == 1
    assert main(["denoise", str(scan), str(out), "--target-snr-gain", "1.7"]) == 0
    assert json.loads(capsys.readouterr().out)["target_gain"] == 1.7
    import nibabel

    image = nibabel.load(out).get_fdata()  # type: ignore[attr-defined]
    assert image.shape == (128, 128, 1)
    body = body_mask(lumbar[:1])
    noisy = np.moveaxis(nibabel.load(scan).get_fdata(), -1, 0)  # type: ignore[attr-defined]
    assert psnr(np.moveaxis(image, -1, 0), lumbar[:1], body) > psnr(noisy, lumbar[:1], body) + 1


def test_the_command_line_refuses_in_one_sentence_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.npy"
    np.save(bad, np.zeros((1, 64, 64)))
    assert main(["denoise", str(bad), str(tmp_path / "out.npy")]) == 2
    assert main(["denoise", str(tmp_path / "none.npy"), str(tmp_path / "out.npy")]) == 2
    assert main(["evaluate", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.count("Refused:") == 3
    assert "Traceback" not in said
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["bad.npy"]


def test_evaluate_prints_every_arm_and_judges_it(
    tmp_path: Path, lumbar: Volume, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "V99.npz", volume=lumbar[:1].astype(np.uint8), snr=10.0, seed=3)
    assert main(["evaluate", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert said.count("V99") == 2
    assert said.splitlines()[-1].startswith("PASSED: every arm of 1 volunteers")


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
