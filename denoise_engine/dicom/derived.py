"""Derived images by the standard: a copy of the source's header, with what is new told apart.

Patient, study, frame of reference, geometry and acquisition stay; the UIDs of series and images
are new. Private attributes are left out: they describe the pixels of the source, in units that the
new ones do not share. Source headers are copied, never changed.
"""

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from denoise_engine.dicom.enhanced import derive_functional_groups
from denoise_engine.dicom.frames import Frame, frames_of, has_window, is_enhanced
from denoise_engine.dicom.ordering import order_frames
from denoise_engine.dicom.provenance import (
    SOURCE_PURPOSE,
    code,
    coding_scheme,
    derivation_code,
    derivation_description,
    equipment,
)
from denoise_engine.errors import DicomError

# PS3.7 leaves the choice to the implementer: a name in the 2.25 (UUID) space.
IMPLEMENTATION_UID = UID("2.25.190306236712563447283461398712204857731")
SERIES_NUMBER_STEP = 1000

# What is true of the source's pixels or of its file alone.
STALE = frozenset(
    {
        "PixelData",
        "PixelDataProviderURL",
        "ExtendedOffsetTable",
        "ExtendedOffsetTableLengths",
        "DataSetTrailingPadding",
        "SmallestImagePixelValue",
        "LargestImagePixelValue",
        "SmallestPixelValueInSeries",
        "LargestPixelValueInSeries",
        "PixelPaddingValue",
        "PixelPaddingRangeLimit",
        "PixelIntensityRelationship",
        "PixelIntensityRelationshipSign",
        "RealWorldValueMappingSequence",
        "VOILUTSequence",
        "HistogramSequence",
        "IconImageSequence",
        "ReferencedPresentationStateSequence",
        "DigitalSignaturesSequence",
        "MACParametersSequence",
        "EncryptedAttributesSequence",
        "InstanceCreationDate",
        "InstanceCreationTime",
        "InstanceCreatorUID",
        "SourceImageSequence",
        "DerivationDescription",
    }
)


def derived_datasets(
    sources: Sequence[Dataset], volume: ArrayLike, record: Mapping[str, Any]
) -> list[Dataset]:
    """The data sets of a derived series, complete with pixels and file meta information.

    Parameters
    ----------
    sources : sequence of Dataset
        The source images, with or without pixels: of a classic series one for each slice of the
        volume, in its order; of an enhanced series its data sets, whose frames the volume holds in
        anatomical order, as `read_series` returned them.
    volume : array_like
        (slices, rows, columns), in the rescaled values of the source.
    record : mapping
        How the volume was made, as `DenoiseResult.record()` returns it.

    Returns
    -------
    list of Dataset
        One for each of `sources`, in their order; explicit VR little endian.

    Raises
    ------
    DicomError
        The volume does not fit the sources or has values that are not finite; the record is too
        long; the sources cannot be copied.
    """
    values = np.asarray(volume)
    if not sources:
        raise DicomError("There is no source image to derive from.")
    try:
        frames = _frames_in_order(sources)
        _check_volume(values, frames)
        slope, intercept, signed = scaling(values, frames[0])
        stored = _as_integers(values, slope, intercept, signed)
        series_uid = generate_uid(prefix=None)
        description = derivation_description(record)
        targets = [_copied(source, series_uid, record) for source in sources]
        for number, (source, target) in enumerate(zip(sources, targets, strict=True)):
            own = [index for index, frame in enumerate(frames) if frame.source == number]
            own.sort(key=lambda index: frames[index].number)  # as the source's frames lie
            pixels = stored[own] if is_enhanced(source) else stored[own[0]]
            _describe_pixels(target, pixels)
            if is_enhanced(source):
                derive_functional_groups(
                    target,
                    source,
                    rescale=(decimal(slope), decimal(intercept)),
                    description=description,
                    code=derivation_code(record),
                )
            else:
                _derive_classic(target, source, description, (decimal(slope), decimal(intercept)))
                target.DerivationCodeSequence = [
                    *(target.get("DerivationCodeSequence") or ()),
                    derivation_code(record),
                ]
    except RecursionError:
        raise DicomError(
            "The header of a source image is nested too deeply to be copied."
        ) from None
    return targets


def _frames_in_order(sources: Sequence[Dataset]) -> list[Frame]:
    """The image behind each slice of the volume."""
    if any(is_enhanced(source) != is_enhanced(sources[0]) for source in sources):
        raise DicomError("The source images mix classic and enhanced ones.")
    frames = frames_of(list(sources), [f"image {n + 1}" for n in range(len(sources))])
    return order_frames(frames)[0] if is_enhanced(sources[0]) else frames


def _check_volume(values: NDArray[Any], frames: Sequence[Frame]) -> None:
    first = frames[0].dataset
    shape = (len(frames), int(first.Rows), int(first.Columns))
    if values.shape != shape:
        raise DicomError(
            f"The volume is {' × '.join(map(str, values.shape))}; its source images are "
            f"{' × '.join(map(str, shape))} (slices, rows, columns)."
        )
    if not np.all(np.isfinite(values)):
        raise DicomError("The volume has values that are not finite; DICOM cannot hold them.")


def scaling(volume: NDArray[Any], source: Frame | Dataset) -> tuple[float, float, bool]:
    """Slope, intercept and sign of the derived integers.

    The source's slope divided by a power of two: as fine as 16 bits allow, so that rounding adds
    nothing to what a region measures, and still an exact fraction of the source's steps.

    Parameters
    ----------
    volume : ndarray
        (slices, rows, columns), finite.
    source : Frame or Dataset
        The first source image.
    """
    frame = source if isinstance(source, Frame) else Frame(source, 0, 0, "image 1")
    slope, intercept = frame.rescale()
    ends = [(float(volume.min()) - intercept) / slope, (float(volume.max()) - intercept) / slope]
    signed = min(ends) < -0.5
    room = 32767.0 if signed else 65535.0
    reach = max(*map(abs, ends), 1e-12)
    return slope / 2.0 ** math.floor(math.log2(room / reach)), intercept, signed


def _as_integers(
    values: NDArray[Any], slope: float, intercept: float, signed: bool
) -> NDArray[np.int16] | NDArray[np.uint16]:
    # What the header says to the last digit, so that file and volume agree.
    exact_slope, exact_intercept = float(decimal(slope)), float(decimal(intercept))
    stored = np.rint((values.astype(np.float64) - exact_intercept) / exact_slope)
    if signed:
        return np.clip(stored, -32768, 32767).astype(np.int16)
    return np.clip(stored, 0, 65535).astype(np.uint16)


def decimal(value: float) -> str:
    """A decimal string of at most 16 characters (DS), with as many digits as fit."""
    for digits in range(15, 0, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    raise DicomError(f"{value} does not fit into a decimal string.")


def _copied(source: Dataset, series_uid: str, record: Mapping[str, Any]) -> Dataset:
    """The source's header without what is stale, under new UIDs, with what has been added."""
    target = _header(source)
    target.SOPInstanceUID = generate_uid(prefix=None)
    target.SeriesInstanceUID = series_uid
    try:
        target.SeriesNumber = int(source.get("SeriesNumber") or 0) + SERIES_NUMBER_STEP
    except (TypeError, ValueError):
        target.SeriesNumber = SERIES_NUMBER_STEP
    said = str(source.get("SeriesDescription") or "")
    if said:
        target.SeriesDescription = f"{said[:48]} {str(record.get('method') or 'denoised')[:15]}"
    schemes = list(target.get("CodingSchemeIdentificationSequence") or ())
    scheme = coding_scheme()
    known = {str(item.get("CodingSchemeDesignator") or "") for item in schemes}
    if scheme.CodingSchemeDesignator not in known:
        target.CodingSchemeIdentificationSequence = [*schemes, scheme]
    target.ContributingEquipmentSequence = [
        *(target.get("ContributingEquipmentSequence") or ()),
        equipment(record),
    ]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = target.SOPClassUID
    meta.MediaStorageSOPInstanceUID = target.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = "DENOISE_ENGINE"
    target.file_meta = meta
    return target


def _header(source: Dataset) -> Dataset:
    """A deep copy of everything but private, stale, unreadable and group length attributes."""
    target = Dataset()
    for tag in list(source.keys()):
        if tag.is_private or tag.element == 0 or _is_embedded_overlay(source, tag.group):
            continue
        try:
            element = source[tag]
        except (TypeError, ValueError, NotImplementedError):
            continue  # a value that cannot be read cannot be copied
        if element.keyword not in STALE:
            target.add(deepcopy(element))  # elements are mutable, and the source's must stay
    return target


def _is_embedded_overlay(source: Dataset, group: int) -> bool:
    """Overlays that lay in the high bits of the source's pixels went with them."""
    return 0x6000 <= group <= 0x601E and (group, 0x3000) not in source


def _describe_pixels(target: Dataset, pixels: NDArray[np.int16] | NDArray[np.uint16]) -> None:
    signed = pixels.dtype == np.int16
    target.BitsAllocated = target.BitsStored = 16
    target.HighBit = 15
    target.PixelRepresentation = 1 if signed else 0
    target.SamplesPerPixel = 1
    target.PhotometricInterpretation = "MONOCHROME2"
    target.PixelData = pixels.astype("<i2" if signed else "<u2").tobytes()
    target["PixelData"].VR = "OW"


def _derive_classic(
    target: Dataset, source: Dataset, description: str, rescale: tuple[str, str]
) -> None:
    image_type = source.get("ImageType")
    values = [str(value) for value in image_type] if isinstance(image_type, MultiValue) else []
    target.ImageType = ["DERIVED", "SECONDARY", *(values[2:] or ["OTHER"])]
    target.RescaleSlope, target.RescaleIntercept = rescale
    target.RescaleType = "US"  # unspecified
    if not has_window(target):
        for keyword in ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation"):
            if keyword in target:
                delattr(target, keyword)
    target.DerivationDescription = description
    reference = Dataset()
    reference.ReferencedSOPClassUID = source.SOPClassUID
    reference.ReferencedSOPInstanceUID = source.SOPInstanceUID
    reference.PurposeOfReferenceCodeSequence = [code(SOURCE_PURPOSE)]
    target.SourceImageSequence = [reference]
