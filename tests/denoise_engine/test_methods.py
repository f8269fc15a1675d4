"""Every method is one function of a volume, with the same noise level and the same strengths."""

import inspect
import json
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

import denoise_engine as engine
from denoise_engine.methods.filters import Filter, open_filter
from denoise_engine.metrics import body_mask, psnr, rmse
from denoise_engine.models import available_models

Volume = NDArray[np.float32]
Noisy = tuple[Volume, float]
COMPARATORS = ("nlm", "wavelet")
METHODS = ("ddlr", *COMPARATORS)


def _filter(name: str) -> Filter:
    return open_filter(name, "cpu", "auto")


def test_the_networks_and_the_comparators_are_listed() -> None:
    names = engine.available_methods()
    assert set(METHODS) <= set(names)
    assert set(available_models()) <= set(names)
    for name in names:
        described = json.loads(json.dumps(engine.load_method(name).describe()))
        assert described["name"] == name
        assert described["version"] == engine.load_method(name).version
        assert bool(described["weights_sha256"]) == (name in available_models())
        assert ("card" in described) == (name in available_models())


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(engine.ModelError, match=r"no method “bm3d”.*ddlr, .*nlm, wavelet"):
        engine.load_method("bm3d")


def test_all_methods_are_called_alike() -> None:
    wanted = ["x", "noise_sd", "strength", "target_snr_gain"]
    for name in METHODS:
        signature = inspect.signature(engine.load_method(name).__call__)
        assert list(signature.parameters) == wanted


@pytest.mark.parametrize("name", METHODS)
def test_a_method_brings_unseen_spine_closer_to_the_truth(
    lumbar: Volume, noisy_lumbar: Noisy, name: str
) -> None:
    volume, sigma = noisy_lumbar
    body = body_mask(lumbar)
    y = engine.load_method(name)(volume, noise_sd=sigma)
    assert y.dtype == np.float32
    assert y.shape == volume.shape
    assert psnr(y, lumbar, body) > psnr(volume, lumbar, body) + 2.5


@pytest.mark.parametrize("name", METHODS)
def test_strength_runs_from_the_input_to_full(noisy_lumbar: Noisy, name: str) -> None:
    volume, sigma = noisy_lumbar
    method = engine.load_method(name)
    outputs = [method(volume[:1], sigma, strength) for strength in (0, 0.3, 0.7, 1)]
    np.testing.assert_array_equal(outputs[0], volume[:1])
    removed = [rmse(y, volume[:1]) for y in outputs]
    assert removed == sorted(set(removed))
    np.testing.assert_array_equal(outputs[-1], _filter(name)(volume[:1], _map(volume[:1], sigma)))


@pytest.mark.parametrize(
    ("name", "noise"), [*((name, "level") for name in METHODS), ("ddlr", "map")]
)
def test_a_target_gain_is_met_on_noise_that_it_was_not_chosen_on(
    lumbar: Volume, noisy_lumbar: Noisy, name: str, noise: str
) -> None:
    volume, sigma = noisy_lumbar
    given: float | Literal["map"] = sigma
    if noise == "map":
        given = "map"
        volume = _with_noise(lumbar, _rising(lumbar, sigma), np.random.default_rng(5))
    result, at_full = engine.denoise_at_strengths(
        volume, [engine.TargetSnrGain(1.7), engine.Full()], noise=given, model=name
    )
    assert result.target_gain == 1.7
    assert result.achieved_gain == pytest.approx(1.7, rel=0.03)
    assert result.air_gain is not None
    assert result.air_gain > 1
    # Fresh noise of that level on the true image, the same blend, every pixel of the body.
    run = _filter(name)
    rng = np.random.default_rng(77)
    level = np.ascontiguousarray(result.noise_map)
    replicas = [_with_noise(lumbar, level, rng) for _ in range(4)]
    full = [run(replica, level) for replica in replicas]
    out = [r + result.blend * (f - r) for r, f in zip(replicas, full, strict=True)]
    body = body_mask(lumbar)
    before, after, after_full = (
        np.sqrt((np.var(images, axis=0, ddof=1) / np.square(level))[body].mean())
        for images in (replicas, out, full)
    )
    assert before / after == pytest.approx(1.7, rel=0.03)
    assert before / after_full == pytest.approx(at_full.achieved_gain, rel=0.1)


def _rising(image: Volume, sigma: float) -> Volume:
    """A noise level that rises threefold from left to right."""
    across = np.linspace(0.5, 1.5, image.shape[-1], dtype=np.float32)
    return np.broadcast_to(np.float32(sigma) * across, image.shape)


def _with_noise(image: Volume, level: Volume, rng: np.random.Generator) -> Volume:
    real, imaginary = level * rng.standard_normal((2, *image.shape))
    return np.hypot(image + real, imaginary).astype(np.float32)


@pytest.mark.parametrize("name", COMPARATORS)
def test_a_comparator_meets_a_noise_map_as_if_the_noise_were_even(
    noisy_lumbar: Noisy, name: str
) -> None:
    volume, sigma = noisy_lumbar
    level = _map(volume, sigma) * np.linspace(0.5, 2, volume.shape[2], dtype=np.float32)
    run = _filter(name)
    even = run(volume / level, np.ones_like(volume)) * level
    np.testing.assert_allclose(run(volume, level), even, rtol=1e-5, atol=1e-3)
    holes = level.copy()
    holes[:, :40] = 0
    np.testing.assert_array_equal(run(volume, holes)[:, :40], volume[:, :40])


@pytest.mark.parametrize("name", COMPARATORS)
def test_a_comparator_scales_with_image_and_noise(noisy_lumbar: Noisy, name: str) -> None:
    volume, sigma = noisy_lumbar[0][:1], noisy_lumbar[1]
    run = _filter(name)
    once, scaled = run(volume, _map(volume, sigma)), run(volume * 250, _map(volume, sigma * 250))
    np.testing.assert_allclose(scaled / 250, once, atol=1e-5 * float(volume.max()), rtol=0)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_estimates_the_noise_when_it_is_not_told(noisy_lumbar: Noisy, name: str) -> None:
    result = engine.load_method(name).denoise(noisy_lumbar[0])
    assert result.sigma == pytest.approx(noisy_lumbar[1], rel=0.1)
    assert result.method == result.model == name


def test_a_comparator_has_no_training_range_and_runs_on_the_processor(
    noisy_lumbar: Noisy,
) -> None:
    volume = noisy_lumbar[0][:1, :64, :64]
    assert engine.denoise(volume, noise=60.0, model="wavelet").warnings == ()
    with pytest.raises(engine.BackendError, match="float32 only"):
        engine.denoise(volume, model="nlm", precision="bfloat16")
    with pytest.raises(engine.BackendError, match="GPU"):
        engine.denoise(volume, model="nlm", device="cuda")


def test_a_strength_and_a_target_gain_are_not_given_together(noisy_lumbar: Noisy) -> None:
    with pytest.raises(engine.StrengthError, match="not both"):
        engine.load_method("nlm")(noisy_lumbar[0], strength=0.5, target_snr_gain=1.7)


def _map(volume: Volume, sigma: float) -> Volume:
    return np.broadcast_to(np.float32(sigma), volume.shape)
