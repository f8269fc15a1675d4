"""Designing a study: made from a document or a former study, changed while it is a draft.

A design is saved as a whole. Whoever saves says which state of it was opened: what somebody else
changed meanwhile is told, never overwritten unawares. After the launch nothing here applies; see
`readerstudy.studies.amendments`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db import transaction

from readerstudy.accounts.models import User
from readerstudy.audit.models import Event
from readerstudy.audit.services import record
from readerstudy.imaging.readings import Readings, having_read
from readerstudy.studies.access import require_role
from readerstudy.studies.design_document import document_of, empty_document
from readerstudy.studies.design_writing import Rows, write_design
from readerstudy.studies.errors import DesignConflict
from readerstudy.studies.models import Role, Study
from readerstudy.studies.protocol import protocol_of, sha256_of
from readerstudy.studies.selectors import control_arm
from readerstudy.studies.services import check_is_draft, do_create_study, lock_study
from readerstudy.variants.services import do_request_variants

from .design_images import check_images_allow, show_by_control, withdraw_outdated
from .design_rules import check_design


def state_of(study: Study) -> str:
    """Names the design as it stands: whoever saves a form says which state it was made from."""
    return sha256_of(document_of(study))


@transaction.atomic
def do_create_from_document(
    slug: str, document: Any, actor: User | None, *, title: str = "", notice: str = ""
) -> Study:
    """A draft with that design; its maker becomes its coordinator.

    A `title` and a `notice` that are not empty replace the document's.

    Raises `DesignError` with every fault of the document; nothing is left of a study then.
    """
    check_design(document)
    given = {name: text for name, text in (("title", title), ("notice", notice)) if text}
    document = {**document, "study": {**document["study"], **given}}
    said = document["study"]
    study = do_create_study(
        slug, said["title"], actor, notice=said["notice"], credits=said["credits"]
    )
    write_design(study, document)
    record(
        "studies.protocol.filled", actor, study_id=study.pk, subject=study, new=protocol_of(study)
    )
    return study


def do_create_blank(slug: str, title: str, actor: User | None, *, notice: str = "") -> Study:
    """A draft in which nothing is decided yet."""
    return do_create_from_document(slug, empty_document(title), actor, notice=notice)


@transaction.atomic
def do_copy_study(
    source: Study, slug: str, title: str, actor: User | None, *, notice: str = ""
) -> Study:
    """A draft with another study's design: no volunteer, image, region, score or person of it.

    Volunteers' codes in the design (who serves practice) stay behind, as they are data; so do
    notice and credits, which speak of its images.
    """
    require_role(actor, source, Role.COORDINATOR)
    document = document_of(source)
    document["reading"] = {**document["reading"], "practice_volunteers": []}
    document["study"] = {**document["study"], "notice": "", "credits": ""}
    return do_create_from_document(slug, document, actor, title=title, notice=notice)


@dataclass(frozen=True)
class Saved:
    """`changes` names what is different now; `again` are the arms that are being made anew."""

    study: Study
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    again: tuple[str, ...] = ()


def do_save_design(
    study: Study, actor: User | None, document: Any, opened: str, rows: Rows | None = None
) -> Saved:
    """Make a draft what the document says.

    `opened` is `state_of` the design that the changes were made to. Raises `DesignConflict` when it
    is another by now, `DesignError` for a document that cannot be taken.
    """
    return having_read(partial(_save_design, study, actor, document, opened, rows))


@transaction.atomic
def _save_design(
    study: Study,
    actor: User | None,
    document: Any,
    opened: str,
    rows: Rows | None,
    readings: Readings,
) -> Saved:
    require_role(actor, study, Role.COORDINATOR)
    study = lock_study(study)
    check_is_draft(study)
    before = document_of(study)
    if sha256_of(before) != opened:
        raise DesignConflict("The design was changed by somebody else since this page was opened.")
    check_design(document)
    changes = differences(before, document)
    if not changes:
        return Saved(study)
    check_images_allow(study, document, rows or Rows())
    again = withdraw_outdated(study, document, rows or Rows(), actor)
    control = control_arm(study)
    write_design(study, document, rows)
    if control_arm(study) != control:
        show_by_control(study, readings)
    record(
        "studies.design.changed",
        actor,
        study_id=study.pk,
        subject=study,
        old={path: old for path, (old, _new) in changes.items()},
        new={path: new for path, (_old, new) in changes.items()},
    )
    do_request_variants(study, actor)
    return Saved(study, changes, again)


def last_change(study: Study) -> str:
    """Who changed the study last and when, in a sentence; nothing where nobody did."""
    event = (
        Event.objects.filter(study_id=study.pk)
        .select_related("actor")
        .order_by("-sequence")
        .first()
    )
    if event is None:
        return ""
    return f"Last changed by {event.actor or 'the platform'} at {event.at:%H:%M} UTC."


# --- What is different ----------------------------------------------------------------------------


def differences(before: Any, after: Any) -> dict[str, tuple[Any, Any]]:
    """{path: (before, after)}: by entry where a list has kept its length, else list by list."""
    return dict(_differences(before, after, ""))


def _differences(before: Any, after: Any, path: str) -> Iterator[tuple[str, tuple[Any, Any]]]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            within = f"{path}.{key}" if path else key
            yield from _differences(before.get(key), after.get(key), within)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for position, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _differences(old, new, f"{path}[{position}]")
    else:
        yield path, (before, after)
