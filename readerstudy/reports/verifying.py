"""Whether a study is still what was frozen, signed and opened: every hash, every row, every trace.

`manage.py verify_snapshot` says what it finds; nothing is repaired here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from readerstudy.audit import triggers
from readerstudy.audit.models import Event
from readerstudy.conduct.locking import standing_lock
from readerstudy.studies.errors import StudyError
from readerstudy.studies.models import PlanVersion, Study
from readerstudy.studies.protocol import canonical_json, sha256_of

from .models import Snapshot, Unblinding
from .selectors import Document, data_of, masked_data
from .snapshots import commitment_of, standing_snapshot

# Tables of the document: what a row is called, and how many of its first columns name it.
_TABLES = {
    "scores": ("score", "score_columns", 4),
    "regions": ("measurement", "region_columns", 3),
    "choices": ("choice", "choice_columns", 5),
    "rankings": ("rank", "ranking_columns", 4),
}
# Parts that follow from rows which the lock freezes; Table 1 follows from images, which whoever
# withdraws has erased.
_PARTS = ("study", "arms", "criteria", "tissues", "never_submitted", "mode")
MOST_NAMED = 20


def verify_study(study: Study) -> list[str]:
    """Every fault, in sentences; none: the study is what was frozen."""
    snapshot = standing_snapshot(study)
    if snapshot is None:
        return [
            "The study is locked, but no frozen data are on record."
            if study.is_locked
            else "The study is not locked: there are no frozen data to verify."
        ]
    faults = [
        *_snapshot_faults(snapshot),
        *_plan_faults(study),
        *_unblinding_faults(study, snapshot),
    ]
    faults += row_differences(study, snapshot, most=MOST_NAMED)
    missing = triggers.missing()
    faults += [
        f"The trigger {name} is missing or altered: rows could be changed. "
        "manage.py migrate puts it back."
        for name in missing[:3]
    ]
    return faults


def _snapshot_faults(snapshot: Snapshot) -> Iterator[str]:
    data_sha256 = sha256_of(snapshot.data)
    if data_sha256 != snapshot.sha256:
        yield (
            f"The frozen data have the SHA-256 {data_sha256}, not {snapshot.sha256}: they were "
            "changed."
        )
    if snapshot.salt and commitment_of(snapshot.salt, snapshot.sha256) != snapshot.commitment:
        yield "The hash of the frozen data does not fit its commitment: one of them was changed."
    event = _event("reports.snapshot.taken", "reports.snapshot", snapshot.pk)
    if event is None:
        yield "The audit trail does not say that the frozen data were taken."
        return
    said = event.new or {}
    if snapshot.salt and said.get("commitment") != snapshot.commitment:
        yield "The audit trail holds another commitment to the frozen data."
    try:
        masked = sha256_of(masked_data(snapshot.data))
    except (KeyError, TypeError, IndexError):
        yield "The frozen data cannot be read: they were changed."
        return
    if said.get("masked_data_sha256") != masked:
        yield "The audit trail holds another hash of the masked data: the frozen data were changed."
    lock = standing_lock(snapshot.study)
    if snapshot.locking_id != (lock.pk if lock else None) and snapshot.locking_id is not None:
        yield "The frozen data are not those of the lock that holds."


def _plan_faults(study: Study) -> Iterator[str]:
    expected = 1
    for version in PlanVersion.objects.filter(study=study).order_by("number"):
        name = f"Version {version.number} of the analysis plan"
        if version.number != expected:
            yield f"Version {expected} of the analysis plan is missing."
        expected = version.number + 1
        if sha256_of(version.document) != version.sha256:
            yield f"{name} does not have its signed hash: it was changed."
        action = "reports.plan.signed" if version.number == 1 else "reports.plan.amended"
        event = _event(action, "studies.planversion", version.pk)
        said = (event.new or {}) if event else {}
        if said.get("plan_sha256") != version.sha256 or said.get("version") != version.number:
            yield f"{name} is not the one that the audit trail says was signed."


def _unblinding_faults(study: Study, snapshot: Snapshot) -> Iterator[str]:
    opened = Unblinding.objects.filter(study=study).select_related("plan_version").first()
    if opened is None:
        if study.is_unblinded:
            yield "The study is unblinded, but no unblinding is on record."
        return
    if not study.is_unblinded:
        yield "An unblinding is on record, but the study is not in that state."
    if opened.data_sha256 != snapshot.sha256:
        yield "The key was opened over other data than those that are frozen."
    version = opened.plan_version
    if version is not None and opened.plan_sha256 != version.sha256:
        yield "The key was opened under another plan than the one on record."
    event = Event.objects.filter(hash=opened.audit_head).first()
    if event is None or event.study_id != study.pk or event.action != "reports.study.unblinded":
        yield "The audit trail does not hold the unblinding at the head that is on record."
        return
    said = event.new or {}
    if (said.get("data_sha256"), said.get("plan_sha256")) != (
        opened.data_sha256,
        opened.plan_sha256,
    ):
        yield "The audit trail names other hashes at the unblinding than those on record."


def _event(action: str, subject: str, key: int) -> Event | None:
    found = Event.objects.filter(action=action, subject_type=subject, subject_id=str(key))
    return found.order_by("sequence").last()


# --- Row by row -----------------------------------------------------------------------------------


def row_differences(study: Study, snapshot: Snapshot, *, most: int) -> list[str]:
    """Where the stored rows differ from the frozen ones: at most so many sentences, and a count."""
    try:
        now = data_of(study)
    except StudyError as error:
        return [f"The stored data cannot be read: {error}"]
    found = list(_differences(now, snapshot.data))
    if len(found) <= most:
        return found
    return [*found[:most], f"So do {len(found) - most} further rows."]


def _differences(now: Document, frozen: Document) -> Iterator[str]:
    for part in _PARTS:
        if canonical_json(now.get(part)) != canonical_json(frozen.get(part)):
            yield f"What is stored of “{part.replace('_', ' ')}” differs from what was frozen."
    for table, (word, columns, keys) in _TABLES.items():
        names = frozen.get(columns) or now.get(columns) or []
        before, after = (_by_key(document, table, keys) for document in (frozen, now))
        for key in sorted(before.keys() | after.keys()):
            old, new = before.get(key), after.get(key)
            if old == new:
                continue
            place = f"The {word} of {', '.join(map(str, key))}"
            if old is None:
                yield f"{place} is stored, but was not frozen."
            elif new is None:
                yield f"{place} was frozen, but is no longer stored."
            else:
                changed = [
                    f"{name} {b} instead of {a}"
                    for name, a, b in zip(names[keys:], old, new, strict=False)
                    if a != b
                ]
                yield f"{place} differs: {', '.join(changed)}."


def _by_key(document: Document, table: str, keys: int) -> dict[tuple[str, ...], list[Any]]:
    return {tuple(map(str, row[:keys])): row[keys:] for row in document.get(table) or []}
