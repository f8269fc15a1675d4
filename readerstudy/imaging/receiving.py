"""Images over the network: a DICOM receiver (C-STORE, C-ECHO) in front of the inbox.

Which study is meant is said by the called AE title, who may send by the calling one. A received
image goes the way of an upload: its bytes lie under a random name until the worker has read and
de-identified them, and are deleted then. Nothing of a header is looked at here, and nothing logged.
"""

from __future__ import annotations

import io
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.db import DatabaseError, close_old_connections, connections
from pynetdicom import AE, _config
from pynetdicom.events import (
    EVT_C_ECHO,
    EVT_C_STORE,
    EVT_CONN_CLOSE,
    EVT_REQUESTED,
    Event,
    InterventionEvent,
    NotificationEvent,
)

from readerstudy.audit.services import record
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Study

from .errors import ImagingError
from .models import ImagingRules, Upload
from .parsing.checks import ENHANCED_MR_IMAGE, MR_IMAGE
from .parsing.pixels import TRANSFER_SYNTAXES
from .rules import TITLE
from .uploads import do_create_upload, do_drop_batch, do_finish_batch, do_receive

log = logging.getLogger("readerstudy.receiver")

VERIFICATION = "1.2.840.10008.1.1"
# PS3.4 B.2.3 and PS3.7 C: statuses of a C-STORE.
SUCCESS, NOT_AUTHORISED, OUT_OF_RESOURCES = 0x0000, 0x0124, 0xA700
# PS3.8 9.3.4: rejected for good, by the user of the service, for its calling or called title.
REJECTED_CALLING, REJECTED_CALLED = (0x01, 0x01, 0x03), (0x01, 0x01, 0x07)
NAME = "received"
MAX_PDU = 131_072
NETWORK_SECONDS = 60


@dataclass
class OpenBatch:
    """What one sender sends until it falls silent: it is read as one."""

    study: Study
    sender: str
    batch: uuid.UUID = field(default_factory=uuid.uuid4)
    files: int = 0
    touched: float = field(default_factory=time.monotonic)


class Receiver:
    """Collects what is received into batches and hands them to the worker once a sender is quiet.

    Archives send a series over one association or over one for each image: a batch ends when its
    sender has been silent for `quiet` seconds, with no association open.
    """

    def __init__(self, quiet: float) -> None:
        self.quiet = quiet
        self._batches: dict[tuple[uuid.UUID, str], OpenBatch] = {}
        self._associations: dict[int, tuple[uuid.UUID, str]] = {}
        self._lock = threading.RLock()

    def entity(self) -> AE:
        _config.LOG_HANDLER_LEVEL = "none"
        entity = AE(ae_title="READERSTUDY")
        entity.maximum_pdu_size = MAX_PDU
        entity.network_timeout = NETWORK_SECONDS
        entity.acse_timeout = entity.dimse_timeout = NETWORK_SECONDS
        entity.add_supported_context(VERIFICATION)
        for sop_class in (MR_IMAGE, ENHANCED_MR_IMAGE):
            entity.add_supported_context(sop_class, list(TRANSFER_SYNTAXES))
        return entity

    def handlers(self) -> list[tuple[NotificationEvent | InterventionEvent, object]]:
        return [
            (EVT_REQUESTED, self.on_requested),
            (EVT_C_ECHO, self.on_echo),
            (EVT_C_STORE, self.on_store),
            (EVT_CONN_CLOSE, self.on_close),
        ]

    # --- What the network asks ------------------------------------------------------------------

    def on_requested(self, event: Event) -> None:
        """Refuse whoever is not named in the rules of the study that is called."""
        asked = event.assoc.requestor.primitive
        called = _title(getattr(asked, "called_ae_title", None))
        calling = _title(getattr(asked, "calling_ae_title", None))
        with _database():
            rules = _rules(called)
        if rules is None:
            log.warning("association refused: no study receives as %s", called or "this title")
            event.assoc.acse.send_reject(*REJECTED_CALLED)
        elif calling.casefold() not in {name.casefold() for name in rules.senders}:
            log.warning("association refused: %s is not allowed", calling or "its title")
            event.assoc.acse.send_reject(*REJECTED_CALLING)
        else:
            with self._lock:
                self._associations[id(event.assoc)] = (rules.study_id, calling.casefold())

    def on_echo(self, _event: Event) -> int:
        return SUCCESS

    def on_store(self, event: Event) -> int:
        where = self._associations.get(id(event.assoc))
        if where is None:
            return NOT_AUTHORISED
        try:
            content = event.encoded_dataset()
            with _database():
                self._keep(where, content)
        except (ImagingError, StudyError) as error:
            log.warning("an image was not taken: %s", type(error).__name__)
            return NOT_AUTHORISED
        except (OSError, DatabaseError, MemoryError) as error:
            log.error("an image could not be kept: %s", type(error).__name__)
            return OUT_OF_RESOURCES
        return SUCCESS

    def on_close(self, event: Event) -> None:
        with self._lock:
            where = self._associations.pop(id(event.assoc), None)
            if where in self._batches:
                self._batches[where].touched = time.monotonic()
        connections.close_all()

    # --- Batches --------------------------------------------------------------------------------

    def _keep(self, where: tuple[uuid.UUID, str], content: bytes) -> None:
        """Write one image. What was not written whole is taken back: a sender may repeat it."""
        with self._lock:  # one writer at a time: no batch is closed under an image
            try:
                self._write(self._open(where), content)
            except ImagingError:
                if not self._batches[where].files:
                    raise
                self._finish(where)  # the batch is full: the image begins another
                self._write(self._open(where), content)

    def _open(self, where: tuple[uuid.UUID, str]) -> OpenBatch:
        if where not in self._batches:
            self._batches[where] = OpenBatch(Study.objects.get(pk=where[0]), where[1])
        return self._batches[where]

    def _write(self, batch: OpenBatch, content: bytes) -> None:
        upload = do_create_upload(
            Study.objects.get(pk=batch.study.pk),
            None,
            name=f"{NAME}-{batch.files + 1:05d}.dcm",
            size=len(content),
            batch=batch.batch,
        )
        try:
            do_receive(upload, 0, io.BytesIO(content))
        except BaseException:
            Upload.objects.filter(pk=upload.pk).update(state=Upload.State.CANCELLED)
            raise
        batch.files += 1
        batch.touched = time.monotonic()

    def finish_quiet(self, *, all_of_them: bool = False) -> int:
        """Hand over batches whose sender is silent; the number of batches."""
        with self._lock, _database():
            busy = set(self._associations.values())
            now = time.monotonic()
            due = [
                where
                for where, batch in self._batches.items()
                if all_of_them or (where not in busy and now - batch.touched >= self.quiet)
            ]
            for where in due:
                self._finish(where)
            return len(due)

    def _finish(self, where: tuple[uuid.UUID, str]) -> None:
        batch = self._batches[where]
        try:
            if batch.files:
                job = do_finish_batch(batch.study, batch.batch, None)
                record(
                    "imaging.receiver.received",
                    None,
                    study_id=batch.study.pk,
                    subject=job,
                    new={"sender": batch.sender, "files": batch.files},
                )
                log.info("%d received images were handed to the worker", batch.files)
        except (ImagingError, StudyError) as error:
            log.warning("received images were dropped: %s", type(error).__name__)
            do_drop_batch(batch.study, batch.batch)
        del self._batches[where]


def take_up_left_over() -> int:
    """Hand over what a receiver that was killed had received whole; the number of batches."""
    left = Upload.objects.filter(
        state=Upload.State.RECEIVING, created_by=None, name__startswith=f"{NAME}-"
    ).select_related("study")
    batches = {upload.batch: upload.study for upload in left}
    for batch, study in batches.items():
        for upload in left.filter(batch=batch):
            if upload.received != upload.size:
                Upload.objects.filter(pk=upload.pk).update(state=Upload.State.CANCELLED)
        try:
            do_finish_batch(study, batch, None)
        except (ImagingError, StudyError):
            do_drop_batch(study, batch)
    return len(batches)


def _rules(called: str) -> ImagingRules | None:
    if not called:
        return None
    return (
        ImagingRules.objects.select_related("study")
        .filter(receiver_title__iexact=called, study__state=Study.State.DRAFT)
        .first()
    )


def _title(sent: object) -> str:
    """A title as it may be compared and logged; empty for what is none."""
    text = str(sent or "").strip()
    return text if TITLE.fullmatch(text) else ""


@contextmanager
def _database() -> Iterator[None]:
    """A network thread lives as long as its association: stale connections go before and after."""
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()
