"""The published table: every attribute that may be copied from an uploaded MR image.

Whatever is not named here is left out, private attributes and sequences without exception. The
table follows DICOM PS3.15 Annex E (Basic Application Confidentiality Profile): no attribute of its
Table E.1-1 is copied, except UIDs, which are replaced. As a starting point the MR rules of the
"grand-challenge-dicom-de-id-procedure" (version 2025.11.0, Apache-2.0) were read; what geometry,
rescaling and the table of acquisition parameters need was added, and free text was left out.

A test compares the table with PS3.15 as published by another project.
"""

from __future__ import annotations

from enum import Enum

VERSION = "1"


class Kind(Enum):
    """How a value is checked before it is copied; a value that fails is left out and counted."""

    NUMBER = "number"
    CODE = "code"  # capital letters, digits, space, underscore: a defined term, no free text
    TEXT = "text"  # maker and model: letters, digits and simple punctuation, at most 64
    UID = "uid"  # replaced by a keyed hash


ALLOWED: dict[str, Kind] = {
    # What the image is
    "ImageType": Kind.CODE,
    "BodyPartExamined": Kind.CODE,
    "Laterality": Kind.CODE,
    "ImageLaterality": Kind.CODE,
    "BurnedInAnnotation": Kind.CODE,
    "SeriesNumber": Kind.NUMBER,
    "AcquisitionNumber": Kind.NUMBER,
    "InstanceNumber": Kind.NUMBER,
    "TemporalPositionIdentifier": Kind.NUMBER,
    "NumberOfTemporalPositions": Kind.NUMBER,
    # Which scanner
    "Manufacturer": Kind.TEXT,
    "ManufacturerModelName": Kind.TEXT,
    "MagneticFieldStrength": Kind.NUMBER,
    # How it was acquired: the paper's table of acquisition parameters
    "ScanningSequence": Kind.CODE,
    "SequenceVariant": Kind.CODE,
    "ScanOptions": Kind.CODE,
    "MRAcquisitionType": Kind.CODE,
    "AngioFlag": Kind.CODE,
    "RepetitionTime": Kind.NUMBER,
    "EchoTime": Kind.NUMBER,
    "InversionTime": Kind.NUMBER,
    "NumberOfAverages": Kind.NUMBER,
    "ImagingFrequency": Kind.NUMBER,
    "ImagedNucleus": Kind.CODE,
    "EchoNumbers": Kind.NUMBER,
    "NumberOfPhaseEncodingSteps": Kind.NUMBER,
    "EchoTrainLength": Kind.NUMBER,
    "PercentSampling": Kind.NUMBER,
    "PercentPhaseFieldOfView": Kind.NUMBER,
    "PixelBandwidth": Kind.NUMBER,
    "ReconstructionDiameter": Kind.NUMBER,
    "AcquisitionMatrix": Kind.NUMBER,
    "InPlanePhaseEncodingDirection": Kind.CODE,
    "FlipAngle": Kind.NUMBER,
    "VariableFlipAngleFlag": Kind.CODE,
    "SAR": Kind.NUMBER,
    "dBdt": Kind.NUMBER,
    "AcquisitionDuration": Kind.NUMBER,
    "ParallelAcquisition": Kind.CODE,
    "ParallelAcquisitionTechnique": Kind.CODE,
    "ParallelReductionFactorInPlane": Kind.NUMBER,
    "PartialFourier": Kind.CODE,
    "DiffusionBValue": Kind.NUMBER,
    # Where it lies
    "PatientPosition": Kind.CODE,
    "SliceThickness": Kind.NUMBER,
    "SpacingBetweenSlices": Kind.NUMBER,
    "ImagePositionPatient": Kind.NUMBER,
    "ImageOrientationPatient": Kind.NUMBER,
    "SliceLocation": Kind.NUMBER,
    "PixelSpacing": Kind.NUMBER,
    # What its values mean; the pixel description itself is written anew from the decoded pixels
    "PixelPaddingValue": Kind.NUMBER,
    "WindowCenter": Kind.NUMBER,
    "WindowWidth": Kind.NUMBER,
    "RescaleIntercept": Kind.NUMBER,
    "RescaleSlope": Kind.NUMBER,
    "LossyImageCompression": Kind.CODE,
    "LossyImageCompressionRatio": Kind.NUMBER,
    # Replaced by keyed hashes
    "StudyInstanceUID": Kind.UID,
    "SeriesInstanceUID": Kind.UID,
    "SOPInstanceUID": Kind.UID,
    "FrameOfReferenceUID": Kind.UID,
}

# Read to decode the image and written anew from what was decoded.
REWRITTEN: frozenset[str] = frozenset(
    {
        "SOPClassUID",
        "Modality",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "Rows",
        "Columns",
        "NumberOfFrames",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "PixelData",
        # Functional groups of an enhanced image: single allowed values are taken out of them.
        "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence",
    }
)

# Written for every image, whatever the upload said.
REPLACED: frozenset[str] = frozenset(
    {
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyDate",
        "StudyTime",
        "StudyID",
        "AccessionNumber",
        "ReferringPhysicianName",
        "PositionReferenceIndicator",
        "SpecificCharacterSet",
        "PatientIdentityRemoved",
        "DeidentificationMethod",
        "DeidentificationMethodCodeSequence",
        "LongitudinalTemporalInformationModified",
    }
)

# Where an enhanced image keeps an allowed value: attribute → (functional group, attribute there).
FUNCTIONAL_GROUPS: dict[str, tuple[tuple[str, str], ...]] = {
    "ImageType": (("MRImageFrameTypeSequence", "FrameType"),),
    "PixelSpacing": (("PixelMeasuresSequence", "PixelSpacing"),),
    "SliceThickness": (("PixelMeasuresSequence", "SliceThickness"),),
    "SpacingBetweenSlices": (("PixelMeasuresSequence", "SpacingBetweenSlices"),),
    "ImagePositionPatient": (("PlanePositionSequence", "ImagePositionPatient"),),
    "ImageOrientationPatient": (("PlaneOrientationSequence", "ImageOrientationPatient"),),
    "RescaleSlope": (("PixelValueTransformationSequence", "RescaleSlope"),),
    "RescaleIntercept": (("PixelValueTransformationSequence", "RescaleIntercept"),),
    "WindowCenter": (("FrameVOILUTSequence", "WindowCenter"),),
    "WindowWidth": (("FrameVOILUTSequence", "WindowWidth"),),
    "RepetitionTime": (("MRTimingAndRelatedParametersSequence", "RepetitionTime"),),
    "FlipAngle": (("MRTimingAndRelatedParametersSequence", "FlipAngle"),),
    "EchoTrainLength": (("MRTimingAndRelatedParametersSequence", "EchoTrainLength"),),
    "EchoTime": (("MREchoSequence", "EffectiveEchoTime"),),
    "NumberOfAverages": (("MRAveragesSequence", "NumberOfAverages"),),
    "PixelBandwidth": (("MRImagingModifierSequence", "PixelBandwidth"),),
    "ImagingFrequency": (("MRImagingModifierSequence", "TransmitterFrequency"),),
    "InPlanePhaseEncodingDirection": (("MRFOVGeometrySequence", "InPlanePhaseEncodingDirection"),),
    "PercentSampling": (("MRFOVGeometrySequence", "PercentSampling"),),
    "PercentPhaseFieldOfView": (("MRFOVGeometrySequence", "PercentPhaseFieldOfView"),),
    "DiffusionBValue": (("MRDiffusionSequence", "DiffusionBValue"),),
    "ParallelAcquisition": (("MRModifierSequence", "ParallelAcquisition"),),
    "ParallelAcquisitionTechnique": (("MRModifierSequence", "ParallelAcquisitionTechnique"),),
    "ParallelReductionFactorInPlane": (("MRModifierSequence", "ParallelReductionFactorInPlane"),),
    "PartialFourier": (("MRModifierSequence", "PartialFourier"),),
    "TemporalPositionIdentifier": (("FrameContentSequence", "TemporalPositionIndex"),),
}
