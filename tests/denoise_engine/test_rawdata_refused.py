"""Files that cannot be reconstructed, or that nobody should open, are refused in a sentence."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import ismrmrd
import numpy as np
import pytest
from numpy.lib import format as npy
from numpy.typing import NDArray

from denoise_engine.errors import RawDataError
from denoise_engine.rawdata import read_raw
from tests.denoise_engine.kspace_files import (
    acquisition,
    header,
    lines_of,
    phantom_kspace,
    write_file,
    write_scan,
)

ONE = phantom_kspace(slices=1, size=32)[0]
Change = Callable[[list[Any]], list[Any]]


def refused(path: Path, said: str, **options: Any) -> None:
    with pytest.raises(RawDataError, match=said) as caught:
        read_raw(path, **options)
    assert str(caught.value).endswith(".")
    assert str(path) not in str(caught.value)


def set_head(name: str, value: Any) -> Change:
    def change(scan: list[Any]) -> list[Any]:
        target = scan[3].idx if hasattr(scan[3].idx, name) else scan[3]
        setattr(target, name, value)
        return scan

    return change


def nan(scan: list[Any]) -> list[Any]:
    scan[5].data[1, 7] = complex("nan")
    return scan


def no_unit_vectors(scan: list[Any]) -> list[Any]:
    for item in scan:
        item.read_dir[:] = (0, 0, 0)
    return scan


def skewed(scan: list[Any]) -> list[Any]:
    for item in scan:
        item.read_dir[:] = (0.8, 0.6, 0)
    return scan


def noise_alone(scan: list[Any]) -> list[Any]:
    for item in scan:
        item.set_flag(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
    return scan


def long_readout(scan: list[Any]) -> list[Any]:
    return [*scan, acquisition(np.ones((4, 40)))]


def other_coils(scan: list[Any]) -> list[Any]:
    return [*scan, acquisition(np.ones((5, 32)), kspace_encode_step_1=1)]


@pytest.mark.parametrize(
    ("change", "changed", "said"),
    [
        (None, {"trajectory": "radial"}, r"not lie on a Cartesian grid \(radial\)"),
        (None, {"trajectory": "epi"}, "echo-planar"),
        (None, {"trajectory": ""}, "not lie on a Cartesian grid"),
        (None, {"ny": 16, "cy": 8}, "outside the matrix of 16"),
        (None, {"nx": 24}, "do not fit the matrix of 24"),
        (None, {"nx": 0}, "missing or impossible"),
        (None, {"rx": 1e9}, "missing or impossible"),
        (None, {"fx": "nan"}, "missing or impossible"),
        (None, {"ny": 4096, "cy": 2048, "nx": 4096}, "do not fit the matrix of 4096"),
        (long_readout, {}, "40 samples about sample 20; they do not fit"),
        (other_coils, {}, "number of coils changes from 4 to 5"),
        (nan, {}, "Acquisition 6 holds 1 sample that is no number"),
        (set_head("contrast", 1), {}, r"2 echoes \(TE 12.5, 25 ms\), and a series is one"),
        (set_head("repetition", 7), {}, "2 repetitions"),
        (set_head("encoding_space_ref", 4), {}, "2 encodings"),
        (set_head("discard_pre", 32), {}, "discarded as a whole"),
        (no_unit_vectors, {}, "no unit vectors"),
        (skewed, {}, "not at right angles"),
        (noise_alone, {}, "no imaging acquisition"),
        (lambda scan: scan[:10], {}, "centre of k-space was not sampled"),
        (lambda scan: scan[::4], {}, "missing: 1 neighbouring line is .* at least 16 neighbouring"),
        (lambda scan: scan[1::4], {}, "missing: the line of the zero frequency was not"),
    ],
)
def test_a_scan_that_cannot_be_reconstructed(
    tmp_path: Path, change: Change | None, changed: dict[str, Any], said: str
) -> None:
    scan = lines_of(ONE)
    xml = header(32, 32, **changed)
    refused(write_file(tmp_path / "a.h5", xml, change(scan) if change else scan), said)


def test_more_coils_than_memory_holds_is_said_with_what_would_help(tmp_path: Path) -> None:
    path = write_scan(tmp_path / "a.h5", ONE)
    refused(path, "4 coils needs .* are allowed. Send fewer slices", memory_limit=10_000)
    rng = np.random.default_rng(0)
    noisy = rng.standard_normal((1, 16, 32, 32)) + 0j  # coils that have nothing in common
    path = write_scan(tmp_path / "b.h5", noisy.astype(np.complex64))
    refused(path, "would lose .* of its signal", memory_limit=4 * 32 * 32 * 16)
    np.savez(tmp_path / "c.npz", kspace=ONE)
    refused(tmp_path / "c.npz", "compress the coils", memory_limit=10_000)


def truncated(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def garbled(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[600:1400] = bytes(range(200)) * 4
    path.write_bytes(whole)


def no_hdf5(path: Path) -> None:
    path.write_bytes(b"%PDF-1.4 and so on")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def no_measurement(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["numbers"] = np.arange(5)


def two_measurements(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file.move("dataset", "first")
        file.copy("first", "second")


def no_header(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["dataset/xml"]


def header_of(text: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with h5py.File(path, "a") as file:
            file["dataset/xml"][0] = text

    return change


def bomb(path: Path) -> None:
    """Three million million acquisitions, none of them there."""
    with h5py.File(path, "a") as file:
        file["dataset/data"].resize(3 * 10**12, axis=0)


def small_bomb(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["dataset/data"].resize(3 * 10**6, axis=0)


def elsewhere(path: Path) -> None:
    """The samples come out of another file of the machine."""
    with h5py.File(path, "a") as file:
        del file["dataset/data"]
        file["dataset/data"] = h5py.ExternalLink("/etc/hostname", "/data")


def soft(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["dataset"].move("xml", "text")
        file["dataset/xml"] = h5py.SoftLink("/dataset/text")


def external_storage(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["dataset/data"]
        head = ismrmrd.hdf5.acquisition_header_dtype
        file["dataset"].create_dataset(
            "data", (9,), head, external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)]
        )


def other_layout(path: Path) -> None:
    with h5py.File(path, "a") as file:
        del file["dataset/data"]
        file["dataset/data"] = np.zeros(5, dtype=[("head", "<u4"), ("data", "<f4")])


def samples_shorter_than_said(path: Path) -> None:
    with h5py.File(path, "a") as file:
        item = file["dataset/data"][3]
        item["data"] = item["data"][:20]
        file["dataset/data"][3] = item


ENTITIES = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "ha">]><ismrmrdHeader>&b;</ismrmrdHeader>'


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (truncated, "truncated: its end is missing"),
        (garbled, "damaged|no ISMRMRD"),
        (no_hdf5, "neither ISMRMRD .HDF5. nor a NumPy archive"),
        (empty, "neither ISMRMRD .HDF5. nor a NumPy archive"),
        (no_measurement, "no ISMRMRD measurement"),
        (two_measurements, "holds 2 measurements"),
        (no_header, "no “xml”"),
        (header_of(b"<not closed"), "no XML that can be read"),
        (header_of(b"<html></html>"), "not an ISMRMRD header"),
        (header_of(b"<ismrmrdHeader/>"), "describes no encoding"),
        (header_of(ENTITIES), "declares its own entities"),
        (header_of(b"<a>" * 200_000), "no XML that can be read"),
        (bomb, "far more than it holds"),
        (small_bomb, "far more than it holds"),
        (elsewhere, "points at other places or files"),
        (soft, "points at other places or files"),
        (external_storage, "points at other places or files"),
        (other_layout, "not laid out as ISMRMRD"),
        (samples_shorter_than_said, "Acquisition 4 holds 10 samples; its header says 4 coils × 32"),
    ],
)
def test_a_file_that_is_damaged_or_hostile(
    tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    path = write_scan(tmp_path / "a.h5", ONE)
    spoil(path)
    refused(path, said)


def test_bytes_that_changed_anywhere_give_a_sentence_or_an_image_never_a_crash(
    tmp_path: Path,
) -> None:
    whole = write_scan(tmp_path / "a.h5", ONE, noise_sd=0.5).read_bytes()
    np.savez(tmp_path / "a.npz", kspace=ONE)
    zipped = (tmp_path / "a.npz").read_bytes()
    rng = np.random.default_rng(11)
    refusals = 0
    for turn in range(60):
        content = bytearray(zipped if turn % 3 == 0 else whole)
        for place in rng.integers(0, min(len(content), 9000), size=1 + turn % 4):  # headers
            content[place] = int(rng.integers(0, 256))
        (tmp_path / "b").write_bytes(content)
        try:
            read_raw(tmp_path / "b")
        except RawDataError:
            refusals += 1
    assert 10 < refusals < 60


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(f"{name}.npy", content)
    return path


def stored(values: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=True)
    return buffer.getvalue()


def declared(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    described = {"descr": "<c8", "fortran_order": False, "shape": shape}
    npy.write_array_header_1_0(buffer, described)  # type: ignore[arg-type]
    return buffer.getvalue() + b"\0" * 64


BAD = ONE[0].copy()
BAD[2, 3, 4] = np.inf


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"image": stored(np.zeros(3))}, "no array “kspace”"),
        ({"kspace": stored(np.asarray([{"a": 1}], dtype=object))}, "pickled Python objects"),
        ({"kspace": b"not an array"}, "no array that can be read"),
        ({"kspace": stored(np.asarray(["a", "b"]))}, "holds no numbers"),
        ({"kspace": declared((10**6, 10**6, 10**6))}, "does not hold what its header says"),
        ({"kspace": stored(np.zeros((4, 600, 600), dtype=np.complex64))}, "unpacks to far more"),
        ({"kspace": stored(ONE[0].real)}, "it is a complex array"),
        ({"kspace": stored(ONE[0, 0])}, "2 dimensions"),
        ({"kspace": stored(ONE[0, :, :8, :8])}, "at least 32 points a side"),
        ({"kspace": stored(BAD)}, "1 sample that is no number"),
        ({"kspace": stored(ONE[0] * (np.arange(32) < 9)[:, None])}, "centre of k-space was not"),
        (
            {"kspace": stored(ONE[0]), "mask": stored(np.zeros(32, dtype=bool))},
            "Nothing was sampled",
        ),
        (
            {"kspace": stored(ONE[0]), "mask": stored(np.arange(32) != 16)},
            "the line of the zero frequency was not sampled",
        ),
        ({"kspace": stored(ONE[0]), "mask": stored(np.ones(31, dtype=bool))}, "fit the 32 × 32"),
        (
            {"kspace": stored(ONE[0]), "noise": stored(np.ones((3, 50)) + 0j)},
            "different numbers of coils",
        ),
        ({"kspace": stored(ONE[0]), "spacing_mm": stored(np.zeros(3))}, "distance of rows"),
        ({"kspace": stored(ONE[0]), "orientation": stored(np.ones(6))}, "unit vectors"),
    ],
)
def test_an_archive_that_cannot_be_read(
    tmp_path: Path, members: dict[str, bytes], said: str
) -> None:
    refused(archive(tmp_path / "a.npz", **members), said)


def test_a_truncated_archive(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", kspace=stored(ONE[0]))
    path.write_bytes(path.read_bytes()[:2000])
    refused(path, "damaged or truncated")
