"""From the inbox into the grid: the files get the volunteer's code and dates, then become a series.

The files read here are our own, de-identified before; no confined reader is needed.
"""

from __future__ import annotations

import io
import uuid
from functools import partial
from typing import Any

from django.core.files.storage import default_storage
from django.db.models import Value
from django.db.models.functions import Replace
from pydicom import dcmread
from pydicom.dataset import Dataset

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.jobs.context import JobContext
from readerstudy.jobs.models import Job
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Arm, Study
from readerstudy.studies.services import check_is_draft, lock_study

from .deidentification.dates import SHIFTED_DATES, NoDate, drawn_shift, shift_date
from .errors import ImagingError
from .geometry import SlicePlane
from .models import ImagingRules, InboxSeries, UploadedFile
from .parsing.encoding import encode
from .parsing.writing import pixel_array
from .readings import Readings, having_read
from .rules import rules_of
from .services import demand_of_drafts, do_add_volunteer, find_volunteer, publish_drafts
from .storing import SeriesDraft, StoredSlice, token_prefix, write_series
from .volumes import delete_files

READ = "cleared by a person who looked at every slice"


class Assigning:
    def __init__(self, context: JobContext, payload: dict[str, Any]) -> None:
        self.context = context
        self.study = Study.objects.get(pk=payload["study"])
        arms: dict[str, Arm] = {arm.code: arm for arm in self.study.arms.all()}
        self.items = [
            (uuid.UUID(item["inbox"]), str(item["volunteer"]), arms.get(item["arm"]))
            for item in payload["items"]
        ]
        self.problems: dict[uuid.UUID, str] = {}

    def run(self) -> None:
        rows = {
            row.pk: row
            for row in InboxSeries.objects.filter(
                pk__in=[item[0] for item in self.items], job_id=self.context.job_id
            ).select_related("upload__site")
        }
        drafts: dict[uuid.UUID, SeriesDraft] = {}
        total = sum(row.slices for row in rows.values()) + 1
        done = 0
        try:
            for pk, volunteer, arm in self.items:
                row = rows.get(pk)
                if row is None:
                    continue
                try:
                    if arm is None:
                        raise ImagingError("The arm was removed from the study.")
                    drafts[pk] = self._write(row, volunteer, arm)
                except ImagingError as error:
                    self.problems[pk] = str(error)
                done += row.slices
                self.context.progress(done, total, f"{done} of {total - 1} images stored")
            unused = self._publish(rows, drafts)
        except BaseException:
            if not self.context.published:
                delete_files(token_prefix(self.study.pk, self.context.token))
            raise
        for prefix in unused:
            delete_files(prefix)

    def _write(self, row: InboxSeries, volunteer: str, arm: Arm) -> SeriesDraft:
        known = find_volunteer(self.study, volunteer)
        code = known.code if known is not None else volunteer
        days = self._days(row, code)
        slices = [self._slice(row, number, code, days) for number in range(1, row.slices + 1)]
        report = dict(row.deidentification)
        if row.suspicions:
            report["burned_in_text"] = {"suspicions": row.suspicions, "decision": READ}
        return write_series(
            study_id=self.study.pk,
            token=self.context.token,
            volunteer_code=code,
            arm=arm,
            slices=slices,
            parameters=row.parameters,
            deidentification=report,
            person=row.person,
            images_key=row.images_key,
        )

    def _days(self, row: InboxSeries, code: str) -> int | None:
        """By how much the dates in the files are still to be moved; None drops them."""
        rules = rules_of(self.study)
        if row.date_shift is None or rules.dates != ImagingRules.Dates.SHIFTED:
            return None
        return drawn_shift(rules.date_secret, code) - row.date_shift

    def _slice(self, row: InboxSeries, number: int, code: str, days: int | None) -> StoredSlice:
        with default_storage.open(f"{row.prefix}/dicom/{number:04d}.dcm") as handle:
            dataset = dcmread(io.BytesIO(handle.read()))
        dataset.PatientName = dataset.PatientID = code
        move_dates(dataset, days)
        if row.suspicions:
            dataset.BurnedInAnnotation = "NO"
        pixels = pixel_array(dataset)
        content, offset = encode(dataset, pixels)
        x, y, z = (float(v) for v in dataset.ImagePositionPatient)
        a, b, c, d, e, f = (float(v) for v in dataset.ImageOrientationPatient)
        rows, columns = pixels.shape
        return StoredSlice(
            content=content,
            plane=SlicePlane(
                position=(x, y, z),
                orientation=(a, b, c, d, e, f),
                row_spacing=float(dataset.PixelSpacing[0]),
                column_spacing=float(dataset.PixelSpacing[1]),
                rows=int(rows),
                columns=int(columns),
                thickness=_thickness(dataset),
                name=f"image {number}",
            ),
            pixel_offset=offset,
            pixel_dtype=pixels.dtype.str,
            slope=float(dataset.get("RescaleSlope", 1.0)),
            intercept=float(dataset.get("RescaleIntercept", 0.0)),
        )

    def _publish(
        self, rows: dict[uuid.UUID, InboxSeries], drafts: dict[uuid.UUID, SeriesDraft]
    ) -> list[str]:
        """Series appear and leave the inbox in one transaction; returns what nobody needs then."""
        return having_read(partial(self._publish_read, rows, drafts))

    def _publish_read(
        self,
        rows: dict[uuid.UUID, InboxSeries],
        drafts: dict[uuid.UUID, SeriesDraft],
        readings: Readings,
    ) -> list[str]:
        unused: list[str] = []
        moved: list[str] = []
        with self.context.publish() as result:
            study = lock_study(self.study)
            actor = self._actor()
            try:
                check_is_draft(study)
            except StudyError as error:
                self.problems.update({pk: str(error) for pk in rows})
                unused, drafts = [draft.prefix for draft in drafts.values()], {}
            demand_of_drafts(study, list(drafts.values()), readings)
            entries = []
            for pk, draft in drafts.items():
                upload = rows[pk].upload
                site = upload.site if upload is not None else None
                try:
                    volunteer = do_add_volunteer(study, draft.volunteer_code, actor, site)
                except ImagingError as error:
                    self.problems[pk] = str(error)
                    unused.append(draft.prefix)
                else:
                    entries.append((draft, volunteer, upload))
            stored, refused = publish_drafts(study, entries, actor, readings)
            reasons = {draft.id: reason for draft, reason in refused}
            unused += [draft.prefix for draft, _ in refused]
            for pk, draft in drafts.items():
                if pk in self.problems:
                    continue
                if draft.id in reasons:
                    self.problems[pk] = reasons[draft.id]
                    continue
                moved.append(rows[pk].prefix)
                record(
                    "imaging.inbox.stored",
                    actor,
                    study_id=study.pk,
                    subject=rows[pk],
                    new={"series": str(draft.id), "number": rows[pk].number},
                )
                _name_files(rows[pk], f"{draft.volunteer_code}/{draft.arm.code}")
                InboxSeries.objects.filter(pk=pk).delete()
            for pk, problem in self.problems.items():
                InboxSeries.objects.filter(pk=pk).update(
                    state=InboxSeries.State.WAITING, job=None, problem=problem[:500]
                )
            result.update(series=[str(s.pk) for s in stored], refused=len(self.problems))
        return unused + moved

    def _actor(self) -> User | None:
        return Job.objects.select_related("created_by").get(pk=self.context.job_id).created_by


def _name_files(row: InboxSeries, place: str) -> None:
    """The history says where the files lie now, so that a withdrawal finds them there too."""
    waited = f"inbox {row.number}/"
    files = UploadedFile.objects.filter(upload__study=row.study_id, name__startswith=waited)
    files.update(name=Replace("name", Value(waited), Value(f"{place}/")))


def move_dates(dataset: Dataset, days: int | None) -> None:
    for keyword in SHIFTED_DATES:
        value = str(dataset.get(keyword) or "")
        if not value:
            continue
        try:
            setattr(dataset, keyword, shift_date(value, days) if days is not None else "")
        except NoDate:
            setattr(dataset, keyword, "")


def _thickness(dataset: Dataset) -> float | None:
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        value = dataset.get(keyword)
        if value not in (None, "") and float(value) > 0:
            return float(value)
    return None
