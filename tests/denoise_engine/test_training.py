"""Training: repeatable, resumable, and never on the spine."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from denoise_engine import TrainingDataError
from denoise_engine.training.loop import Recipe, Trainer
from denoise_engine.training.patches import CleanSlice, PatchSampler, add_noise, colour
from denoise_engine.training.sources import SOURCES, Source, forbid_spine, read_slices


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
