"""Synthetic MR series with known geometry and pixels, for tests."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"


def phantom(slices: int = 4, rows: int = 20, columns: int = 24, seed: int = 1) -> np.ndarray:
    """A bright body in dark noisy air, int16-ready [slices, rows, columns]."""
    rng = np.random.default_rng(seed)
    r, c = np.mgrid[0:rows, 0:columns]
    body = ((r - rows / 2) / (rows / 2.5)) ** 2 + ((c - columns / 2) / (columns / 2.5)) ** 2 < 1
    volume = np.abs(rng.normal(0, 6, (slices, rows, columns)))
    volume += body * (200 + 10 * np.arange(slices)[:, None, None] + 3.0 * r)
    return np.rint(volume).astype(np.uint16)


def series(
    pixels: np.ndarray,
    *,
    origin: Sequence[float] = (-30.0, -100.0, 60.0),
    orientation: Sequence[float] = (0, 1, 0, 0, 0, -1),  # sagittal
    spacing: tuple[float, float] = (0.5, 0.625),
    step: Sequence[float] = (4.0, 0.0, 0.0),
    change: Callable[[Dataset, int], None] | None = None,
    series_uid: str | None = None,
) -> list[Dataset]:
    """One data set a slice; slice k lies at origin + k * step. `change` edits each of them."""
    study_uid, frame_uid = generate_uid(), generate_uid()
    series_uid = series_uid or generate_uid()
    made = []
    for index, plane in enumerate(pixels):
        ds = Dataset()
        ds.SOPClassUID, ds.SOPInstanceUID = MR_IMAGE, generate_uid()
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study_uid, series_uid
        ds.FrameOfReferenceUID = frame_uid
        ds.Modality, ds.ImageType = "MR", ["ORIGINAL", "PRIMARY", "M"]
        ds.Manufacturer, ds.PatientName, ds.PatientID = "TESTER", "Doe^Jane", "HN-4711"
        ds.ScanningSequence, ds.SequenceVariant, ds.MRAcquisitionType = "SE", "SK", "2D"
        ds.RepetitionTime, ds.EchoTime, ds.EchoTrainLength = 3000, 100, 16
        ds.SliceThickness, ds.PatientPosition = 4, "HFS"
        ds.SeriesNumber, ds.InstanceNumber = 3, index + 1
        ds.ImagePositionPatient = [o + index * s for o, s in zip(origin, step, strict=True)]
        ds.ImageOrientationPatient = list(orientation)
        ds.PixelSpacing = list(spacing)
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.Rows, ds.Columns = plane.shape
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
        ds.PixelRepresentation = 1 if plane.dtype == np.int16 else 0
        ds.PixelData = plane.astype("<i2" if plane.dtype == np.int16 else "<u2").tobytes()
        ds["PixelData"].VR = "OW"
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = MR_IMAGE
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        if change is not None:
            change(ds, index)
        made.append(ds)
    return made


def as_bytes(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def as_files(datasets: Sequence[Dataset], folder: str = "") -> dict[str, bytes]:
    """File name → content, as a scanner would export them."""
    lead = f"{folder}/" if folder else ""
    return {f"{lead}IM{i + 1:04d}.dcm": as_bytes(ds) for i, ds in enumerate(datasets)}
