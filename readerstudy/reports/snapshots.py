"""The frozen data of a locked study: taken at the lock, never changed, held to its hash."""

from __future__ import annotations

import hashlib
import secrets

from django.db.models import TextField
from django.db.models.functions import Cast

from readerstudy.accounts.models import User
from readerstudy.audit.services import record
from readerstudy.conduct.locking import standing_lock
from readerstudy.conduct.models import Locking
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import Study
from readerstudy.studies.protocol import sha256_of

from .models import Snapshot, Unblinding
from .selectors import data_of, masked_data

CHANGED = (
    "The frozen data no longer match their hash: they were changed behind the platform's back. "
    "No result is shown. Restore the database from a backup."
)


def commitment_of(salt: str, data_sha256: str) -> str:
    return hashlib.sha256(f"{salt}{data_sha256}".encode("ascii")).hexdigest()


def freeze_at_lock(study: Study, locking: Locking, actor: User | None) -> None:
    """See `conduct.hooks`: inside the transaction that locks the study."""
    freeze(study, locking, actor)


def freeze(study: Study, locking: Locking | None, actor: User | None) -> Snapshot:
    """Take the data as they stand, with their hash. The caller holds the study's row."""
    data = data_of(study)
    data_sha256, salt = sha256_of(data), secrets.token_hex(32)
    snapshot = Snapshot.objects.create(
        study=study,
        locking=locking,
        data=data,
        sha256=data_sha256,
        salt=salt,
        commitment=commitment_of(salt, data_sha256),
    )
    record(
        "reports.snapshot.taken",
        actor,
        study_id=study.pk,
        subject=snapshot,
        new={
            "masked_data_sha256": sha256_of(masked_data(data)),
            "commitment": snapshot.commitment,
            "lock": locking.number if locking else None,
        },
    )
    return snapshot


def standing_snapshot(study: Study) -> Snapshot | None:
    """What the results rest on now: the data of the opened key, else of the standing lock.

    The data themselves, which can be large, are read when they are asked for.
    """
    opened = Unblinding.objects.filter(study=study).only("snapshot_id").first()
    if opened is not None:
        return Snapshot.objects.defer("data").get(pk=opened.snapshot_id)
    if not study.is_locked:
        return None
    taken = Snapshot.objects.filter(study=study, locking=standing_lock(study)).defer("data")
    return taken.order_by("-created_at").first()


def fingerprint_of(snapshot: Snapshot) -> str:
    """Changes whenever anything of the stored row does; quick, since the data stay unread text."""
    rows = Snapshot.objects.filter(pk=snapshot.pk).annotate(text=Cast("data", TextField()))
    parts = rows.values_list("text", "sha256", "salt", "commitment").get()
    return hashlib.sha256("\n".join(parts).encode("utf-8")).hexdigest()


def check_intact(snapshot: Snapshot) -> None:
    """Raise `StudyError` where the data do not have their hash."""
    if sha256_of(snapshot.data) != snapshot.sha256:
        raise StudyError(CHANGED)
    if snapshot.salt and snapshot.commitment != commitment_of(snapshot.salt, snapshot.sha256):
        raise StudyError(CHANGED)
