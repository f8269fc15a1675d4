"""dciodvfy finds nothing in a derived series that it does not find in its source."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

import denoise_engine
from denoise_engine.dicom import DicomSeries, read_series, write_derived
from tests.dciodvfy import errors_found
from tests.imaging.datasets import as_bytes, phantom, series

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "dicom"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the reference data")

RECORD: dict[str, Any] = {
    "method": "ddlr",
    "model": "ddlr",
    "model_version": "2026.11",
    "weights_sha256": "a" * 64,
    "sigma": 6.1,
    "sigma_method": "estimated from the image",
    "sigma_confidence": "high",
    "blend": 0.41,
    "target_gain": 1.7,
    "achieved_gain": 1.6987,
    "native_grid": {"rows": 20, "columns": 24, "how": "native"},
    "backend": "cpu float32",
}
WHOLE_FOLDERS = (
    "acr-phantom-philips3t-csai-off",
    "acr-phantom-philips3t-csai-on",
    "brain-ax-dwi-canon3t",
    "brain-ax-pdfse-ge1p5t",
    "brain-ax-t2tse-siemens3t",
    "brain-sag-t1gre-uih3t",
    "brain-sag-t1memprage-siemens3t",
    "brain-t1-enhanced-siemens-xa30",
    "header-only-quirks/ge-classic",
    "header-only-quirks/hyperfine-lowfield-enhanced",
    "header-only-quirks/philips-enhanced",
    "knee-sag-t2map-ge3t-original-header",
    "lumbar-sag-t2-wrapped",
    "overlay-siemens",
    "shoulder-hitachi-small",
)
KNEE = "knee-sag-t2map-ge3t-anon"  # two echoes in one folder
ONE_IMAGE_EACH = ("shoulder-philips-jpeg2000", "transfer-syntax-toshiba-small")
JUDGED = 5  # images of a series that the validator is given, from the first to the last


def every_series() -> Iterator[Any]:
    """The files of each series that the platform takes; mosaics are refused."""
    if not SHARED.is_dir():
        return
    for name in WHOLE_FOLDERS:
        yield pytest.param(sorted((SHARED / name).iterdir()), id=name)
    echoes: dict[str, list[Path]] = {}
    for path in sorted((SHARED / KNEE).iterdir()):
        echoes.setdefault(str(dcmread(path, stop_before_pixels=True).EchoTime), []).append(path)
    for echo, files in echoes.items():
        yield pytest.param(files, id=f"{KNEE}-TE{echo}")
    for name in ONE_IMAGE_EACH:
        for path in sorted((SHARED / name).iterdir()):
            yield pytest.param([path], id=f"{name}/{path.stem}")


def check_no_new_error(
    dciodvfy: str, source: DicomSeries, volume: np.ndarray, record: dict[str, Any], folder: Path
) -> None:
    derived = write_derived(source, volume, record, folder)
    chosen = sorted({round(k) for k in np.linspace(0, len(derived) - 1, JUDGED)})
    before = errors_found(dciodvfy, [source.files[k] for k in chosen])
    after = errors_found(dciodvfy, [derived[k] for k in chosen])
    assert dict(after - before) == {}


@needs_shared
@pytest.mark.shared
@pytest.mark.parametrize("files", list(every_series()))
def test_a_derived_series_has_no_error_that_its_source_does_not_have(
    files: list[Path], tmp_path: Path, dciodvfy: str
) -> None:
    source = read_series(files)
    volume = source.volume * np.float32(0.9)
    check_no_new_error(dciodvfy, source, volume, RECORD, tmp_path / "derived")
    back = read_series(tmp_path / "derived")
    assert np.abs(back.volume - volume).max() <= 2e-5 * volume.max()
    assert back.spacing == source.spacing


@needs_shared
@pytest.mark.shared
def test_a_series_that_was_truly_denoised_has_none_either(tmp_path: Path, dciodvfy: str) -> None:
    whole = read_series(SHARED / "brain-ax-dwi-canon3t")
    source = read_series(whole.files[18:21])
    body = source.volume[source.volume > np.median(source.volume)]
    result = denoise_engine.denoise(source.volume, noise=float(body.mean()) / 12)
    assert not np.allclose(result.volume, source.volume)
    check_no_new_error(dciodvfy, source, result.volume, result.record(), tmp_path / "derived")


def test_a_faultless_source_gives_a_faultless_derived_series(tmp_path: Path, dciodvfy: str) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    for index, dataset in enumerate(series(phantom(3))):
        for keyword in ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"):
            setattr(dataset, keyword, "")
        dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
        dataset.PositionReferenceIndicator = dataset.ScanOptions = dataset.Laterality = ""
        (folder / f"{index}").write_bytes(as_bytes(dataset))
    source = read_series(folder)
    assert errors_found(dciodvfy, source.files) == {}
    derived = write_derived(source, source.volume - 5, RECORD, tmp_path / "derived")
    assert errors_found(dciodvfy, derived) == {}
