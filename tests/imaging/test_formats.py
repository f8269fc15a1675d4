"""Every encoding that scanners write gives the same pixels; odd images are judged rightly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from readerstudy.imaging.parsing.errors import Refused
from readerstudy.imaging.parsing.images import ParsedSlice, parse_dataset, parse_image
from readerstudy.imaging.parsing.lookups import Header
from readerstudy.imaging.parsing.pixels import decode

from .datasets import as_bytes, phantom, series

DATA = Path(__file__).parent / "data"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "dicom"
TOSHIBA = sorted((DATA / "toshiba").glob("*.dcm"))
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the reference data")


def values(item: ParsedSlice) -> np.ndarray:
    return np.frombuffer(
        item.content, item.pixel_dtype, item.rows * item.columns, item.pixel_offset
    ).reshape(item.rows, item.columns)


def parse(data: bytes) -> list[ParsedSlice]:
    return parse_image(data, patient_code="V01", key=b"k").slices


@pytest.mark.parametrize("path", TOSHIBA, ids=lambda p: p.stem)
def test_eight_encodings_of_one_image_store_equal_pixels(path: Path) -> None:
    reference = dcmread(DATA / "toshiba" / "MR_small.dcm").pixel_array
    (item,) = parse(path.read_bytes())
    assert np.array_equal(values(item), reference)
    assert item.pixel_dtype == "<i2"


def test_a_classic_series_of_another_maker_is_read() -> None:
    items = [parse(p.read_bytes())[0] for p in sorted((DATA / "hitachi").glob("*.dcm"))]
    assert len({item.group for item in items}) == 1
    assert items[0].parameters["EchoTime"] == 12.0


def enhanced(pixels: np.ndarray, **top: object) -> Dataset:
    """One enhanced MR object with a frame a slice, geometry in the functional groups."""
    (ds,) = series(pixels[:1])
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    ds.NumberOfFrames = len(pixels)
    ds.PixelData = pixels.astype("<u2").tobytes()
    del ds.ImagePositionPatient, ds.ImageOrientationPatient, ds.PixelSpacing, ds.EchoTime
    shared = Dataset()
    measures, plane, echo = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.625], 4
    plane.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    echo.EffectiveEchoTime = 98.5
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.PlaneOrientationSequence = Sequence([plane])
    shared.MREchoSequence = Sequence([echo])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for index in range(len(pixels)):
        position, transform, frame = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [4.0 * index, 0, 0]
        transform.RescaleSlope, transform.RescaleIntercept = 2, index
        frame.PlanePositionSequence = Sequence([position])
        frame.PixelValueTransformationSequence = Sequence([transform])
        frames.append(frame)
    ds.PerFrameFunctionalGroupsSequence = Sequence(frames)
    for keyword, value in top.items():
        setattr(ds, keyword, value)
    return ds


def test_frames_of_an_enhanced_image_become_classic_slices() -> None:
    pixels = phantom(5)
    items = parse(as_bytes(enhanced(pixels)))
    assert [item.position[0] for item in items] == [0, 4, 8, 12, 16]
    assert [item.intercept for item in items] == [0, 1, 2, 3, 4]
    assert {item.slope for item in items} == {2}
    assert len({item.sop_uid for item in items}) == 5
    assert len({item.group for item in items}) == 1
    for index, item in enumerate(items):
        assert np.array_equal(values(item), pixels[index])
        assert item.parameters["EchoTime"] == 98.5


def _colour(ds: Dataset) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0


def _nan_rescale(ds: Dataset) -> None:
    ds.RescaleSlope, ds.RescaleIntercept = 1, 0
    ds["RescaleSlope"]._value = "nan"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_colour, "colour"),
        (_nan_rescale, "RescaleSlope"),
        (lambda ds: delattr(ds, "PixelSpacing"), "no PixelSpacing"),
        (lambda ds: delattr(ds, "ImagePositionPatient"), "no ImagePositionPatient"),
        (lambda ds: delattr(ds, "PixelData"), "no pixels"),
        (lambda ds: delattr(ds, "SeriesInstanceUID"), "no SeriesInstanceUID"),
        (lambda ds: setattr(ds, "PhotometricInterpretation", "MONOCHROME1"), "inverted"),
        (lambda ds: setattr(ds, "ImageType", ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]), "mosaic"),
        (lambda ds: setattr(ds, "Rows", 65535), "matrix"),
        (lambda ds: setattr(ds, "Rows", 400), "truncated"),
        (lambda ds: setattr(ds, "NumberOfFrames", 3), "several images"),
    ],
)
def test_an_image_that_cannot_be_used_is_refused_with_the_reason(change, said: str) -> None:
    (ds,) = series(phantom(1))
    change(ds)
    with pytest.raises(Refused, match=said):
        parse_dataset(ds, patient_code="V01", key=b"k")


def test_high_bits_that_hold_an_overlay_are_no_part_of_the_values() -> None:
    pixels = phantom(1)
    (ds,) = series(pixels | 0x1000)
    ds.BitsStored, ds.HighBit = 12, 11
    ds.add_new(0x60000100, "US", 16)
    ds.add_new(0x60000102, "US", 12)
    (item,) = parse(as_bytes(ds))
    assert np.array_equal(values(item), pixels[0])


# --- The reference data beside the checkout -------------------------------------------------------

EXPECTED = {  # folder → (accepted, refused, series, said of the refused)
    "acr-phantom-philips3t-csai-off": (1, 0, 1, ""),
    "acr-phantom-philips3t-csai-on": (1, 0, 1, ""),
    "brain-ax-dwi-canon3t": (40, 0, 1, ""),
    "brain-ax-pdfse-ge1p5t": (20, 0, 1, ""),
    "brain-ax-t2tse-siemens3t": (28, 0, 1, ""),
    "brain-sag-t1gre-uih3t": (16, 0, 1, ""),
    "brain-sag-t1memprage-siemens3t": (60, 0, 1, ""),
    "brain-t1-enhanced-siemens-xa30": (1, 0, 1, ""),
    "header-only-quirks/ge-classic": (4, 0, 1, ""),
    "header-only-quirks/hyperfine-lowfield-enhanced": (1, 0, 1, ""),
    "header-only-quirks/philips-enhanced": (1, 0, 1, ""),
    "knee-sag-t2map-ge3t-anon": (48, 0, 2, ""),
    "knee-sag-t2map-ge3t-original-header": (8, 0, 1, ""),
    "lumbar-sag-t2-wrapped": (38, 0, 1, ""),
    "overlay-siemens": (1, 0, 1, ""),
    "shoulder-hitachi-small": (4, 0, 1, ""),
    "shoulder-philips-jpeg2000": (2, 0, 1, ""),
    "transfer-syntax-siemens-mosaic": (0, 9, 0, "mosaic"),
    "transfer-syntax-toshiba-small": (8, 0, 1, ""),
}


@needs_shared
@pytest.mark.shared
@pytest.mark.parametrize("folder", sorted(EXPECTED))
def test_every_folder_of_the_reference_data_is_judged_as_a_human_would(folder: str) -> None:
    accepted, groups, reasons = 0, set(), []
    for path in sorted((SHARED / folder).iterdir()):
        try:
            items = parse(path.read_bytes())
        except Refused as error:
            reasons.append(str(error))
            continue
        accepted += 1
        groups |= {item.group for item in items}
    count, refused, n_series, said = EXPECTED[folder]
    assert (accepted, len(reasons), len(groups)) == (count, refused, n_series), reasons[:2]
    assert all(said in reason for reason in reasons)


@needs_shared
@pytest.mark.shared
def test_nine_encodings_of_one_mosaic_decode_to_equal_values() -> None:
    arrays = [
        decode(Header(dcmread(path)))[0]
        for path in sorted((SHARED / "transfer-syntax-siemens-mosaic").iterdir())
    ]
    assert len(arrays) == 9
    assert all(np.array_equal(arrays[0], other) for other in arrays[1:])
