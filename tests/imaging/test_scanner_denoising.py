"""The platform and the engine read the same headers: both tell of denoising, or neither does."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset

from denoise_engine.dicom.acquisition import SCHEME, vendor_denoised
from denoise_engine.dicom.frames import ENHANCED_MR_IMAGE, Frame
from readerstudy.imaging.parsing.lookups import Header
from readerstudy.imaging.parsing.scanner_denoising import OWN_SCHEME, scanner_denoising

from .datasets import phantom, series

OURS = "this engine"


def header(**values: Any) -> Dataset:
    (dataset,) = series(phantom(1))
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def private(group: int, element: int, creator: str, vr: str, value: Any) -> Dataset:
    dataset = header()
    dataset.private_block(group, creator, create=True).add_new(element, vr, value)
    return dataset


def item(**values: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def enhanced(place: str, group: Dataset) -> Dataset:
    return header(SOPClassUID=ENHANCED_MR_IMAGE, NumberOfFrames=1, **{place: [group]})


def step(scheme: str) -> Dataset:
    return item(CodeValue="DENOISE", CodingSchemeDesignator=scheme, CodeMeaning="Denoising")


SHARED, OWN = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
HEADERS: dict[str, tuple[Dataset, str]] = {
    "nothing": (header(), ""),
    "Siemens image type": (header(ImageType=["ORIGINAL", "PRIMARY", "M", "DRB"]), "Deep Resolve"),
    "Siemens private": (
        private(0x0021, 0x75, "SIEMENS MR SDS 01", "CS", ["M", "DRG"]),
        "Deep Resolve",
    ),
    "Siemens block of another maker": (private(0x0021, 0x75, "OTHER", "CS", ["DRG"]), ""),
    "GE": (private(0x0043, 0xCA, "GEMS_PARM_01", "LO", ["0.75", "High"]), "AIR Recon DL"),
    "GE switched off": (private(0x0043, 0xCA, "GEMS_PARM_01", "LO", "OFF"), ""),
    "Philips": (
        private(0x2005, 0x10, "Philips MR Imaging DD 002", "CS", "CS_SENSE_AI"),
        "SmartSpeed AI",
    ),
    "Philips without": (private(0x2005, 0x10, "Philips MR Imaging DD 002", "CS", "CS_SENSE"), ""),
    "this engine": (header(DerivationCodeSequence=[step(SCHEME)]), OURS),
    "another derivation": (header(DerivationCodeSequence=[step("DCM")]), ""),
    "enhanced frame type": (
        enhanced(SHARED, item(MRImageFrameTypeSequence=[item(FrameType=["ORIGINAL", "DRS"])])),
        "Deep Resolve",
    ),
    "enhanced, this engine": (
        enhanced(OWN, item(DerivationImageSequence=[item(DerivationCodeSequence=[step(SCHEME)])])),
        OURS,
    ),
}


@pytest.mark.parametrize("name", HEADERS)
def test_both_read_the_same_headers_alike(name: str) -> None:
    dataset, maker = HEADERS[name]
    by_engine = vendor_denoised(Frame(dataset, 0, 0, "IM1"))
    by_platform = scanner_denoising(Header(dataset))
    assert by_platform == ("ReaderStudy" if maker == OURS else maker)
    assert (by_engine is None) == (maker == "")
    assert maker in (by_engine or "")


def test_both_know_the_engine_by_the_same_code() -> None:
    assert OWN_SCHEME == SCHEME
