"""The shipped networks, and the command that uses them."""

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from denoise_engine.cli import main
from denoise_engine.transfer.models import load_transfer, transfer_models
from tests.denoise_engine.heads import phantom

SMALL = 25 * 2**20


@pytest.mark.parametrize("name", ["sr-unet", "anisotropic-unet"])
def test_a_network_is_shipped_small_with_a_card_that_says_simulation(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load_transfer(name)
    assert model.file.path.stat().st_size < SMALL
    assert model.card["architecture"]["kind"] == name
    parts = {d["path"]: d["part"] for d in model.card["data"]}
    assert parts["anatomy/brain-t1-3t-0p67mm-forrest.nii.gz"] == "test"
    assert main(["card", name]) == 0
    printed = capsys.readouterr().out
    assert "Simulation only" in printed
    assert transfer_models()[name].sha256 in printed
    page = model.file.path.with_suffix(".md").read_text(encoding="utf-8")
    assert model.file.sha256 in page
    assert "Measured on heads kept out of training" in page


def test_a_file_becomes_thin_slices_in_the_same_box_and_a_map_of_their_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nifti: Any = nibabel
    scan = phantom((48, 56, 56)).reshape(6, 8, 56, 56).mean(axis=1)
    affine = np.diag([1.0, 1.0, 8.0, 1.0])
    affine[:3, 3] = (5, -7, 11)
    nifti.save(nifti.Nifti1Image(np.moveaxis(scan, 0, -1), affine), tmp_path / "in.nii.gz")
    where = [str(tmp_path / name) for name in ("in.nii.gz", "out.nii.gz")]
    more = ["--uncertainty", str(tmp_path / "sd.nii.gz"), "--samples", "2", "--patch", "80"]
    more += ["--precision", "float32", "--model", "sr-unet"]
    assert main(["transfer", *where, *more]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["weights_sha256"] == transfer_models()["sr-unet"].sha256
    thin, sd = (nifti.load(tmp_path / name) for name in ("out.nii.gz", "sd.nii.gz"))
    assert thin.shape == sd.shape == (56, 56, 48)
    assert thin.header.get_zooms() == pytest.approx((1, 1, 1))
    # The first thick slice and its eight thin ones begin at the same place.
    edge = affine @ [0, 0, -0.5, 1]
    np.testing.assert_allclose(thin.affine @ [0, 0, -0.5, 1], edge)
    assert float(np.asarray(sd.dataobj).min()) > 0
    enhanced = np.moveaxis(np.asarray(thin.dataobj), -1, 0)
    assert np.corrcoef(enhanced.ravel(), phantom((48, 56, 56)).ravel())[0, 1] > 0.8
    # Nothing is replaced unasked.
    assert main(["transfer", *where]) == 2
    assert "exists already" in capsys.readouterr().err


def test_what_the_command_cannot_do_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path = tmp_path / "work"
    tmp_path.mkdir()
    np.save(tmp_path / "in.npy", np.ones((6, 56, 56), dtype=np.float32))
    source = str(tmp_path / "in.npy")
    for more, sentence in (
        ([str(tmp_path / "out.npy")], "--spacing"),
        ([str(tmp_path / "out")], "no DICOM series is written yet"),
        ([str(tmp_path / "none" / "out.npy")], "no folder to write into"),
        ([str(tmp_path / "out.npy"), "--spacing", "8", "1", "1"], "no image"),
        (
            [str(tmp_path / "out.npy"), "--spacing", "8", "1", "1", "--patch", "50"],
            "multiple of 16",
        ),
        (
            [str(tmp_path / "out.npy"), "--spacing", "8", "1", "1", "--model", "x"],
            "no trained model",
        ),
    ):
        assert main(["transfer", source, *more]) == 2
        assert sentence in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.npy"]
