"""The demo's study of heads: an arm of thin slices that a network made of thick ones.

It stays in preparation: a coordinator finds the warning maps over the images, decides on each
series, says whether readers see the maps, and launches it.
"""

from __future__ import annotations

import io
import uuid
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from readerstudy.accounts.models import User
from readerstudy.conduct.design import do_create_from_document
from readerstudy.imaging.models import Series, Upload
from readerstudy.imaging.uploads import do_create_upload, do_finish_batch, do_receive
from readerstudy.studies.design_document import empty_document
from readerstudy.studies.models import Arm, Role, Study
from readerstudy.studies.wording_lumbar import RELATIVE_ANCHORS
from readerstudy.variants.models import Variant
from readerstudy.variants.services import do_request_variant

from .people import add_members
from .scans import invented_uid, series_datasets
from .working import FAILED_STATES, Worker, wait_for_jobs

SLUG = "thin-from-thick"
TITLE = "Healthy heads"
NOTICE = (
    "Simulation: the thick slices were added up from thin ones, and a network made thin ones of "
    "them again. It invents what was not measured. Not for clinical use."
)
CREDITS = (
    "Images: studyforrest (Hanke et al., “A high-resolution 7-Tesla fMRI dataset from complex "
    "natural stimulation with an audio movie”, Scientific Data 1:140003, 2014; PDDL 1.0, defaced) "
    "and niivue-images (BSD-2-Clause, Chris Rorden); 16 axial slices of each, resampled to 1.15 mm."
)
DATA = Path(__file__).parent / "data" / "head"
FIRST_PERSON = 7  # of the invented people: others than those of the lumbar study
FACTOR = 4
CRITERIA = (
    ("sharpness", "Sharpness", "How sharp are edges and fine detail in the candidate?"),
    ("structure_visibility", "Structure visibility", "How well are cortex and deep nuclei seen?"),
    ("artifact", "Artifact", "How free of artifacts is the candidate? Higher means fewer."),
    ("overall", "Overall image quality", "How good is the candidate as a whole?"),
)


@dataclass(frozen=True)
class Head:
    """One volunteer: volume [slices, rows, columns], spacing (slice, row, column) in mm."""

    code: str
    volume: NDArray[Any]
    spacing_mm: tuple[float, float, float]


def load_heads() -> list[Head]:
    heads = []
    for path in sorted(DATA.glob("V*.npz")):
        with np.load(path) as stored:
            slices, rows, columns = (float(v) for v in stored["spacing_mm"])
            heads.append(Head(path.stem, stored["volume"], (slices, rows, columns)))
    return heads


def begin_heads(coordinator: User, users: dict[str, User], heads: Sequence[Head]) -> Study:
    """The study, with its scans handed in: a worker does the rest."""
    study = Study.objects.filter(slug=SLUG).first() or _new_study()
    if not study.is_draft:
        return study
    add_members(study, users, Role.COORDINATOR, Role.READER, Role.STATISTICIAN)
    given_up = Variant.objects.filter(
        volunteer__study=study, series=None, job__state__in=FAILED_STATES
    )
    for variant in given_up.select_related("volunteer__study", "arm__source"):
        do_request_variant(variant.volunteer, variant.arm, coordinator)
    for index, head in enumerate(heads):
        if not _is_handed_in(study, head.code):
            _upload(study, coordinator, head, FIRST_PERSON + index)
    return study


def finish_heads(study: Study, heads: Sequence[Head], started: datetime) -> None:
    """Wait until every arm is there; raises DemoError with what failed since `started`."""
    made = Series.objects.filter(volunteer__study=study)
    if not study.is_draft or made.count() >= len(heads) * study.arms.count():
        return
    with Worker():
        wait_for_jobs(study, len(heads), started)


def _is_handed_in(study: Study, code: str) -> bool:
    stored = Series.objects.filter(volunteer__study=study, volunteer__code=code)
    waiting = Upload.objects.filter(
        study=study,
        name=f"{code}.zip",
        state__in=[Upload.State.QUEUED, Upload.State.READING],
    )
    return stored.exists() or waiting.exists()


# --- The protocol ---------------------------------------------------------------------------------


def _new_study() -> Study:
    document = empty_document(TITLE)
    document["study"] |= {"notice": NOTICE, "credits": CREDITS}
    document["arms"] = [
        _arm("THIN", "thin slices", control=True),
        _arm("CUBIC", "interpolated", model="cubic"),
        _arm("SR", "SR-U-net", model="sr-unet"),
    ]
    document["comparisons"] = [
        {"first": "CUBIC", "second": "SR"},
        {"first": "THIN", "second": "SR"},
    ]
    document["criteria"] = [
        {
            "code": code,
            "name": name,
            "question": f"Compared with the control: {question[:1].lower()}{question[1:]}",
            "anchors": list(RELATIVE_ANCHORS),
        }
        for code, name, question in CRITERIA
    ]
    return do_create_from_document(SLUG, document, None)


def _arm(code: str, name: str, *, control: bool = False, model: str = "") -> dict[str, Any]:
    recipe = {"method": "transfer", "model": model, "factor": FACTOR, "thick": "simulated"}
    # The network says of itself how sure it is: further runs would take as long again, each.
    return {
        "code": code,
        "name": name,
        "kind": Arm.Kind.ACQUIRED if control else Arm.Kind.DERIVED,
        "is_control": control,
        "source": None if control else "THIN",
        "recipe": {} if control else {**recipe, "samples": 0},
    }


# --- The scans ------------------------------------------------------------------------------------


def _upload(study: Study, coordinator: User, head: Head, person: int) -> None:
    content = head_zip(head, person)
    batch = uuid.uuid4()
    upload = do_create_upload(
        study, coordinator, name=f"{head.code}.zip", size=len(content), batch=batch
    )
    do_receive(upload, 0, io.BytesIO(content))
    do_finish_batch(study, batch, coordinator)


def head_zip(head: Head, person: int) -> bytes:
    """A zip of `V01/THIN/0001.dcm` …, with invented identifiers in every header."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number, image in enumerate(_images(head, person), start=1):
            part = io.BytesIO()
            image.save_as(part, enforce_file_format=True)
            archive.writestr(f"{head.code}/THIN/{number:04d}.dcm", part.getvalue())
    return buffer.getvalue()


def _images(head: Head, person: int) -> Iterator[Dataset]:
    """As the lumbar scans are written, but axial, of a head, and three-dimensional."""
    step, row, column = head.spacing_mm
    _slices, rows, columns = head.volume.shape
    images = series_datasets(
        head.volume.astype(np.float32),
        volunteer_index=person,
        arm_code="STD",
        spacing_mm=head.spacing_mm,
        stored_per_unit=1.0,
    )
    for index, image in enumerate(images):
        image.SOPInstanceUID = invented_uid("head", head.code, index)
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        for name in ("Study", "Series"):
            setattr(image, f"{name}InstanceUID", invented_uid("head", head.code, name))
        image.FrameOfReferenceUID = invented_uid("head", head.code, "frame")
        image.StudyDescription = "Head volunteer"
        image.SeriesDescription = "T1_MPRAGE_ax"
        image.BodyPartExamined = "HEAD"
        image.ScanningSequence, image.SequenceVariant = "GR", "MP"
        image.MRAcquisitionType = "3D"
        image.RepetitionTime, image.EchoTime, image.FlipAngle = 2300, 2.9, 9
        image.InversionTime, image.EchoTrainLength = 900, 1
        image.MagneticFieldStrength = 3
        image.ImagePositionPatient = [
            round(-columns * column / 2, 4),
            round(-rows * row / 2, 4),
            round(index * step, 4),
        ]
        image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        yield image
