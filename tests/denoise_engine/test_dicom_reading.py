"""DICOM series become volumes in anatomical order; what is no single whole series is refused."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import ImplicitVRLittleEndian, RLELossless, generate_uid

from denoise_engine.dicom import matrix_of_header, read_series
from denoise_engine.errors import DicomError
from tests.imaging.datasets import as_bytes, phantom, series
from tests.imaging.test_formats import enhanced

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "dicom"
TOSHIBA = Path(__file__).resolve().parents[1] / "imaging" / "data" / "toshiba"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the reference data")


def write(folder: Path, datasets: Sequence[Dataset], names: Sequence[str] | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    for index, dataset in enumerate(datasets):
        name = names[index] if names else f"IM{index:03d}"
        (folder / name).write_bytes(as_bytes(dataset))
    return folder


def test_slices_are_sorted_by_place_whatever_their_names(tmp_path: Path) -> None:
    pixels = phantom(5)
    datasets = series(pixels)
    folder = write(tmp_path / "s", datasets, ["e.dcm", "a", "c.ima", "b.dcm", "d"])
    (folder / ".DS_Store").write_bytes(b"not an image")
    (folder / "DICOMDIR").write_bytes(b"no image either")
    found = read_series(folder)
    assert found.volume.dtype == np.float32
    assert np.array_equal(found.volume, pixels)
    assert [path.name for path in found.files] == ["e.dcm", "a", "c.ima", "b.dcm", "d"]
    assert found.places == tuple((index, 0) for index in range(5))
    assert found.spacing == (4.0, 0.5, 0.625)
    # Row 2, column 3 of slice 4: sagittal, rows downwards, columns to the back; LPS becomes RAS.
    np.testing.assert_allclose(
        found.affine() @ [2, 3, 4, 1], [30 - 16, 100 - 3 * 0.625, 60 - 2 * 0.5, 1]
    )
    assert found.acquired is None
    assert found.vendor_denoised is None
    assert not found.is_enhanced
    assert all("PixelData" not in source for source in found.sources)


def test_each_slice_is_rescaled_by_its_own_slope(tmp_path: Path) -> None:
    def change(dataset: Dataset, index: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = 1.5 + index, -7

    pixels = phantom(3)
    found = read_series(write(tmp_path / "s", series(pixels, change=change)))
    expected = pixels * (1.5 + np.arange(3))[:, None, None] - 7
    assert np.allclose(found.volume, expected)


def test_frames_of_an_enhanced_image_are_sorted_and_rescaled(tmp_path: Path) -> None:
    pixels = phantom(5)
    dataset = enhanced(pixels)
    frames = dataset.PerFrameFunctionalGroupsSequence
    for index, frame in enumerate(frames):  # the last frame lies first
        frame.PlanePositionSequence[0].ImagePositionPatient = [-4.0 * index, 0, 0]
    path = tmp_path / "one_file"
    path.write_bytes(as_bytes(dataset))
    found = read_series(path)
    assert found.is_enhanced
    assert found.places == tuple((0, number) for number in (4, 3, 2, 1, 0))
    assert np.array_equal(found.volume[4], pixels[0] * 2.0)
    assert np.array_equal(found.volume[0], pixels[4] * 2.0 + 4)
    assert found.spacing == (4.0, 0.5, 0.625)
    np.testing.assert_allclose(found.affine()[:3, 3], [16, 0, 0])
    np.testing.assert_allclose(found.affine()[:3, 2], [-4, 0, 0])


@pytest.mark.parametrize("path", sorted(TOSHIBA.glob("*.dcm")), ids=lambda p: p.stem)
def test_every_encoding_gives_the_same_pixels(path: Path) -> None:
    reference = dcmread(TOSHIBA / "MR_small.dcm").pixel_array
    assert np.array_equal(read_series(path).volume[0], reference)


# --- Bad input ------------------------------------------------------------------------------------


def _colour(ds: Dataset) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0


def _float_pixels(ds: Dataset) -> None:
    values = np.ones((ds.Rows, ds.Columns), np.float32)
    del ds.PixelData
    ds.FloatPixelData = values.tobytes()


def _double_pixels(ds: Dataset) -> None:
    values = np.ones((ds.Rows, ds.Columns), np.float64)
    del ds.PixelData
    ds.DoubleFloatPixelData = values.tobytes()


def _other_class(ds: Dataset) -> None:
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_colour, "“IM001” is a colour image"),
        (_float_pixels, "“IM001” holds floating-point pixel data"),
        (_double_pixels, "“IM001” holds floating-point pixel data"),
        (_other_class, "“IM001” is no MR image .CT Image Storage."),
        (lambda ds: delattr(ds, "PixelData"), "“IM001” holds no pixels"),
        (lambda ds: setattr(ds, "Rows", 400), "“IM001” is truncated"),
        (lambda ds: setattr(ds, "NumberOfFrames", 3), "“IM001” holds several frames"),
        (lambda ds: setattr(ds, "ImageType", ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]), "mosaic"),
        (lambda ds: setattr(ds, "SeriesInstanceUID", generate_uid()), "IM001” belong to two"),
        (lambda ds: setattr(ds, "ImageOrientationPatient", [1, 0, 0, 0, 1, 0]), "localizer"),
        (lambda ds: setattr(ds, "EchoTime", 12), "“IM000” and “IM001” differ in echo time"),
        (lambda ds: setattr(ds, "ImagePositionPatient", [-30.0, -100, 60]), "at one place: “IM000"),
        (lambda ds: delattr(ds, "ImagePositionPatient"), "“IM001” has no ImagePositionPatient"),
        (lambda ds: setattr(ds, "RescaleSlope", 0), "RescaleSlope of “IM001” is zero"),
    ],
)
def test_one_bad_image_is_named_with_the_reason(
    tmp_path: Path, change: Callable[[Dataset], object], said: str
) -> None:
    datasets = series(phantom(4))
    change(datasets[1])
    with pytest.raises(DicomError, match=said):
        read_series(write(tmp_path / "s", datasets))


def test_another_matrix_is_refused(tmp_path: Path) -> None:
    datasets = series(phantom(3))
    (other,) = series(phantom(1, 24, 24), series_uid=str(datasets[0].SeriesInstanceUID))
    other.ImagePositionPatient = datasets[2].ImagePositionPatient
    with pytest.raises(DicomError, match="“IM002” differ in matrix size"):
        read_series(write(tmp_path / "s", [*datasets[:2], other]))


def test_a_missing_slice_is_named_by_its_neighbours(tmp_path: Path) -> None:
    datasets = series(phantom(6))
    del datasets[3]
    with pytest.raises(DicomError, match="1 slice is missing between “IM002” and “IM003”"):
        read_series(write(tmp_path / "s", datasets))


def test_the_same_image_twice_is_refused(tmp_path: Path) -> None:
    datasets = series(phantom(3))
    folder = write(tmp_path / "s", [*datasets, datasets[1]])
    with pytest.raises(DicomError, match="“IM003” is the same image as “IM001”"):
        read_series(folder)


@pytest.mark.parametrize(
    "content", [b"", b"PNG", b"\0" * 128 + b"DICX" + b"\0" * 900], ids=["empty", "short", "other"]
)
def test_a_file_that_is_not_dicom_is_named(tmp_path: Path, content: bytes) -> None:
    folder = write(tmp_path / "s", series(phantom(2)))
    (folder / "notes.txt").write_bytes(content)
    with pytest.raises(DicomError, match=r"“notes.txt” is not a DICOM file"):
        read_series(folder)


def test_compressed_pixels_that_do_not_decode_are_named(tmp_path: Path) -> None:
    datasets = series(phantom(2))
    datasets[1].compress(RLELossless)
    fragment = bytearray(datasets[1].PixelData)
    fragment[30:] = b"\x7f" * (len(fragment) - 30)
    datasets[1].PixelData = bytes(fragment)
    with pytest.raises(DicomError, match="“IM001”"):
        read_series(write(tmp_path / "s", datasets))


def test_an_encoding_without_decoder_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "s", series(phantom(1)))
    path = folder / "IM000"
    deflated = b"1.2.840.10008.1.2.1.99"
    data = path.read_bytes()
    plain = struct.pack("<HH2sH", 2, 0x10, b"UI", 20) + b"1.2.840.10008.1.2.1\0"
    assert plain in data
    path.write_bytes(data.replace(plain, struct.pack("<HH2sH", 2, 0x10, b"UI", 22) + deflated))
    with pytest.raises(DicomError, match="“IM000” cannot be decoded: its encoding is Deflated"):
        read_series(folder)


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DicomError, match="“empty” holds no images"):
        read_series(tmp_path / "empty")
    with pytest.raises(DicomError, match="neither a file nor a folder"):
        read_series(tmp_path / "nowhere")


def _nested(depth: int, *, explicit: bool, defined: bool) -> bytes:
    """Sequences within sequences: ReferencedImageSequence, `depth` of them."""
    body = b""
    for _ in range(depth):
        length = len(body) if defined else 0xFFFFFFFF
        end = b"" if defined else struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
        item = struct.pack("<HHL", 0xFFFE, 0xE000, length) + body + end
        length = len(item) if defined else 0xFFFFFFFF
        end = b"" if defined else struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
        if explicit:
            body = struct.pack("<HH2sHL", 0x0008, 0x1140, b"SQ", 0, length) + item + end
        else:
            body = struct.pack("<HHL", 0x0008, 0x1140, length) + item + end
    return body


@pytest.mark.parametrize("depth", [20, 300, 3000])
@pytest.mark.parametrize("defined", [True, False], ids=["defined", "undefined"])
@pytest.mark.parametrize("explicit", [True, False], ids=["explicit", "implicit"])
def test_a_header_nested_too_deeply_is_refused_in_a_sentence(
    tmp_path: Path, depth: int, defined: bool, explicit: bool
) -> None:
    (dataset,) = series(phantom(1))
    if not explicit:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    data = as_bytes(dataset)
    name = struct.pack("<HH", 0x0010, 0x0010)  # the first element after group 0008
    at = data.index(name + (b"PN" if explicit else struct.pack("<L", 8)))
    path = tmp_path / "deep"
    path.write_bytes(data[:at] + _nested(depth, explicit=explicit, defined=defined) + data[at:])
    with pytest.raises(DicomError, match="“deep” is nested too deeply"):
        read_series(path)
    path.write_bytes(data[:at] + _nested(3, explicit=explicit, defined=defined) + data[at:])
    assert read_series(path).volume.shape == (1, 20, 24)


def test_a_file_that_ends_early_is_refused(tmp_path: Path) -> None:
    data = as_bytes(series(phantom(1))[0])
    path = tmp_path / "cut"
    for end in (140, 200, 600, len(data) - 3):
        path.write_bytes(data[:end])
        with pytest.raises(DicomError, match="“cut”"):
            read_series(path)


def test_frames_spread_over_several_enhanced_files_make_one_series(tmp_path: Path) -> None:
    pixels = phantom(4)
    first, second = enhanced(pixels[:2]), enhanced(pixels[2:])
    second.SeriesInstanceUID = first.SeriesInstanceUID
    for index, frame in enumerate(second.PerFrameFunctionalGroupsSequence):
        frame.PlanePositionSequence[0].ImagePositionPatient = [4.0 * (index + 2), 0, 0]
    found = read_series(write(tmp_path / "s", [second, first]))
    assert found.places == ((0, 0), (0, 1), (1, 0), (1, 1))
    assert [path.name for path in found.files] == ["IM001", "IM000"]
    assert np.array_equal(found.volume[2], pixels[2] * 2.0)


def test_two_echoes_in_one_enhanced_file_are_refused(tmp_path: Path) -> None:
    dataset = enhanced(phantom(4))
    del dataset.SharedFunctionalGroupsSequence[0].MREchoSequence
    for index, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        echo = Dataset()
        echo.EffectiveEchoTime = 10.0 + 20 * (index % 2)
        frame.MREchoSequence = DicomSequence([echo])
    (tmp_path / "two.dcm").write_bytes(as_bytes(dataset))
    with pytest.raises(DicomError, match=r"frame 1 of “two.dcm” and frame 2 .* differ in echo"):
        read_series(tmp_path / "two.dcm")


# --- What the header tells of the acquisition -----------------------------------------------------


@pytest.mark.parametrize(
    ("matrix", "direction", "size", "expected"),
    [
        ([0, 512, 269, 0], "ROW", (512, 384), (512, 269)),  # Siemens
        ([0, 256, 0, 230], "ROW", (512, 460), (256, 230)),  # United Imaging: an odd place
        ([80, 0, 0, 64], "COL", (80, 80), (64, 80)),
        ([0, 512, 269, 0], None, (512, 384), (512, 269)),
        ([256, 0, 0, 134], "", (256, 256), (134, 256)),
        ([0, 256, 0, 230], None, (512, 460), None),  # nothing says which side is which
        ([0, 0, 0, 0], "ROW", (256, 256), None),
        ([], "ROW", (256, 256), None),
        ([0, 112, 138, 0], "ROW", (138, 112), (138, 112)),  # fits the image transposed
    ],
)
def test_the_acquired_matrix_is_read_by_direction(
    matrix: list[int],
    direction: str | None,
    size: tuple[int, int],
    expected: tuple[int, int] | None,
) -> None:
    assert matrix_of_header(matrix, direction, size=size) == expected


def test_a_padded_field_of_view_does_not_lower_the_resolution() -> None:
    # 160 lines over 62.5 % of a square image: 256 over the whole of it.
    found = matrix_of_header([0, 256, 160, 0], "ROW", size=(256, 256), percent_phase_fov=62.5)
    assert found == (256, 256)


def test_classic_headers_give_their_matrix(tmp_path: Path) -> None:
    def change(dataset: Dataset, _index: int) -> None:
        dataset.AcquisitionMatrix = [0, 10, 12, 0]
        dataset.InPlanePhaseEncodingDirection = "ROW"

    found = read_series(write(tmp_path / "s", series(phantom(2), change=change)))
    assert found.acquired == (10, 12)


@pytest.mark.parametrize(
    ("group", "element", "creator", "vr", "value", "said"),
    [
        (0x0021, 0x75, "SIEMENS MR SDS 01", "CS", ["M", "DRB", "NORM"], "Deep Resolve: DRB"),
        (0x0043, 0xCA, "GEMS_PARM_01", "LO", "0.75\\High", "AIR Recon DL"),
        (0x2005, 0x10, "Philips MR Imaging DD 002", "CS", "CS_SENSE_AI", "SmartSpeed AI"),
    ],
)
def test_denoising_by_the_scanner_is_told(
    tmp_path: Path, group: int, element: int, creator: str, vr: str, value: object, said: str
) -> None:
    def change(dataset: Dataset, _index: int) -> None:
        block = dataset.private_block(group, creator, create=True)
        block.add_new(element, vr, value)

    found = read_series(write(tmp_path / "s", series(phantom(2), change=change)))
    assert found.vendor_denoised is not None
    assert said in found.vendor_denoised


@needs_shared
@pytest.mark.shared
def test_the_real_pair_with_and_without_vendor_denoising_is_told_apart() -> None:
    without = read_series(SHARED / "acr-phantom-philips3t-csai-off")
    with_it = read_series(SHARED / "acr-phantom-philips3t-csai-on")
    assert without.vendor_denoised is None
    assert with_it.vendor_denoised is not None
    assert without.acquired == (256, 203)
    assert without.volume.shape == with_it.volume.shape == (12, 256, 256)


@needs_shared
@pytest.mark.shared
@pytest.mark.parametrize(
    ("folder", "shape", "acquired"),
    [
        ("brain-ax-t2tse-siemens3t", (28, 512, 384), (512, 269)),
        ("brain-sag-t1gre-uih3t", (16, 512, 460), (256, 230)),
        ("brain-ax-pdfse-ge1p5t", (20, 256, 256), (256, 256)),
        ("brain-ax-dwi-canon3t", (40, 80, 80), (80, 80)),
        ("brain-t1-enhanced-siemens-xa30", (96, 128, 128), None),
        ("lumbar-sag-t2-wrapped", (38, 201, 257), None),
    ],
)
def test_real_series_are_read_whole(
    folder: str, shape: tuple[int, int, int], acquired: tuple[int, int] | None
) -> None:
    found = read_series(SHARED / folder)
    assert found.volume.shape == shape
    assert found.acquired == acquired
    assert len(found.places) == shape[0]
