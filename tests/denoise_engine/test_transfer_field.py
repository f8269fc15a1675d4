"""The 7 T-like generator: its forward model, its two trainings, and what is told of lesions."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from denoise_engine import TrainingDataError
from denoise_engine.errors import ModelError
from denoise_engine.training.adversarial import (
    ADVERSARIAL,
    PLAIN,
    GeneratorRecipe,
    GeneratorTrainer,
)
from denoise_engine.training.transfer_data import FieldRange, PatchSampler
from denoise_engine.training.transfer_held_out import held_out_scans, judge, judge_cubic
from denoise_engine.transfer.enhance import enhance_with
from denoise_engine.transfer.evaluation import fine_detail
from denoise_engine.transfer.forward import THREE_TESLA, Degradation, degrade
from denoise_engine.transfer.lesion_record import lesion_records
from denoise_engine.transfer.networks import Architecture
from tests.denoise_engine.heads import TISSUES, phantom, phantom_head, small_model

SMALL = Architecture("residual-unet", factors=(1,), channels=(4, 4, 4, 4), fine=4, dropout=0.5)


def _sampler() -> PatchSampler:
    return PatchSampler(
        [phantom_head()], seed=3, factors=(1,), patches=1, size=32, ranges=FieldRange()
    )


def _recipe(steps: int, **settings: object) -> GeneratorRecipe:
    return GeneratorRecipe(
        patches=1,
        channels=(4, 4, 4, 4),
        fine=4,
        judging_channels=4,
        steps=steps,
        warm_up=1,
        low_precision=False,
        **settings,  # type: ignore[arg-type]
    )


def test_the_lower_field_blurs_in_all_directions_and_takes_contrast() -> None:
    point = np.zeros((24, 24, 24), dtype=np.float32)
    point[12, 12, 12] = 1
    blurred = degrade(
        point, Degradation(blur=1.6, depth_blur=1.6), TISSUES, np.random.default_rng(0)
    )
    for axis in range(3):
        np.testing.assert_allclose(blurred, np.swapaxes(blurred, 0, axis), atol=1e-6)
    head = phantom()
    scan = degrade(head, THREE_TESLA[1], TISSUES, np.random.default_rng(0))
    white, grey = head > 95, (head > 65) & (head < 75)
    before = head[white].mean() - head[grey].mean()
    assert scan.shape == head.shape
    assert 0.5 * before < scan[white].mean() - scan[grey].mean() < 0.9 * before


def test_a_generator_trained_against_another_network_resumes_where_it_stopped(
    tmp_path: Path,
) -> None:
    whole = GeneratorTrainer(_sampler(), _recipe(4), tmp_path / "whole")
    before = {k: v.clone() for k, v in whole.discriminator.state_dict().items()}  # type: ignore[union-attr]
    whole.run()
    after = whole.discriminator.state_dict()  # type: ignore[union-attr]
    assert any(not torch.equal(before[k], after[k]) for k in before)
    assert whole.progress.skipped == 0
    first = GeneratorTrainer(_sampler(), _recipe(4), tmp_path / "parts")
    original = first.fraction_done
    first.fraction_done = lambda: 1.0 if first.progress.step == 2 else original()  # type: ignore[method-assign]
    first.run()
    second = GeneratorTrainer(_sampler(), _recipe(4), tmp_path / "parts")
    second.resume()
    second.run()
    for name, value in whole.average.items():
        torch.testing.assert_close(second.average[name], value, rtol=0, atol=0)
    # Both begin alike; what differs is the second network alone.
    plain = GeneratorTrainer(
        _sampler(), _recipe(4, kind=PLAIN, adversarial=0.0), tmp_path / "plain"
    )
    assert plain.discriminator is None
    other = GeneratorTrainer(_sampler(), _recipe(4, kind=ADVERSARIAL), tmp_path / "other")
    for a, b in zip(plain.network.parameters(), other.network.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(TrainingDataError, match="adversarial"):
        GeneratorTrainer(_sampler(), _recipe(4, adversarial=0.0), tmp_path / "parts").resume()


def test_a_generator_keeps_the_grid_and_warns_like_the_others() -> None:
    loaded = small_model(SMALL, name="7t-like-gan")
    scan = degrade(phantom(), THREE_TESLA[1], TISSUES, np.random.default_rng(0))
    result = enhance_with(loaded, scan, (1.0, 1.0, 1.0), samples=2)
    assert result.volume.shape == result.uncertainty.shape == scan.shape
    assert result.spacing == (1.0, 1.0, 1.0)
    assert (result.uncertainty > 0).all()
    (held_out,) = held_out_scans(phantom_head("validation"), (1,))
    assert held_out.name == "field_1"
    np.testing.assert_array_equal(held_out.cubic, held_out.thick)
    assert judge(loaded.network, [held_out]).keys() == judge_cubic([held_out]).keys()


def test_detail_that_was_made_up_is_told_from_detail_that_is_there() -> None:
    head = phantom((24, 32, 32))
    mask = np.ones(head.shape, dtype=np.bool_)
    assert fine_detail(head, head, mask) == pytest.approx((100, 100))
    rng = np.random.default_rng(1)
    made_up = head + rng.normal(0, 20, head.shape).astype(np.float32)
    energy, true = fine_detail(made_up, head, mask)
    assert energy > 150
    assert true == pytest.approx(100, abs=10)
    # What is half as strong has made-up detail beside it, though its energy is below the share.
    half = 0.5 * head + rng.normal(0, 8, head.shape).astype(np.float32)
    energy, true = fine_detail(half, head, mask)
    assert energy < true
    wrong = 100 * np.square(_detail(half) - _detail(head)).sum() / np.square(_detail(head)).sum()
    assert energy - 2 * true + 100 == pytest.approx(wrong, rel=0.01)
    assert wrong > 30
    flat = np.full(head.shape, 50, dtype=np.float32)
    assert fine_detail(flat, head, mask) == pytest.approx((0, 0), abs=1e-3)


def _detail(image: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(image - ndimage.gaussian_filter(image, 1.0), dtype=np.float64)


def test_lesion_figures_are_found_by_method_and_weights(tmp_path: Path) -> None:
    file = tmp_path / "lesions.json"
    with pytest.raises(ModelError, match=r"lesions\.json"):
        lesion_records("ddlr", file=file)
    entry = {
        "method": "ddlr",
        "version": "2",
        "sha256": "a" * 64,
        "scan": "thin slices",
        "counts": [
            {"diameter": 2.0, "contrast": -0.4, "painted": 6, "survived": 4, "kept": 0.6},
            {"diameter": 6.0, "contrast": -0.4, "painted": 6, "survived": 6, "kept": 0.9},
        ],
        "false_positives": [
            {"diameter": 2.0, "places": 600, "darker": 1, "brighter": 2, "left_out": 40}
        ],
        "baseline": {"method": "the scan itself", "scan": "thin slices, noisy"},
        "invented": 3,
        "places": 600,
    }
    scan = entry | {
        "method": "the scan itself",
        "scan": "thin slices, noisy",
        "sha256": None,
        "baseline": None,
        "invented": 30,
    }
    file.write_text(json.dumps({"methods": [entry, scan]}))
    (record,) = lesion_records("ddlr", sha256="a" * 64, file=file)
    assert (record.painted, record.survived, record.missed) == (12, 10, 2)
    assert (record.invented, record.places, record.rate) == (3, 600, 0.005)
    assert [count.invented for count in record.false_positives] == [3]
    assert (record.baseline, record.baseline_rate) == ("the scan itself", 0.05)
    (without,) = lesion_records("the scan itself", file=file)
    assert (without.baseline, without.baseline_rate) == (None, None)
    assert lesion_records("ddlr", sha256="b" * 64, file=file) == []
    assert lesion_records("unrolled", file=file) == []
