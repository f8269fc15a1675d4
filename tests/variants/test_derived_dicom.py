"""Derived images are proper DICOM and hold what the engine returned."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from readerstudy.imaging.parsing.images import parse_dataset
from readerstudy.variants.derived_dicom import derivation_description, derive_slices, scaling
from tests.imaging.datasets import phantom, series

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


def sources(**options: Any) -> list[Dataset]:
    parsed = [
        parse_dataset(ds, patient_code="V01", key=b"key")
        for ds in series(phantom(4, 20, 24), **options)
    ]
    return [dcmread(io.BytesIO(p.slices[0].content)) for p in parsed]


def smoothed() -> np.ndarray:
    return (phantom(4, 20, 24) * 0.9 + 0.37).astype(np.float32)


def test_values_survive_to_a_thousandth_of_a_grey() -> None:
    volume = smoothed()
    for index, item in enumerate(derive_slices(sources(), volume, PROVENANCE)):
        assert np.allclose(item.pixels(), volume[index], atol=0.004)
        ds = dcmread(io.BytesIO(item.content))
        decoded = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
        assert np.array_equal(decoded.astype(np.float32), item.pixels())


def test_negative_values_and_a_source_rescale_are_kept() -> None:
    def rescale(ds: Dataset, _index: int) -> None:
        ds.RescaleSlope, ds.RescaleIntercept = "3.774114", "-12"

    made = sources(change=rescale)
    volume = smoothed() * 3.774114 - 40
    slope, intercept, signed = scaling(volume, made[0])
    assert signed
    assert intercept == -12
    assert np.log2(3.774114 / slope) == pytest.approx(round(np.log2(3.774114 / slope)))
    for index, item in enumerate(derive_slices(made, volume, PROVENANCE)):
        assert np.allclose(item.pixels(), volume[index], atol=slope)


def test_identity_geometry_and_source_are_said() -> None:
    made = sources()
    derived = [
        dcmread(io.BytesIO(item.content)) for item in derive_slices(made, smoothed(), PROVENANCE)
    ]
    assert len({ds.SeriesInstanceUID for ds in derived}) == 1
    assert len({ds.SOPInstanceUID for ds in derived}) == 4
    for ds, source in zip(derived, made, strict=True):
        for same in (
            "StudyInstanceUID",
            "FrameOfReferenceUID",
            "ImagePositionPatient",
            "ImageOrientationPatient",
            "PixelSpacing",
            "PatientID",
        ):
            assert ds[same].value == source[same].value
        assert ds.SeriesInstanceUID != source.SeriesInstanceUID
        assert ds.SOPInstanceUID != source.SOPInstanceUID
        assert list(ds.ImageType)[:3] == ["DERIVED", "SECONDARY", source.ImageType[2]]
        (reference,) = ds.SourceImageSequence
        assert reference.ReferencedSOPInstanceUID == source.SOPInstanceUID
        assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        equipment = ds.ContributingEquipmentSequence[-1]
        assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
        assert json.loads(ds.DerivationDescription)["weights_sha256"] == "a" * 64
        assert "not for the header" not in ds.DerivationDescription


def test_the_description_fits_and_a_too_long_one_is_an_error() -> None:
    assert len(derivation_description(PROVENANCE)) <= 1024
    with pytest.raises(ValueError, match="characters"):
        derivation_description({**PROVENANCE, "sigma_method": "x" * 1100})


def test_dciodvfy_finds_no_error(tmp_path: Path, dciodvfy: str) -> None:
    for item in derive_slices(sources(), smoothed(), PROVENANCE):
        path = tmp_path / "derived.dcm"
        path.write_bytes(item.content)
        said = subprocess.run([dciodvfy, str(path)], capture_output=True, text=True, check=False)
        errors = [line for line in said.stderr.splitlines() if line.startswith("Error")]
        assert errors == []
