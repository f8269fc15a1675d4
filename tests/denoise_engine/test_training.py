"""Training: repeatable, resumable, and never on the spine."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from denoise_engine import TrainingDataError
from denoise_engine.ddlr.network import DDLR
from denoise_engine.training.card import _learning_curve
from denoise_engine.training.loop import Recipe, Trainer, _rounded_at_random
from denoise_engine.training.patches import (
    CleanSlice,
    PatchSampler,
    add_noise,
    colour,
    highest_fair_snr,
    rescale,
)
from denoise_engine.training.sources import SOURCES, Source, forbid_spine, read_slices
from denoise_engine.training.undersampled import read_pairs, save_pairs, simulate_pairs


def _sampler() -> PatchSampler:
    y, x = np.mgrid[:80, :80].astype(np.float32)
    image = 1 + 0.5 * np.sin(x / 3) * np.cos(y / 5)
    return PatchSampler([CleanSlice(image.astype(np.float32))], seed=3, patches=2, size=24)


def _recipe(steps: int) -> Recipe:
    return Recipe(patches=2, size=24, steps=steps, warm_up=2, low_precision=False)


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    first, again = _sampler().batch(7), _sampler().batch(7)
    np.testing.assert_array_equal(first.noisy, again.noisy)
    assert not np.array_equal(first.noisy, _sampler().batch(8).noisy)


def test_a_training_that_was_stopped_ends_like_one_that_was_not(tmp_path: Path) -> None:
    whole = Trainer(_sampler(), _recipe(4), tmp_path / "whole", compiled=False)
    whole.run()
    first = Trainer(_sampler(), _recipe(4), tmp_path / "parts", compiled=False)
    original = first.fraction_done
    first.fraction_done = lambda: 1.0 if first.progress.step == 2 else original()  # type: ignore[method-assign]
    first.run()
    second = Trainer(_sampler(), _recipe(4), tmp_path / "parts", compiled=False)
    second.resume()
    assert second.progress.step == 2
    second.run()
    for name, value in whole.average.items():
        torch.testing.assert_close(second.average[name], value, rtol=0, atol=0)


def test_resuming_with_another_recipe_or_nothing_is_refused(tmp_path: Path) -> None:
    trainer = Trainer(_sampler(), _recipe(1), tmp_path, compiled=False)
    with pytest.raises(TrainingDataError, match="no checkpoint"):
        trainer.resume()
    trainer.run()
    other = Trainer(
        _sampler(), Recipe(patches=2, size=24, steps=9, seed=1), tmp_path, compiled=False
    )
    with pytest.raises(TrainingDataError, match="seed"):
        other.resume()


def test_steps_lower_the_loss_on_a_batch_that_is_shown_again() -> None:
    recipe = Recipe(
        patches=2, size=24, steps=1000, warm_up=1, learning_rate=2e-4, low_precision=False
    )
    trainer = Trainer(_sampler(), recipe, Path(), compiled=False)
    batch = _sampler().batch(0)
    losses = [trainer._step(batch, 0.0) for _ in range(20)]
    assert losses[-1] < 0.97 * losses[0]


def test_no_source_shows_the_spine_and_none_can() -> None:
    for source in SOURCES:
        forbid_spine(source.path)
        assert source.anatomy in {"brain", "knee"}
    for path in ("anatomy/lumbar-t2.nii.gz", "x/SPIDER/p001.nii.gz", "c-spine.nii.gz"):
        with pytest.raises(TrainingDataError, match="never be trained"):
            next(read_slices(Path(), Source(path, "brain", "T2", "", (0,), 1), held_out=False))


def test_missing_training_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="brain-ax-t2tse"):
        next(read_slices(tmp_path, SOURCES[0], held_out=False))


def test_coloured_noise_keeps_its_sd() -> None:
    rng = np.random.default_rng(0)
    white = rng.standard_normal((256, 256), dtype=np.float32)
    for _ in range(6):
        assert float(colour(white, rng).std()) == pytest.approx(1, abs=0.05)


def test_the_noise_that_is_added_has_zero_mean_about_the_target() -> None:
    rng = np.random.default_rng(1)
    clean = np.full((200, 200), 0.2, dtype=np.float32)
    sigma: NDArray[np.float32] = np.full_like(clean, 0.3)
    for _ in range(6):
        noisy, target, _ = add_noise(clean, sigma, rng)
        assert float((noisy - target).mean()) == pytest.approx(0, abs=0.02)


def test_kernels_are_rounded_up_or_down_right_on_average() -> None:
    kernel = torch.full((2000,), 1.003, requires_grad=True)
    rounded = _rounded_at_random(kernel, torch.Generator().manual_seed(1))
    assert set(rounded.detach().tolist()) == {1.0, 1.0078125}
    torch.testing.assert_close(rounded.to(torch.bfloat16).float(), rounded.detach())
    assert float(rounded.detach().mean()) == pytest.approx(1.003, abs=3e-4)
    rounded.sum().backward()
    assert kernel.grad is not None
    assert bool((kernel.grad == 1).all())


def test_weights_that_run_away_are_taken_back(tmp_path: Path) -> None:
    trainer = Trainer(_sampler(), _recipe(3), tmp_path, compiled=False)
    trainer.run()
    good = {k: v.clone() for k, v in trainer.average.items()}
    trainer.progress.step = 0  # as if the last good state had just been kept
    trainer._good = trainer._snapshot()
    with torch.no_grad():
        trainer.network.convolutions[3].get_parameter("weight").mul_(1e6)
    loss = trainer._step(_sampler().batch(5), 0.5)
    assert loss > 100 * trainer.progress.mean_loss
    assert trainer.progress.rollbacks == 1
    for name, value in good.items():
        torch.testing.assert_close(trainer.average[name], value, rtol=0, atol=0)
    weight = trainer.network.convolutions[3].get_parameter("weight")
    assert float(weight.detach().abs().max()) < 10


def test_the_learning_curve_survives_a_checkpoint(tmp_path: Path) -> None:
    seen: list[int] = []

    def judge(network: DDLR) -> dict[str, float]:
        seen.append(1)
        return {"mean": 30.0 + len(seen)}

    first = Trainer(_sampler(), _recipe(3), tmp_path, compiled=False, judge=judge)
    first.run()
    second = Trainer(_sampler(), _recipe(3), tmp_path, compiled=False, judge=judge)
    second.resume()
    assert [p["mean"] for p in second.progress.curve] == [31.0, 32.0]
    assert second.progress.curve[-1]["patches"] == 6
    assert "32.00" in "\n".join(_learning_curve({"curve": second.progress.curve}))


def test_a_noisy_image_is_no_target_for_high_snr() -> None:
    assert highest_fair_snr(0.2, 1.0) == 0
    assert highest_fair_snr(0.05, 1.0) == pytest.approx(1 / 0.075)
    # Cropping k-space to half lowers the noise by two.
    assert highest_fair_snr(0.05, 0.5) == pytest.approx(2 / 0.075)


def test_cropping_kspace_keeps_the_mean_and_averages_the_noise() -> None:
    rng = np.random.default_rng(2)
    image = (100 + rng.standard_normal((128, 96))).astype(np.float32)
    smaller = rescale(image, 0.5)
    assert smaller.shape == (64, 48)
    assert float(smaller.mean()) == pytest.approx(float(image.mean()), rel=1e-4)
    assert float(smaller.std()) == pytest.approx(0.5, rel=0.1)


def test_undersampled_pairs_are_repeatable_kept_and_drawn(tmp_path: Path) -> None:
    y, x = np.mgrid[:96, :96].astype(np.float32)
    disc = ((y - 48) ** 2 + (x - 48) ** 2 < 1600) * (1 + 0.3 * np.sin(x / 3))
    pool = [CleanSlice(disc.astype(np.float32))]
    pairs = simulate_pairs(pool, count=2, seed=5)
    again = simulate_pairs(pool, count=2, seed=5)
    np.testing.assert_array_equal(pairs[1].degraded, again[1].degraded)
    save_pairs(pairs, tmp_path / "pairs.npz")
    kept = read_pairs(tmp_path / "pairs.npz")
    np.testing.assert_array_equal(kept[0].degraded, pairs[0].degraded)
    assert kept[0].sigma == pytest.approx(pairs[0].sigma)
    batch = PatchSampler(pool, seed=1, patches=4, size=48, pairs=kept, share=1.0).batch(0)
    error = batch.noisy - batch.target
    assert 0.2 < float(error.std() / batch.sigma.mean()) < 5
