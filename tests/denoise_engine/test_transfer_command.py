"""The shipped networks, and the command that uses them."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

from denoise_engine import UnusableVolumeError, cli
from denoise_engine.cli import main
from denoise_engine.files import write_volumes
from denoise_engine.transfer.command import DEFAULT
from denoise_engine.transfer.enhance import enhance_with
from denoise_engine.transfer.inside import inside_of_head
from denoise_engine.transfer.models import DEFAULT_MODEL, load_transfer, transfer_models
from tests.denoise_engine.heads import phantom, small_model
from tests.imaging.datasets import as_bytes, series

SMALL = 25 * 2**20


SHIPPED = {
    "sr-unet": "sr-unet",
    "anisotropic-unet": "anisotropic-unet",
    "7t-like-gan": "residual-unet",
    "7t-like-plain": "residual-unet",
}


def test_the_help_names_every_network_that_is_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(transfer_models()) == set(SHIPPED)
    with pytest.raises(SystemExit):
        main(["transfer", "--help"])
    printed = capsys.readouterr().out
    for name in SHIPPED:
        assert name in printed
    assert DEFAULT == DEFAULT_MODEL


@pytest.mark.parametrize("name", SHIPPED)
def test_a_network_is_shipped_small_with_a_card_that_says_simulation(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load_transfer(name)
    assert model.file.path.stat().st_size < SMALL
    assert model.card["architecture"]["kind"] == SHIPPED[name]
    parts = {d["path"]: d["part"] for d in model.card["data"]}
    assert parts["anatomy/brain-t1-3t-0p67mm-forrest.nii.gz"] == "test"
    assert main(["card", name]) == 0
    printed = capsys.readouterr().out
    assert "Simulation only" in printed
    assert transfer_models()[name].sha256 in printed
    page = model.file.path.with_suffix(".md").read_text(encoding="utf-8")
    assert model.file.sha256 in page
    assert "Measured on heads kept out of training" in page
    # What is printed is what counts: the page with what was measured, and the calibration in use.
    assert printed.strip() == page.strip()
    assert main(["card", name, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["calibration"]
    assert told == model.card["calibration"]
    assert f"counts {told['intrinsic']:.2f} times" in page


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
    more += ["--flags", str(tmp_path / "flags.nii.gz")]
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
    flags = np.moveaxis(np.asarray(nifti.load(tmp_path / "flags.nii.gz").dataobj), -1, 0)
    assert flags.shape == (48, 56, 56)
    assert set(np.unique(flags)) == {0, 1}
    of = "the inside of the head"
    assert record["flags"] == {"share": 0.1, "of": of, "voxels": int(flags.sum())}
    # A tenth of the inside, the least sure one, and nothing of scalp, skull and air around it.
    expected = np.moveaxis(np.asarray(sd.dataobj), -1, 0)
    inside = inside_of_head(np.moveaxis(np.asarray(thin.dataobj), -1, 0), (1.0, 1.0, 1.0))
    assert not inside[:, :14].any()
    assert flags[inside].mean() == pytest.approx(0.1, abs=0.005)
    assert not flags[~inside].any()
    assert expected[flags == 1].min() >= expected[inside & (flags == 0)].max()
    enhanced = np.moveaxis(np.asarray(thin.dataobj), -1, 0)
    assert np.corrcoef(enhanced.ravel(), phantom((48, 56, 56)).ravel())[0, 1] > 0.8
    # Nothing is replaced unasked.
    assert main(["transfer", *where]) == 2
    assert "exists already" in capsys.readouterr().err


def test_thin_slices_of_a_dicom_series_lie_where_the_scan_lay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A NIfTI file without its place would be read as cubes of 1 mm, whatever they measure."""
    scan = 10 * phantom((48, 56, 60)).reshape(6, 8, 56, 60).mean(axis=1)
    placed: dict[str, Any] = {
        "orientation": (1, 0, 0, 0, 1, 0),
        "origin": (-20, 30, 5),
        "step": (0, 0, 8.8),
    }
    datasets = series(np.round(scan).astype(np.uint16), spacing=(1.1, 1.1), **placed)
    (tmp_path / "in").mkdir()
    for k, dataset in enumerate(datasets):
        (tmp_path / "in" / f"IM{k}").write_bytes(as_bytes(dataset))
    where = [str(tmp_path / "in"), str(tmp_path / "out.nii.gz")]
    more = ["--model", "sr-unet", "--patch", "80", "--precision", "float32"]
    assert main(["transfer", *where, *more]) == 0
    nifti: Any = nibabel
    thin = nifti.load(tmp_path / "out.nii.gz")
    assert thin.shape == (56, 60, 48)
    assert thin.header.get_zooms() == pytest.approx((1.1, 1.1, 1.1))
    # LPS becomes RAS; the first thick slice and its eight thin ones begin at the same place.
    np.testing.assert_allclose(thin.affine @ [0, 0, -0.5, 1], [20, -30, 5 - 4.4, 1], atol=1e-4)
    np.testing.assert_allclose(thin.affine @ [7, 9, 47.5, 1], [10.1, -37.7, 53.4, 1], atol=1e-4)
    assert thin.header.get_xyzt_units()[0] == "mm"
    assert "does not tell where the head lies" not in capsys.readouterr().err
    # No runs that the card gives no weight.
    assert main(["transfer", *where, *more, "--overwrite", "--flags", str(tmp_path / "f.npy")]) == 0
    assert json.loads(capsys.readouterr().out)["uncertainty"]["dropout_samples"] == 0
    # Of an array the spacing alone is known, and that is said.
    np.save(tmp_path / "in.npy", scan)
    where = [str(tmp_path / name) for name in ("in.npy", "of_array.nii.gz")]
    assert main(["transfer", *where, *more, "--spacing", "8.8", "1.1", "1.1"]) == 0
    assert nifti.load(where[1]).header.get_zooms() == pytest.approx((1.1, 1.1, 1.1))
    assert "“in.npy” does not tell where the head lies" in capsys.readouterr().err


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
        ([str(tmp_path / "out.npy"), "--spacing", "8", "1", "1", "--samples", "-3"], "at least 2"),
        ([str(tmp_path / "out.npy"), "--spacing", "8", "1", "1", "--samples", "1"], "no spread"),
        ([str(tmp_path / "out.npy"), "--uncertainty", str(tmp_path / "out.npy")], "two results"),
        (
            # The same file by another way.
            [str(tmp_path / "out.npy"), "--flags", str(tmp_path / ".." / "work" / "out.npy")],
            "two results",
        ),
        (
            [str(tmp_path / "out.npy"), "--uncertainty", source, "--overwrite"],
            "holds the images that are read",
        ),
        ([str(tmp_path / "out.npy"), "--flags", str(tmp_path / "sd")], "must end in"),
    ):
        assert main(["transfer", source, *more]) == 2
        assert sentence in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.npy"]


def test_what_was_there_stays_if_one_of_two_results_cannot_be_written(tmp_path: Path) -> None:
    tmp_path = tmp_path / "work"
    tmp_path.mkdir()
    image, error = tmp_path / "image.npy", tmp_path / "sd.npy"
    old, new = np.zeros((2, 3, 4), np.float32), np.ones((2, 3, 4), np.float32)
    np.save(image, old)
    # Neither while they are written …
    nowhere = tmp_path / "none" / "sd.npy"
    with pytest.raises(UnusableVolumeError, match=r"none/sd\.npy” cannot be written"):
        write_volumes([(image, new), (nowhere, new)])
    np.testing.assert_array_equal(np.load(image), old)
    # … nor while they are put in place: here a folder is in the way.
    error.mkdir()
    with pytest.raises(UnusableVolumeError, match=r"sd\.npy” cannot be written"):
        write_volumes([(image, new), (error, new)])
    np.testing.assert_array_equal(np.load(image), old)
    image.unlink()
    with pytest.raises(UnusableVolumeError):
        write_volumes([(image, new), (error, new)])
    assert [path.name for path in tmp_path.iterdir()] == ["sd.npy"]
    error.rmdir()
    write_volumes([(image, new), (error, old)])
    write_volumes([(image, old), (error, new)])
    np.testing.assert_array_equal(np.load(image), old)
    np.testing.assert_array_equal(np.load(error), new)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image.npy", "sd.npy"]


def test_a_folder_in_the_way_of_a_map_is_told_before_anything_is_computed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "in.npy", np.ones((6, 56, 56), dtype=np.float32))
    (tmp_path / "sd.npy").mkdir()
    where = [str(tmp_path / name) for name in ("in.npy", "out.npy")]
    more = ["--uncertainty", str(tmp_path / "sd.npy"), "--overwrite", "--spacing", "8", "1", "1"]
    assert main(["transfer", *where, *more]) == 2
    assert "is a folder" in capsys.readouterr().err


def test_memory_that_torch_does_not_get_is_told_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def too_large(_: argparse.Namespace) -> int:
        torch.empty(1 << 58)
        return 0

    monkeypatch.setattr(cli, "_transfer", too_large)
    assert main(["transfer", "in.npy", "out.npy"]) == 2
    assert "larger than this machine's memory" in capsys.readouterr().err

    def broken(_: argparse.Namespace) -> int:
        return int(torch.ones(2, 3) @ torch.ones(2, 3))

    monkeypatch.setattr(cli, "_transfer", broken)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        main(["transfer", "in.npy", "out.npy"])


def test_a_volume_too_large_for_torch_ends_as_a_memory_error() -> None:
    """As numpy tells it: whoever calls the engine has one error to look for."""

    class Huge(torch.nn.Module):
        def forward(self, thick: torch.Tensor, factor: int) -> tuple[torch.Tensor, ...]:
            return thick.expand(1 << 35, *thick.shape).contiguous(), thick

    scan = phantom((48, 56, 56)).reshape(6, 8, 56, 56).mean(axis=1)
    loaded = replace(small_model(), network=Huge())  # type: ignore[arg-type]
    with pytest.raises(MemoryError):
        enhance_with(loaded, scan, (8.0, 1.0, 1.0), precision="float32")
