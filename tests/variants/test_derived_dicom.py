"""What the platform stores of a derived series: the engine's DICOM, and what it means."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from readerstudy.demo.scans import SEQUENCING, series_datasets
from readerstudy.imaging.parsing.images import ParsedSlice, parse_dataset, parse_image
from readerstudy.imaging.services import stored_slice
from readerstudy.imaging.storing import StoredSlice, assemble
from readerstudy.variants.derived_dicom import derive_slices
from tests.dciodvfy import errors_found
from tests.imaging.datasets import phantom, series

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data" / "dicom"
LUMBAR = ROOT / "readerstudy" / "demo" / "data" / "lumbar"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the reference data")
JUDGED = 5  # images of a series that the validator is given, from the first to the last

PROVENANCE: dict[str, Any] = {
    "method": "ddlr",
    "model": "ddlr",
    "model_version": "2026.11",
    "weights_sha256": "a" * 64,
    "strength": {"kind": "target_snr_gain", "value": 1.7},
    "sigma": 6.123456789,
    "sigma_method": "DCT, highest frequencies",
    "sigma_confidence": "high",
    "blend": 0.41,
    "target_gain": 1.7,
    "achieved_gain": 1.6987,
    "air_gain": 2.1,
    "grid": "4x20x24",
    "backend": "cpu float32",
    "source_series": "not for the header",
}


def pixels_of(item: StoredSlice) -> np.ndarray:
    image = np.empty((item.plane.rows, item.plane.columns), dtype=np.float32)
    item.read_into(image)
    return image


def stored(parsed: list[ParsedSlice]) -> list[StoredSlice]:
    return [stored_slice(item, item.content, f"image {n}") for n, item in enumerate(parsed)]


def headers(slices: list[StoredSlice]) -> list[Dataset]:
    return [dcmread(io.BytesIO(item.content), stop_before_pixels=True) for item in slices]


def sources(**options: Any) -> list[Dataset]:
    parsed = [
        parse_dataset(ds, patient_code="V01", key=b"key").slices[0]
        for ds in series(phantom(4, 20, 24), **options)
    ]
    return headers(stored(parsed))


def smoothed() -> np.ndarray:
    return (phantom(4, 20, 24) * 0.9 + 0.37).astype(np.float32)


def test_the_stored_slice_holds_what_its_file_says() -> None:
    made, volume = sources(), smoothed()
    slices = derive_slices(made, volume, PROVENANCE)
    for index, item in enumerate(slices):
        assert np.allclose(pixels_of(item), volume[index], atol=0.004)
        ds = dcmread(io.BytesIO(item.content))
        decoded = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
        assert np.array_equal(decoded.astype(np.float32), pixels_of(item))
        assert list(ds.ImageType) == ["DERIVED", "SECONDARY", "M"]
        assert ds.SourceImageSequence[0].ReferencedSOPInstanceUID == made[index].SOPInstanceUID
        assert ds.file_meta.ImplementationVersionName == "READERSTUDY"


def test_negative_values_are_stored_with_their_sign() -> None:
    slices = derive_slices(sources(), smoothed() - 40, PROVENANCE)
    assert {item.pixel_dtype for item in slices} == {"<i2"}
    assert np.allclose(pixels_of(slices[2]), smoothed()[2] - 40, atol=0.01)


def test_the_derived_series_lies_on_the_grid_of_its_source() -> None:
    parsed = [parse_dataset(ds, patient_code="V01", key=b"key") for ds in series(phantom(4))]
    _volume, grid, _order = assemble(stored([file.slices[0] for file in parsed]))
    _derived, derived_grid, order = assemble(derive_slices(sources(), smoothed(), PROVENANCE))
    assert derived_grid == grid
    assert order == [0, 1, 2, 3]


def test_nothing_of_the_platform_reaches_the_header() -> None:
    for item in derive_slices(sources(), smoothed(), PROVENANCE):
        assert b"not for the header" not in item.content


def new_errors(dciodvfy: str, before: list[StoredSlice], folder: Path) -> tuple[dict, dict]:
    """Errors of the stored source, and those that only the derived series has."""
    volume, _geometry, order = assemble(before)
    before = [before[index] for index in order]
    derived = derive_slices(headers(before), volume * np.float32(0.9), PROVENANCE)
    chosen = sorted({round(k) for k in np.linspace(0, len(derived) - 1, JUDGED)})
    found = []
    for name, slices in (("source", before), ("derived", derived)):
        files = []
        for k in chosen:
            files.append(folder / f"{name}-{k}.dcm")
            files[-1].write_bytes(slices[k].content)
        found.append(errors_found(dciodvfy, files))
    return dict(found[0]), dict(found[1] - found[0])


@pytest.mark.parametrize("arm", sorted(SEQUENCING))
def test_dciodvfy_finds_no_error_at_all_in_the_derived_series_of_the_demo(
    arm: str, tmp_path: Path, dciodvfy: str
) -> None:
    with np.load(LUMBAR / "V07.npz") as file:
        volume = file["volume"][:4].astype(np.float32)
        spacing = (3.0, 1.0, 1.0)
    parsed = [
        parse_dataset(ds, patient_code="V07", key=b"key").slices[0]
        for ds in series_datasets(
            volume, volunteer_index=6, arm_code=arm, spacing_mm=spacing, stored_per_unit=2.0
        )
    ]
    before, added = new_errors(dciodvfy, stored(parsed), tmp_path)
    assert before == {}
    assert added == {}


MOSAIC = "transfer-syntax-siemens-mosaic"  # ingest takes none of its files
ONE_IMAGE_TWICE = "shoulder-philips-jpeg2000"  # under two UIDs: ingest takes either, not both


def folders() -> Iterator[Any]:
    if SHARED.is_dir():
        for folder in sorted(path for path in SHARED.rglob("*") if path.is_dir()):
            if folder.name != MOSAIC and any(path.is_file() for path in folder.iterdir()):
                yield pytest.param(folder, id=str(folder.relative_to(SHARED)))


def taken(folder: Path) -> list[list[ParsedSlice]]:
    """The series of a folder, as ingest takes them: each image once, grouped."""
    groups: dict[str, list[ParsedSlice]] = {}
    seen: set[str] = set()
    for path in sorted(folder.iterdir()):
        items = parse_image(path.read_bytes(), patient_code="V01", key=b"key").slices
        if items[0].sop_uid in seen:
            continue  # the same image in another encoding
        seen.add(items[0].sop_uid)
        for item in items:
            groups.setdefault(item.group, []).append(item)
    series_found = list(groups.values())
    if folder.name == ONE_IMAGE_TWICE:
        return [[item] for item in series_found[0]]
    return series_found


@needs_shared
@pytest.mark.shared
@pytest.mark.parametrize("folder", list(folders()))
def test_no_series_that_ingest_takes_gains_an_error(
    folder: Path, tmp_path: Path, dciodvfy: str
) -> None:
    found = taken(folder)
    assert found
    for slices in found:
        _before, added = new_errors(dciodvfy, stored(slices), tmp_path)
        assert added == {}
