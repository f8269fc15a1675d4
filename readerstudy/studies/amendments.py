"""Amending a launched protocol: a new version with its reason; nothing that readers went by.

At the launch the order is stored and readers begin. From then on no change may touch what they
read, how it is scored or in which order: arms, criteria, comparisons, regions, mode, sides, gap,
repeats, occasions, washout, practice, going back and reasons stay (`FIXED`). What may change, with
a reason, is what is said around the reading: texts, pauses and the planned numbers (`AMENDABLE`).
The analysis plan has signed versions of its own. A locked study is amended no more.

The protocol as launched is kept with its hash (version 1); each amendment keeps the whole protocol
as amended, with its own hash.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from readerstudy.accounts.models import User
from readerstudy.audit.services import record

from .access import require_role
from .design_checks import PLANNING
from .errors import DesignError, StudyError
from .models import Amendment, Role, Study
from .protocol import protocol_of, sha256_of
from .services import lock_study
from .shapes import Faults

# Fields of the study, and their names for people.
AMENDABLE = {
    "title": "Title",
    "description": "Description",
    "notice": "Notice",
    "credits": "Credits",
    "reading_instructions": "Instructions to readers",
    "pause_after_minutes": "Pause after (minutes of reading)",
    "pause_minutes": "Length of a pause (minutes)",
    "planning": "Planned numbers",
}
FIXED = (
    "arms and recipes, criteria and their wording, comparisons, regions, reading mode, sides, gap, "
    "repeats, occasions, washout, practice, going back, reasons for changes"
)
MOST_REASON = 1000


@dataclass(frozen=True)
class Version:
    """One version of a launched protocol, for the history."""

    number: int
    made_at: datetime.datetime | None
    made_by: str
    reason: str
    changes: Sequence[tuple[str, Any, Any]]  # name, from, to
    sha256: str


def history(study: Study) -> list[Version]:
    """Every version, the launch first; none of a draft."""
    if study.is_draft:
        return []
    launched = Version(1, study.launched_at, "", "Launch", (), study.protocol_sha256)
    return [launched, *(_version(row) for row in study.amendments.select_related("made_by"))]


def current_protocol(study: Study) -> dict[str, Any]:
    """The protocol as last amended; as launched, where it never was."""
    last = study.amendments.last()
    return dict(last.protocol if last is not None else study.protocol or protocol_of(study))


def check_amend(study: Study, actor: User | None, reason: str) -> None:
    require_role(actor, study, Role.COORDINATOR)
    if study.is_draft:
        raise StudyError("The study was not launched yet: change its design.")
    if study.is_locked:
        raise StudyError(f"“{study.title}” is locked: its protocol is amended no more.")
    if not reason.strip():
        raise StudyError("Give the reason for the amendment: it is kept with the protocol.")
    if len(reason) > MOST_REASON:
        raise StudyError(f"The reason is too long: {MOST_REASON} characters at most.")


@transaction.atomic
def do_amend(
    study: Study, actor: User | None, reason: str, *, opened: int, **changes: Any
) -> Amendment:
    """Write the changes and keep the protocol as amended, with its hash, as the next version.

    `opened` is the version that the changes were made to: a later one is not amended unawares.
    """
    study = lock_study(study)
    check_amend(study, actor, reason)
    if fixed := sorted(set(changes) - set(AMENDABLE)):
        raise StudyError(f"These cannot be amended after the launch: {', '.join(fixed)}.")
    version = 1 + study.amendments.count()
    if opened != version:
        raise StudyError(
            f"Version {version} was made since this page was opened; nothing was saved. Look at "
            "the history below, then save again."
        )
    said = {
        field: {"from": getattr(study, field), "to": value}
        for field, value in changes.items()
        if getattr(study, field) != value
    }
    if not said:
        raise StudyError("Nothing was changed: there is nothing to amend.")
    for field, value in said.items():
        setattr(study, field, value["to"])
    _check(study)
    study.save(update_fields=list(said))
    # Readers, arms and all else as launched: only what was amended is read from the study.
    protocol = {**current_protocol(study), **_amended_parts(study, current_protocol(study))}
    amendment = Amendment.objects.create(
        study=study,
        version=version + 1,
        reason=reason.strip(),
        changes=said,
        protocol=protocol,
        protocol_sha256=sha256_of(protocol),
        made_by=actor,
    )
    record(
        "studies.protocol.amended",
        actor,
        study_id=study.pk,
        subject=study,
        old={field: value["from"] for field, value in said.items()},
        new={
            **{field: value["to"] for field, value in said.items()},
            "version": amendment.version,
            "protocol_sha256": amendment.protocol_sha256,
        },
        why=amendment.reason,
    )
    return amendment


def _amended_parts(study: Study, protocol: dict[str, Any]) -> dict[str, Any]:
    now = protocol_of(study)
    reading = {
        **protocol["reading"],
        **{key: now["reading"][key] for key in ("pause_after_minutes", "pause_minutes")},
        "instructions": now["reading"]["instructions"],
    }
    return {"study": now["study"], "reading": reading, "planning": now["planning"]}


def _check(study: Study) -> None:
    faults: Faults = []
    PLANNING(study.planning, "planning", faults)
    if faults:
        raise DesignError(*faults)
    try:
        study.full_clean(exclude={"created_by"})
    except ValidationError as error:
        raise StudyError.from_validation(error) from None


def _version(row: Amendment) -> Version:
    changes = [
        (AMENDABLE.get(field, field), value["from"], value["to"])
        for field, value in row.changes.items()
    ]
    by = str(row.made_by) if row.made_by else "the platform"
    return Version(row.version, row.made_at, by, row.reason, changes, row.protocol_sha256)
