"""What a batch became, made visible at once: series, the inbox, and a row for every file."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from django.db import transaction

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.jobs.context import JobContext
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Study
from readerstudy.studies.services import check_is_draft, lock_study

from .errors import ImagingError
from .geometry import differences
from .grouping import Candidate, SourceFile
from .inbox_storing import InboxDraft, places_of_images, publish_inbox
from .models import (
    ARCHIVE_NAME,
    FILE_NAME,
    BatchRules,
    InboxSeries,
    Series,
    Upload,
    UploadedFile,
    Volunteer,
)
from .raw_data import ReadRaw, publish_one
from .readings import Readings, having_read
from .selectors import geometry_of
from .services import demand_of_drafts, do_add_volunteer, publish_drafts
from .storing import SeriesDraft

REASON_LENGTH = 500
UPDATED_AT_ONCE = 500
UNMATCHED_SAID = 50  # paths of a mapping that match nothing


@dataclass
class Written:
    """What lies in storage and is not visible yet."""

    series: list[tuple[SeriesDraft, Candidate]] = field(default_factory=list)
    inbox: list[tuple[InboxDraft, Candidate]] = field(default_factory=list)
    raw: list[ReadRaw] = field(default_factory=list)

    @property
    def prefixes(self) -> list[str]:
        return [
            *(draft.prefix for draft, _ in self.series),
            *(draft.prefix for draft, _ in self.inbox),
            *(read.draft.prefix for read in self.raw),
        ]


class Publishing:
    def __init__(
        self,
        context: JobContext,
        uploads: Sequence[Upload],
        sources: Sequence[SourceFile],
        errors: dict[uuid.UUID, str],
        unmatched: Sequence[str] = (),
    ) -> None:
        self.context = context
        self.uploads = uploads
        self.sources = sources
        self.errors = errors
        self.unmatched = list(unmatched)

    def publish(self, study: Study, written: Written) -> list[str]:
        """Returns the prefixes of what did not become visible, for their deletion."""
        return having_read(partial(self._publish, study, written))

    def _publish(self, study: Study, written: Written, readings: Readings) -> list[str]:
        unused: list[str] = []
        with self.context.publish() as result:
            study = lock_study(study)
            try:
                check_is_draft(study)
            except StudyError as error:
                for upload in self.uploads:
                    self.errors[upload.pk] = str(error)
                unused, written = written.prefixes, Written()
            demand_of_drafts(study, [draft for draft, _ in written.series], readings)
            stored, refused = self._publish_series(study, written.series, readings)
            unused += refused
            unused += self._publish_raw(study, written.raw)
            inbox, repeated = self._publish_inbox(study, written.inbox)
            unused += repeated
            BatchRules.objects.filter(study=study, batch=self.uploads[0].batch).delete()
            self._report(study)
            result.update(
                series=[str(item) for item in stored],
                inbox=[str(item.pk) for item in inbox],
                differs=_differing(stored),
                unmatched=self.unmatched[:UNMATCHED_SAID],
                accepted=sum(bool(source.stored) for source in self.sources),
                refused=sum(bool(s.reason) and not s.stored for s in self.sources),
            )
        return unused

    def _publish_series(
        self,
        study: Study,
        drafts: Sequence[tuple[SeriesDraft, Candidate]],
        readings: Readings,
    ) -> tuple[list[uuid.UUID], list[str]]:
        candidates = {draft.id: candidate for draft, candidate in drafts}
        entries = []
        strangers: list[tuple[SeriesDraft, str]] = []
        found: dict[tuple[str, int | None], Volunteer] = {}
        for draft, candidate in drafts:
            upload = candidate.sources[0].upload
            place = (draft.volunteer_code.casefold(), upload.site_id)
            try:
                if place not in found:
                    found[place] = do_add_volunteer(
                        study, draft.volunteer_code, self._actor(), upload.site
                    )
            except ImagingError as error:  # another site's
                strangers.append((draft, str(error)))
            else:
                entries.append((draft, found[place], upload))
        stored, refused = publish_drafts(study, entries, self._actor(), readings)
        refused += strangers
        for draft, reason in refused:
            candidates[draft.id].refuse(reason)
        for series in stored:
            _name(candidates[series.pk], f"{series.volunteer.code}/{series.arm.code}")
        return [series.pk for series in stored], [draft.prefix for draft, _ in refused]

    def _publish_raw(self, study: Study, found: Sequence[ReadRaw]) -> list[str]:
        """Returns the prefixes of what does not fit."""
        unused = []
        for read in found:
            cell = read.source.place.cell
            try:
                code = cell.volunteer if cell else ""
                volunteer = do_add_volunteer(study, code, self._actor(), read.source.upload.site)
                publish_one(study, read, volunteer, self._actor())
            except ImagingError as error:
                read.source.reason = str(error)
                unused.append(read.draft.prefix)
            else:
                read.source.stored = f"{volunteer.code}/{cell.arm.code if cell else ''}/raw data"
        return unused

    def _publish_inbox(
        self, study: Study, drafts: Sequence[tuple[InboxDraft, Candidate]]
    ) -> tuple[list[InboxSeries], list[str]]:
        """The rows made, and the prefixes of what is there already."""
        keys = [draft.images_key for draft, _ in drafts]
        known = places_of_images(study, self.uploads[0].site, keys)  # one batch, one site
        fresh, unused = [], []
        for draft, candidate in drafts:
            if draft.images_key in known:
                where = known[draft.images_key]
                candidate.refuse(f"These images were sent before: {where}. Nothing is to be done.")
                unused.append(draft.prefix)
            else:
                fresh.append((draft, candidate))
        entries = [(draft, candidate.sources[0].upload) for draft, candidate in fresh]
        made = publish_inbox(study, entries, self._actor())
        for series, (_, candidate) in zip(made, fresh, strict=True):
            _name(candidate, f"inbox {series.number}")
        return made, unused

    def _actor(self) -> User | None:
        return self.uploads[0].created_by

    def _report(self, study: Study) -> None:
        """A row a file: accepted ones under their new name, refused ones under their own."""
        rows = []
        for source in self.sources:
            if source.upload.pk in self.errors:
                continue
            reason = source.reason if source.stored else source.reason or NOT_STORED
            rows.append(
                UploadedFile(
                    upload=source.upload,
                    name=(source.stored or source.name)[-REASON_LENGTH:],
                    accepted=bool(source.stored),
                    reason=reason[:REASON_LENGTH],
                )
            )
        UploadedFile.objects.bulk_create(rows, batch_size=500)
        taken: Counter[uuid.UUID] = Counter()
        refused: Counter[uuid.UUID] = Counter()
        for row in rows:
            (taken if row.accepted else refused)[row.upload.pk] += 1
        for upload in self.uploads:
            error = self.errors.get(upload.pk, "")
            if error:
                self._fail(upload, error)
                refused[upload.pk] += 1
            if refused[upload.pk]:
                record(
                    "imaging.file.refused",
                    upload.created_by,
                    study_id=study.pk,
                    subject=upload,
                    new={"accepted": taken[upload.pk], "refused": refused[upload.pk]},
                )
        self._close()

    def _fail(self, upload: Upload, error: str) -> None:
        UploadedFile.objects.create(
            upload=upload, name=upload.name, accepted=False, reason=error[:REASON_LENGTH]
        )
        Upload.objects.filter(pk=upload.pk).update(state=Upload.State.FAILED, error=error)
        record("imaging.upload.failed", upload.created_by, study_id=upload.study_id, subject=upload)

    def _close(self) -> None:
        """Note the end of what was read. A file name may be a person's: one that is not needed to
        say what was refused is not kept."""
        archives = {source.upload.pk for source in self.sources if source.member is not None}
        read = {upload.pk for upload in self.uploads} - set(self.errors)
        for name, keys in ((ARCHIVE_NAME, read & archives), (FILE_NAME, read - archives)):
            listed = list(keys)
            for start in range(0, len(listed), UPDATED_AT_ONCE):
                Upload.objects.filter(pk__in=listed[start : start + UPDATED_AT_ONCE]).update(
                    state=Upload.State.DONE, error="", name=name
                )


def _differing(stored: Sequence[uuid.UUID]) -> list[str]:
    """What does not lie on its control's grid, of the volunteers that something was stored of: a
    control that comes later may be the one that is wrong."""
    volunteers = Series.objects.filter(pk__in=stored).values("volunteer")
    rows = Series.objects.filter(volunteer__in=volunteers).select_related("volunteer", "arm")
    found = [(series, geometry_of(series)) for series in rows]
    grids = {series.volunteer_id: grid for series, grid in found if series.arm.is_control}
    return [
        f"{series.arm.name} of {series.volunteer.code}: {'; '.join(differs)}"
        for series, grid in found
        if (differs := differences(grids.get(series.volunteer_id, grid), grid))
    ]


NOT_STORED = "The series was not stored."


def _name(candidate: Candidate, place: str) -> None:
    """Files are numbered anew in their place; one of several series keeps its first name."""
    for number, source in enumerate(candidate.sources, start=1):
        source.stored = source.stored or f"{place}/{number:04d}"


def mark_failed(upload: Upload, error: str) -> bool:
    """Close an upload whose job will not run again; false if it was over."""
    with transaction.atomic():
        closed = Upload.objects.filter(
            pk=upload.pk, state__in=(Upload.State.QUEUED, Upload.State.READING)
        ).update(state=Upload.State.FAILED, error=error)
        if closed:
            UploadedFile.objects.create(
                upload=upload, name=upload.name, accepted=False, reason=error[:REASON_LENGTH]
            )
            BatchRules.objects.filter(study=upload.study_id, batch=upload.batch).delete()
            record("imaging.upload.failed", None, study_id=upload.study_id, subject=upload)
    return bool(closed)
