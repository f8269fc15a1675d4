"""The model of errors, and what the benchmark enters into cards."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.transfer_site.oracle import mixture_ratio, oracle
from benchmarks.transfer_site.report import Report
from denoise_engine.errors import TrainingDataError
from denoise_engine.models import TRANSFER_MANIFEST, card_in_use, find_model
from denoise_engine.training.card import MEASURED_END, MEASURED_START
from denoise_engine.training.transfer_calibration import SeenScan
from denoise_engine.training.transfer_card import calibration_in_words
from denoise_engine.training.transfer_errors import fit_error_model, inner_part
from denoise_engine.training.transfer_export import (
    calibrate_anew,
    calibration_of,
    write_calibration,
)
from denoise_engine.transfer.enhance import enhance_with
from denoise_engine.transfer.error_model import ErrorModel, error_model_in, measured_around
from denoise_engine.transfer.models import LoadedTransfer, load_transfer, load_transfer_file
from tests.denoise_engine.heads import phantom, phantom_head, small_model


def _drawn_model() -> ErrorModel:
    torch.manual_seed(2)
    model = ErrorModel()
    model.centre.copy_(torch.full_like(model.centre, 0.3))
    return model.eval()


def test_errors_are_told_the_same_whether_the_volume_is_cut_or_not() -> None:
    rng = np.random.default_rng(0)
    cubic = np.abs(rng.normal(1, 0.3, (72, 24, 20))).astype(np.float32)
    correction = rng.normal(0, 0.1, cubic.shape).astype(np.float32)
    first = np.abs(rng.normal(0.1, 0.02, cubic.shape)).astype(np.float32) + 0.01
    model = _drawn_model()
    found = model.variance(cubic, correction, first, 8)
    measures = measured_around(cubic, correction, first, 8)
    with torch.no_grad():
        whole = model(torch.from_numpy(measures.reshape(len(measures), -1).T)).exp().numpy()
    np.testing.assert_allclose(found.ravel(), whole, rtol=1e-3)
    # Halfway between two measured slices, and at one.
    assert measures[1, 0, 0, 0] > 0.8 > 0.2 > measures[1, 3, 0, 0]


def test_errors_are_expected_where_they_are() -> None:
    """Of a network that hardly corrects: errors lie at borders, not inside of tissues."""
    network = small_model().network
    model = fit_error_model(network, [phantom_head(shape=(96, 80, 80))], (8,), seed=1, steps=60)
    again = error_model_in({f"error_model.{k}": v for k, v in model.state_dict().items()})
    assert again is not None
    assert error_model_in({"out.weight": torch.zeros(1)}) is None
    thin = phantom((64, 64, 64), seed=1)
    thick = thin.reshape(8, 8, 64, 64).mean(axis=1)
    loaded = small_model()
    with_model = LoadedTransfer(loaded.file, loaded.network, loaded.card, again)
    result = enhance_with(with_model, thick, (8.0, 1.0, 1.0), factor=8)
    assert result.intrinsic.shape == thin.shape
    error = np.abs(result.volume - thin)[8:-8]
    sd, inside = result.intrinsic[8:-8], thin[8:-8] > 40
    surest = sd[inside] < np.median(sd[inside])
    assert error[inside][~surest].mean() > 1.5 * error[inside][surest].mean()


def test_no_measure_reaches_beyond_a_block_where_errors_are_learnt_from() -> None:
    shape = (64, 56, 48)
    rng = np.random.default_rng(5)
    cubic = rng.normal(1, 0.1, shape).astype(np.float32)
    correction, first = np.zeros_like(cubic), np.full_like(cubic, 0.01)
    beyond = np.pad(cubic, 20, mode="constant", constant_values=9)
    wide = [np.pad(part, 20, mode="edge") for part in (correction, first)]
    inner = (slice(None), *inner_part(shape))
    within = measured_around(cubic, correction, first, 1)[inner]
    around = measured_around(beyond, *wide, 1)[:, 20:-20, 20:-20, 20:-20][inner]
    np.testing.assert_allclose(within, around, atol=1e-4)


def test_the_mixture_tells_what_knowing_every_variance_would_find() -> None:
    rng = np.random.default_rng(6)
    sds = np.where(rng.random(400_000) < 0.1, 3.0, 1.0)
    error = sds * rng.standard_normal(sds.size)
    assert mixture_ratio(error, 0.1) == pytest.approx(3, rel=0.15)
    assert mixture_ratio(rng.standard_normal(400_000), 0.1) < 1.4


def test_an_oracle_that_sees_the_error_finds_more_than_gradients() -> None:
    head = phantom((32, 48, 48))
    rng = np.random.default_rng(7)
    error = rng.normal(0, 1, head.shape).astype(np.float32)
    error[10:16, 10:16, 10:16] *= 20
    mask = np.ones(head.shape, dtype=np.bool_)
    found = oracle(error, head, mask, (1.0, 1.0, 1.0), 0.1)
    assert found.near > found.wide > found.gradients > 0
    assert found.near > 3


def test_a_calibration_in_the_list_beside_the_weights_counts(tmp_path: Path) -> None:
    shipped = find_model("7t-like-plain", TRANSFER_MANIFEST)
    for path in (shipped.path, shipped.path.with_suffix(".md")):
        shutil.copy(path, tmp_path)
    entry = {"version": "1", "file": shipped.path.name, "sha256": shipped.sha256}
    told = {"intrinsic": 7.0, "parameter": 8.0}
    for sha256, wanted in ((shipped.sha256, told), ("0" * 64, None)):
        listed = entry | {"calibration": told, "sha256": sha256}
        (tmp_path / "transfer.json").write_text(json.dumps({"7t-like-plain": listed}))
        load_transfer_file.cache_clear()
        file = replace(shipped, path=tmp_path / shipped.path.name)
        found = load_transfer_file(file).card["calibration"]
        # Of other weights it is not theirs.
        assert (found == wanted) == (wanted is not None)
        assert card_in_use(file)["calibration"] == found


def test_calibrating_anew_keeps_weights_and_what_was_measured(tmp_path: Path) -> None:
    shipped = find_model("7t-like-plain", TRANSFER_MANIFEST)
    rng = np.random.default_rng(8)
    true = rng.gamma(2, 0.01, 8000)
    slab = np.arange(8000) // 2000
    seen = SeenScan(
        "field_1", 1, true * rng.standard_normal(8000) ** 2, 2 * true, 1e-4 + 0 * true, slab
    )
    # A folder that holds other networks keeps them.
    (tmp_path / "transfer.json").write_text(json.dumps({"sr-unet": {"version": "9"}}))
    listed = write_calibration(load_transfer_file(shipped), [seen], tmp_path)
    entry = json.loads(listed.read_text())["7t-like-plain"]
    assert json.loads(listed.read_text())["sr-unet"] == {"version": "9"}
    assert entry["sha256"] == shipped.sha256
    found = entry["calibration"]["cross_fitted"]["field_1"]
    assert found["intrinsic"]["error"] < 0.2
    assert found["together"]["over_rest"] == pytest.approx(
        found["intrinsic"]["over_rest"], abs=0.05
    )
    card, before = (
        folder.with_name(shipped.path.stem + ".md").read_text(encoding="utf-8")
        for folder in (listed, shipped.path)
    )
    # From the sentence on the calibration to the next heading stands what is written anew.
    ahead, _, behind = before.partition("The warning maps were")
    kept = [line for line in (ahead + behind[behind.index("\n## ") :]).split("\n") if line]
    assert len(kept) > 50
    written = set(card.split("\n"))
    # Also what people wrote into it by hand.
    assert [line for line in kept if line not in written] == []
    assert "parameter uncertainty adds nothing" in card
    assert "calibrated in the brain there" in card
    elsewhere = calibration_of([replace(seen, in_brain=False)])
    assert "calibrated in the whole head" in " ".join(calibration_in_words(elsewhere))


def test_a_network_that_cannot_be_calibrated_is_refused_before_anything_is_computed(
    tmp_path: Path,
) -> None:
    with pytest.raises(TrainingDataError, match="sr-unet has no model of errors"):
        calibrate_anew(small_model(), tmp_path, tmp_path / "out")
    shipped = load_transfer("7t-like-plain")
    page = tmp_path / "weights.md"
    alone = replace(shipped, file=replace(shipped.file, path=page.with_suffix(".safetensors")))
    for text in (None, "# A card of another kind"):
        if text is not None:
            page.write_text(text)
        with pytest.raises(TrainingDataError, match=r"“weights\.md” beside the weights"):
            calibrate_anew(alone, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_a_run_did_not_measure_stays_in_the_card(tmp_path: Path) -> None:
    card = tmp_path / "a.md"
    card.write_text(f"before\n{MEASURED_START}\n{MEASURED_END}\nafter\n")
    first = Report()
    first.begin("One", ["a"])
    first.say("| 1 |")
    first.begin("Two", ["a", "b"])
    first.say("| 2 |")
    first.mark("a", "good enough, One", "1.0", False)
    first.mark("b", "good enough, One", "3.0", True)
    first.write_into(card, "a")
    second = Report()
    second.begin("One", ["a"])
    second.say("| 1 again |")
    second.mark("a", "good enough, One", "2.0", True)
    second.write_into(card, "a")
    text = card.read_text()
    assert text.startswith("before")
    assert text.endswith("after\n")
    assert "| 1 again |" in text
    assert "| 1 |" not in text
    assert "| 2 |" in text
    assert text.count("good enough") == 1
    assert "| a: good enough, One | 2.0 | passed |" in text


@pytest.mark.parametrize("factor", [1, 4, 8])
def test_every_measure_is_finite_for_every_factor(factor: int) -> None:
    flat = np.zeros((16, 16, 16), dtype=np.float32)
    measures = measured_around(flat, flat, np.full(flat.shape, 1e-6, dtype=np.float32), factor)
    assert np.isfinite(measures).all()
