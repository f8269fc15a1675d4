"""The command line: what it makes, and how it refuses: one sentence, status 2, nothing left."""

import gzip
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from denoise_engine import denoise
from denoise_engine.cli import main
from denoise_engine.dicom import read_series
from denoise_engine.files import write_volume
from denoise_engine.metrics import body_mask, psnr
from denoise_engine.models import available_models
from denoise_engine.simulation import simulate_acquisition
from tests.imaging.datasets import as_bytes, series

Volume = NDArray[np.float32]
Noisy = tuple[Volume, float]
Captured = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[2]
FAST = ["--method", "wavelet"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder that nobody else writes into."""
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


def dicom_folder(folder: Path, volume: Volume, **options: object) -> Path:
    folder.mkdir()
    pixels = np.round(volume).astype(np.uint16)
    for index, dataset in enumerate(series(pixels, **options)):  # type: ignore[arg-type]
        (folder / f"IM{index:03d}").write_bytes(as_bytes(dataset))
    return folder


def refusal(captured: Captured, arguments: list[str | Path]) -> str:
    """The one sentence that a command is refused with."""
    assert main([str(a) for a in arguments]) == 2
    printed, said = captured.readouterr()
    assert printed == ""
    assert "Traceback" not in said
    lines = [line for line in said.splitlines() if line.startswith("Refused: ")]
    assert len(lines) == 1
    assert said.rstrip().endswith(lines[0]), "the sentence stands alone at the end"
    return lines[0].removeprefix("Refused: ")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- What it makes --------------------------------------------------------------------------------


def test_methods_are_listed_with_source_and_weights(capsys: Captured) -> None:
    assert main(["methods"]) == 0
    said = capsys.readouterr().out
    assert available_models()["ddlr"].sha256 in said
    assert "scikit-image" in said
    assert main(["methods", "--json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert {"ddlr", "nlm", "wavelet"} <= set(listed)


def test_apply_denoises_nifti_and_keeps_its_geometry(
    place: Path, lumbar: Volume, noisy_lumbar: Noisy, capsys: Captured
) -> None:
    scan, out = place / "scan.nii.gz", place / "out.nii.gz"
    affine = np.array([[0, 0, 4.0, -7], [-0.5, 0, 0, 20], [0, -0.6, 0, 30], [0, 0, 0, 1]])
    image = nibabel.Nifti1Image(np.moveaxis(noisy_lumbar[0], 0, -1), affine)  # type: ignore[attr-defined]
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, scan)  # type: ignore[attr-defined]
    assert main(["apply", str(scan), str(out), "--target-snr-gain", "1.7"]) == 0
    said = capsys.readouterr()
    record = json.loads(said.out)
    assert record["target_gain"] == 1.7
    assert record["achieved_gain"] == pytest.approx(1.7, rel=0.05)
    assert "denoising" in said.err
    assert "2/2" in said.err
    made = nibabel.load(out)  # type: ignore[attr-defined]
    np.testing.assert_allclose(made.affine, affine)
    assert made.header.get_xyzt_units() == ("mm", "sec")  # type: ignore[attr-defined]
    volume = np.moveaxis(made.get_fdata(), -1, 0)  # type: ignore[attr-defined]
    body = body_mask(lumbar)
    assert psnr(volume, lumbar, body) > psnr(noisy_lumbar[0], lumbar, body) + 1


def test_apply_makes_a_derived_dicom_series(
    place: Path, noisy_lumbar: Noisy, capsys: Captured
) -> None:
    source = dicom_folder(place / "series", noisy_lumbar[0])
    out = place / "derived"
    assert main(["apply", str(source), str(out), *FAST, "--blend", "0.5"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["method"] == "wavelet"
    assert record["blend"] == 0.5
    before, after = read_series(source), read_series(out)
    assert after.volume.shape == before.volume.shape
    assert after.spacing == before.spacing
    assert 0 < float(np.abs(after.volume - before.volume).mean()) < 2 * noisy_lumbar[1]
    header = dcmread(out / names_in(out)[0], stop_before_pixels=True)
    assert list(header.ImageType[:2]) == ["DERIVED", "SECONDARY"]
    assert "wavelet" in header.DerivationDescription
    assert names_in(place) == ["derived", "series"]


def test_apply_warns_of_a_series_that_was_denoised_before(
    place: Path, noisy_lumbar: Noisy, capsys: Captured
) -> None:
    source = dicom_folder(place / "series", noisy_lumbar[0])
    once, twice = place / "once", place / "twice"
    settings = [*FAST, "--noise", "7", "--blend", "0.3"]
    assert main(["apply", str(source), str(once), *settings]) == 0
    assert "Warning" not in capsys.readouterr().err
    assert main(["apply", str(once), str(twice), *settings]) == 0
    said = capsys.readouterr()
    assert "Warning: " in said.err
    assert json.loads(said.out)["warnings"][0] in said.err


def test_apply_takes_bias_noise_map_and_grid_from_the_command_line(
    place: Path, noisy_lumbar: Noisy, capsys: Captured
) -> None:
    np.save(place / "scan.npy", noisy_lumbar[0])
    settings = [*FAST, "--noise", "map", "--bias-coils", "1", "--native-grid", "off"]
    assert main(["apply", str(place / "scan.npy"), str(place / "out.npy"), *settings]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["bias"] == {"noise": "Rician", "coils": 1}
    assert "map" in record["sigma_method"]
    assert np.load(place / "out.npy").shape == noisy_lumbar[0].shape


def test_apply_lays_evidence_beside_the_image(
    place: Path, noisy_lumbar: Noisy, capsys: Captured
) -> None:
    np.save(place / "scan.npy", noisy_lumbar[0][:, :64, :64])
    scan, out, evidence = (str(place / n) for n in ("scan.npy", "out.npy", "evidence"))
    assert main(["apply", scan, out, *FAST, "--noise", "7", "--evidence", evidence]) == 0
    qc = json.loads((place / "evidence" / "qc.json").read_text(encoding="utf-8"))
    assert qc["method"] == "wavelet"
    removed = np.load(place / "evidence" / "removed.npy")
    np.testing.assert_allclose(removed, np.load(scan) - np.load(out), atol=1e-3)
    assert "evidence" in capsys.readouterr().err
    said = refusal(capsys, ["apply", scan, place / "b.npy", "--evidence", evidence])
    assert "exists already" in said


def test_what_the_evidence_warns_of_is_printed_and_recorded(
    place: Path, lumbar: Volume, capsys: Captured
) -> None:
    scan = simulate_acquisition(lumbar[:1], protocol="triple-fast", snr=12, seed=1).volume
    np.save(place / "scan.npy", scan)
    given = str(denoise(scan).sigma)
    arguments = ["apply", str(place / "scan.npy"), str(place / "out.npy"), "--noise", given]
    assert main([*arguments, "--evidence", str(place / "evidence")]) == 0
    said = capsys.readouterr()
    qc = json.loads((place / "evidence" / "qc.json").read_text(encoding="utf-8"))
    record = json.loads(said.out)
    assert qc["noise_trusted"] is record["sigma_trusted"] is False
    assert record["warnings"] == qc["warnings"]
    for warning in qc["warnings"]:
        assert f"Warning: {warning}" in said.err
    assert "Take the noise level as untrusted" in said.err


def test_simulate_makes_an_accelerated_scan(place: Path, lumbar: Volume, capsys: Captured) -> None:
    np.save(place / "source.npy", lumbar[:1])
    settings = ["--protocol", "double-fast", "--snr", "9", "--seed", "1"]
    scan = place / "scan.nii.gz"
    assert main(["simulate", str(place / "source.npy"), str(scan), *settings]) == 0
    assert json.loads(capsys.readouterr().out)["nex"] == 1
    assert nibabel.load(scan).shape == (128, 128, 1)  # type: ignore[attr-defined]


def test_evaluate_prints_every_arm_and_judges_it(
    place: Path, lumbar: Volume, capsys: Captured
) -> None:
    np.savez(place / "V99.npz", volume=lumbar[:1].astype(np.uint8), snr=10.0, seed=3)
    assert main(["evaluate", str(place)]) == 0
    said = capsys.readouterr().out
    assert said.count("V99") == 2
    assert said.splitlines()[-1].startswith("PASSED: every arm of 1 volunteers")


def test_evaluate_compares_all_methods_on_an_image_of_ones_own(
    place: Path, lumbar: Volume, capsys: Captured
) -> None:
    np.save(place / "clean.npy", lumbar[:1, :96, :96])
    assert main(["evaluate", str(place / "clean.npy"), "--snr", "8"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    figures = {row[1]: float(row[2]) for row in rows}
    assert {"input", "ddlr", "nlm", "wavelet"} <= set(figures)
    assert min(v for k, v in figures.items() if k != "input") > figures["input"] + 2


def test_the_card_is_printed(capsys: Captured) -> None:
    assert main(["card", "ddlr", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sha256"] == available_models()["ddlr"].sha256
    assert "no trained model “nlm”" in refusal(capsys, ["card", "nlm"])


# --- Bad input ------------------------------------------------------------------------------------


def _with(volume: Volume, value: float) -> Volume:
    broken = volume.copy()
    broken[0, 5, 5] = value
    return broken


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda v: _with(v, np.nan), "1 pixel(s) that are not a number or infinite"),
        (lambda v: _with(v, np.inf), "1 pixel(s) that are not a number or infinite"),
        (lambda v: np.full_like(v, 7), "All pixels have the same value"),
        (lambda v: v[0], "give a single image as one slice"),
        (lambda v: np.stack([v, v, v], axis=-1), "colour image"),
        (lambda v: np.stack([v[0], v[0], v[0]], axis=-1), "colour image"),
        (lambda v: v + 1j, "real numbers"),
        (lambda v: v[:, :8, :8], "at least 16 × 16"),
        (lambda v: np.array([{"a": 1}], dtype=object), "something other than numbers"),
    ],
    ids=["nan", "inf", "constant", "2-D", "rgb", "rgb slice", "complex", "tiny", "pickle"],
)
def test_an_array_that_is_no_image_is_refused(
    place: Path,
    noisy_lumbar: Noisy,
    capsys: Captured,
    make: Callable[[Volume], NDArray[np.generic]],
    said: str,
) -> None:
    np.save(place / "bad.npy", make(noisy_lumbar[0]))
    assert said in refusal(capsys, ["apply", place / "bad.npy", place / "out.npy"])
    assert names_in(place) == ["bad.npy"]


def _colour_nifti(path: Path) -> None:
    pixels = np.zeros((20, 20, 2), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(pixels, np.eye(4)), path)  # type: ignore[attr-defined]


def _series_of_volumes(path: Path) -> None:
    pixels = np.zeros((20, 20, 2, 3), dtype=np.float32)
    nibabel.save(nibabel.Nifti1Image(pixels, np.eye(4)), path)  # type: ignore[attr-defined]


def _truncated(path: Path) -> None:
    whole = path.with_name("whole.nii.gz")
    rng = np.random.default_rng(0)
    nibabel.save(nibabel.Nifti1Image(rng.random((64, 64, 4)), np.eye(4)), whole)  # type: ignore[attr-defined]
    path.write_bytes(whole.read_bytes()[:5000])
    whole.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_bytes(gzip.compress(b"not an image at all"))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_colour_nifti, "colour image"),
        (_series_of_volumes, "holds 3 volumes"),
        (_truncated, "cannot be read"),
        (_empty, "cannot be read"),
        (_text, "cannot be read"),
    ],
)
def test_a_nifti_file_that_is_no_volume_is_refused(
    place: Path, capsys: Captured, make: Callable[[Path], None], said: str
) -> None:
    make(place / "bad.nii.gz")
    sentence = refusal(capsys, ["apply", place / "bad.nii.gz", place / "out.nii.gz"])
    assert said in sentence
    assert names_in(place) == ["bad.nii.gz"]


def test_a_truncated_npy_file_and_a_missing_one_are_refused(
    place: Path, noisy_lumbar: Noisy, capsys: Captured
) -> None:
    np.save(place / "bad.npy", noisy_lumbar[0])
    content = (place / "bad.npy").read_bytes()
    (place / "bad.npy").write_bytes(content[: len(content) // 2])
    assert "is damaged" in refusal(capsys, ["apply", place / "bad.npy", place / "o.npy"])
    (place / "bad.npy").write_text("slices, rows, columns")
    assert "is no npy file" in refusal(capsys, ["apply", place / "bad.npy", place / "o.npy"])
    (place / "bad.npy").write_bytes(b"\x93NUMPY\x01\x00\x10\x00{((((((((((((((\n")
    assert "is damaged" in refusal(capsys, ["apply", place / "bad.npy", place / "o.npy"])
    gone = refusal(capsys, ["apply", place / "none.npy", place / "o.npy"])
    assert "none.npy” does not exist" in gone
    assert names_in(place) == ["bad.npy"]


def _spoil(index: int, **values: object) -> Callable[[Dataset, int], None]:
    def change(dataset: Dataset, at: int) -> None:
        if at == index:
            for name, value in values.items():
                setattr(dataset, name, value)

    return change


@pytest.mark.parametrize(
    ("change", "drop", "said"),
    [
        (_spoil(1, SeriesInstanceUID=generate_uid()), None, "two series"),
        (_spoil(1, SamplesPerPixel=3, PhotometricInterpretation="RGB"), None, "colour image"),
        (_spoil(1, Rows=400), None, "truncated"),
        (_spoil(0), 2, "missing"),
    ],
    ids=["mixed", "colour", "truncated", "missing slice"],
)
def test_a_dicom_folder_that_is_no_whole_series_is_refused(
    place: Path,
    noisy_lumbar: Noisy,
    capsys: Captured,
    change: Callable[[Dataset, int], None],
    drop: int | None,
    said: str,
) -> None:
    volume = np.concatenate([noisy_lumbar[0]] * 3)[:5, :64, :64]
    source = dicom_folder(place / "series", volume, change=change)
    if drop is not None:
        (source / f"IM{drop:03d}").unlink()
    assert said in refusal(capsys, ["apply", source, place / "out"])
    assert names_in(place) == ["series"]


def test_dicom_with_float_pixels_is_refused(
    place: Path, noisy_lumbar: Noisy, capsys: Captured
) -> None:
    source = dicom_folder(place / "series", noisy_lumbar[0])
    dataset = dcmread(source / "IM001")
    dataset.FloatPixelData = noisy_lumbar[0][1].astype("<f4").tobytes()
    del dataset.PixelData
    (source / "IM001").write_bytes(as_bytes(dataset))
    assert "floating-point" in refusal(capsys, ["apply", source, place / "out"])
    assert names_in(place) == ["series"]


def test_places_that_cannot_be_written_to_are_refused_before_anything_is_computed(
    place: Path, noisy_lumbar: Noisy, capsys: Captured
) -> None:
    np.save(place / "scan.npy", noisy_lumbar[0])
    source = dicom_folder(place / "series", noisy_lumbar[0])
    scan = place / "scan.npy"
    assert "must end in" in refusal(capsys, ["apply", scan, place / "out.png"])
    assert "no folder" in refusal(capsys, ["apply", scan, place / "no" / "out.npy"])
    assert "exists already" in refusal(capsys, ["apply", source, source])
    assert "as a DICOM series" in refusal(capsys, ["apply", source, place / "out.nii.gz"])
    assert names_in(place) == ["scan.npy", "series"]
    assert names_in(source) == ["IM000", "IM001"]


@pytest.mark.parametrize("kind", ["scan.npy", "scan.nii.gz"])
def test_a_file_that_exists_is_replaced_only_when_asked_for_and_the_input_never(
    place: Path, noisy_lumbar: Noisy, capsys: Captured, kind: str
) -> None:
    scan, other = place / kind, place / f"other-{kind}"
    write_volume(scan, noisy_lumbar[0][:1, :64, :64])
    other.write_bytes(b"kept")
    before = scan.read_bytes()
    start: list[str | Path] = ["apply", scan]
    settings = [*FAST, "--noise", "7"]
    for options in ([], ["--overwrite"]):
        assert "holds the images" in refusal(capsys, [*start, scan, *settings, *options])
    assert "--overwrite" in refusal(capsys, [*start, other, *settings])
    simulating = ["simulate", scan, scan, "--protocol", "standard", "--snr", "9"]
    assert "holds the images" in refusal(capsys, simulating)
    assert (scan.read_bytes(), other.read_bytes()) == (before, b"kept")
    assert main([str(a) for a in [*start, other, *settings, "--overwrite"]]) == 0
    assert other.read_bytes() != b"kept"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--method", "bm3d"], "no model or method “bm3d”"),
        (["--blend", "1.5"], "between 0 and 1"),
        (["--target-snr-gain", "0.5"], "1 or more"),
        (["--noise", "-1"], "noise level"),
        (["--bias-coils", "0"], "number of coils"),
        (["--bias-coils", "49"], "from 1 to 48, not 49"),
        (["--memory", "10"], "memory ceiling"),
    ],
)
def test_impossible_settings_are_refused(
    place: Path, noisy_lumbar: Noisy, capsys: Captured, options: list[str], said: str
) -> None:
    np.save(place / "scan.npy", noisy_lumbar[0])
    assert said in refusal(capsys, ["apply", place / "scan.npy", place / "out.npy", *options])
    assert names_in(place) == ["scan.npy"]


def test_a_demanded_gpu_that_is_not_there_is_refused(
    place: Path, noisy_lumbar: Noisy, capsys: Captured
) -> None:
    np.save(place / "scan.npy", noisy_lumbar[0])
    arguments = ["apply", str(place / "scan.npy"), str(place / "out.npy")]
    if torch.cuda.is_available():
        assert main([*arguments, "--device", "cuda"]) == 0
        return
    assert "none is available" in refusal(capsys, [*arguments, "--device", "cuda"])
    assert names_in(place) == ["scan.npy"]


@pytest.mark.parametrize("kind", ["out.npy", "out.nii", "out.nii.gz", "out"])
def test_a_full_disk_is_told_in_one_sentence_and_leaves_nothing(
    place: Path, noisy_lumbar: Noisy, kind: str
) -> None:
    """A limit on the size of files makes writing fail half way, as a full disk does."""
    if kind == "out":
        source = dicom_folder(place / "in", noisy_lumbar[0])
    else:
        source = place / "in.npy"
        np.save(source, noisy_lumbar[0])

    def no_more_than_20_kb() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = subprocess.run(
        [sys.executable, "-m", "denoise_engine", "apply", source, place / kind, *FAST]
        + ["--noise", "7"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=no_more_than_20_kb,
    )
    assert done.returncode == 2
    assert "cannot be written" in done.stderr.splitlines()[-1]
    assert done.stderr.count("Refused: ") == 1
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert names_in(place) == [source.name]


def test_evidence_does_not_stay_behind_when_the_image_cannot_be_written(
    place: Path, noisy_lumbar: Noisy
) -> None:
    source = place / "in.npy"
    # The maps of evidence are small beside an image of float32: the limit lies between them.
    np.save(source, np.concatenate([noisy_lumbar[0][:, :64, :64]] * 2))
    out = place / "out.npy"
    out.mkdir()
    done = main(
        ["apply", str(source), str(out), *FAST, "--noise", "7"]
        + ["--overwrite", "--evidence", str(place / "evidence")]
    )
    assert done == 2
    assert names_in(place) == ["in.npy", "out.npy"]
    assert names_in(out) == []


def test_evaluating_an_empty_folder_is_refused(place: Path, capsys: Captured) -> None:
    assert refusal(capsys, ["evaluate", place])
