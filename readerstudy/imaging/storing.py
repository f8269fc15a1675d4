"""From de-identified slices to a series: written to storage first, visible in one transaction.

`write_series` puts files under a prefix that nobody knows yet; `publish_series` makes the row.
Whoever fails between the two removes the prefix (`volumes.delete_files`).
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.studies.models import Arm

from .errors import ImagingError
from .geometry import Geometry, SlicePlane, differences, stack
from .models import Series, Upload, Volunteer
from .parsing.errors import LEAVE_OUT, ORIGINAL
from .selectors import control_series, geometry_of
from .volumes import move_file, write_file, write_volume


@dataclass(frozen=True)
class StoredSlice:
    """One de-identified slice: its DICOM file, as bytes or on this machine, and what its pixels
    mean.

    The pixels are uncompressed little-endian integers at `pixel_offset`, so that a volume is built
    without parsing the file again.
    """

    content: bytes | Path
    plane: SlicePlane
    pixel_offset: int
    pixel_dtype: str  # "<u2", "<i2", "|u1" …
    slope: float = 1.0
    intercept: float = 0.0

    @property
    def is_rescaled(self) -> bool:
        return self.slope != 1.0 or self.intercept != 0.0

    def read_into(self, image: np.ndarray) -> None:
        """Fill [rows, columns] float32; rescale slope and intercept applied."""
        count = self.plane.rows * self.plane.columns
        if isinstance(self.content, Path):
            stored = np.fromfile(
                self.content, dtype=self.pixel_dtype, count=count, offset=self.pixel_offset
            )
        else:
            stored = np.frombuffer(
                self.content, dtype=self.pixel_dtype, count=count, offset=self.pixel_offset
            )
        stored = stored.reshape(self.plane.rows, self.plane.columns)
        if self.is_rescaled:
            image[...] = stored.astype(np.float64) * self.slope + self.intercept
        else:
            image[...] = stored  # exact: 16 bits fit

    def store(self, name: str) -> None:
        """Put the file into storage; one on this machine is moved and read no more."""
        if isinstance(self.content, Path):
            move_file(name, self.content)
        else:
            write_file(name, self.content)


@dataclass
class SeriesDraft:
    """A series whose files are stored but which does not exist yet."""

    volunteer_code: str
    arm: Arm
    prefix: str
    geometry: Geometry
    volume_sha256: str
    parameters: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    deidentification: dict[str, Any] = field(default_factory=dict)
    person: str = ""
    images_key: str = ""
    id: uuid.UUID = field(default_factory=uuid.uuid4)


def token_prefix(study_id: uuid.UUID, token: uuid.UUID) -> str:
    """Outputs of one attempt of one job lie apart from those of any other attempt."""
    return f"series/{study_id}/{token}"


Assembled = tuple[np.ndarray, Geometry, list[int]]


def assemble(slices: Sequence[StoredSlice]) -> Assembled:
    """Volume [slices, rows, columns], its geometry, and the order taken. Raises ImagingError."""
    geometry, order = stack([item.plane for item in slices])
    volume = np.empty((geometry.slices, geometry.rows, geometry.columns), dtype=np.float32)
    for index, source in enumerate(order):
        if not (math.isfinite(slices[source].slope) and math.isfinite(slices[source].intercept)):
            raise ImagingError(
                "What the grey values mean cannot be told: RescaleSlope or RescaleIntercept of "
                f"{slices[source].plane.name} is not a usable number. {ORIGINAL}"
            )
        slices[source].read_into(volume[index])
    if any(item.is_rescaled for item in slices) and not np.all(np.isfinite(volume)):
        raise ImagingError(
            f"With the header's rescale values some voxels are larger than any number. {ORIGINAL}"
        )
    if not any(np.any(plane != volume[0, 0, 0]) for plane in volume):
        raise ImagingError(f"All voxels have the same value: the images are empty. {LEAVE_OUT}")
    return volume, geometry, order


def write_series(
    *,
    study_id: uuid.UUID,
    token: uuid.UUID,
    volunteer_code: str,
    arm: Arm,
    slices: Sequence[StoredSlice],
    parameters: dict[str, Any] | None = None,
    provenance: dict[str, Any] | None = None,
    deidentification: dict[str, Any] | None = None,
    assembled: Assembled | None = None,
    person: str = "",
    images_key: str = "",
) -> SeriesDraft:
    """Write DICOM files and volume to storage. Nothing is visible until `publish_series`.

    `assembled`: what `assemble` made of the slices, where the caller has it already.
    """
    volume, geometry, order = assembled or assemble(slices)
    series_id = uuid.uuid4()
    prefix = f"{token_prefix(study_id, token)}/{series_id}"
    for index, source in enumerate(order):
        slices[source].store(f"{prefix}/dicom/{index + 1:04d}.dcm")
    return SeriesDraft(
        id=series_id,
        volunteer_code=volunteer_code,
        arm=arm,
        prefix=prefix,
        geometry=geometry,
        volume_sha256=write_volume(prefix, volume),
        parameters=parameters or {},
        provenance=provenance or {},
        deidentification=deidentification or {},
        person=person,
        images_key=images_key,
    )


def publish_series(
    draft: SeriesDraft, volunteer: Volunteer, *, upload: Upload | None, actor: User | None
) -> Series:
    """Make the row of a written series. Inside a transaction that holds the study's row.

    Raises ImagingError when the arm is filled already, or when what the platform made itself is not
    on the control's grid.
    """
    check_cell_is_free(volunteer, draft.arm)
    if draft.arm.is_derived:
        check_same_grid(volunteer, draft.arm, draft.geometry)
    series = row_of(draft, volunteer)
    series.upload = upload
    series.save(force_insert=True)
    record(
        "imaging.series.stored",
        actor,
        study_id=volunteer.study_id,
        subject=series,
        new={
            "volunteer": volunteer.code,
            "arm": draft.arm.code,
            "slices": draft.geometry.slices,
            "volume_sha256": draft.volume_sha256,
        },
    )
    return series


def row_of(draft: SeriesDraft, volunteer: Volunteer) -> Series:
    """The row of a written series, not saved yet."""
    return Series(
        id=draft.id,
        volunteer=volunteer,
        arm=draft.arm,
        prefix=draft.prefix,
        volume_sha256=draft.volume_sha256,
        rows=draft.geometry.rows,
        columns=draft.geometry.columns,
        slices=draft.geometry.slices,
        geometry=draft.geometry.as_json(),
        parameters=draft.parameters,
        provenance=draft.provenance,
        deidentification=draft.deidentification,
        person=draft.person,
        images_key=draft.images_key,
    )


def check_cell_is_free(volunteer: Volunteer, arm: Arm) -> None:
    if Series.objects.filter(volunteer=volunteer, arm=arm).exists():
        raise ImagingError(
            f"{arm.name} of {volunteer.code} already has a series: this is a second one. "
            "Delete the stored series first if this one is to take its place."
        )


def check_same_grid(volunteer: Volunteer, arm: Arm, geometry: Geometry) -> None:
    """Asked of what the platform made itself.

    An acquired series that is off the grid is stored all the same: beside the others somebody sees
    what is wrong with it, or with the control, and nothing is launched before that is put right.
    Whoever gives it its place from the inbox is asked first: `inbox.check_assign`.
    """
    control = control_series(volunteer)
    found = differences(geometry_of(control), geometry) if control is not None else []
    if found:
        raise ImagingError(
            f"The geometry of {arm.name} differs from the control of {volunteer.code}: "
            f"{'; '.join(found)}. All arms of a volunteer need the same grid as the control."
        )
