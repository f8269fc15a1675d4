"""The demo's scans, written as a scanner would write them: classic MR DICOM with identifiers.

The pixels are simulated acquisitions of openly licensed images; every identifier is invented and
planted on purpose, so that the demo shows de-identification at work: none of it may be found in
what the platform stores.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

# 12 bits stored in 16, as most scanners do. The brightest tissue of a volunteer's first arm lies at
# 2,800, in all of its arms alike, so that noise on it still fits.
STORED_BRIGHTEST = 2800
STORED_MAXIMUM = 4095

INVENTED_PEOPLE = [
    ("Mustermann^Erika", "KH-4711-01", "19810512", "F"),
    ("Doe^Jonathan", "KH-4711-02", "19760228", "M"),
    ("Rossi^Maria", "KH-4711-03", "19900701", "F"),
    ("Novák^Jan", "KH-4711-04", "19691124", "M"),
    ("Dupont^Claire", "KH-4711-05", "19850317", "F"),
    ("Svensson^Lars", "KH-4711-06", "19780909", "M"),
    ("García^Lucía", "KH-4711-07", "19930130", "F"),
    ("Jansen^Pieter", "KH-4711-08", "19720815", "M"),
]


@dataclass(frozen=True)
class Sequencing:
    """What the header of an acquired arm says of how it was made."""

    description: str
    series_number: int
    averages: int
    sampling_percent: float
    seconds: int


SEQUENCING: Mapping[str, Sequencing] = {
    "STD": Sequencing("T2_TSE_sag_standard", 3, 2, 100.0, 206),
    "DF": Sequencing("T2_TSE_sag_double_fast", 4, 1, 100.0, 103),
    "TF": Sequencing("T2_TSE_sag_triple_fast_CS", 5, 1, 55.0, 58),
}


def invented_uid(*parts: object) -> str:
    """A UID that is the same on every machine: the demo can be made again and compared."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:15], 'big')}"


def series_datasets(
    volume: NDArray[np.float32],
    *,
    volunteer_index: int,
    arm_code: str,
    spacing_mm: tuple[float, float, float],
    stored_per_unit: float,
) -> Iterator[Dataset]:
    """The slices of one acquired arm as datasets.

    `volume` is float32 [slices, rows, columns] in the source's units, a sagittal stack from right
    to left; `spacing_mm` is (slice, row, column); `stored_per_unit` takes the unit to stored bits.
    """
    name, patient_id, birth_date, sex = INVENTED_PEOPLE[volunteer_index % len(INVENTED_PEOPLE)]
    sequencing = SEQUENCING[arm_code]
    slice_spacing, row_spacing, column_spacing = spacing_mm
    slices, rows, columns = volume.shape
    stored = np.clip(np.rint(volume * stored_per_unit), 0, STORED_MAXIMUM).astype("<u2")
    # Sagittal: columns run from anterior to posterior (+y), rows from head to feet (−z).
    origin_y = -columns * column_spacing / 2
    origin_z = rows * row_spacing / 2
    for index in range(slices):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
        instance_uid = UID(invented_uid("instance", volunteer_index, arm_code, index))
        dataset.file_meta.MediaStorageSOPInstanceUID = instance_uid
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "M"]
        dataset.SOPClassUID = MRImageStorage
        dataset.SOPInstanceUID = instance_uid
        dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = "20240314"
        dataset.ContentDate = "20240314"
        dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = "101500"
        dataset.ContentTime = "101500"
        dataset.AccessionNumber = f"ACC{volunteer_index + 1:05d}"
        dataset.Modality = "MR"
        dataset.Manufacturer = "Invented Scanners"
        dataset.ManufacturerModelName = "Demo 1.5T"
        dataset.InstitutionName = "Klinikum Musterstadt"
        dataset.ReferringPhysicianName = "Beispiel^Anna"
        dataset.OperatorsName = "Demo^Operator"
        dataset.StationName = "MRDEMO1"
        dataset.StudyDescription = f"L-spine volunteer {name.split('^')[0]}"
        dataset.SeriesDescription = sequencing.description
        dataset.PatientName = name
        dataset.PatientID = patient_id
        dataset.PatientBirthDate = birth_date
        dataset.PatientSex = sex
        dataset.PatientWeight = 70 + volunteer_index
        dataset.PatientComments = f"Lives in Musterstadt, phone 0551-{volunteer_index:04d}"
        requested = Dataset()
        requested.RequestedProcedureDescription = f"MRI for {name}"
        requested.ScheduledProcedureStepDescription = "L-spine"
        dataset.RequestAttributesSequence = Sequence([requested])
        private = dataset.private_block(0x0029, "DEMO PRIVATE", create=True)
        private.add_new(0x10, "LO", f"{name} {patient_id}")
        dataset.BodyPartExamined = "LSPINE"
        dataset.PatientPosition = "HFS"
        dataset.ScanningSequence = "SE"
        dataset.SequenceVariant = "SK"
        dataset.ScanOptions = ""
        dataset.MRAcquisitionType = "2D"
        dataset.RepetitionTime = 3000
        dataset.EchoTime = 100
        dataset.EchoTrainLength = 17
        dataset.FlipAngle = 90
        dataset.NumberOfAverages = sequencing.averages
        dataset.PercentSampling = sequencing.sampling_percent
        dataset.PercentPhaseFieldOfView = 100
        dataset.AcquisitionDuration = sequencing.seconds
        dataset.MagneticFieldStrength = 1.5
        dataset.PixelBandwidth = 230
        dataset.SliceThickness = slice_spacing
        dataset.SpacingBetweenSlices = slice_spacing
        dataset.AcquisitionMatrix = [0, columns, rows, 0]
        dataset.InPlanePhaseEncodingDirection = "COL"
        dataset.StudyInstanceUID = invented_uid("study", volunteer_index)
        dataset.SeriesInstanceUID = invented_uid("series", volunteer_index, arm_code)
        dataset.FrameOfReferenceUID = invented_uid("frame", volunteer_index)
        dataset.PositionReferenceIndicator = ""
        dataset.StudyID = "1"
        dataset.SeriesNumber = sequencing.series_number
        dataset.InstanceNumber = index + 1
        dataset.ImagePositionPatient = [
            round((index - (slices - 1) / 2) * slice_spacing, 4),
            round(origin_y, 4),
            round(origin_z, 4),
        ]
        dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        dataset.PixelSpacing = [row_spacing, column_spacing]
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.Rows = rows
        dataset.Columns = columns
        dataset.BitsAllocated = 16
        dataset.BitsStored = 12
        dataset.HighBit = 11
        dataset.PixelRepresentation = 0
        dataset.WindowCenter = 700
        dataset.WindowWidth = 1400
        dataset.PixelData = stored[index].tobytes()
        yield dataset


def volunteer_zip(
    volumes: Mapping[str, NDArray[np.float32]],
    *,
    volunteer_code: str,
    volunteer_index: int,
    spacing_mm: tuple[float, float, float],
) -> bytes:
    """A zip of `V01/STD/0001.dcm` …: what a coordinator would drag onto the upload page."""
    buffer = io.BytesIO()
    first = next(iter(volumes.values()))
    stored_per_unit = STORED_BRIGHTEST / float(np.percentile(first, 99.9))
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for arm_code, volume in volumes.items():
            datasets = series_datasets(
                volume,
                volunteer_index=volunteer_index,
                arm_code=arm_code,
                spacing_mm=spacing_mm,
                stored_per_unit=stored_per_unit,
            )
            for number, dataset in enumerate(datasets, start=1):
                part = io.BytesIO()
                dataset.save_as(part, enforce_file_format=True)
                archive.writestr(f"{volunteer_code}/{arm_code}/{number:04d}.dcm", part.getvalue())
    return buffer.getvalue()
