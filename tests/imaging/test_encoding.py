"""Files are put together without the reading library: byte by byte what it would have written."""

from __future__ import annotations

import io

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from readerstudy.imaging.deidentification.copier import Values
from readerstudy.imaging.parsing import encoding, images
from readerstudy.imaging.parsing.encoding import (
    as_dataset,
    encode,
    encode_values,
    encode_with_library,
)

from .datasets import as_bytes, phantom, series


def full(dataset: Dataset, _index: int) -> None:
    """Values of every kind that is copied, odd lengths and several values among them."""
    dataset.WindowCenter, dataset.WindowWidth = [40.5, 400], [80, 1]
    dataset.ImagePositionPatient = ["-30.000000001", "0.1234567890123", "6e1"]
    dataset.FlipAngle, dataset.AngioFlag, dataset.SAR = 12.5, "N", 0.25
    dataset.AcquisitionMatrix = [0, 256, 192, 0]
    dataset.AcquisitionDuration, dataset.DiffusionBValue = 12.25, 800.0
    dataset.RescaleSlope, dataset.RescaleIntercept = 0.5, -7
    dataset.StudyDate = "20260412"
    dataset.PixelPaddingValue = 3


@pytest.mark.parametrize("shift", [None, -40])
def test_every_slice_is_written_as_the_library_would(
    monkeypatch: pytest.MonkeyPatch, shift: int | None
) -> None:
    pairs: list[tuple[bytes, bytes]] = []

    def compare(values: Values, pixels: np.ndarray) -> tuple[bytes, int]:
        content, offset = encode_values(values, pixels)
        target = as_dataset(values, pixels.dtype == np.int16)
        assert encode(target, pixels) == (content, offset)
        pairs.append((content, encode_with_library(target)))
        pairs.append((content[offset : offset + pixels.nbytes], pixels.tobytes()))
        return content, offset

    def never(_target: Dataset) -> bytes:
        raise AssertionError("Left to the library.")

    monkeypatch.setattr(images, "encode_values", compare)
    monkeypatch.setattr(encoding, "encode_with_library", never)
    odd_size = phantom(2, rows=7, columns=9)
    for pixels in (odd_size, odd_size.astype(np.int16) - 100):
        for dataset in series(pixels, change=full):
            content = as_bytes(dataset)
            images.parse_image(content, patient_code="V01", key=b"k", date_shift=shift)
    assert len(pairs) == 8
    assert all(written == expected for written, expected in pairs)


def test_what_is_not_known_is_left_to_the_library() -> None:
    (dataset,) = series(phantom(1))
    del dataset.file_meta
    pixels = phantom(1)[0]
    dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 192", "山田^太郎"
    inner = Dataset()
    inner.CodeMeaning = "Prüfung"
    dataset.RequestAttributesSequence = Sequence([inner])
    content, offset = encode(dataset, pixels)
    read = dcmread(io.BytesIO(content))
    assert str(read.PatientName) == "山田^太郎"
    assert read.RequestAttributesSequence[0].CodeMeaning == "Prüfung"
    assert np.array_equal(read.pixel_array, pixels)
    assert content[offset:] == pixels.tobytes()
