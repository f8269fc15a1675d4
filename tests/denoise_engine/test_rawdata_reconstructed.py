"""From a raw-data file to placed images: which method, which samples, which planes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread

from denoise_engine.cli import main
from denoise_engine.errors import DicomError, EngineError, RawDataError
from denoise_engine.rawdata import (
    Reconstruction,
    Sampling,
    load_raw,
    read_raw,
    reconstruct_raw,
    save_raw,
    undersampled,
    write_reconstructed,
)
from denoise_engine.simulation.coils import smooth_coils
from tests.denoise_engine.kspace_files import (
    acquisition,
    complex_noise,
    header,
    lines_of,
    phantom_kspace,
    to_kspace,
    write_file,
    write_scan,
)

SHARED = Path(__file__).parents[3] / "shared" / "data" / "kspace"


def error_of(image: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """Root mean square error over the root mean square of the truth, at the best scale."""
    scaled = image * float((image * truth).sum() / (image * image).sum())
    return float(np.linalg.norm(scaled - truth) / np.linalg.norm(truth))


def block_kspace(partitions: int) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """(coils, partitions, phase, readout) of a ball, noisy, and the ball."""
    sides = [np.linspace(-1, 1, n, endpoint=False) for n in (partitions, 32, 32)]
    z, y, x = np.meshgrid(*sides, indexing="ij")
    ball = 50.0 * (x**2 + y**2 + z**2 < 0.6) + 30.0 * ((x - 0.3) ** 2 + y**2 + z**2 < 0.05)
    rng = np.random.default_rng(4)
    maps = smooth_coils(32, 32, count=4, rng=rng)[:, None] * np.exp(0.5j * z)[None]
    kspace = to_kspace(maps * ball[None], axes=(1, 2, 3))
    return kspace + 0.5 * complex_noise(rng, kspace.shape), ball.astype(np.float32)


def write_block(path: Path, kspace: NDArray[np.complex64]) -> Path:
    _coils, partitions, rows, columns = kspace.shape
    scan = [
        acquisition(kspace[:, z, y], kspace_encode_step_1=y, kspace_encode_step_2=z)
        for z in range(partitions)
        for y in range(rows)
    ]
    return write_file(path, header(rows, columns, partitions), [noise_scan(4), *scan])


def noise_scan(coils: int) -> Any:
    noise = 0.5 * complex_noise(np.random.default_rng(9), (coils, 1024))
    return acquisition(noise, flags=(ismrmrd.ACQ_IS_NOISE_MEASUREMENT,))


def test_a_full_scan_is_combined_and_a_faster_one_unfolded(tmp_path: Path) -> None:
    kspace, images = phantom_kspace(slices=1, coils=8)
    raw = read_raw(write_scan(tmp_path / "a.h5", kspace, noise_sd=0.5))
    full = reconstruct_raw(raw)
    assert (full.record["method"], full.record["bound"]) == ("sense", 50.0)
    assert full.record["retrospective"] is False
    assert error_of(full.volume, images) < 0.05
    fast = reconstruct_raw(raw, Reconstruction("sense", Sampling(acceleration=3, centre=16)))
    assert fast.record["bound"] == 5.0
    assert fast.record["undersampling"] == {"kind": "regular", "acceleration": 3, "centre": 16}
    assert fast.record["lines"] == 32
    assert error_of(fast.volume, images) < 0.08
    assert fast.noise_map.shape == fast.volume.shape
    assert np.median(fast.noise_map) >= 0.99 * np.median(full.noise_map)
    files = write_reconstructed(tmp_path / "out", fast)
    image = dcmread(files[0])
    stored = image.pixel_array * float(image.RescaleSlope)
    np.testing.assert_allclose(stored, fast.volume[0], atol=0.51 * float(image.RescaleSlope))
    with pytest.raises(DicomError, match="exists already"):
        write_reconstructed(tmp_path / "out", fast)


def test_a_scan_that_was_fast_already_is_taken_as_it_is_and_not_thinned_again(
    tmp_path: Path,
) -> None:
    kspace, images = phantom_kspace(slices=2, coils=8)
    kspace = kspace + 0.5 * complex_noise(np.random.default_rng(2), kspace.shape)
    lines = sorted({*range(0, 64, 2), *range(24, 40)})
    scan = [noise_scan(8), *lines_of(kspace, lines)]
    raw = read_raw(write_file(tmp_path / "a.h5", header(64, 64), scan))
    made = reconstruct_raw(raw)
    assert (made.record["method"], made.record["bound"]) == ("sense", 5.0)
    assert error_of(made.volume, images) < 0.08
    with pytest.raises(RawDataError, match="undersampled already"):
        undersampled(raw, Sampling(acceleration=4))
    # Slices that were sampled differently are reconstructed one by one.
    shifted = sorted({*range(1, 64, 2), *range(24, 40)})
    scan = [*scan[: 1 + len(lines)], *_as_second_slice(lines_of(kspace[1:], shifted))]
    other = read_raw(write_file(tmp_path / "b.h5", header(64, 64), scan))
    assert other.mask.ndim == 3
    assert error_of(reconstruct_raw(other).volume, images) < 0.08


def _as_second_slice(scan: list[Any]) -> list[Any]:
    for item in scan:
        item.idx.slice = 1
        item.position[:] = (0, 0, 4)
    return scan


def test_random_lines_go_through_compressed_sensing(tmp_path: Path) -> None:
    kspace, images = phantom_kspace(slices=1, coils=6)
    raw = undersampled(
        read_raw(write_scan(tmp_path / "a.h5", kspace, noise_sd=0.2)),
        Sampling("random", 1.8, centre=16, seed=3),
    )
    assert raw.acceleration == pytest.approx(1.8, rel=0.05)
    made = reconstruct_raw(raw)
    assert made.record["method"] == "cs"
    assert error_of(made.volume, images) < 0.1


def test_lines_that_partial_fourier_left_out_stay_zero_unless_something_else_is_asked_for(
    tmp_path: Path,
) -> None:
    kspace, images = phantom_kspace(slices=1, coils=8)
    kspace = kspace + 0.5 * complex_noise(np.random.default_rng(2), kspace.shape)
    scan = [noise_scan(8), *lines_of(kspace, list(range(16, 64)))]
    raw = read_raw(write_file(tmp_path / "a.h5", header(64, 64), scan))
    made = reconstruct_raw(raw)
    assert made.record["method"] == "zero-filled"
    assert "blurred along the phase encoding" in made.record["warnings"][0]
    assert error_of(made.volume, images) < 0.12
    # The coils tell little of them: with the weak prior of a full scan their noise would rule.
    assert reconstruct_raw(raw, Reconstruction("sense")).record["bound"] == 5.0


def test_a_3d_scan_is_thinned_along_both_phase_encodings(tmp_path: Path) -> None:
    kspace, ball = block_kspace(partitions=6)
    full = reconstruct_raw(read_raw(write_block(tmp_path / "a.h5", kspace)))
    assert full.volume.shape == (6, 32, 32)
    assert error_of(full.volume, ball) < 0.08
    kspace, ball = block_kspace(partitions=32)
    wanted = Reconstruction("sense", Sampling(acceleration=2, second=2, centre=16))
    fast = reconstruct_raw(read_raw(write_block(tmp_path / "b.h5", kspace)), wanted)
    assert fast.record["acceleration"] == pytest.approx(1024 / 448, rel=1e-3)
    assert error_of(fast.volume, ball) < 0.15
    flat = read_raw(write_scan(tmp_path / "c.h5", phantom_kspace(slices=1)[0]))
    with pytest.raises(RawDataError, match="needs two phase encodings"):
        reconstruct_raw(flat, wanted)


def test_what_is_kept_is_what_was_read(tmp_path: Path) -> None:
    kspace, _images = phantom_kspace()
    raw = read_raw(write_scan(tmp_path / "a.h5", kspace, noise_sd=0.5))
    save_raw(raw, tmp_path)
    again = load_raw(tmp_path)
    assert np.array_equal(again.kspace, raw.kspace)
    assert again.noise is not None
    assert np.array_equal(again.noise, raw.noise)
    assert (again.placement, again.acquired) == (raw.placement, raw.acquired)
    (tmp_path / "kspace.npy").write_bytes(b"spoilt")
    with pytest.raises(RawDataError, match="damaged or gone"):
        load_raw(tmp_path)


def test_what_cannot_be_reconstructed_is_said(tmp_path: Path) -> None:
    kspace, _images = phantom_kspace(slices=1)
    lines = sorted({*range(0, 64, 4), 31, 32, 33})
    raw = read_raw(write_file(tmp_path / "a.h5", header(64, 64), lines_of(kspace, lines)))
    with pytest.raises(EngineError, match="calibration centre is missing"):
        reconstruct_raw(raw)


def test_the_command_writes_images_with_their_record_or_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kspace, _images = phantom_kspace(slices=1, coils=6)
    mask = np.zeros(64, dtype=bool)
    mask[::2] = mask[22:42] = True
    folder = tmp_path / "here"
    folder.mkdir()
    path, out = folder / "a.npz", folder / "image.npy"
    np.savez(path, kspace=kspace + 0.2 * complex_noise(np.random.default_rng(1), kspace.shape))

    def command(*words: str) -> int:
        return main(["reconstruct", str(path), *words])

    assert command(str(out), "--method", "cs", "--bound", "4") == 2
    assert "“bound” belongs to the method sense, not to cs" in capsys.readouterr().err
    assert command(str(out), "--noise-map", str(out)) == 2
    assert command(str(out.with_suffix(".nii"))) == 2
    assert command(str(out), "--choose", "echo=2") == 2
    assert "name one of contrast" in capsys.readouterr().err
    assert list(folder.iterdir()) == [path]
    assert command(str(out), "--method", "cs", "--noise-map", str(folder / "noise.npy")) == 0
    told = capsys.readouterr()
    assert "Nothing was left out of this scan" in told.err
    record = json.loads(told.out)
    assert json.loads((folder / "image.json").read_text()) == record
    assert np.load(out).shape == np.load(folder / "noise.npy").shape == (1, 64, 64)
    assert command(str(folder / "image.npy")) == 2
    assert "exists already" in capsys.readouterr().err
    # Samples outside the mask are left out, and that is said, in the images too.
    np.savez(path, kspace=kspace, mask=mask)
    assert command(str(folder / "series"), "--method", "unrolled") == 0
    assert "“mask” calls not sampled" in capsys.readouterr().err
    header = dcmread(folder / "series" / "0001.dcm").DerivationDescription
    assert any("calls not sampled" in text for text in json.loads(header)["warnings"])
    np.savez(path, kspace=kspace, mask=mask * 2)
    assert command(str(folder / "other")) == 2
    assert "only true and false" in capsys.readouterr().err
    np.savez(path, kspace=kspace)
    assert command(str(folder / "full"), "--method", "unrolled") == 0
    assert "nothing for the network to fill in" in capsys.readouterr().err


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the reference data are not beside the checkout")
def test_the_real_slice_is_unfolded_as_well_as_a_plain_sense_does_it() -> None:
    raw = read_raw(SHARED / "brain-gre-3t-16ch.npz")
    full = reconstruct_raw(raw).volume
    fast = reconstruct_raw(raw, Reconstruction("sense", Sampling(acceleration=4)))
    assert error_of(fast.volume, full) < 0.105
