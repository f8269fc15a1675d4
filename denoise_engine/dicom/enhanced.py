"""The functional groups of a derived enhanced image: those of its source, with the new derivation.

PS3.3 C.7.6.16.2.6 (Derivation Image), C.8.13.5.1 (MR Image Frame Type), C.7.6.16.2.9 (Pixel Value
Transformation). Enhanced MR images know no SECONDARY: value 2 of their image type is always PRIMARY
(C.8.16.1.2), and what has been derived is DERIVED\\PRIMARY.
"""

from collections.abc import Iterator

from pydicom.dataset import Dataset

from denoise_engine.dicom.frames import frame_count, has_window
from denoise_engine.dicom.provenance import SOURCE_PURPOSE
from denoise_engine.dicom.provenance import code as code_item

# The MR Pulse Sequence module (C.8.13.4) belongs to original images and may be left out of derived
# ones; validators that follow its older wording refuse it there. The source image still has it.
PULSE_SEQUENCE = (
    "PulseSequenceName",
    "MRAcquisitionType",
    "EchoPulseSequence",
    "MultipleSpinEcho",
    "MultiPlanarExcitation",
    "PhaseContrast",
    "VelocityEncodingAcquisitionSequence",
    "TimeOfFlightContrast",
    "ArterialSpinLabelingContrast",
    "SteadyStatePulseSequence",
    "EchoPlanarPulseSequence",
    "SaturationRecovery",
    "SpectrallySelectedSuppression",
    "OversamplingPhase",
    "GeometryOfKSpaceTraversal",
    "RectilinearPhaseEncodeReordering",
    "SegmentedKSpaceTraversal",
    "CoverageOfKSpace",
    "NumberOfKSpaceTrajectories",
    "BulkMotionCompensationTechnique",
)
MOVED_TO_GROUPS = ("RescaleSlope", "RescaleIntercept", "RescaleType", "DerivationCodeSequence")


def derive_functional_groups(
    target: Dataset,
    source: Dataset,
    *,
    rescale: tuple[str, str],
    description: str,
    code: Dataset,
) -> None:
    """Turn a copy of an enhanced image into a derived one, frame by frame.

    Parameters
    ----------
    target : Dataset
        The copy; changed in place. Its frames lie as those of the source.
    source : Dataset
        The source image.
    rescale : (str, str)
        Slope and intercept of the new pixels, the same for all frames.
    description, code : str, Dataset
        Derivation description and the item of its code sequence.
    """
    target.ImageType = _derived_type(target.get("ImageType"))
    target.ContentQualification = "RESEARCH"  # PS3.3 C.8.13.2.1.1
    for keyword in (*PULSE_SEQUENCE, *MOVED_TO_GROUPS):
        if keyword in target:
            delattr(target, keyword)
    shared = _shared(target)
    frames = list(target.get("PerFrameFunctionalGroupsSequence") or ())
    frames += [Dataset() for _ in range(frame_count(target) - len(frames))]
    for groups in (shared, *frames):
        _remove_stale(groups)
        for item in groups.get("MRImageFrameTypeSequence") or ():
            item.FrameType = _derived_type(item.get("FrameType"))
    _set_rescale(shared, frames, rescale)
    earlier = list(shared.get("DerivationImageSequence") or ())
    if "DerivationImageSequence" in shared:
        del shared.DerivationImageSequence  # a macro stands in one of the two places
    for number, groups in enumerate(frames):
        derivation = Dataset()
        derivation.DerivationDescription = description
        derivation.DerivationCodeSequence = [code]
        derivation.SourceImageSequence = [_source_frame(source, number + 1)]
        groups.DerivationImageSequence = [
            *(groups.get("DerivationImageSequence") or earlier),
            derivation,
        ]
    target.SharedFunctionalGroupsSequence = [shared]
    target.PerFrameFunctionalGroupsSequence = frames
    target.SourceImageEvidenceSequence = [
        *(target.get("SourceImageEvidenceSequence") or ()),
        _evidence(source),
    ]


def _derived_type(image_type: object) -> list[str]:
    values = (
        [str(value) for value in image_type]  # type: ignore[attr-defined]
        if image_type is not None and not isinstance(image_type, str)
        else []
    )
    flavour = values[2] if len(values) > 2 and values[2] else "OTHER"
    contrast = values[3] if len(values) > 3 and values[3] else "NONE"
    return ["DERIVED", "PRIMARY", flavour, contrast]


def _shared(target: Dataset) -> Dataset:
    items = target.get("SharedFunctionalGroupsSequence")
    return items[0] if items else Dataset()


def _remove_stale(groups: Dataset) -> None:
    """What describes the pixels of the source, in one set of functional groups and one level below.

    Deeper levels are codes and references, which hold nothing of the kind.
    """
    if "RealWorldValueMappingSequence" in groups:
        del groups.RealWorldValueMappingSequence
    for item in (groups, *_items(groups)):
        for tag in [tag for tag in item.keys() if tag.is_private]:  # noqa: SIM118
            del item[tag]
    windows = groups.get("FrameVOILUTSequence")
    if windows and not all(has_window(item) for item in windows):
        del groups.FrameVOILUTSequence


def _items(groups: Dataset) -> Iterator[Dataset]:
    for tag in list(groups.keys()):
        if not tag.is_private and groups[tag].VR == "SQ":
            yield from groups[tag].value


def _set_rescale(shared: Dataset, frames: list[Dataset], rescale: tuple[str, str]) -> None:
    """One rescale for all frames, where the source had it: in each frame or shared."""
    own = [groups for groups in frames if "PixelValueTransformationSequence" in groups]
    places = frames if own and "PixelValueTransformationSequence" not in shared else [shared]
    for groups in own:
        del groups.PixelValueTransformationSequence
    for groups in places:
        item = Dataset()
        item.RescaleIntercept, item.RescaleSlope = rescale[1], rescale[0]
        item.RescaleType = "US"
        groups.PixelValueTransformationSequence = [item]


def _source_frame(source: Dataset, number: int) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = source.SOPClassUID
    reference.ReferencedSOPInstanceUID = source.SOPInstanceUID
    reference.ReferencedFrameNumber = number
    reference.PurposeOfReferenceCodeSequence = [code_item(SOURCE_PURPOSE)]
    reference.SpatialLocationsPreserved = "YES"
    return reference


def _evidence(source: Dataset) -> Dataset:
    """Where the source image stands: required with source images in functional groups."""
    image, series, study = Dataset(), Dataset(), Dataset()
    image.ReferencedSOPClassUID = source.SOPClassUID
    image.ReferencedSOPInstanceUID = source.SOPInstanceUID
    series.SeriesInstanceUID = source.SeriesInstanceUID
    series.ReferencedSOPSequence = [image]
    study.StudyInstanceUID = source.StudyInstanceUID
    study.ReferencedSeriesSequence = [series]
    return study
