"""Derived images are proper DICOM, hold the volume they were given, and say how it was made."""

from __future__ import annotations

import json
import resource
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

import denoise_engine
from denoise_engine.dicom import DicomSeries, derived_datasets, read_series, write_derived
from denoise_engine.dicom.derived import scaling
from denoise_engine.dicom.provenance import derivation_description
from denoise_engine.errors import DicomError
from tests.imaging.datasets import as_bytes, phantom, series
from tests.imaging.test_formats import enhanced

RECORD: dict[str, Any] = {
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
    "native_grid": {"rows": 20, "columns": 24, "how": "native"},
    "grid": "4x20x24",
    "backend": "cpu float32",
    "source_series": "not for the header",
}


def classic(tmp_path: Path, **options: Any) -> DicomSeries:
    folder = tmp_path / "source"
    folder.mkdir()
    for index, dataset in enumerate(series(phantom(4), **options)):
        (folder / f"{index}").write_bytes(as_bytes(dataset))
    return read_series(folder)


def multiframe(tmp_path: Path, **top: object) -> DicomSeries:
    """Frames stored from the last slice to the first, so that their order matters."""
    dataset = enhanced(phantom(4), **top)
    for index, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        frame.PlanePositionSequence[0].ImagePositionPatient = [-4.0 * index, 0, 0]
        kind, window = Dataset(), Dataset()
        kind.FrameType = ["ORIGINAL", "PRIMARY", "T2", "NONE"]
        frame.MRImageFrameTypeSequence = Sequence([kind])
        window.WindowCenter, window.WindowWidth = 300 + index, 600
        frame.FrameVOILUTSequence = Sequence([window])
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "T2", "NONE"]
    (tmp_path / "source.dcm").write_bytes(as_bytes(dataset))
    return read_series(tmp_path / "source.dcm")


def smoothed(source: DicomSeries) -> NDArray[np.float32]:
    return (source.volume * 0.9 + 0.37).astype(np.float32)


def test_values_survive_to_a_thousandth_of_a_grey(tmp_path: Path) -> None:
    source = classic(tmp_path)
    volume = smoothed(source)
    write_derived(source, volume, RECORD, tmp_path / "derived")
    back = read_series(tmp_path / "derived")
    assert np.allclose(back.volume, volume, atol=0.004)
    assert back.spacing == source.spacing


def test_negative_values_and_the_rescale_of_the_source_are_kept(tmp_path: Path) -> None:
    def rescale(dataset: Dataset, _index: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = "3.774114", "-12"

    source = classic(tmp_path, change=rescale)
    volume = source.volume * 0.9 - 40
    slope, intercept, signed = scaling(volume, source.sources[0])
    assert signed
    assert intercept == -12
    assert np.log2(3.774114 / slope) == pytest.approx(round(np.log2(3.774114 / slope)))
    write_derived(source, volume, RECORD, tmp_path / "derived")
    assert np.allclose(read_series(tmp_path / "derived").volume, volume, atol=slope)


def test_identity_geometry_source_and_equipment_are_said(tmp_path: Path) -> None:
    source = classic(tmp_path)
    before = [deepcopy(dataset) for dataset in source.sources]
    derived = derived_datasets(source.sources, smoothed(source), RECORD)
    assert source.sources == before  # the source's headers stay as they are
    assert len({ds.SeriesInstanceUID for ds in derived}) == 1
    assert len({ds.SOPInstanceUID for ds in derived}) == 4
    for ds, original in zip(derived, source.sources, strict=True):
        for same in (
            "StudyInstanceUID",
            "FrameOfReferenceUID",
            "ImagePositionPatient",
            "ImageOrientationPatient",
            "PixelSpacing",
            "PatientID",
            "InstanceNumber",
        ):
            assert ds[same].value == original[same].value
        assert ds.SeriesInstanceUID != original.SeriesInstanceUID
        assert ds.SOPInstanceUID != original.SOPInstanceUID
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert list(ds.ImageType) == ["DERIVED", "SECONDARY", "M"]
        assert ds.SeriesNumber == 1003
        (reference,) = ds.SourceImageSequence
        assert reference.ReferencedSOPInstanceUID == original.SOPInstanceUID
        assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        step = ds.DerivationCodeSequence[-1]
        (scheme,) = ds.CodingSchemeIdentificationSequence
        assert step.CodingSchemeDesignator == scheme.CodingSchemeDesignator
        equipment = ds.ContributingEquipmentSequence[-1]
        assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
        assert equipment.ManufacturerModelName == "ddlr"
        assert equipment.SoftwareVersions == "2026.11"
        assert "a" * 64 in equipment.ContributionDescription
        assert "blend 0.41" in equipment.ContributionDescription
        assert json.loads(ds.DerivationDescription)["weights_sha256"] == "a" * 64
        assert "not for the header" not in ds.DerivationDescription


def test_what_is_true_of_the_source_pixels_alone_is_left_out(tmp_path: Path) -> None:
    def change(ds: Dataset, _index: int) -> None:
        ds.SmallestImagePixelValue, ds.LargestImagePixelValue = 0, 99
        ds.WindowCenter, ds.WindowWidth = 150, 300
        ds.InstanceCreationDate = "20200101"
        ds.IconImageSequence = Sequence([Dataset()])
        ds.add_new(0x60000100, "US", 16)
        ds.add_new(0x60000102, "US", 12)  # an overlay in the high bits of the pixels
        ds.add_new(0x60020010, "US", 2)
        ds.add_new(0x60023000, "OW", b"\1\0")  # one of its own
        ds.private_block(0x2005, "Philips MR Imaging DD 001", create=True).add_new(0x0E, "FL", 0.1)
        ds.SeriesDescription = "T2 TSE sag"
        earlier = Dataset()
        earlier.Manufacturer = "Converter"
        ds.ContributingEquipmentSequence = Sequence([earlier])

    source = classic(tmp_path, change=change)
    for ds in derived_datasets(source.sources, smoothed(source), RECORD):
        for gone in ("SmallestImagePixelValue", "InstanceCreationDate", "IconImageSequence"):
            assert gone not in ds
        assert (0x6000, 0x0100) not in ds
        assert (0x6002, 0x3000) in ds
        assert not any(tag.is_private for tag in ds.keys())  # noqa: SIM118
        assert (ds.WindowCenter, ds.WindowWidth) == (150, 300)  # in rescaled values, as before
        assert ds.SeriesDescription == "T2 TSE sag ddlr"
        makers = [item.Manufacturer for item in ds.ContributingEquipmentSequence]
        assert makers == ["Converter", "ReaderStudy"]


def test_a_window_that_shows_nothing_is_left_out(tmp_path: Path) -> None:
    def change(ds: Dataset, _index: int) -> None:
        ds.WindowCenter, ds.WindowWidth = 0, 0

    source = classic(tmp_path, change=change)
    assert all(
        "WindowWidth" not in ds for ds in derived_datasets(source.sources, source.volume, {})
    )


def test_an_enhanced_image_mirrors_the_frames_of_its_source(tmp_path: Path) -> None:
    source = multiframe(tmp_path)
    volume = smoothed(source)
    (path,) = write_derived(source, volume, RECORD, tmp_path / "derived")
    back = read_series(path)
    assert np.allclose(back.volume, volume, atol=0.02)
    assert back.places == source.places == ((0, 3), (0, 2), (0, 1), (0, 0))
    ds, (original,) = dcmread(path), source.sources
    # Enhanced MR images know no SECONDARY (PS3.3 C.8.16.1.2).
    assert list(ds.ImageType) == ["DERIVED", "PRIMARY", "T2", "NONE"]
    assert ds.NumberOfFrames == 4
    assert ds.ContentQualification == "RESEARCH"
    (shared,) = ds.SharedFunctionalGroupsSequence
    assert shared.PixelMeasuresSequence == (
        original.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    )
    pairs = zip(
        ds.PerFrameFunctionalGroupsSequence,
        original.PerFrameFunctionalGroupsSequence,
        strict=True,
    )
    for number, (frame, before) in enumerate(pairs, start=1):
        assert frame.PlanePositionSequence == before.PlanePositionSequence
        assert frame.FrameVOILUTSequence == before.FrameVOILUTSequence
        assert list(frame.MRImageFrameTypeSequence[0].FrameType)[:2] == ["DERIVED", "PRIMARY"]
        (derivation,) = frame.DerivationImageSequence
        assert json.loads(derivation.DerivationDescription)["blend"] == 0.41
        (reference,) = derivation.SourceImageSequence
        assert reference.ReferencedSOPInstanceUID == original.SOPInstanceUID
        assert reference.ReferencedFrameNumber == number
        assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    assert (
        len({str(f.PixelValueTransformationSequence[0].RescaleSlope) for f in ds[0x52009230]}) == 1
    )
    (study,) = ds.SourceImageEvidenceSequence
    (image,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert image.ReferencedSOPInstanceUID == original.SOPInstanceUID
    assert ds.ContributingEquipmentSequence[-1].ManufacturerModelName == "ddlr"


def test_a_derived_series_is_known_as_denoised_when_read_again(tmp_path: Path) -> None:
    for source, name in ((classic(tmp_path), "a"), (multiframe(tmp_path), "b")):
        write_derived(source, source.volume, RECORD, tmp_path / name)
        assert "denoised by this engine" in str(read_series(tmp_path / name).vendor_denoised)


def test_a_denoised_series_holds_what_the_engine_returned(
    tmp_path: Path, noisy_lumbar: tuple[NDArray[np.float32], float]
) -> None:
    image, sigma = noisy_lumbar
    folder = tmp_path / "source"
    folder.mkdir()
    for index, dataset in enumerate(series(np.rint(image).astype(np.uint16))):
        (folder / f"{index}").write_bytes(as_bytes(dataset))
    source = read_series(folder)
    result = denoise_engine.denoise(source.volume, noise=sigma, strength=denoise_engine.Blend(0.5))
    write_derived(source, result.volume, result.record(), tmp_path / "derived")
    back = read_series(tmp_path / "derived")
    assert np.abs(back.volume - result.volume).max() < 1e-3 * sigma
    said = json.loads(dcmread(tmp_path / "derived" / "0001.dcm").DerivationDescription)
    assert said["weights_sha256"] == result.weights_sha256
    assert said["blend"] == 0.5


# --- Bad input ------------------------------------------------------------------------------------


def test_the_description_always_fits_and_says_when_it_was_shortened() -> None:
    assert json.loads(derivation_description(RECORD))["sigma"] == 6.12346
    long = {**RECORD, "sigma_method": "x" * 1100}
    text = derivation_description(long)
    assert len(text) <= 1024
    said = json.loads(text)
    assert said["shortened"] is True
    assert said["weights_sha256"] == "a" * 64
    with pytest.raises(DicomError, match="characters"):
        derivation_description({**RECORD, "method": "x" * 1100})


def test_a_volume_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    source = classic(tmp_path)
    with pytest.raises(DicomError, match="3 × 20 × 24; its source images are 4 × 20 × 24"):
        write_derived(source, source.volume[:3], RECORD, tmp_path / "derived")
    broken = source.volume.copy()
    broken[1, 2, 3] = np.nan
    with pytest.raises(DicomError, match="not finite"):
        write_derived(source, broken, RECORD, tmp_path / "derived")
    assert not (tmp_path / "derived").exists()


def test_an_existing_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    source = classic(tmp_path)
    (tmp_path / "derived").mkdir()
    with pytest.raises(DicomError, match="exists already"):
        write_derived(source, source.volume, RECORD, tmp_path / "derived")
    assert list((tmp_path / "derived").iterdir()) == []
    with pytest.raises(DicomError, match="no folder to write into"):
        write_derived(source, source.volume, RECORD, tmp_path / "none" / "derived")


def test_a_disk_that_takes_no_more_leaves_nothing_behind(tmp_path: Path) -> None:
    source = classic(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))  # less than one image needs
    try:
        with pytest.raises(DicomError, match=r"“.*derived” cannot be written: File too large"):
            write_derived(source, source.volume, RECORD, tmp_path / "derived")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not [path.name for path in tmp_path.iterdir() if "derived" in path.name]
