"""One batch of uploads, from raw bytes to series.

Reading happens in a confined child; here only its answers and the files it wrote are handled.
Outputs are written under the job's token and become visible in one transaction (`publishing`)
together with the report of every refused file. A batch half read leaves nothing behind.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.storage import storages

from readerstudy.jobs.context import JobContext
from readerstudy.studies.models import Arm, Study

from .arm_names import arms_by_name, plain
from .burned_in_text import SUSPICION, looks_written
from .deidentification.dates import drawn_shift
from .deidentification.report import report_json
from .errors import ImagingError
from .geometry import stack
from .grouping import Batch, Candidate, FileNews, SourceFile
from .inbox_storing import InboxDraft, inbox_prefix, write_inbox_series
from .layout import Layout
from .mapping import MappingRow
from .models import BatchRules, ImagingRules, Upload
from .parsing.archives import is_zip
from .parsing.images import ParsedSlice
from .parsing.process import ReaderPool
from .publishing import Publishing, Written
from .raw_data import START_BYTES, ReadRaw, raw_prefix, read_one, recognises, refusal_in_archive
from .rules import rules_of
from .services import check_is_of_site, find_volunteer
from .storing import (
    SeriesDraft,
    assemble,
    check_cell_is_free,
    token_prefix,
    write_series,
)
from .volumes import delete_files

WAITING = (Upload.State.QUEUED, Upload.State.READING)
NO_ZIP = (
    "This is no zip archive, though its name says so. Pack the images as a plain zip, or send them "
    "as files."
)
UNPLACED = "UNPLACED"  # the patient of images that wait for a place
WRITERS = 2  # series written together
DELETERS = 8  # files deleted together
WARM_FROM_BYTES = 16 * 1024**2
STORED_BYTES = 2  # of a pixel in a de-identified slice
MAX_SERIES_VOXELS = 256 * 1024**2  # 1 GB as a volume in memory


def raw_path(upload_id: uuid.UUID) -> Path:
    """Where the bytes of an upload wait to be read."""
    return Path(storages["uploads"].path(f"{upload_id}.part"))


def delete_raw(upload_id: uuid.UUID) -> None:
    raw_path(upload_id).unlink(missing_ok=True)


def delete_raws(upload_ids: Iterable[uuid.UUID]) -> None:
    """Several at once: a file that the system is just writing to disk holds its deletion up."""
    with ThreadPoolExecutor(DELETERS) as pool:
        list(pool.map(delete_raw, upload_ids))


class Ingest:
    def __init__(self, context: JobContext, study_id: uuid.UUID, batch: uuid.UUID) -> None:
        self.context = context
        self._batch = Upload.objects.filter(study_id=study_id, batch=batch)
        self.uploads: list[Upload] = []
        self.sources: list[SourceFile] = []
        self.errors: dict[uuid.UUID, str] = {}  # uploads refused as a whole
        self.rules = ImagingRules()
        self._unpacked = 0  # bytes, as the archives' directories say
        self._total = 1  # files to read, then files to store
        self._stored = 0
        self._raw: list[ReadRaw] = []
        self._arms: dict[str, Arm] = {}
        self._unmatched: list[str] = []  # paths of the mapping that no file lay under

    def run(self) -> dict[str, Any] | None:
        self.uploads = self._take_over()
        if not self.uploads:
            return {"series": [], "inbox": [], "accepted": 0, "refused": 0}
        study = self.uploads[0].study
        self.rules = rules_of(study)
        token = self.context.token
        try:
            with self._scratch() as scratch, self._reader(study) as reader:
                if sum(upload.size for upload in self.uploads) > WARM_FROM_BYTES:
                    reader.warm()
                batch = self._read(reader, scratch, study)
                written = self._write(batch, study)
                written.raw = self._raw
            publishing = Publishing(
                self.context, self.uploads, self.sources, self.errors, self._unmatched
            )
            unused = publishing.publish(study, written)
        except BaseException:
            # Nothing of this attempt is visible: what it wrote goes, the raw bytes stay for the
            # next attempt.
            if not self.context.published:
                delete_files(token_prefix(study.pk, token))
                delete_files(inbox_prefix(study.pk, token))
                delete_files(raw_prefix(study.pk, token))
            raise
        for prefix in unused:
            delete_files(prefix)
        delete_raws(upload.pk for upload in self.uploads)
        return None

    def _take_over(self) -> list[Upload]:
        """The uploads of the batch, from now on read by this attempt.

        One statement decides between reading and cancelling: an upload cancelled before it stays
        cancelled, one that is being read is cancelled no more.
        """
        self._batch.filter(state__in=WAITING).update(state=Upload.State.READING)
        return list(
            self._batch.filter(state=Upload.State.READING)
            .select_related("study", "arm", "site", "created_by")
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

    def _reader(self, study: Study) -> ReaderPool:
        arms = [arm for arm in study.arms.all() if not arm.is_derived]
        return ReaderPool(
            settings.DEIDENTIFICATION_KEY,
            memory_bytes=settings.PARSE_MEMORY_BYTES,
            seconds=settings.PARSE_SECONDS,
            known={
                "volunteers": list(study.volunteers.values_list("code", flat=True)),
                "pattern": self.rules.volunteer_pattern,
                "arms": {arm.code: [arm.code, arm.name] for arm in arms},
            },
        )

    def _layout(self, study: Study) -> Layout:
        rules = BatchRules.objects.filter(study=study, batch=self.uploads[0].batch).first()
        if rules is None:
            return Layout(study)
        return Layout(study, [MappingRow(*row) for row in rules.mapping], rules.pattern)

    def _read(self, reader: ReaderPool, scratch: Path, study: Study) -> Batch:
        layout = self._layout(study)
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
        self._unmatched = layout.unmatched
        requests = [
            (source, self._request(source, f"{scratch}/{index}"))
            for index, source in enumerate(self.sources)
            if not source.reason and not source.is_raw
        ]
        total = len(requests)
        self._total = 2 * total + 1
        decoded = 0
        with closing(reader.ask_all(requests)) as answers:
            for done, (source, answer) in enumerate(answers, start=1):
                decoded += sum(item["rows"] * item["columns"] for item in answer.get("slices", []))
                if decoded * STORED_BYTES > settings.UPLOAD_MAX_TOTAL_BYTES:
                    self._refuse_all()
                    return Batch()
                self._take(source, answer, place_errors[id(source)], batch)
                self.context.progress(done, self._total, f"{done} of {total} files read")
        for source in self.sources:
            if source.is_raw:
                self._read_raw(source, place_errors[id(source)], study)
        return batch

    def _read_raw(self, source: SourceFile, place_error: str, study: Study) -> None:
        try:
            if place_error:
                raise ImagingError(place_error)
            self.context.progress(0, self._total, "Raw data are being read")
            self._raw.append(read_one(self.context, study, source))
        except ImagingError as error:
            source.reason = str(error)

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
        with open(path, "rb") as handle:
            start = handle.read(START_BYTES)
        is_raw = recognises(start)
        if is_raw or not is_zip(start[:4]):
            self._unpacked += upload.size
            named_zip = bool(start) and not is_raw and upload.name.lower().endswith(".zip")
            reason = NO_ZIP if named_zip else ""
            self.sources.append(SourceFile(upload, upload.name, path, reason=reason, is_raw=is_raw))
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
        if not answer["members"]:
            self.errors[upload.pk] = "The archive is empty."
        else:
            self.sources += [
                SourceFile(
                    upload,
                    m["name"],
                    path,
                    m["index"],
                    reason=m["reason"] or refusal_in_archive(m["name"]),
                )
                for m in sorted(answer["members"], key=lambda m: m["name"])
            ]

    def _place(self, source: SourceFile, layout: Layout) -> str:
        """Find the place of a file; what is wrong with it is said if the file is sound."""
        try:
            source.place = layout.place(
                source.name, source.upload.volunteer_code, source.upload.arm
            )
        except ImagingError as error:
            return str(error)
        finally:
            if self.rules.dates == ImagingRules.Dates.SHIFTED:
                # Without a volunteer yet: one of the batch, replaced when a place is given.
                who = source.place.volunteer or f"batch {source.upload.batch}"
                source.date_shift = drawn_shift(self.rules.date_secret, who)
        return ""

    def _request(self, source: SourceFile, out: str) -> dict[str, Any]:
        return {
            "op": "parse",
            "path": source.path,
            "member": source.member,
            "patient": source.place.volunteer or UNPLACED,
            "date_shift": source.date_shift,
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
            hints = answer["hints"]
            news = FileNews(
                report=answer["report"],
                volunteer=hints["volunteer"],
                arm=hints["arm"],
                person=hints["person"],
                suspicions=tuple(answer["suspicions"]),
            )
            batch.add(source, slices, news)

    # --- Writing --------------------------------------------------------------------------------

    def _write(self, batch: Batch, study: Study) -> Written:
        """Write the series that fit; the last word on geometry is said on publishing.

        Two at a time: hashing and writing leave the interpreter free. Whatever goes wrong, both
        are over before this returns, so that nothing is written after it was cleaned up.
        """
        written = Written()
        self._arms = arms_by_name(study)
        with ThreadPoolExecutor(WRITERS) as pool:
            waiting: deque[tuple[Candidate, Future[SeriesDraft | InboxDraft]]] = deque()
            for candidate in batch.candidates():
                try:
                    self._check_fits(candidate, study)
                except ImagingError as error:
                    candidate.refuse(str(error))
                    self._count_stored(candidate)
                    continue
                waiting.append((candidate, pool.submit(self._write_one, candidate, study.pk)))
                while len(waiting) >= WRITERS:
                    self._take_written(written, *waiting.popleft())
            while waiting:
                self._take_written(written, *waiting.popleft())
        return written

    def _take_written(
        self, written: Written, candidate: Candidate, made: Future[SeriesDraft | InboxDraft]
    ) -> None:
        try:
            draft = made.result()
        except ImagingError as error:
            candidate.refuse(str(error))
        else:
            if isinstance(draft, SeriesDraft):
                written.series.append((draft, candidate))
            else:
                written.inbox.append((draft, candidate))
        self._count_stored(candidate)

    def _count_stored(self, candidate: Candidate) -> None:
        files = self._total // 2
        self._stored = min(self._stored + len(candidate.sources), files)
        self.context.progress(
            files + self._stored, self._total, f"{self._stored} of {files} files stored"
        )

    def _check_fits(self, candidate: Candidate, study: Study) -> None:
        """Spare the reading and writing of what cannot be stored."""
        voxels = sum(item.parsed.rows * item.parsed.columns for item in candidate.slices)
        if voxels > MAX_SERIES_VOXELS:
            raise ImagingError(
                f"The series holds {voxels // 1024**2} million voxels; up to "
                f"{MAX_SERIES_VOXELS // 1024**2} million are taken."
            )
        cell = candidate.cell
        volunteer = find_volunteer(study, cell.volunteer) if cell is not None else None
        if cell is not None and volunteer is not None:
            check_is_of_site(volunteer, candidate.sources[0].upload.site)
            check_cell_is_free(volunteer, cell.arm)
            stack([item.plane for item in candidate.slices])

    def _write_one(self, candidate: Candidate, study_id: uuid.UUID) -> SeriesDraft | InboxDraft:
        """In a thread of its own: nothing here asks the database."""
        slices = [item.load() for item in candidate.slices]
        assembled = assemble(slices)
        if looks_written(assembled[0]):
            candidate.suspicions.append(SUSPICION)
        shift = candidate.date_shift
        report = report_json(candidate.report, len(slices), shifted=shift is not None)
        if candidate.cell is not None:
            return write_series(
                study_id=study_id,
                token=self.context.token,
                volunteer_code=candidate.cell.volunteer,
                arm=candidate.cell.arm,
                slices=slices,
                parameters=candidate.parameters,
                deidentification=report,
                assembled=assembled,
                person=candidate.person,
                images_key=candidate.images_key,
            )
        hinted = self._arms.get(plain(candidate.arm_hint))
        return write_inbox_series(
            study_id,
            self.context.token,
            slices,
            assembled,
            parameters=candidate.parameters,
            deidentification=report,
            note=" ".join(candidate.notes),
            suspicions=candidate.suspicions,
            person=candidate.person,
            images_key=candidate.images_key,
            volunteer_guess=candidate.place.volunteer or candidate.volunteer_hint,
            arm_guess=candidate.place.arm or hinted,
            date_shift=shift,
        )
