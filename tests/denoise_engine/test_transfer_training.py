"""Training of the transfer networks: repeatable, resumable, and never on a head that judges."""

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from denoise_engine import TrainingDataError
from denoise_engine.models import available_models
from denoise_engine.training.transfer import (
    TransferRecipe,
    TransferTrainer,
    weighted_likelihood,
)
from denoise_engine.training.transfer_data import PatchSampler
from denoise_engine.training.transfer_export import export_transfer
from denoise_engine.training.transfer_held_out import held_out_scans, judge, judge_cubic
from denoise_engine.transfer.grids import interpolate
from denoise_engine.transfer.heads import SOURCES, HeadSource, load_head, read_axial
from denoise_engine.transfer.models import load_transfer_file
from denoise_engine.transfer.pairs import read_pairs
from tests.denoise_engine.heads import phantom, phantom_head


def _sampler(**settings: Any) -> PatchSampler:
    return PatchSampler([phantom_head()], seed=3, patches=1, size=32, **settings)


def _recipe(steps: int, **settings: Any) -> TransferRecipe:
    return TransferRecipe(
        patches=1,
        size=32,
        channels=(4, 4, 4, 4),
        fine=4,
        steps=steps,
        warm_up=2,
        low_precision=False,
        **settings,
    )


def _save(path: Path, volume: NDArray[np.float32], spacing: tuple[float, ...] = (1, 1, 1)) -> None:
    """Write (slices, rows, columns) as a NIfTI file whose slices are axial."""
    path.parent.mkdir(parents=True, exist_ok=True)
    z, y, x = spacing
    affine = np.diag([x, y, z, 1.0])
    # Grids that cover the same box share its corner, not the centre of their first voxel.
    affine[:3, 3] = [x / 2, y / 2, z / 2]
    nifti: Any = nibabel
    nifti.save(nifti.Nifti1Image(volume.transpose(2, 1, 0), affine), path)


def test_a_batch_depends_on_seed_and_step_alone_and_alternates_the_factors() -> None:
    first, again, next_one = _sampler().batch(6), _sampler().batch(6), _sampler().batch(7)
    assert torch.equal(first.thick, again.thick)
    assert (first.factor, next_one.factor) == (4, 8)
    assert first.thick.shape == (1, 1, 8, 32, 32)
    assert next_one.thick.shape == (1, 1, 4, 32, 32)
    assert first.target.shape == first.cubic.shape == (1, 1, 32, 32, 32)
    # The target is the head that was degraded, in register with its interpolation.
    both = np.corrcoef(first.cubic.numpy().ravel(), first.target.numpy().ravel())
    assert both[0, 1] > 0.8


def test_no_head_that_judges_is_trained_on() -> None:
    for part in ("validation", "test"):
        with pytest.raises(TrainingDataError, match="kept out"):
            PatchSampler([phantom_head(part)], seed=1)
    parts = {source.path: source.part for source in SOURCES}
    assert parts["anatomy/brain-t1-3t-0p67mm-forrest.nii.gz"] == "test"
    assert len(parts) == len(SOURCES)
    assert set(parts.values()) == {"train", "validation", "test"}
    assert not any("lumbar" in path or "spine" in path for path in parts)


def test_a_missing_head_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="colin27"):
        load_head(tmp_path, SOURCES[0])


def test_a_training_that_was_stopped_ends_like_one_that_was_not(tmp_path: Path) -> None:
    whole = TransferTrainer(_sampler(), _recipe(4), tmp_path / "whole")
    whole.run()
    first = TransferTrainer(_sampler(), _recipe(4), tmp_path / "parts")
    original = first.fraction_done
    first.fraction_done = lambda: 1.0 if first.progress.step == 2 else original()  # type: ignore[method-assign]
    first.run()
    second = TransferTrainer(_sampler(), _recipe(4), tmp_path / "parts")
    second.resume()
    assert second.progress.step == 2
    second.run()
    for name, value in whole.average.items():
        torch.testing.assert_close(second.average[name], value, rtol=0, atol=0)
    other = TransferTrainer(_sampler(), _recipe(4, seed=9), tmp_path / "parts")
    with pytest.raises(TrainingDataError, match="seed"):
        other.resume()
    with pytest.raises(TrainingDataError, match="no checkpoint"):
        TransferTrainer(None, _recipe(4), tmp_path / "nothing").resume()


def test_steps_lower_the_error_and_find_its_variance(tmp_path: Path) -> None:
    trainer = TransferTrainer(_sampler(), _recipe(400, learning_rate=0.005), tmp_path)
    batch = _sampler().batch(1)

    def judged() -> tuple[float, float]:
        with torch.no_grad():
            correction, log_variance = trainer.network(batch.thick, batch.factor)
        error = batch.target - batch.cubic - correction
        return float(error.square().mean()), float(weighted_likelihood(error, log_variance, 0.0))

    before, likelihood_before = judged()
    for _ in range(30):
        trainer._step(batch, 0.0)
        trainer.progress.step += 1
    after, likelihood_after = judged()
    assert after < before
    assert likelihood_after < likelihood_before


def test_the_likelihood_is_least_where_the_variance_is_that_of_the_error() -> None:
    error = 0.3 * torch.randn(20_000, generator=torch.Generator().manual_seed(1))
    levels = torch.linspace(-6, 1, 71)
    losses = [float(weighted_likelihood(error, torch.full_like(error, s), 0.0)) for s in levels]
    assert float(levels[int(np.argmin(losses))]) == pytest.approx(np.log(0.09), abs=0.15)


def test_what_is_exported_is_what_is_loaded_with_a_card_that_says_simulation(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    _save(data / "a.nii.gz", phantom((64, 32, 32)))
    _save(data / "b.nii.gz", phantom((64, 32, 32), seed=1))
    sources = (
        HeadSource("a.nii.gz", "train", "none", "a phantom", 70, 100),
        HeadSource("b.nii.gz", "validation", "none", "a phantom", 70, 100),
    )
    trainer = TransferTrainer(
        PatchSampler([load_head(data, sources[0])], seed=1, patches=1, size=32),
        _recipe(3),
        tmp_path / "out",
        judge=lambda n: judge(n, held_out_scans(load_head(data, sources[1]), (8,))),
    )
    trainer.run()
    weights = export_transfer(
        trainer, data, tmp_path / "out", sources=sources, note="A trial.", error_steps=3
    )
    file = available_models(weights.with_name("transfer.json"))["sr-unet"]
    loaded = load_transfer_file(file)
    card = loaded.card
    assert card["steps"] == 3
    assert card["calibration"]["intrinsic"] >= 0
    scans = held_out_scans(load_head(data, sources[1]), (4, 8))
    assert judge(loaded.network, scans) == card["validation"]["network"]
    assert judge_cubic(scans) == card["validation"]["cubic"]
    text = weights.with_suffix(".md").read_text(encoding="utf-8")
    assert "Simulation only" in text
    assert "no real pairs" in text
    assert "A trial." in text
    assert file.sha256 in text
    json.dumps(card)


def test_real_pairs_are_read_from_bids_folders_and_drawn(tmp_path: Path) -> None:
    high = phantom((64, 48, 48))
    low = high.reshape(8, 8, 48, 48).mean(axis=1)
    _save(tmp_path / "sub-01/anat/sub-01_acq-low_T1w.nii.gz", low, (8, 1, 1))
    _save(tmp_path / "sub-01/anat/sub-01_acq-high_T1w.nii.gz", high)
    (pair,) = read_pairs(tmp_path)
    assert (pair.name, pair.factor) == ("sub-01_T1w", 8)
    np.testing.assert_allclose(pair.cubic, interpolate(pair.low, 8))
    assert np.corrcoef(pair.cubic.ravel(), pair.high.ravel())[0, 1] > 0.8
    sampler = PatchSampler([], seed=1, patches=1, size=32, factors=(8,), pairs=[pair])
    assert sampler.batch(0).target.shape == (1, 1, 32, 32, 32)
    with pytest.raises(TrainingDataError, match="no head and no pair"):
        PatchSampler([], seed=1, factors=(4,), pairs=[pair])


def test_pairs_that_do_not_fit_are_refused_by_name(tmp_path: Path) -> None:
    high = phantom((32, 48, 48))
    low_path = tmp_path / "sub-02/ses-1/anat/sub-02_ses-1_acq-low_T1w.nii.gz"
    high_path = low_path.with_name("sub-02_ses-1_acq-high_T1w.nii.gz")
    with pytest.raises(TrainingDataError, match="holds no pairs"):
        read_pairs(tmp_path)
    _save(low_path, high[::4], (4, 1, 1))
    with pytest.raises(TrainingDataError, match=r"acq-high_T1w.*missing"):
        read_pairs(tmp_path)
    _save(high_path, high[:30])
    with pytest.raises(TrainingDataError, match="times as many"):
        read_pairs(tmp_path)
    _save(high_path, high, (1.1, 1, 1))
    with pytest.raises(TrainingDataError, match="same box"):
        read_pairs(tmp_path)
    high[0, 0, 0] = np.nan
    _save(high_path, high)
    with pytest.raises(TrainingDataError, match="not a number"):
        read_pairs(tmp_path)


def test_heads_are_turned_to_axial_slices(tmp_path: Path) -> None:
    volume = phantom((20, 24, 28))
    _save(tmp_path / "a.nii.gz", volume, (3, 2, 1))
    read, affine, spacing = read_axial(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read, volume)
    assert spacing == (3, 2, 1)
    # One slice up is 3 mm towards the head.
    np.testing.assert_allclose(affine[:3, 0], [0, 0, 3])
