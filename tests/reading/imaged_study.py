"""A small study with real DICOM images in every cell, made through the platform's own services."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from readerstudy.accounts.models import User
from readerstudy.conduct.quality import do_accept_ready
from readerstudy.imaging.models import Volunteer
from readerstudy.imaging.services import do_store_series
from readerstudy.reading.models import Item, Pane, Session
from readerstudy.reading.ordering import do_store_randomisation, draw_order
from readerstudy.reading.selectors import open_item
from readerstudy.reading.services import do_note_fetched, do_record_score, do_submit_item
from readerstudy.studies.models import Study
from tests.factories import make_study

SLICES, ROWS, COLUMNS = 3, 32, 24
ROW_SPACING, COLUMN_SPACING, SLICE_SPACING = 1.5, 1.0, 4.0
# Planted in the headers, each in a place that de-identification removes or replaces.
PLANTED_DESCRIPTION = "Zebrafish protocol"
PLANTED_NAME = "Planted^Aardvark"
PLANTED_UID = "1.2.826.0.1.3680043.8.498.77"


def volume_of(volunteer_index: int, arm_index: int) -> np.ndarray:
    """A bright body in noise: [slices, rows, columns], unsigned 12 bit, other noise in each arm."""
    draws = np.random.default_rng([volunteer_index, arm_index])
    truth = np.zeros((SLICES, ROWS, COLUMNS))
    truth[:, 8:26, 5:20] = 900
    truth[:, 12:20, 8:14] = 1500 + 40 * volunteer_index
    sigma = 20 + 15 * arm_index
    noise = draws.normal(0, sigma, (2, *truth.shape))
    return np.clip(np.rint(np.hypot(truth + noise[0], noise[1])), 0, 4095).astype("<u2")


def datasets_of(volume: np.ndarray, volunteer_index: int, arm_code: str) -> Iterator[Dataset]:
    for index, pixels in enumerate(volume):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
        uid = f"{PLANTED_UID}.{volunteer_index + 1}.{sum(arm_code.encode())}"
        dataset.file_meta.MediaStorageSOPInstanceUID = f"{uid}.{index + 1}"
        dataset.SOPClassUID = MRImageStorage
        dataset.SOPInstanceUID = f"{uid}.{index + 1}"
        dataset.StudyInstanceUID = f"{PLANTED_UID}.{volunteer_index + 1}"
        dataset.SeriesInstanceUID = uid
        dataset.FrameOfReferenceUID = f"{PLANTED_UID}.9.{volunteer_index + 1}"
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "M"]
        dataset.Modality = "MR"
        dataset.PatientName = PLANTED_NAME
        dataset.PatientID = f"HOSP-{volunteer_index:04d}"
        dataset.StudyDate = dataset.SeriesDate = "20240314"
        dataset.SeriesDescription = f"{PLANTED_DESCRIPTION} {arm_code}"
        dataset.StudyDescription = PLANTED_DESCRIPTION
        dataset.MagneticFieldStrength = 1.5
        dataset.RepetitionTime, dataset.EchoTime = 3000, 100
        dataset.SliceThickness = SLICE_SPACING
        dataset.SpacingBetweenSlices = SLICE_SPACING
        dataset.SeriesNumber, dataset.InstanceNumber = 3, index + 1
        # Sagittal: columns run to posterior, rows to the feet, slices to the left.
        dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        dataset.ImagePositionPatient = [index * SLICE_SPACING - 10, -30, 40 + volunteer_index]
        dataset.PixelSpacing = [ROW_SPACING, COLUMN_SPACING]
        dataset.Rows, dataset.Columns = pixels.shape
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
        dataset.PixelRepresentation = 0
        dataset.PixelData = pixels.tobytes()
        yield dataset


def fill_study(study: Study, volunteers: int) -> None:
    """Images in every cell of volunteer × arm, the derived arms included."""
    for volunteer_index in range(volunteers):
        volunteer = Volunteer.objects.create(study=study, code=f"V{volunteer_index + 1:02d}")
        for arm_index, arm in enumerate(study.arms.all()):
            volume = volume_of(volunteer_index, arm_index)
            do_store_series(volunteer, arm, list(datasets_of(volume, volunteer_index, arm.code)))
    do_accept_ready(study, None)


def make_imaged_study(volunteers: int = 3, readers: int = 2, **fields: Any) -> Study:
    """A draft, ready to be launched."""
    study = make_study(readers=readers, notice="Simulated acceleration: for tests.")
    Study.objects.filter(pk=study.pk).update(**fields)
    study.refresh_from_db()
    fill_study(study, volunteers)
    return study


def start_reading(study: Study, seed: str = "tests") -> Study:
    """The order stored and the study open for reading."""
    do_store_randomisation(study, None, draw_order(study, seed))
    study.state = Study.State.READING
    study.save(update_fields=["state"])
    return study


def make_reading_study(volunteers: int = 3, readers: int = 2, **fields: Any) -> Study:
    return start_reading(make_imaged_study(volunteers, readers, **fields))


def session_of(study: Study, code: str = "R1", occasion: int = 1) -> Session:
    return Session.objects.select_related("study", "reader").get(
        study=study, reader_code=code, occasion=occasion
    )


def reader_of(session: Session) -> User:
    assert session.reader is not None
    return session.reader


def first_item(session: Session) -> Item:
    item = open_item(session)
    assert item is not None
    return item


def pane_of(item: Item, role: str) -> Pane:
    return item.panes.select_related("arm").get(role=role)


def tokens_of(item: Item) -> list[str]:
    """The item's own token and those of its panes."""
    return [item.token, *item.panes.values_list("token", flat=True)]


def look_at(item: Item) -> set[int]:
    """Every pane's pixels are fetched and shown; returns the panes' numbers."""
    for pane in item.panes.all():
        do_note_fetched(pane)
    return {pane.number for pane in item.panes.all()}


def answer_for(item: Item, value: int) -> object:
    """An answer that the study's mode knows, different for different values."""
    n_panes = item.panes.count()
    return {
        "relative": value,
        "absolute": value,
        "choice": ["left", "right"][value % 2],
        "ranking": [(number + value) % n_panes + 1 for number in range(n_panes)],
    }[item.session.study.reading_mode]


def score_item(item: Item, value: int = 3) -> None:
    """Score every criterion that has no score yet, and submit."""
    reader = reader_of(item.session)
    for criterion in item.session.study.criteria.all():
        if not item.scores.filter(criterion=criterion).exists():
            do_record_score(item, criterion.code, answer_for(item, value), 0, reader)
    do_submit_item(item, reader, look_at(item))


def read_to_the_end(session: Session) -> None:
    while (item := open_item(session)) is not None:
        score_item(item, 1 + (item.position + len(session.reader_code)) % 5)
