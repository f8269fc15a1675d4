"""Strategies that mangle good files: bytes, headers, archives, names."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
from functools import lru_cache
from pathlib import Path

import pydicom.config
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence

from .datasets import as_bytes, phantom, series

DATA = Path(__file__).parent / "data"
ODD_TEXT = ["", "\\", "NaN", "1e999", "-0", "0", "***", "\x00", "山田^太郎", "9" * 40, "1\\2\\3\\4"]
KEYWORDS = [
    "Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation", "SamplesPerPixel",
    "NumberOfFrames", "PhotometricInterpretation", "PixelSpacing", "ImagePositionPatient",
    "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept", "SOPClassUID", "SOPInstanceUID",
    "SeriesInstanceUID", "StudyDate", "Modality", "ImageType", "EchoTime", "SliceThickness",
    "WindowCenter", "PixelPaddingValue", "SpecificCharacterSet", "PatientID", "DiffusionBValue",
]  # fmt: skip
SYNTAXES = [
    b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2.2", b"1.2.840.10008.1.2.5",
    b"1.2.840.10008.1.2.4.70", b"1.2.840.10008.1.2.4.80", b"1.2.840.10008.1.2.4.90",
    b"1.2.840.10008.1.2.4.201", b"1.2.840.10008.1.2.1.99",
]  # fmt: skip


@lru_cache(maxsize=1)
def good_files() -> tuple[bytes, ...]:
    """A slice of our own, and one in each encoding of the test data."""
    (own,) = series(phantom(1))
    real = [p.read_bytes() for p in sorted(DATA.glob("*/*.dcm")) if p.stat().st_size < 60_000]
    return (as_bytes(own), *real)


@st.composite
def flipped(draw: st.DrawFn, content: bytes) -> bytes:
    """Some bytes replaced, mostly in the header."""
    made = bytearray(content)
    for _ in range(draw(st.integers(1, 12))):
        most = len(made) - 1 if draw(st.booleans()) else min(len(made) - 1, 1500)
        made[draw(st.integers(0, most))] = draw(st.integers(0, 255))
    return bytes(made)


@st.composite
def spliced(draw: st.DrawFn, content: bytes) -> bytes:
    """Cut, doubled, or with a piece of another place in the middle."""
    start = draw(st.integers(0, len(content)))
    end = draw(st.integers(start, len(content)))
    how = draw(st.sampled_from(["cut", "head", "twice", "out", "length"]))
    if how == "cut":
        return content[:end]
    if how == "head":
        return content[start:]
    if how == "twice":
        return content[:end] + content[start:]
    if how == "out":
        return content[:start] + content[end:]
    length = draw(st.sampled_from([0, 1, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]))
    at = min(start, max(len(content) - 4, 0))
    return content[:at] + struct.pack("<I", length) + content[at + 4 :]


@st.composite
def odd_header(draw: st.DrawFn, content: bytes) -> bytes:
    """An attribute removed, emptied or given a value it should not have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = pydicom.config.settings.writing_validation_mode
        pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
        try:
            dataset = dcmread(io.BytesIO(content))
            for _ in range(draw(st.integers(1, 4))):
                _change(draw, dataset, draw(st.sampled_from(KEYWORDS)))
            buffer = io.BytesIO()
            dcmwrite(buffer, dataset, enforce_file_format=False)
            return buffer.getvalue()
        except Exception:  # noqa: BLE001 - what cannot be written is mangled bytewise instead
            return content[: len(content) // 2]
        finally:
            pydicom.config.settings.writing_validation_mode = before


def _change(draw: st.DrawFn, dataset: Dataset, keyword: str) -> None:
    how = draw(st.sampled_from(["remove", "text", "number", "nest"]))
    if how == "remove":
        if keyword in dataset:
            delattr(dataset, keyword)
    elif how == "text":
        dataset.add_new(keyword, "LO", draw(st.sampled_from(ODD_TEXT)))
    elif how == "number":
        number = draw(st.sampled_from([0, 1, -1, 7, 65535]))
        dataset.add_new(keyword, "US", abs(number) if number < 0 else number)
    else:
        inner = Dataset()
        inner.PatientID = "x"
        for _ in range(draw(st.integers(1, 16))):
            outer = Dataset()
            outer.add_new("RequestAttributesSequence", "SQ", Sequence([inner]))
            inner = outer
        dataset.add_new("RequestAttributesSequence", "SQ", Sequence([inner]))


@st.composite
def other_encoding(draw: st.DrawFn, content: bytes) -> bytes:
    """The file says that it is encoded in another way than it is."""
    made = content
    for syntax in SYNTAXES:
        padded = syntax + b"\0" * (len(syntax) % 2)
        if padded in content[:400]:
            same = [s for s in SYNTAXES if len(s + b"\0" * (len(s) % 2)) == len(padded)]
            chosen = draw(st.sampled_from(same))
            made = content.replace(padded, chosen + b"\0" * (len(chosen) % 2), 1)
    return made


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    content = draw(st.sampled_from(good_files()))
    for _ in range(draw(st.integers(1, 2))):
        how = draw(st.sampled_from([flipped, spliced, odd_header, other_encoding]))
        content = draw(how(content)) or b"\0"
    return content


@st.composite
def archives(draw: st.DrawFn, files: dict[str, bytes]) -> bytes:
    """A zip of the files, itself mangled at times."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    made = buffer.getvalue()
    return draw(st.one_of(st.just(made), st.just(made), flipped(made), spliced(made)))


names = st.sampled_from(
    ["V01/STD/{}.dcm", "V01/DF/{}.dcm", "V02/STD/{}", "x/{}.dcm", "{}.dcm", "../{}.dcm",
     "V01/STD/Ünïcødé {}.dcm", "V01/DLR_DF/{}.dcm", "a\\b\\{}.dcm", "__MACOSX/{}.dcm"]
)  # fmt: skip
