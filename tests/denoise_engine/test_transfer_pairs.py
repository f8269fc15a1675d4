"""Real pairs of scans: what is read, what is refused by name, what the card tells of them."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from denoise_engine import TrainingDataError
from denoise_engine.models import available_models
from denoise_engine.training.adversarial import GeneratorRecipe, GeneratorTrainer
from denoise_engine.training.transfer import TransferRecipe, TransferTrainer
from denoise_engine.training.transfer_card import limits_of, purpose_of
from denoise_engine.training.transfer_data import FieldRange, PatchSampler
from denoise_engine.training.transfer_export import export_transfer
from denoise_engine.transfer.grids import interpolate
from denoise_engine.transfer.heads import HeadSource, load_head
from denoise_engine.transfer.models import LoadedTransfer, load_transfer_file
from denoise_engine.transfer.pairs import RegisteredPair, read_pairs
from tests.denoise_engine.heads import phantom, phantom_head, save_head

SMALL: dict[str, Any] = {
    "patches": 1,
    "size": 32,
    "channels": (4, 4, 4, 4),
    "fine": 4,
    "warm_up": 1,
    "low_precision": False,
}


def _pairs(
    folder: Path, factor: int, subject: str = "01", high: NDArray[np.float32] | None = None
) -> list[RegisteredPair]:
    """Write a pair into a BIDS folder, and read all that lies there."""
    thin = phantom((64, 48, 48)) if high is None else high
    slices, rows, columns = thin.shape
    low = thin.reshape(slices // factor, factor, rows, columns).mean(axis=1)
    anat = folder / f"sub-{subject}/anat"
    save_head(anat / f"sub-{subject}_acq-low_T1w.nii.gz", low, (factor, 1, 1))
    save_head(anat / f"sub-{subject}_acq-high_T1w.nii.gz", thin)
    return read_pairs(folder)


def test_real_pairs_are_read_from_bids_folders_and_drawn(tmp_path: Path) -> None:
    high = phantom((64, 48, 48))
    low = high.reshape(8, 8, 48, 48).mean(axis=1)
    save_head(tmp_path / "sub-01/anat/sub-01_acq-low_T1w.nii.gz", low, (8, 1, 1))
    save_head(tmp_path / "sub-01/anat/sub-01_acq-high_T1w.nii.gz", high)
    (pair,) = read_pairs(tmp_path)
    assert (pair.name, pair.factor) == ("sub-01_T1w", 8)
    np.testing.assert_allclose(pair.cubic, interpolate(pair.low, 8))
    assert np.corrcoef(pair.cubic.ravel(), pair.high.ravel())[0, 1] > 0.8
    sampler = PatchSampler([], seed=1, patches=1, size=32, factors=(8,), pairs=[pair])
    assert sampler.batch(0).target.shape == (1, 1, 32, 32, 32)
    record = pair.record()
    assert [file["path"] for file in record["files"]] == [
        "sub-01/anat/sub-01_acq-low_T1w.nii.gz",
        "sub-01/anat/sub-01_acq-high_T1w.nii.gz",
    ]
    first = (tmp_path / "sub-01/anat/sub-01_acq-low_T1w.nii.gz").read_bytes()
    assert record["files"][0]["sha256"] == hashlib.sha256(first).hexdigest()


def test_a_pair_on_one_grid_trains_the_7t_like_networks(tmp_path: Path) -> None:
    """What the issue asks for: scans at 3 T and 7 T of the same person."""
    (pair,) = _pairs(tmp_path / "bids", 1)
    assert pair.factor == 1
    np.testing.assert_array_equal(pair.cubic, pair.low)
    sampler = PatchSampler(
        [phantom_head()],
        seed=1,
        factors=(1,),
        patches=1,
        size=32,
        ranges=FieldRange(),
        pairs=[pair],
    )
    batches = [sampler.batch(step) for step in range(40)]
    # Of a simulated scan the two differ by blur and noise; this pair is twice the same image, drawn
    # as often as the head.
    same = sum(torch.equal(batch.thick, batch.target) for batch in batches)
    assert 10 <= same <= 30
    recipe = GeneratorRecipe(**SMALL, judging_channels=4, steps=2)
    trainer = GeneratorTrainer(sampler, recipe, tmp_path / "out")
    trainer.run()
    assert trainer.progress.skipped == 0


def test_pairs_a_network_cannot_use_are_refused_by_name_before_training(tmp_path: Path) -> None:
    two = _pairs(tmp_path / "two", 2)
    with pytest.raises(TrainingDataError, match=r"“sub-01_T1w” has 2 high slices.*for 4 or 8"):
        PatchSampler([phantom_head()], seed=1, size=32, pairs=two)
    one = _pairs(tmp_path / "one", 1, subject="07")
    with pytest.raises(TrainingDataError, match=r"“sub-07_T1w” has 1 high"):
        PatchSampler([phantom_head()], seed=1, size=32, pairs=one)
    small = _pairs(tmp_path / "small", 8, subject="09", high=phantom((64, 48, 40)))
    with pytest.raises(TrainingDataError, match=r"“sub-09_T1w” measures 8 × 48 × 40.*6 × 48 × 48"):
        PatchSampler([phantom_head()], seed=1, size=48, pairs=small)
    flat = _pairs(tmp_path / "flat", 8, subject="10", high=phantom((24, 48, 48)))
    with pytest.raises(TrainingDataError, match=r"“sub-10_T1w” measures 3 × 48 × 48"):
        PatchSampler([phantom_head()], seed=1, size=32, pairs=flat)
    # Without heads, each factor needs a pair of its own.
    eight = _pairs(tmp_path / "eight", 8)
    with pytest.raises(TrainingDataError, match="for 4 slices to each one"):
        PatchSampler([], seed=1, size=32, pairs=eight)
    with pytest.raises(TrainingDataError, match=r"no head and no pair to train on\."):
        PatchSampler([], seed=1, size=32)


def test_pairs_that_do_not_fit_are_refused_by_name(tmp_path: Path) -> None:
    high = phantom((32, 48, 48))
    low_path = tmp_path / "sub-02/ses-1/anat/sub-02_ses-1_acq-low_T1w.nii.gz"
    high_path = low_path.with_name("sub-02_ses-1_acq-high_T1w.nii.gz")
    with pytest.raises(TrainingDataError, match="holds no pairs"):
        read_pairs(tmp_path)
    save_head(high_path, high)
    with pytest.raises(TrainingDataError, match=r"acq-high_T1w.*no partner.*acq-low_T1w.*missing"):
        read_pairs(tmp_path)
    high_path.unlink()
    save_head(low_path, high[::4], (4, 1, 1))
    # What a file manager leaves beside it is no scan.
    low_path.with_name(f"._{low_path.name}").write_bytes(b"none")
    with pytest.raises(TrainingDataError, match=r"acq-high_T1w.*missing"):
        read_pairs(tmp_path)
    save_head(high_path, high[:30])
    with pytest.raises(TrainingDataError, match="times as many"):
        read_pairs(tmp_path)
    save_head(high_path, high, (1.1, 1, 1))
    with pytest.raises(TrainingDataError, match="same box"):
        read_pairs(tmp_path)
    save_head(high_path, high - high.mean())
    with pytest.raises(TrainingDataError, match=r"acq-high_T1w.*no magnitude image"):
        read_pairs(tmp_path)
    high[0, 0, 0] = np.nan
    save_head(high_path, high)
    with pytest.raises(TrainingDataError, match="not a number"):
        read_pairs(tmp_path)
    save_head(high_path, np.zeros_like(high))
    with pytest.raises(TrainingDataError, match=r"acq-high_T1w.*no signal"):
        read_pairs(tmp_path)
    high_path.write_bytes(high_path.read_bytes()[:90])
    with pytest.raises(TrainingDataError, match=r"acq-high_T1w.*cannot be read"):
        read_pairs(tmp_path)


def _trained_with_pair(tmp_path: Path) -> tuple[Path, tuple[HeadSource, ...], LoadedTransfer]:
    data = tmp_path / "data"
    save_head(data / "a.nii.gz", phantom((64, 32, 32)))
    save_head(data / "b.nii.gz", phantom((64, 32, 32), seed=1))
    sources = (
        HeadSource("a.nii.gz", "train", "none", "a phantom", 70, 100),
        HeadSource("b.nii.gz", "validation", "none", "a phantom", 70, 100),
    )
    sampler = PatchSampler(
        [load_head(data, sources[0])],
        seed=1,
        factors=(8,),
        patches=1,
        size=32,
        pairs=_pairs(tmp_path / "bids", 8),
    )
    recipe = TransferRecipe(**SMALL, factors=(8,), steps=2)
    TransferTrainer(sampler, recipe, tmp_path / "out").run()
    # As --export does: the checkpoint knows what it was trained on.
    trainer = TransferTrainer(None, recipe, tmp_path / "out")
    trainer.resume()
    export_transfer(trainer, data, tmp_path / "out", sources=sources, error_steps=2)
    file = available_models(tmp_path / "out/transfer.json")["sr-unet"]
    return data, sources, load_transfer_file(file)


def test_the_card_tells_of_the_pairs_with_their_hashes(tmp_path: Path) -> None:
    _, _, loaded = _trained_with_pair(tmp_path)
    card, page = loaded.card, loaded.file.path.with_suffix(".md").read_text(encoding="utf-8")
    rows = {entry["path"]: entry for entry in card["data"]}
    for quality in ("low", "high"):
        path = f"sub-01/anat/sub-01_acq-{quality}_T1w.nii.gz"
        digest = hashlib.sha256((tmp_path / "bids" / path).read_bytes()).hexdigest()
        assert rows[path]["sha256"] == digest
        assert rows[path]["part"] == "train"
        assert digest[:16] in page
    assert "no real pairs" not in page
    assert "1 real pair" in page
    assert "--pairs BIDS" in card["command"]
    # Nor that the warning maps were calibrated in the brain: here nothing tells where it is.
    assert card["calibration"]["region"] == "head"
    assert "calibrated in the whole head" in page


def test_a_card_says_there_are_no_real_pairs_only_where_there_are_none() -> None:
    for name in ("sr-unet", "7t-like-gan"):
        alone, with_pairs = " ".join(limits_of(name)), " ".join(limits_of(name, 3))
        assert "no real pairs" in alone
        assert "no real pairs" not in with_pairs
        assert "3 real pairs" in with_pairs
    assert "no scan at 7 T taught it" in purpose_of("7t-like-gan")
    assert "no scan at 7 T taught it" not in purpose_of("7t-like-gan", 3)
    assert "Nothing here was scanned at 7 T" not in " ".join(limits_of("7t-like-gan", 3))


def test_a_training_goes_on_with_the_same_pairs_alone(tmp_path: Path) -> None:
    pairs = _pairs(tmp_path / "bids", 8)
    recipe = TransferRecipe(**SMALL, factors=(8,), steps=1)

    def trainer(*drawn: RegisteredPair) -> TransferTrainer:
        sampler = PatchSampler(
            [phantom_head()], seed=1, factors=(8,), patches=1, size=32, pairs=drawn
        )
        return TransferTrainer(sampler, recipe, tmp_path / "out")

    trainer(*pairs).run()
    trainer(*pairs).resume()
    with pytest.raises(TrainingDataError, match=r"“sub-01_T1w”, and would go on with no real"):
        trainer().resume()


def test_a_network_keeps_the_pairs_of_the_one_it_began_with(tmp_path: Path) -> None:
    data, sources, first = _trained_with_pair(tmp_path)
    sampler = PatchSampler([load_head(data, sources[0])], seed=1, factors=(8,), patches=1, size=32)
    recipe = TransferRecipe(**SMALL, factors=(8,), steps=1)
    trainer = TransferTrainer(sampler, recipe, tmp_path / "second", start=first)
    trainer.run()
    weights = export_transfer(trainer, data, tmp_path / "second", sources=sources, error_steps=2)
    page = weights.with_suffix(".md").read_text(encoding="utf-8")
    assert "no real pairs" not in page
    assert first.file.sha256 in page
    # Trained on the same pair again, it has still seen one.
    same = read_pairs(tmp_path / "bids")
    again = PatchSampler([], seed=1, factors=(8,), patches=1, size=32, pairs=same)
    trainer = TransferTrainer(again, recipe, tmp_path / "third", start=first)
    assert trainer.progress.pairs_seen == 1
