"""The model of errors, and what the benchmark enters into cards."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.transfer_site.report import Report
from denoise_engine.training.card import MEASURED_END, MEASURED_START
from denoise_engine.training.transfer_errors import fit_error_model
from denoise_engine.transfer.enhance import enhance_with
from denoise_engine.transfer.error_model import ErrorModel, error_model_in, measured_around
from denoise_engine.transfer.models import LoadedTransfer
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
