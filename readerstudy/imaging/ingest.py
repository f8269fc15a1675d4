"""One batch of uploads, from raw bytes to series.

Reading happens in a confined child; here only its answers and the files it wrote are handled.
Outputs are written under the job's token and become visible in one transaction together with the
report of every refused file. A batch half read leaves nothing behind.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.storage import storages
from django.db import transaction

from readerstudy.audit.services import record
from readerstudy.jobs.context import JobContext
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Study
from readerstudy.studies.services import check_is_draft, lock_study

from .deidentification.copier import report_json
from .errors import ImagingError
from .geometry import stack
from .grouping import Batch, Candidate, SourceFile
from .layout import Layout
from .models import ARCHIVE_NAME, FILE_NAME, Upload, UploadedFile
from .parsing.images import ParsedSlice
from .parsing.process import ReaderPool
from .services import do_add_volunteer, find_volunteer, publish_drafts
from .storing import (
    SeriesDraft,
    check_cell_is_free,
    check_same_grid,
    token_prefix,
    write_series,
)
from .volumes import delete_files

REASON_LENGTH = 500
WAITING = (Upload.State.QUEUED, Upload.State.READING)
STORED_BYTES = 2  # of a pixel in a de-identified slice
MAX_SERIES_VOXELS = 256 * 1024**2  # 1 GB as a volume in memory


def raw_path(upload_id: uuid.UUID) -> Path:
    """Where the bytes of an upload wait to be read."""
    return Path(storages["uploads"].path(f"{upload_id}.part"))


def delete_raw(upload_id: uuid.UUID) -> None:
    raw_path(upload_id).unlink(missing_ok=True)


class Ingest:
    def __init__(self, context: JobContext, study_id: uuid.UUID, batch: uuid.UUID) -> None:
        self.context = context
        self._batch = Upload.objects.filter(study_id=study_id, batch=batch)
        self.uploads: list[Upload] = []
        self.sources: list[SourceFile] = []
        self.errors: dict[uuid.UUID, str] = {}  # uploads refused as a whole
        self._unpacked = 0  # bytes, as the archives' directories say

    def run(self) -> dict[str, Any] | None:
        self.uploads = self._take_over()
        if not self.uploads:
            return {"series": [], "accepted": 0, "refused": 0}
        study = self.uploads[0].study
        prefix = token_prefix(study.pk, self.context.token)
        try:
            with self._scratch() as scratch, self._reader() as reader:
                batch = self._read(reader, scratch, study)
                drafts = self._write(batch, study)
            unused = self._publish(study, drafts)
        except BaseException:
            # Nothing of this attempt is visible: what it wrote goes, the raw bytes stay for the
            # next attempt.
            if not self.context.published:
                delete_files(prefix)
            raise
        for draft in unused:
            delete_files(draft.prefix)
        for upload in self.uploads:
            delete_raw(upload.pk)
        return None

    def _take_over(self) -> list[Upload]:
        """The uploads of the batch, from now on read by this attempt.

        One statement decides between reading and cancelling: an upload cancelled before it stays
        cancelled, one that is being read is cancelled no more.
        """
        self._batch.filter(state__in=WAITING).update(state=Upload.State.READING)
        return list(
            self._batch.filter(state=Upload.State.READING)
            .select_related("study", "arm", "created_by")
            .order_by("name", "id")
        )

    # --- Reading --------------------------------------------------------------------------------

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """Where de-identified slices wait until it is known which series they belong to."""
        folder = Path(storages["uploads"].path(f"scratch-{self.context.token}"))
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _reader(self) -> ReaderPool:
        return ReaderPool(
            settings.DEIDENTIFICATION_KEY,
            memory_bytes=settings.PARSE_MEMORY_BYTES,
            seconds=settings.PARSE_SECONDS,
        )

    def _read(self, reader: ReaderPool, scratch: Path, study: Study) -> Batch:
        layout = Layout(study)
        for upload in self.uploads:
            self._list(reader, upload)
        if len(self.sources) > settings.UPLOAD_MAX_FILES:
            for upload in self.uploads:
                self.errors.setdefault(
                    upload.pk,
                    f"More than {settings.UPLOAD_MAX_FILES} files were sent together: split them.",
                )
            self.sources = []
        elif self._unpacked > settings.UPLOAD_MAX_TOTAL_BYTES:
            self._refuse_all()
        batch = Batch()
        place_errors = {id(source): self._place(source, layout) for source in self.sources}
        requests = [
            (source, self._request(source, f"{scratch}/{index}"))
            for index, source in enumerate(self.sources)
            if not source.reason
        ]
        total = len(requests)
        decoded = 0
        with closing(reader.ask_all(requests)) as answers:
            for done, (source, answer) in enumerate(answers, start=1):
                decoded += sum(item["rows"] * item["columns"] for item in answer.get("slices", []))
                if decoded * STORED_BYTES > settings.UPLOAD_MAX_TOTAL_BYTES:
                    self._refuse_all()
                    return Batch()
                self._take(source, answer, place_errors[id(source)], batch)
                self.context.progress(done, total + 1, f"{done} of {total} files read")
        return batch

    def _refuse_all(self) -> None:
        """The limit on what is sent together holds for what it unpacks to, over all archives."""
        limit = settings.UPLOAD_MAX_TOTAL_BYTES // 1024**2
        for upload in self.uploads:
            self.errors.setdefault(
                upload.pk, f"The files sent together unpack to more than {limit} MB: split them."
            )
        self.sources = []

    def _list(self, reader: ReaderPool, upload: Upload) -> None:
        path = str(raw_path(upload.pk))
        if not os.path.exists(path):
            self.errors[upload.pk] = "The bytes that were sent are gone: send the file again."
            return
        answer = reader.ask(
            {
                "op": "list",
                "path": path,
                "limits": {
                    "files": settings.UPLOAD_MAX_FILES,
                    "file_bytes": settings.UPLOAD_MAX_FILE_BYTES,
                    "total_bytes": settings.UPLOAD_MAX_TOTAL_BYTES,
                    "ratio": settings.UPLOAD_MAX_RATIO,
                },
            }
        )
        if "refused" in answer:
            self.errors[upload.pk] = answer["refused"]
            return
        self._unpacked += answer["bytes"]
        if not answer["archive"]:
            self.sources.append(SourceFile(upload, upload.name, path))
        elif not answer["members"]:
            self.errors[upload.pk] = "The archive is empty."
        else:
            self.sources += [
                SourceFile(upload, m["name"], path, m["index"], reason=m["reason"])
                for m in sorted(answer["members"], key=lambda m: m["name"])
            ]

    def _place(self, source: SourceFile, layout: Layout) -> str:
        """Find the cell of a file; what is wrong with its place is said if the file is sound."""
        try:
            source.cell = layout.cell(source.name, source.upload.volunteer_code, source.upload.arm)
        except ImagingError as error:
            return str(error)
        return ""

    def _request(self, source: SourceFile, out: str) -> dict[str, Any]:
        return {
            "op": "parse",
            "path": source.path,
            "member": source.member,
            "patient": source.cell.volunteer if source.cell else "UNPLACED",
            "limit": settings.UPLOAD_MAX_FILE_BYTES,
            "out": out,
        }

    def _take(
        self, source: SourceFile, answer: dict[str, Any], place_error: str, batch: Batch
    ) -> None:
        if "refused" in answer:  # what is wrong with the file itself is said first
            source.reason = answer["refused"]
            group, position = answer.get("group"), answer.get("position")
            if answer.get("damaged") or (group and position):
                batch.add_damage(source, group, position)
        elif place_error:
            source.reason = place_error
        else:
            slices = []
            for item in answer["slices"]:
                path = Path(item.pop("file"))
                slices.append((ParsedSlice(content=b"", **item), path))
            batch.add(source, slices, answer["report"])

    # --- Writing --------------------------------------------------------------------------------

    def _write(self, batch: Batch, study: Study) -> list[tuple[SeriesDraft, Candidate]]:
        """Write the series that fit; the last word on geometry is said on publishing."""
        drafts: list[tuple[SeriesDraft, Candidate]] = []
        for candidate in batch.candidates():
            try:
                drafts.append((self._write_one(candidate, study), candidate))
            except ImagingError as error:
                candidate.refuse(str(error))
            self.context.progress(
                len(self.sources), len(self.sources) + 1, f"{candidate.cell.said} is being stored"
            )
        return drafts

    def _write_one(self, candidate: Candidate, study: Study) -> SeriesDraft:
        volunteer = find_volunteer(study, candidate.cell.volunteer)
        voxels = sum(item.parsed.rows * item.parsed.columns for item in candidate.slices)
        if voxels > MAX_SERIES_VOXELS:
            raise ImagingError(
                f"The series holds {voxels // 1024**2} million voxels; up to "
                f"{MAX_SERIES_VOXELS // 1024**2} million are taken."
            )
        slices = [item.load() for item in candidate.slices]
        if volunteer is not None:  # spare the writing of what cannot be stored
            check_cell_is_free(volunteer, candidate.cell.arm)
            geometry, _order = stack([item.plane for item in slices])
            check_same_grid(volunteer, candidate.cell.arm, geometry)
        return write_series(
            study_id=study.pk,
            token=self.context.token,
            volunteer_code=candidate.cell.volunteer,
            arm=candidate.cell.arm,
            slices=slices,
            parameters=candidate.parameters,
            deidentification=report_json(candidate.report, len(slices)),
        )

    # --- Publishing -----------------------------------------------------------------------------

    def _publish(
        self, study: Study, drafts: list[tuple[SeriesDraft, Candidate]]
    ) -> list[SeriesDraft]:
        """Make it all visible at once; returns the drafts that did not become series."""
        unused: list[SeriesDraft] = []
        with self.context.publish() as result:
            study = lock_study(study)
            try:
                check_is_draft(study)
            except StudyError as error:
                for upload in self.uploads:
                    self.errors[upload.pk] = str(error)
                unused = [draft for draft, _ in drafts]
                drafts = []
            stored, refused = self._publish_series(study, drafts)
            unused += refused
            self._report(study)
            result.update(
                series=[str(item) for item in stored],
                accepted=sum(source.stored for source in self.sources),
                refused=sum(bool(source.reason) for source in self.sources),
            )
        return unused

    def _publish_series(
        self, study: Study, drafts: list[tuple[SeriesDraft, Candidate]]
    ) -> tuple[list[str], list[SeriesDraft]]:
        candidates = {draft.id: candidate for draft, candidate in drafts}
        entries = []
        for draft, candidate in drafts:
            volunteer = find_volunteer(study, draft.volunteer_code)
            if volunteer is None:
                volunteer = do_add_volunteer(study, draft.volunteer_code, self._actor())
            entries.append((draft, volunteer, candidate.sources[0].upload))
        stored, refused = publish_drafts(study, entries, self._actor())
        for draft, reason in refused:
            candidates[draft.id].refuse(reason)
        for series in stored:
            for source in candidates[series.pk].sources:
                source.stored = True
        return [str(series) for series in stored], [draft for draft, _ in refused]

    def _actor(self) -> Any:
        return self.uploads[0].created_by

    def _close(self, upload: Upload, error: str) -> None:
        """Note the end of an upload. A file name may be a person's: one that is not needed to say
        what was refused is not kept."""
        mine = Upload.objects.filter(pk=upload.pk)
        if error:
            mine.update(state=Upload.State.FAILED, error=error)
            record(
                "imaging.upload.failed", upload.created_by, study_id=upload.study_id, subject=upload
            )
            return
        archive = any(s.upload.pk == upload.pk and s.member is not None for s in self.sources)
        mine.update(state=Upload.State.DONE, error="", name=ARCHIVE_NAME if archive else FILE_NAME)

    def _report(self, study: Study) -> None:
        """A row a file: accepted ones under their new name, refused ones under their own."""
        rows = []
        numbers: dict[str, int] = {}
        for source in self.sources:
            if source.upload.pk in self.errors:
                continue
            if source.stored and source.cell is not None:
                place = f"{source.cell.volunteer}/{source.cell.arm.code}"
                numbers[place] = numbers.get(place, 0) + 1
                name = f"{place}/{numbers[place]:04d}"
            else:
                name = source.name
                source.reason = source.reason or "The series was not stored."
            rows.append(
                UploadedFile(
                    upload=source.upload,
                    name=name[-REASON_LENGTH:],
                    accepted=source.stored,
                    reason="" if source.stored else source.reason[:REASON_LENGTH],
                )
            )
        UploadedFile.objects.bulk_create(rows, batch_size=500)
        for upload in self.uploads:
            error = self.errors.get(upload.pk, "")
            if error:
                UploadedFile.objects.create(
                    upload=upload,
                    name=upload.name,
                    accepted=False,
                    reason=error[:REASON_LENGTH],
                )
            self._close(upload, error)
            mine = [row for row in rows if row.upload.pk == upload.pk]
            refused = sum(not row.accepted for row in mine) + bool(error)
            if refused:
                record(
                    "imaging.file.refused",
                    upload.created_by,
                    study_id=study.pk,
                    subject=upload,
                    new={"accepted": len(mine) - refused + bool(error), "refused": refused},
                )


def mark_failed(upload: Upload, error: str) -> bool:
    """Close an upload whose job will not run again, and delete its bytes; false if it was over."""
    with transaction.atomic():
        closed = Upload.objects.filter(pk=upload.pk, state__in=WAITING).update(
            state=Upload.State.FAILED, error=error
        )
        if closed:
            UploadedFile.objects.create(
                upload=upload, name=upload.name, accepted=False, reason=error[:REASON_LENGTH]
            )
            record("imaging.upload.failed", None, study_id=upload.study_id, subject=upload)
    delete_raw(upload.pk)
    return bool(closed)
