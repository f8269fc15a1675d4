"""Training of the transfer networks: repeatable, resumable, and never on a head that judges."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from denoise_engine import TrainingDataError
from denoise_engine.cli import main
from denoise_engine.models import available_models
from denoise_engine.training.transfer import (
    TransferRecipe,
    TransferTrainer,
    weighted_likelihood,
)
from denoise_engine.training.transfer_data import PatchSampler
from denoise_engine.training.transfer_export import export_transfer
from denoise_engine.training.transfer_held_out import held_out_scans, judge, judge_cubic
from denoise_engine.transfer.heads import SOURCES, HeadSource, load_head, read_axial
from denoise_engine.transfer.models import load_transfer_file
from denoise_engine.transfer.networks import Architecture
from tests.denoise_engine.heads import phantom, phantom_head, save_head, small_model


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
    # The card of a checkpoint tells how long it was to train, whatever the export is told.
    exported = TransferTrainer(None, _recipe(100), tmp_path / "parts")
    exported.resume(as_it_was=True)
    assert exported.recipe == second.recipe
    assert exported.fraction_done() == 1
    longer = TransferTrainer(_sampler(), _recipe(100), tmp_path / "parts")
    longer.resume()
    assert longer.fraction_done() == 0.04
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
    save_head(data / "a.nii.gz", phantom((64, 32, 32)))
    save_head(data / "b.nii.gz", phantom((64, 32, 32), seed=1))
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


def test_heads_are_turned_to_axial_slices(tmp_path: Path) -> None:
    volume = phantom((20, 24, 28))
    save_head(tmp_path / "a.nii.gz", volume, (3, 2, 1))
    read, affine, spacing = read_axial(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read, volume)
    assert spacing == (3, 2, 1)
    # One slice up is 3 mm towards the head.
    np.testing.assert_allclose(affine[:3, 0], [0, 0, 3])


def test_a_training_begins_with_the_weights_it_is_given(tmp_path: Path) -> None:
    architecture = Architecture("sr-unet", channels=(4, 4, 4, 4), fine=4)
    given = small_model(architecture)
    trainer = TransferTrainer(_sampler(), _recipe(1), tmp_path / "a", start=given)
    weights = given.network.state_dict()
    for name, value in trainer.network.state_dict().items():
        assert torch.equal(value, weights[name])
        assert torch.equal(trainer.average[name], weights[name])
    trainer.run()
    assert trainer.progress.start["sha256"] == given.file.sha256
    # It is not the given network that learns.
    assert torch.equal(given.network.out.weight, weights["out.weight"])
    TransferTrainer(_sampler(), _recipe(1), tmp_path / "a", start=given).resume()
    TransferTrainer(_sampler(), _recipe(1), tmp_path / "a").resume()
    TransferTrainer(_sampler(), _recipe(1), tmp_path / "b").run()
    with pytest.raises(TrainingDataError, match="did not begin with the weights of sr-unet"):
        TransferTrainer(_sampler(), _recipe(1), tmp_path / "b", start=given).resume()
    other = small_model(Architecture("anisotropic-unet", channels=(4, 4, 4, 4), fine=4))
    with pytest.raises(TrainingDataError, match="cannot begin a training of sr-unet"):
        TransferTrainer(_sampler(), _recipe(1), tmp_path / "c", start=other)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_training_on_a_gpu_ends_in_weights_for_any_machine(tmp_path: Path) -> None:
    trainer = TransferTrainer(_sampler(), _recipe(2), tmp_path, device="cuda")
    trainer.run()
    assert next(trainer.network.parameters()).is_cuda
    assert next(trainer.averaged_network().parameters()).device.type == "cpu"
    again = TransferTrainer(_sampler(), _recipe(4), tmp_path, device="cuda")
    again.resume()
    again.run()
    assert again.progress.device == "cuda"


def test_options_that_would_be_ignored_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--data", str(tmp_path), "--out", str(tmp_path / "out")]
    refusals = [
        (["--start", "nothing"], "no trained model “nothing”"),
        (["--start", "anisotropic-unet", "--export"], "Name the same network twice"),
        (["--export", "--pairs", str(tmp_path)], "--pairs has no effect"),
        (["--export", "--resume"], "does not train on"),
        (["--export", "--device", "cuda"], "Leave --device out"),
        (["--export", "--minutes", "3"], "--minutes has no effect"),
        (["--pairs", str(tmp_path)], "holds no pairs"),
        (["--calibrate"], "write --start sr-unet beside it"),
    ]
    calibrating = ["--start", "sr-unet", "--calibrate"]
    for more in (["--pairs", "x"], ["--resume"], ["--minutes", "3"], ["--note", "A trial."]):
        refusals.append(([*calibrating, *more], f"{more[0]} has no effect"))
    if not torch.cuda.is_available():
        refusals.append((["--device", "cuda"], "A GPU was asked for"))
    for more, sentence in refusals:
        assert main(["train", "sr-unet", *where, *more]) == 2
        assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("model", "more", "sentence"),
    [
        ("ddlr", ["--pairs", "x"], "ddlr is not trained on pairs"),
        ("ddlr-cs", ["--pairs", "x"], "--pairs is for the transfer networks"),
        ("unrolled", ["--pairs", "x"], "unrolled is not trained on pairs"),
        ("ddlr", ["--calibrate"], "ddlr has no warning maps"),
        ("unrolled", ["--calibrate"], "unrolled has no warning maps"),
        ("ddlr", ["--export"], "writes its weights when its training ends"),
        ("unrolled", ["--device", "cuda"], "Leave --device out"),
    ],
)
def test_options_of_another_kind_of_network_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str, more: list[str], sentence: str
) -> None:
    where = ["--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(["train", model, *where, *more]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
