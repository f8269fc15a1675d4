"""What is read around the library reads as the library reads it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels import iter_pixels
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from readerstudy.imaging.parsing.lookups import Header
from readerstudy.imaging.parsing.pixels import decode

from .datasets import as_bytes, phantom, series


def of_every_kind(dataset: Dataset, _index: int) -> None:
    dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    dataset.PatientName = "Yamada^Tarou=山田^太郎"
    dataset.PatientID, dataset.StudyDescription = "A-17", "lumbar \\ spine"
    dataset.ImageComments = "two\nlines"
    dataset.ImagePositionPatient = ["-30.000000001", "0.1234567890123", "6e1"]
    dataset.WindowCenter, dataset.WindowWidth = [40.5, 400], [80, 1]
    dataset.AcquisitionMatrix, dataset.DiffusionBValue = [0, 256, 192, 0], 800.0
    dataset.ScanOptions, dataset.EchoTime, dataset.StudyID = ["PFP", "", "SFS"], None, ""
    dataset.SmallestImagePixelValue = 7


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_every_value_is_the_librarys(syntax: str) -> None:
    (made,) = series(phantom(1), change=of_every_kind)
    buffer = io.BytesIO()
    made.file_meta.TransferSyntaxUID = syntax
    made.save_as(
        buffer,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
        enforce_file_format=True,
    )
    header = Header(dcmread(io.BytesIO(buffer.getvalue())))
    expected = dcmread(io.BytesIO(buffer.getvalue()))
    for element in expected:
        value = header(element.keyword)
        assert value == element.value, element.keyword
        assert type(value) is type(element.value), element.keyword
        assert element.keyword in header
    assert header("InversionTime") is None
    assert "InversionTime" not in header


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("stored", [16, 12])
def test_plain_pixels_are_the_librarys(signed: bool, stored: int) -> None:
    """Bits above those that are said to be stored are set at random."""

    def described(dataset: Dataset, _index: int) -> None:
        dataset.BitsStored, dataset.HighBit = stored, stored - 1
        dataset.PixelRepresentation = int(signed)

    noise = np.random.default_rng(3).integers(0, 1 << 16, (1, 9, 7)).astype("u2")
    (dataset,) = series(noise, change=described)
    read = dcmread(io.BytesIO(as_bytes(dataset)))
    (ours,) = decode(Header(read))
    (theirs,) = iter_pixels(read, raw=True)
    assert ours.dtype == theirs.dtype
    assert np.array_equal(ours, theirs)
