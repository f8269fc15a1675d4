"""A new MR image series: images reconstructed from raw data, for which no DICOM image existed.

Everything that the MR image IOD asks for (PS3.3 A.4.3) is written anew; of the person there is no
more than a study code, of the place and time nothing. Images of the data as they were measured are
ORIGINAL\\PRIMARY, as a scanner's are; those of a retrospectively undersampled scan are
DERIVED\\PRIMARY, since no scanner measured them so.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from denoise_engine.dicom.derived import IMPLEMENTATION_UID, decimal
from denoise_engine.dicom.frames import MR_IMAGE
from denoise_engine.dicom.provenance import (
    DERIVATION,
    EQUIPMENT_PURPOSE,
    code,
    coding_scheme,
    description_of,
)
from denoise_engine.errors import DicomError
from denoise_engine.rawdata.placing import PlacedVolume

# What the description holds, the most important first.
DESCRIBED = (
    "method",
    "model",
    "model_version",
    "weights_sha256",
    "acceleration",
    "undersampling",
    "retrospective",
    "sampling",
    "warnings",
    "bound",
    "bounds",
    "closing_bound",
    "penalty_in_sigma",
    "calibration",
    "coils",
    "virtual_coils",
    "noise",
    "g_factor_median",
    "sensitivities",
    "solver",
    "grid",
    "backend",
)
TOP = 65535
ROOM = 1.25  # so that the next arm of the same scan, with other noise, does not clip either
NUMBERS = (
    "MagneticFieldStrength",
    "RepetitionTime",
    "EchoTime",
    "InversionTime",
    "FlipAngle",
    "NumberOfAverages",
)


@dataclass(frozen=True)
class Identity:
    """What series of one scan share.

    Attributes
    ----------
    patient : str
        A study code, never a name.
    study_uid, frame_uid : str
        UIDs of study and frame of reference, the same for every series of one raw scan.
    series_number : int
    series_description : str
    """

    patient: str
    study_uid: str
    frame_uid: str
    series_number: int = 1
    series_description: str = ""


def reconstructed_datasets(
    placed: PlacedVolume,
    record: Mapping[str, Any],
    acquired: Mapping[str, Any],
    identity: Identity,
) -> list[Dataset]:
    """The data sets of a series, complete with pixels and file meta information.

    Parameters
    ----------
    placed : PlacedVolume
        Magnitude images and their places.
    record : mapping
        How they were made: see `DESCRIBED`.
    acquired : mapping
        Acquisition parameters under DICOM's names.
    identity : Identity

    Raises
    ------
    DicomError
        There is nothing to write, or values are not finite or negative.
    """
    volume = np.asarray(placed.volume, dtype=np.float32)
    if volume.ndim != 3 or not volume.size or len(placed.positions) != len(volume):
        raise DicomError("There is no volume to write, or a slice has no place.")
    if not np.all(np.isfinite(volume)) or float(volume.min()) < 0:
        raise DicomError("The volume has values that are not finite or negative.")
    slope = _slope(float(volume.max()))
    stored = np.clip(np.rint(volume / np.float64(float(decimal(slope)))), 0, TOP).astype("<u2")
    series_uid = generate_uid(prefix=None)
    made = []
    for number, pixels in enumerate(stored):
        target = _general(record, acquired, identity, series_uid)
        target.InstanceNumber = number + 1
        _placed(target, placed, number)
        target.Rows, target.Columns = (int(side) for side in pixels.shape)
        target.SamplesPerPixel = 1
        target.PhotometricInterpretation = "MONOCHROME2"
        target.BitsAllocated = target.BitsStored = 16
        target.HighBit = 15
        target.PixelRepresentation = 0
        target.RescaleSlope, target.RescaleIntercept = decimal(slope), "0"
        target.RescaleType = "US"
        target.PixelData = pixels.tobytes()
        target["PixelData"].VR = "OW"
        made.append(target)
    return made


def _slope(highest: float) -> float:
    """A power of two, as fine as 16 bits allow."""
    return 2.0 ** math.ceil(math.log2(max(highest, 1e-12) * ROOM / TOP))


def _general(
    record: Mapping[str, Any], acquired: Mapping[str, Any], identity: Identity, series_uid: str
) -> Dataset:
    target = Dataset()
    target.SOPClassUID = MR_IMAGE
    target.SOPInstanceUID = generate_uid(prefix=None)
    target.Modality = "MR"
    target.PatientName = target.PatientID = identity.patient
    target.PatientBirthDate = target.PatientSex = ""
    target.PatientIdentityRemoved = "YES"
    target.DeidentificationMethod = "Reconstructed from raw data that name nobody"
    target.StudyInstanceUID, target.SeriesInstanceUID = identity.study_uid, series_uid
    target.FrameOfReferenceUID = identity.frame_uid
    target.PositionReferenceIndicator = ""
    target.StudyDate = target.StudyTime = target.StudyID = target.AccessionNumber = ""
    target.ReferringPhysicianName = ""
    target.Laterality = ""  # no body part is said, so none that comes in pairs can be excluded
    target.SeriesNumber = identity.series_number
    if identity.series_description:
        target.SeriesDescription = identity.series_description[:64]
    target.Manufacturer = str(acquired.get("Manufacturer") or "")
    target.PatientPosition = str(acquired.get("PatientPosition") or "")
    retrospective = bool(record.get("retrospective"))
    target.ImageType = ["DERIVED" if retrospective else "ORIGINAL", "PRIMARY", "OTHER"]
    target.ScanningSequence, target.SequenceVariant, target.ScanOptions = "RM", "NONE", ""
    target.MRAcquisitionType = str(acquired.get("MRAcquisitionType") or "2D")
    target.RepetitionTime = target.EchoTime = target.EchoTrainLength = None
    for keyword in NUMBERS:
        value = acquired.get(keyword)
        if isinstance(value, (int, float)) and math.isfinite(value):
            setattr(target, keyword, decimal(float(value)))
    target.BurnedInAnnotation = "NO"
    target.LossyImageCompression = "00"
    target.DerivationDescription = description_of(record, DESCRIBED)
    if record.get("weights_sha256"):
        target.CodingSchemeIdentificationSequence = [coding_scheme()]
        target.DerivationCodeSequence = [code(DERIVATION)]
    target.ContributingEquipmentSequence = [_equipment(record)]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = target.SOPClassUID
    meta.MediaStorageSOPInstanceUID = target.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = IMPLEMENTATION_UID
    meta.ImplementationVersionName = "DENOISE_ENGINE"
    target.file_meta = meta
    return target


def _placed(target: Dataset, placed: PlacedVolume, number: int) -> None:
    target.ImagePositionPatient = [decimal(v) for v in placed.positions[number]]
    target.ImageOrientationPatient = [decimal(round(v, 12) + 0.0) for v in placed.orientation]
    target.PixelSpacing = [decimal(placed.row_spacing), decimal(placed.column_spacing)]
    thickness = placed.thickness or placed.slice_spacing
    target.SliceThickness = decimal(thickness) if thickness else None
    if placed.slice_spacing:
        target.SpacingBetweenSlices = decimal(placed.slice_spacing)


def _equipment(record: Mapping[str, Any]) -> Dataset:
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code(EQUIPMENT_PURPOSE)]
    item.Manufacturer = "ReaderStudy"
    method = str(record.get("method") or "unknown")
    item.ManufacturerModelName = f"reconstruction: {method}"[:64]
    version = str(record.get("model_version") or "")
    if version:
        item.SoftwareVersions = version[:64]
    weights = str(record.get("weights_sha256") or "")
    said = [
        f"Reconstruction from raw data by {method}{f' {version}' if version else ''}",
        f"acceleration {float(record.get('acceleration') or 1):.3g}",
        *(["lines left out of a full scan"] if record.get("retrospective") else []),
        *([f"weights SHA-256 {weights}"] if weights else []),
    ]
    item.ContributionDescription = f"{'; '.join(said)}. Research use only, not for diagnosis."
    return item
