"""Series that wait in the inbox: written to storage first, visible in one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Max

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.studies.models import Arm, Site, Study

from .contact_sheet import contact_sheet
from .geometry import Geometry
from .models import InboxSeries, Series, Upload
from .storing import Assembled, StoredSlice
from .volumes import write_file

SHEET = "sheet.png"
ELSEWHERE = "they lie elsewhere in the study; ask its coordinator"


@dataclass
class InboxDraft:
    prefix: str
    geometry: Geometry
    parameters: dict[str, Any]
    deidentification: dict[str, Any]
    note: str = ""
    suspicions: list[str] = field(default_factory=list)
    person: str = ""
    images_key: str = ""
    volunteer_guess: str = ""
    arm_guess: Arm | None = None
    date_shift: int | None = None
    id: uuid.UUID = field(default_factory=uuid.uuid4)


def inbox_prefix(study_id: uuid.UUID, token: uuid.UUID) -> str:
    return f"inbox/{study_id}/{token}"


def write_inbox_series(
    study_id: uuid.UUID,
    token: uuid.UUID,
    slices: Sequence[StoredSlice],
    assembled: Assembled,
    **known: Any,
) -> InboxDraft:
    """Write files in anatomical order, and the contact sheet."""
    volume, geometry, order = assembled
    made = uuid.uuid4()
    prefix = f"{inbox_prefix(study_id, token)}/{made}"
    for index, source in enumerate(order):
        slices[source].store(f"{prefix}/dicom/{index + 1:04d}.dcm")
    write_file(f"{prefix}/{SHEET}", contact_sheet(volume))
    return InboxDraft(prefix=prefix, geometry=geometry, id=made, **known)


def places_of_images(study: Study, site: Site | None, keys: Sequence[str]) -> dict[str, str]:
    """Where images lie that were sent before, by their key; as whoever sends for a site may read
    it."""
    wanted = {key for key in keys if key}
    waiting = InboxSeries.objects.filter(study=study, images_key__in=wanted)
    stored = Series.objects.filter(volunteer__study=study, images_key__in=wanted)
    found = {}
    for row in waiting.select_related("upload"):
        its_site = row.upload.site_id if row.upload is not None else None
        place = f"they wait in the inbox as series {row.number}"
        found[row.images_key] = place if site is None or site.pk == its_site else ELSEWHERE
    for series in stored.select_related("volunteer", "arm"):
        place = f"they are stored as {series.arm.name} of {series.volunteer.code}"
        is_theirs = site is None or site.pk == series.volunteer.site_id
        found[series.images_key] = place if is_theirs else ELSEWHERE
    return found


def publish_inbox(
    study: Study, drafts: Sequence[tuple[InboxDraft, Upload]], actor: User | None
) -> list[InboxSeries]:
    """Make the rows. Inside a transaction that holds the study's row."""
    last = InboxSeries.objects.filter(study=study).aggregate(n=Max("number"))["n"] or 0
    made = []
    for number, (draft, upload) in enumerate(drafts, start=last + 1):
        series = InboxSeries.objects.create(
            id=draft.id,
            study=study,
            number=number,
            upload=upload,
            prefix=draft.prefix,
            rows=draft.geometry.rows,
            columns=draft.geometry.columns,
            slices=draft.geometry.slices,
            geometry=draft.geometry.as_json(),
            parameters=draft.parameters,
            deidentification=draft.deidentification,
            note=draft.note[:500],
            suspicions=draft.suspicions,
            person=draft.person,
            images_key=draft.images_key,
            volunteer_guess=draft.volunteer_guess,
            arm_guess=draft.arm_guess,
            date_shift=draft.date_shift,
        )
        record(
            "imaging.inbox.received",
            actor,
            study_id=study.pk,
            subject=series,
            new={"number": number, "slices": series.slices, "suspicions": series.suspicions},
        )
        made.append(series)
    return made
